"""What a reconstruction starts from: frames, canvas, intensity in counts, first object and probe.

The truth never enters here: of ``objectGuess`` only the shape is used, unless ``object_init`` asks
for it by name.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fly64tasks.data.dataset import PtychoDataset
from fly64tasks.errors import DatasetError
from fly64tasks.physics.scan import Canvas, canvas_of
from fly64tasks.recon.scale import KnownScale, known_scale
from fly64tasks.study.study import ReconSpec

ASSUMED_PHOTONS_PER_FRAME = 1e5
"""Scale given to sets that are not counts: pty-chi's absolute epsilons need some."""


@dataclass(frozen=True)
class Start:
    """Everything that pty-chi is given.

    Attributes
    ----------
    intensity : (n, N, N) float32
        Diffraction intensity, zero frequency centred: the set's own times ``intensity_scale``.
    positions_px : (n, 2) float64
        Patch centres in pixels of the canvas, y first.
    probe : (modes, N, N) complex64
        In sqrt(photons) per pixel of ``intensity``, scaled to the mean frame: what an object of
        ones explains best.
    obj : (H, W) complex64
    canvas : Canvas
    frames : (n,) int
        Frames of the set that are used, ascending.
    counts : bool
        Whether the set holds whole photon counts.
    intensity_scale : float
        1 for counts; else what brings the mean frame to `ASSUMED_PHOTONS_PER_FRAME`.
    scale : KnownScale
        What the probe of the result is to hold, in photons of ``intensity``.
    truth_seeded : bool
        Whether the object starts from the truth that it would be scored against.
    """

    intensity: NDArray[np.float32]
    positions_px: NDArray[np.float64]
    probe: NDArray[np.complex64]
    obj: NDArray[np.complex64]
    canvas: Canvas
    frames: NDArray[np.integer]
    counts: bool
    intensity_scale: float
    scale: KnownScale
    truth_seeded: bool


def start_of(dataset: PtychoDataset, spec: ReconSpec, name: str) -> Start:
    """Return the start of a reconstruction; ``name`` names the set in errors.

    Raises
    ------
    DatasetError
        The scan can not be used, or the frames chosen are dark.
    """
    size = dataset.frame_size_px
    shape = dataset.object_guess.shape
    canvas = canvas_of(dataset.positions_px, size, (shape[0], shape[1]), name)
    frames = choose_frames(len(dataset.positions_px), spec)
    chosen = dataset.select(frames)
    intensity = chosen.diffraction_amplitude.astype(np.float64) ** 2
    if not intensity.any():
        raise DatasetError(f"{name}: the {len(frames)} chosen frames are dark, expected photons")
    counts = holds_counts(intensity)
    mean_photons = intensity.sum(axis=(1, 2)).mean()
    scale = 1.0 if counts else ASSUMED_PHOTONS_PER_FRAME / mean_photons
    probe_power = (np.abs(dataset.probe_guess.astype(np.complex128)) ** 2).sum()
    return Start(
        intensity=(intensity * scale).astype(np.float32),
        positions_px=chosen.positions_px + np.array(canvas.origin_px),
        probe=(dataset.probe_guess * np.sqrt(scale * mean_photons / probe_power)).astype(
            np.complex64
        ),
        obj=_first_object(dataset, spec, canvas, name),
        canvas=canvas,
        frames=frames,
        counts=counts,
        intensity_scale=float(scale),
        scale=known_scale(scale * probe_power, scale * mean_photons),
        truth_seeded=spec.object_init == "guess" and dataset.is_simulated,
    )


def choose_frames(n: int, spec: ReconSpec) -> NDArray[np.integer]:
    """Return the frames to use: at most ``n_images``, drawn without replacement, ascending."""
    if spec.n_images is None or spec.n_images >= n:
        return np.arange(n)
    rng = np.random.default_rng(spec.subsampling_seed)
    return np.sort(rng.choice(n, spec.n_images, replace=False))


def holds_counts(intensity: NDArray[np.floating]) -> bool:
    """Return whether intensities are whole numbers, up to the rounding of a float32 amplitude.

    Pixels above 1e5 say nothing, as float32 no longer tells whole numbers apart there.

    >>> holds_counts(np.sqrt(np.array([0.0, 1, 3, 7])).astype(np.float32).astype(float) ** 2)
    True
    >>> holds_counts(np.array([0.0, 0.25, 0.5]))
    False
    """
    telling = intensity[intensity < 1e5]
    whole = np.round(telling)
    return bool(whole.any() and np.abs(telling - whole).max() < 0.05)


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
