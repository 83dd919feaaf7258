"""How well predicted counts agree with measured ones, in units of the photons' own noise.

A Poisson variable's square root has nearly the same variance at every mean (Bartlett, *J. R. Stat.
Soc. Suppl.* 3, 68 (1936); Anscombe, *Biometrika* 35, 246 (1948)): 1/4 where there are many counts.
So the squared difference of the roots over what noise alone makes of it is near 1 for the right
prediction, at any dose, and grows without bound for a wrong one. Residuals that are relative to the
data, as the R-factor is, have no such absolute value.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray
from scipy.special import gammaln, xlogy

FloatArray = NDArray[np.floating]

TABLE_END_COUNTS = 60.0
"""Mean counts above which the variance is taken as 1/4: it is 0.252 there."""

LEAST_EXPECTED = 1.0
"""What noise is taken to make at least: a photon where none is predicted names no bad pixel."""

_LEAST_COUNTS = 1e-9
"""Fewer are predicted nowhere: a photon where none can be would be infinitely unlikely."""

_STEP = 0.01
_TERMS = 160
"""More counts than these have a probability of 1e-15 at `TABLE_END_COUNTS`."""


@dataclass(frozen=True)
class Fit:
    """Squared differences of measured and predicted root counts, and what noise makes of them.

    Attributes
    ----------
    counts_by_frame : (n,) float
        Measured counts, summed over all pixels of each frame.
    found_by_frame, expected_by_frame : (n,) float
        Summed over the valid pixels of each frame.
    found_by_pixel, expected_by_pixel : (N, N) float
        Summed over the frames in which each pixel of the detector is valid.
    """

    counts_by_frame: NDArray[np.float64]
    found_by_frame: NDArray[np.float64]
    expected_by_frame: NDArray[np.float64]
    found_by_pixel: NDArray[np.float64]
    expected_by_pixel: NDArray[np.float64]

    @property
    def chi2(self) -> float:
        """Return found over expected: 1 where the counts scatter about the prediction as photons.

        Less where the prediction was fitted to these counts and follows their noise.
        """
        return float(self.found_by_frame.sum() / max(self.expected_by_frame.sum(), LEAST_EXPECTED))

    @property
    def of_frames(self) -> NDArray[np.float64]:
        """Return the chi2 of each frame, (n,)."""
        return self.found_by_frame / np.maximum(self.expected_by_frame, LEAST_EXPECTED)

    @property
    def of_pixels(self) -> NDArray[np.float64]:
        """Return the chi2 of each pixel of the detector, (N, N); 0 where none is valid."""
        return self.found_by_pixel / np.maximum(self.expected_by_pixel, LEAST_EXPECTED)

    @property
    def worst_frame(self) -> int:
        """Return the frame with the largest chi2."""
        return int(self.of_frames.argmax())

    @property
    def worst_pixel(self) -> tuple[int, int]:
        """Return the pixel with the largest chi2, y first."""
        y, x = np.unravel_index(self.of_pixels.argmax(), self.of_pixels.shape)
        return int(y), int(x)


def fit_to_counts(
    diffraction_amplitude: Iterable[FloatArray],
    predicted_amplitude: Iterable[FloatArray],
    valid: NDArray[np.bool_] | None = None,
) -> Fit:
    """Return the fit of predicted counts to measured ones, frame by frame.

    sum (sqrt(I) - sqrt(P))^2 over sum E (sqrt(I) - sqrt(P))^2, with I a Poisson variable of mean P.
    One frame at a time: no memory beside that of the arrays given.

    Parameters
    ----------
    diffraction_amplitude : iterable of (N, N) float
        Square root of the measured counts I of each frame: an array (n, N, N), or what makes one
        frame after the other.
    predicted_amplitude : iterable of (N, N) float
        sqrt(P) of each frame, likewise.
    valid : (N, N) or (n, N, N) bool, optional
        Pixels that count; all unless given.

    Examples
    --------
    >>> counts = np.array([[[100.0, 121.0]], [[100.0, 400.0]]])
    >>> found = fit_to_counts(np.sqrt(counts), np.full((2, 1, 2), 10.0))
    >>> found.of_frames, found.worst_frame, found.worst_pixel
    (array([  1., 100.]), 1, (0, 1))
    """
    by_frame = []
    by_pixel: NDArray[np.float64] = np.zeros((2, 1, 1))
    frames = zip(diffraction_amplitude, predicted_amplitude, strict=True)
    for index, (amplitude, predicted) in enumerate(frames):
        good = valid if valid is None or valid.ndim == 2 else valid[index]
        found = (amplitude - predicted) ** 2
        expected = expected_square(predicted**2)
        if good is not None:
            found, expected = np.where(good, found, 0), np.where(good, expected, 0)
        counts = np.square(amplitude, dtype=float).sum()
        by_frame.append((counts, found.sum(), expected.sum()))
        by_pixel = np.add(by_pixel, (found, expected))
    return Fit(*np.array(by_frame).T, *by_pixel)


def expected_square(mean_counts: FloatArray) -> NDArray[np.float64]:
    """Return the mean of (sqrt(I) - sqrt(P))^2 for a Poisson variable I of mean P.

    The variance of sqrt(I) and the square of its bias, which is a third of it at 0.1 counts and
    nothing at many: summed from the distribution below `TABLE_END_COUNTS`, 1/4 above.

    Parameters
    ----------
    mean_counts : (...) float
        P.

    Examples
    --------
    >>> expected_square(np.array([0.0, 0.1, 1.0, 1e3])).round(3)
    array([0.   , 0.139, 0.454, 0.25 ])
    """
    roots, per_count = _table()
    tabled = mean_counts * np.interp(np.sqrt(mean_counts), roots, per_count)
    return np.where(mean_counts < TABLE_END_COUNTS, tabled, 0.25)


def excess_nats(
    diffraction_amplitude: NDArray[np.floating],
    predicted: NDArray[np.floating],
    valid: NDArray[np.bool_] | None = None,
) -> float:
    """Return the negative log likelihood of counts, in nats per pixel, less a perfect prediction's.

    P - I + I log (I / P) for measured counts I and predicted ones P, half the Poisson deviance:
    about 1/2 where the counts scatter about the prediction as photons do, at many counts.

    Parameters
    ----------
    diffraction_amplitude, predicted : (N, N) float
        sqrt(I) and sqrt(P) of a frame.
    valid : (N, N) bool, optional
        Pixels that count.

    Examples
    --------
    >>> excess_nats(np.array([[3.0, 0.0]]), np.array([[3.0, 1.0]]))
    0.5
    """
    counts = np.square(diffraction_amplitude, dtype=float)
    expected = np.maximum(np.square(predicted, dtype=float), _LEAST_COUNTS)
    nats = expected - counts + xlogy(counts, counts / expected)
    return float(nats.mean() if valid is None else nats[valid].mean())


@cache
def _table() -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return sqrt(P) and the expected square over P, which falls smoothly from 2 at P = 0.

    E (sqrt(I) - sqrt(P))^2 = 2 P - 2 sqrt(P) E sqrt(I).
    """
    roots = np.arange(0, np.sqrt(TABLE_END_COUNTS) + _STEP, _STEP)
    counts = np.arange(1, _TERMS)
    mean = roots[1:, None] ** 2
    # E sqrt(I) / P: the sum over k >= 1 of sqrt(k) P^(k - 1) exp(-P) / k!
    mean_root = np.exp(xlogy(counts - 1, mean) - mean - gammaln(counts + 1)) @ np.sqrt(counts)
    return roots, np.concatenate([[2.0], 2 - 2 * roots[1:] * mean_root])
