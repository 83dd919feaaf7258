"""What a reconstruction starts from: frames, canvas, intensity in counts, first object and probe.

The truth never enters here: of ``objectGuess`` only the shape is used, and that in simulated sets
alone, unless ``object_init`` asks for it by name.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fly64tasks.data.dataset import PtychoDataset
from fly64tasks.data.frame_stack import FrameStack
from fly64tasks.data.frames import Kind
from fly64tasks.data.lineage import AskedSet
from fly64tasks.data.metadata import geometry_of
from fly64tasks.data.readers import read_dataset
from fly64tasks.errors import DatasetError
from fly64tasks.physics.probe_modes import with_modes
from fly64tasks.physics.relaxation import Relaxation, first_relaxation
from fly64tasks.physics.scan import Canvas, canvas_of
from fly64tasks.recon.doubts.frames import Statistics, of_frames
from fly64tasks.recon.doubts.guesses import of_probe, of_truth
from fly64tasks.recon.doubts.scan import of_scan, refuse_near_field, refuse_scan
from fly64tasks.recon.scale import Scale
from fly64tasks.study.recon_settings import ReconSpec
from fly64tasks.study.stages import AS_STORED, ASSUMED, Geometry, Orientation

MARGIN_PX = {False: 2, True: 10}
"""Around a scan, where the canvas is sized from it: frames that may move are left room."""
_SAID_OF_THE_SET = (
    "dose_photons_per_frame",
    "overlap_view",
    "split",
    "selection_strategy",
    "acceptance_rate",
)


@dataclass(frozen=True)
class Start:
    """Everything that pty-chi is given, and what is known of the set that it comes from.

    Attributes
    ----------
    intensity : (n, N, N) float32
        Diffraction intensity, the set's own times ``scale.intensity``, zero frequency in the
        corner: what pty-chi takes, which makes no copy of it.
    positions_px : (n, 2) float64
        Patch centres in pixels of the canvas, y first.
    probe : (modes, N, N) complex64
        In sqrt(photons) per pixel of ``intensity``, scaled to the mean frame: what an object of
        ones explains best.
    obj : (H, W) complex64
    canvas : Canvas
    frames : (n,) int
        Frames of the set that are used, ascending.
    scale : Scale
    geometry : Geometry
        As the set's metadata has it, else as the study or the command line, else assumed.
    mask : (N, N) or (n, N, N) bool or None
        Pixels that count, of every frame or of each, zero frequency centred; None where all do.
    n_frames_in_set : int
    simulated : bool
        Whether the set's object is the truth that it was simulated from.
    truth_seeded : bool
        Whether the object starts from the truth that it would be scored against.
    said_of_the_set : dict
        What else its metadata say that a record repeats.
    left_out : tuple of int
        Frames of the set that hold no photons, and are not used.
    warnings : tuple of str
        What is to be doubted of the set.
    files : tuple of Path
        What else the set was read from than the file that was named.
    given_modes : int or None
        How many of the probe's modes are the set's; None where all are.
    relaxation : Relaxation or None
        What the probe may change by from frame to frame, in pty-chi's scale; None where it is one.
    slices : int
        Layers of the object: ``obj`` is the first, the others are empty.
    """

    intensity: NDArray[np.float32]
    positions_px: NDArray[np.float64]
    probe: NDArray[np.complex64]
    obj: NDArray[np.complex64]
    canvas: Canvas
    frames: NDArray[np.integer]
    scale: Scale
    geometry: Geometry
    mask: NDArray[np.bool_] | None
    n_frames_in_set: int
    simulated: bool
    truth_seeded: bool
    said_of_the_set: dict[str, Any]
    left_out: tuple[int, ...]
    warnings: tuple[str, ...]
    files: tuple[Path, ...] = ()
    given_modes: int | None = None
    relaxation: Relaxation | None = None
    slices: int = 1

    def centred(self) -> Iterator[NDArray[np.float32]]:
        """Yield the intensity of each frame, (N, N), zero frequency centred."""
        return map(np.fft.fftshift, self.intensity)

    @property
    def layers(self) -> NDArray[np.complex64]:
        """Return the first object, layer by layer: (layers, H, W)."""
        if self.slices == 1:
            return self.obj[None]
        empty = np.ones((self.slices - 1, *self.obj.shape), self.obj.dtype)
        return np.concatenate([self.obj[None], empty])


def read_start(
    path: Path,
    spec: ReconSpec,
    geometry: Geometry = ASSUMED,
    given: Collection[str] = (),
    diffraction: Kind = "auto",
    orientation: Orientation = AS_STORED,
    asked: AskedSet | None = None,
) -> Start:
    """Read a set and return the start of its reconstruction; raises as reading and `start_of`.

    Parameters
    ----------
    asked : AskedSet, optional
        What it is to be made from; a set that says anything else is refused.
    """
    guess = spec.object_init == "guess"
    dataset = read_dataset(
        path, diffraction=diffraction, orientation=orientation, obj=guess, extras=False
    )
    if asked is not None:
        asked.refuse_other(dataset.metadata, path)
    return start_of(dataset, spec, str(path), geometry, given)


def start_of(
    dataset: PtychoDataset,
    spec: ReconSpec,
    name: str,
    geometry: Geometry = ASSUMED,
    given: Collection[str] = (),
) -> Start:
    """Return the start of a reconstruction; ``name`` names the set in errors.

    ``geometry`` and ``given`` are what `fly64tasks.data.metadata.geometry_of` takes: the physical
    sizes where the set says none.

    Raises
    ------
    DatasetError
        The scan or the geometry can not be used, or the frames chosen are dark.
    """
    size = dataset.frame_size_px
    geometry = geometry_of(dataset.metadata, geometry, name, given)
    refuse_near_field(dataset, name)
    refuse_scan(dataset, geometry, name)
    if lacking := spec.lacks_sizes(geometry):
        raise DatasetError(f"{name}: {lacking}")
    margin = MARGIN_PX[spec.correct_positions]
    canvas = canvas_of(dataset.positions_px, size, _shape_of_frame(dataset, spec), name, margin)
    statistics = Statistics.of(dataset)
    left_out = tuple(int(frame) for frame in np.flatnonzero(statistics.empty))
    frames = choose_frames(len(dataset.positions_px), spec, left_out)
    if not statistics.photons[frames].any():
        raise DatasetError(f"{name}: the {len(frames)} chosen frames are dark, expected photons")
    amplitude = FrameStack.of(dataset.diffraction_amplitude).kept(frames)
    intensity = amplitude.mapped(lambda block: block.astype(np.float64) ** 2, dtype=np.float64)
    mask = dataset.mask_of(frames)
    scale = Scale.of(intensity, dataset.probe_guess, mask)
    # pty-chi's own way to the corner is off by a pixel for odd N.
    cornered = intensity.mapped(
        lambda block: np.fft.ifftshift((block * scale.intensity).astype(np.float32), axes=(1, 2)),
        dtype=np.float32,
    )
    warnings = (
        *dataset.warnings,
        *of_scan(dataset, geometry),
        *of_frames(dataset, statistics, scale),
        *of_probe(dataset, scale),
        *of_truth(dataset),
    )
    return Start(
        intensity=cornered.array(),
        positions_px=dataset.positions_px[frames] + np.array(canvas.origin_px),
        probe=scale.first_probe(with_modes(dataset.probe_guess, spec.probe_modes)),
        obj=_first_object(dataset, spec, canvas, name),
        canvas=canvas,
        frames=frames,
        scale=scale,
        geometry=geometry,
        mask=mask,
        n_frames_in_set=len(dataset.positions_px),
        simulated=dataset.is_simulated,
        truth_seeded=spec.object_init == "guess" and dataset.is_simulated,
        said_of_the_set=_said_of(dataset),
        left_out=left_out,
        warnings=warnings,
        files=dataset.files,
        given_modes=len(dataset.probe_guess) if spec.probe_modes else None,
        relaxation=_first_relaxation(spec, len(frames), size),
        slices=spec.slices,
    )


def choose_frames(n: int, spec: ReconSpec, left_out: Sequence[int] = ()) -> NDArray[np.integer]:
    """Return the frames to use: at most ``n_images``, drawn without replacement, ascending.

    Of these ``half`` takes every other one, from the first (even) or the second (odd).

    Parameters
    ----------
    left_out : sequence of int
        Frames that are not used, drawn or not.
    """
    frames: NDArray[np.integer] = np.arange(n)
    if spec.n_images is not None and spec.n_images < n:
        rng = np.random.default_rng(spec.subsampling_seed)
        frames = np.sort(rng.choice(n, spec.n_images, replace=False))
    if spec.half is not None:
        frames = frames[("even", "odd").index(spec.half) :: 2]
    return frames[~np.isin(frames, left_out)] if len(left_out) else frames


def _first_relaxation(spec: ReconSpec, n_frames: int, size_px: int) -> Relaxation | None:
    if not spec.opr_modes:
        return None
    rng = np.random.default_rng([spec.seed, 3])
    return first_relaxation(spec.opr_modes, n_frames, size_px, rng)


def _shape_of_frame(dataset: PtychoDataset, spec: ReconSpec) -> tuple[int, int] | None:
    """Return the shape of the set's object where the result is to lie in its frame."""
    obj = dataset.object_guess
    if obj is None or not (dataset.is_simulated or spec.object_init == "guess"):
        return None
    return obj.shape[0], obj.shape[1]


def _said_of(dataset: PtychoDataset) -> dict[str, Any]:
    said = {key: dataset.metadata[key] for key in _SAID_OF_THE_SET if key in dataset.metadata}
    if dataset.diffraction_from is not None:
        said["diffraction_from"] = dataset.diffraction_from
    if dataset.mask is not None:
        said["masked_share"] = float(1 - dataset.mask.mean())
    return said


def _first_object(
    dataset: PtychoDataset, spec: ReconSpec, canvas: Canvas, name: str
) -> NDArray[np.complex64]:
    if spec.object_init == "guess":
        if dataset.object_guess is None:
            raise DatasetError(
                f"{name}: object_init 'guess' needs objectGuess, found none; use object_init 'ones'"
            )
        if canvas.frame != "object":
            raise DatasetError(
                f"{name}: object_init 'guess' needs positions in the frame of objectGuess, found a "
                "scan of its own frame; use object_init 'ones'"
            )
        return dataset.object_guess
    first = np.broadcast_to(np.complex64(1), canvas.shape)  # which takes no memory
    if spec.object_init == "noise":
        rng = np.random.default_rng([spec.seed, 2])
        noise = rng.standard_normal((2, *canvas.shape))
        first = first + (0.01 * (noise[0] + 1j * noise[1])).astype(np.complex64)
    return first
