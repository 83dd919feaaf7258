"""Whether frames are shadows of the sample, as in the near field, and how large they are.

In a diverging beam well away from its focus a frame is a magnified shadow of what the beam lights:
as the scan goes on it moves over the detector, by the magnification times the step (projection
imaging; D. Paganin, *Coherent X-Ray Optics*, 4.7). The beam's spot on the detector divided by the
magnification is the width of the beam at the sample.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.fft import irfft2, rfft2
from scipy.spatial import KDTree

from fly64tasks.physics.optics import probe_diameter_px

LEAST_PAIRS = 20
"""Pairs of frames without which their shifts tell nothing."""
_MOST_PAIRS = 60
_LIT = 0.05
"""Share of the mean frame's largest intensity above which a pixel is in the beam's spot."""
_ALIKE = 0.4
"""Least correlation of a pair's shadows: .69 was seen in the near field."""
_EXPLAINED = 0.9
"""Least share of the shifts that a magnification explains: .98 in the near field, .72 at most in
36 far-field sets, whose speckles do not move as one."""


@dataclass(frozen=True)
class Shadow:
    """Shadows of the sample that move with the scan.

    Attributes
    ----------
    magnification : float
        Pixels of the detector for each pixel of the scan.
    spot_px : float
        Second-moment diameter of the mean frame, in pixels of the detector.
    """

    magnification: float
    spot_px: float

    @property
    def beam_px(self) -> float:
        """Return the width of the beam at the sample, in px of the scan."""
        return self.spot_px / self.magnification


def shadow_of(amplitude: NDArray[np.floating], positions_px: NDArray[np.floating]) -> Shadow | None:
    """Return the shadows that frames are, or None where they do not move as one with the scan.

    Parameters
    ----------
    amplitude : (n, N, N) float
    positions_px : (n, 2) float
        y first.
    """
    places, at = np.unique(positions_px, axis=0, return_index=True)
    if len(places) < LEAST_PAIRS:
        return None
    ones = np.unique(np.linspace(0, len(places) - 1, _MOST_PAIRS).astype(int))
    others = np.asarray(KDTree(places).query(places[ones], k=2)[1])[:, 1]
    pairs = np.column_stack([at[ones], at[others]])
    moved = places[others] - places[ones]
    frames = np.unique(pairs)
    mean = np.mean([np.square(amplitude[frame], dtype=float) for frame in frames], axis=0)
    shifts, alike = np.zeros((len(pairs), 2)), np.zeros(len(pairs))
    for row, pair in enumerate(pairs):
        shifts[row], alike[row] = _shift(*(_contrast(amplitude[frame], mean) for frame in pair))
    if np.median(alike) < _ALIKE or not np.square(shifts).sum():
        return None
    by_step, *_ = np.linalg.lstsq(moved, shifts)
    left = np.square(shifts - moved @ by_step).sum() / np.square(shifts).sum()
    magnification = float(np.sqrt(abs(np.linalg.det(by_step))))
    if 1 - left < _EXPLAINED or not magnification:
        return None
    return Shadow(magnification, probe_diameter_px(np.sqrt(mean)))


def _contrast(amplitude: NDArray[np.floating], mean: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return a frame less the mean one, in units of its noise, where the beam lights it."""
    lit = mean > _LIT * mean.max()
    difference = np.square(amplitude, dtype=float) - mean
    return np.where(lit, difference / np.sqrt(np.where(lit, mean, 1)), 0)


def _shift(
    one: NDArray[np.float64], other: NDArray[np.float64]
) -> tuple[NDArray[np.float64], float]:
    """Return by how many pixels (y, x) the one is moved in the other, and their correlation."""
    shape = tuple(2 * length for length in one.shape)
    spectrum = rfft2(one, shape).conj() * rfft2(other, shape)
    correlation = irfft2(spectrum, shape)
    best = np.array(np.unravel_index(correlation.argmax(), shape))
    shift = np.where(best < one.shape, best, best - shape).astype(float)
    norm = np.linalg.norm(one) * np.linalg.norm(other)
    return shift, float(correlation.max() / norm) if norm else 0.0
