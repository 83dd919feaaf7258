"""What a reconstruction starts from: frames, canvas, intensity in counts, first object and probe.

The truth never enters here: of ``objectGuess`` only the shape is used, unless ``object_init`` asks
for it by name.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fly64tasks.data.dataset import PtychoDataset
from fly64tasks.data.lineage import AskedSet
from fly64tasks.data.readers import read_dataset
from fly64tasks.errors import DatasetError, StudyError
from fly64tasks.physics.scan import Canvas, canvas_of
from fly64tasks.recon.scale import Scale
from fly64tasks.study.recon_settings import ReconSpec
from fly64tasks.study.spec import parse_spec
from fly64tasks.study.stages import Geometry

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
        Diffraction intensity, zero frequency centred: the set's own times ``scale.intensity``.
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
        As the set's metadata has it, else the assumed one.
    n_frames_in_set : int
    simulated : bool
        Whether the set's object is the truth that it was simulated from.
    truth_seeded : bool
        Whether the object starts from the truth that it would be scored against.
    said_of_the_set : dict
        What else its metadata say that a record repeats.
    """

    intensity: NDArray[np.float32]
    positions_px: NDArray[np.float64]
    probe: NDArray[np.complex64]
    obj: NDArray[np.complex64]
    canvas: Canvas
    frames: NDArray[np.integer]
    scale: Scale
    geometry: Geometry
    n_frames_in_set: int
    simulated: bool
    truth_seeded: bool
    said_of_the_set: dict[str, Any]


def read_start(path: Path, spec: ReconSpec, asked: AskedSet | None = None) -> Start:
    """Read a set and return the start of its reconstruction; raises as reading and `start_of`.

    Parameters
    ----------
    asked : AskedSet, optional
        What it is to be made from; a set that says anything else is refused.
    """
    dataset = read_dataset(path)
    if asked is not None:
        asked.refuse_other(dataset.metadata, path)
    return start_of(dataset, spec, str(path))


def start_of(dataset: PtychoDataset, spec: ReconSpec, name: str) -> Start:
    """Return the start of a reconstruction; ``name`` names the set in errors.

    Raises
    ------
    DatasetError
        The scan or the geometry can not be used, or the frames chosen are dark.
    """
    size = dataset.frame_size_px
    shape = dataset.object_guess.shape
    canvas = canvas_of(dataset.positions_px, size, (shape[0], shape[1]), name)
    frames = choose_frames(len(dataset.positions_px), spec)
    chosen = dataset.select(frames)
    intensity = chosen.diffraction_amplitude.astype(np.float64) ** 2
    if not intensity.any():
        raise DatasetError(f"{name}: the {len(frames)} chosen frames are dark, expected photons")
    scale = Scale.of(intensity, dataset.probe_guess)
    return Start(
        intensity=(intensity * scale.intensity).astype(np.float32),
        positions_px=chosen.positions_px + np.array(canvas.origin_px),
        probe=scale.first_probe(dataset.probe_guess),
        obj=_first_object(dataset, spec, canvas, name),
        canvas=canvas,
        frames=frames,
        scale=scale,
        geometry=_geometry(dataset, name),
        n_frames_in_set=len(dataset.positions_px),
        simulated=dataset.is_simulated,
        truth_seeded=spec.object_init == "guess" and dataset.is_simulated,
        said_of_the_set={
            key: dataset.metadata[key] for key in _SAID_OF_THE_SET if key in dataset.metadata
        },
    )


def choose_frames(n: int, spec: ReconSpec) -> NDArray[np.integer]:
    """Return the frames to use: at most ``n_images``, drawn without replacement, ascending."""
    if spec.n_images is None or spec.n_images >= n:
        return np.arange(n)
    rng = np.random.default_rng(spec.subsampling_seed)
    return np.sort(rng.choice(n, spec.n_images, replace=False))


def _first_object(
    dataset: PtychoDataset, spec: ReconSpec, canvas: Canvas, name: str
) -> NDArray[np.complex64]:
    if spec.object_init == "guess":
        if canvas.frame != "object":
            raise DatasetError(
                f"{name}: object_init 'guess' needs positions in the frame of objectGuess, found a "
                "scan of its own frame; use object_init 'ones'"
            )
        return dataset.object_guess
    first = np.ones(canvas.shape, np.complex64)
    if spec.object_init == "noise":
        rng = np.random.default_rng([spec.seed, 2])
        noise = rng.standard_normal((2, *canvas.shape))
        first += (0.01 * (noise[0] + 1j * noise[1])).astype(np.complex64)
    return first


def _geometry(dataset: PtychoDataset, name: str) -> Geometry:
    table = dataset.metadata.get("geometry", {})
    try:
        return parse_spec(Geometry, table, f"{name}: _metadata.geometry")
    except StudyError as error:
        raise DatasetError(str(error)) from None
