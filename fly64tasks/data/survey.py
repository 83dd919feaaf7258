"""What one pass over all frames of a scan tells: their mean, if they are counts; a first probe."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import KDTree

from fly64tasks.data.measurement import Measurement, bad_pixels
from fly64tasks.study.stages import HC_EV_M

COUNTS_LIMIT = float(np.iinfo(np.int32).max)


@dataclass(frozen=True)
class Survey:
    """What all frames say together.

    Attributes
    ----------
    mean : (N, N) float64
        Mean counts, of the frames in which a pixel is good; 0 where it is in none.
    whole : bool
        Whether all are whole numbers, and some above 1: counts, not amplitudes.
    largest : float
    bad : int
        Pixels of single frames that hold no counts, though the mask lets them count.
    """

    mean: NDArray[np.float64]
    whole: bool
    largest: float
    bad: int


def survey(measurement: Measurement) -> Survey:
    """Read all frames once, in blocks."""
    _, height, width = measurement.frames.shape
    total, seen = np.zeros((height, width)), np.zeros((height, width))
    whole, largest, n_bad = True, 0.0, 0
    counting = True if measurement.mask is None else measurement.mask
    for block in measurement.frames.blocks():
        bad = bad_pixels(block)
        good = np.where(bad, 0, block)
        total += good.sum(axis=0, dtype=np.float64)
        seen += len(block) - bad.sum(axis=0)
        n_bad += int((bad & counting).sum())
        largest = max(largest, float(good.max()))
        if whole and block.dtype.kind == "f":
            whole = bool(np.array_equal(good, np.round(good)))
    if measurement.mask is not None:
        total[~measurement.mask] = 0
    mean = total / np.maximum(seen, 1)
    return Survey(mean, whole and largest > 1, largest, n_bad)


def first_probe(measurement: Measurement, mean: NDArray[np.float64]) -> NDArray[np.complex64]:
    """Return a probe (1, N, N) whose far field has the mean frame's amplitude: a guess.

    Its phase in the far field is flat, which is a probe in focus, or that of ``defocus_m``: the
    paraxial propagator exp(-i pi lambda z f^2) (J. W. Goodman, Introduction to Fourier Optics,
    4.2).

    Raises
    ------
    DatasetError
        The frames are dark, or a defocus is given without the pixel size that it takes.
    """
    if not mean.any():
        raise measurement.error("has no photons in any frame, expected some")
    far = np.sqrt(mean).astype(np.complex128)
    n = far.shape[-1]
    if measurement.defocus_m:
        if measurement.pixel_size_m is None or measurement.energy_ev is None:
            raise measurement.error(
                "says no pixel size or energy, expected them with a defocus of the probe"
            )
        f = (np.arange(n) - n // 2) / (n * measurement.pixel_size_m)
        wavelength = HC_EV_M / measurement.energy_ev
        squared = f[:, None] ** 2 + f**2
        far *= np.exp(-1j * np.pi * wavelength * measurement.defocus_m * squared)
    near = np.fft.fftshift(np.fft.ifft2(np.fft.ifftshift(far))) * n
    return np.asarray(near[None], np.complex64)


def guessed_probe(
    measurement: Measurement, mean: NDArray[np.float64]
) -> tuple[NDArray[np.complex64], str]:
    """Return `first_probe`, and in words what was guessed and whether it can be meant."""
    probe = first_probe(measurement, mean)
    diameter, step = _diameter_px(probe[0]), _step_px(measurement.positions_px)
    how = "in focus"
    if measurement.defocus_m:
        how = f"{measurement.defocus_m * 1e6:g} um out of focus"
    said = (
        f"{measurement.kind} holds no probe: one is guessed from the mean frame, {how}, "
        f"{diameter:.3g} px across where neighbours lie {step:.3g} px apart"
    )
    if diameter < step:
        said += ": they do not overlap; say its defocus in a key map (defocus, in um)"
    return probe, said


def _diameter_px(probe: NDArray[np.complexfloating]) -> float:
    """Return the diameter of a disc of the probe's mean squared radius."""
    power = np.abs(probe.astype(np.complex128)) ** 2
    y, x = np.indices(power.shape)
    middle = [(axis * power).sum() / power.sum() for axis in (y, x)]
    squared = (((y - middle[0]) ** 2 + (x - middle[1]) ** 2) * power).sum() / power.sum()
    return float(2 * np.sqrt(2 * squared))


def _step_px(positions_px: NDArray[np.float64]) -> float:
    if len(positions_px) < 2:
        return 0.0
    return float(np.median(np.asarray(KDTree(positions_px).query(positions_px, k=2)[0])[:, 1]))
