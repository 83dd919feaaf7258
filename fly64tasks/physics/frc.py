"""Fourier ring correlation of two objects, and the frequencies at which it falls below a threshold.

Ours, because no array library has it; `ptychodus.api.metrics` is the independent check
(docs/scores.md).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import distance_transform_edt

from fly64tasks.physics.alignment import BoolArray, ComplexArray, FloatArray, bounding_box

NYQUIST_CYCLES_PER_PX = 0.5

MIN_RING_PIXELS = 8.0
"""Rings with fewer independent pixels count nowhere.

The correlation of unrelated noise scatters by 1 / sqrt(2 n) about 0: by a quarter in a ring of 8,
where 1 ring in 100 is above the ½-bit curve by chance, and by more in smaller ones. Below 1 pixel
the curves even change their order: 1-bit asks for less than ½-bit, and both for more than 1.
"""


@dataclass(frozen=True)
class RingCorrelation:
    """A Fourier ring correlation.

    Attributes
    ----------
    frequency_cycles_per_px : (rings,) float
        Mean spatial frequency of each ring's pixels; the zero frequency is in none.
    correlation : (rings,) float
        In [-1, 1].
    n_pixels : (rings,) float
        Independent Fourier pixels in each ring: those of the ring, times the share of the window's
        area that carries weight.
    """

    frequency_cycles_per_px: FloatArray
    correlation: FloatArray
    n_pixels: FloatArray

    @property
    def counted(self) -> BoolArray:
        """Return which rings have pixels enough to tell anything, (rings,) bool."""
        counted: BoolArray = self.n_pixels >= MIN_RING_PIXELS
        return counted

    def bit_threshold(self, bits: float) -> FloatArray:
        """Return the threshold at which a ring carries so many bits of information per pixel.

        van Heel & Schatz, *J. Struct. Biol.* 151, 250 (2005): SNR 0.4142 for two half
        data sets together is ½ bit, SNR 1 is 1 bit; half of it is in each. In every ring of more
        than 1 pixel more bits are a higher threshold.
        """
        snr = (2.0**bits - 1) / 2
        root_n = np.sqrt(self.n_pixels)
        threshold: FloatArray = (snr + (2 * np.sqrt(snr) + 1) / root_n) / (
            snr + 1 + 2 * np.sqrt(snr) / root_n
        )
        return threshold

    def crossing(self, threshold: float | FloatArray) -> float | None:
        """Return the first frequency at which the curve falls below a threshold, in cycles/px.

        Rings that count alone are looked at, and a straight line between two of them. The curve is
        followed from the first ring above the threshold, the 1-bit curve and 0.5 alike, and what
        lies before is passed over; where there is no such ring, from the first above two of these,
        then from the first above the threshold. So all three start at one ring, and none is crossed
        before a higher one: 1 bit is never finer than ½ bit. 0.5 is no bit curve: it is higher than
        that of 1 bit in rings of more than 46 pixels, and lower than that of ½ bit in those of
        fewer than 14.

        Returns
        -------
        float or None
            0 where the curve never rises above the threshold: no frequency is resolved. None where
            it stays above up to the Nyquist frequency.
        """
        counted = self.counted
        f = self.frequency_cycles_per_px[counted]
        excess = (self.correlation - threshold)[counted]
        above = excess > 0
        if not above.any():
            return 0.0
        one_bit = above & (self.correlation > self.bit_threshold(1.0))[counted]
        half = above & (self.correlation > 0.5)[counted]
        starts = (one_bit & half, one_bit, half, above)
        start = next(int(rings.argmax()) for rings in starts if rings.any())
        below = np.flatnonzero(excess[start:] < 0) + start
        if not below.size:
            return None
        i = int(below[0])
        share = excess[i - 1] / (excess[i - 1] - excess[i])
        return float(f[i - 1] + share * (f[i] - f[i - 1]))


def ring_correlation(
    first: ComplexArray, second: ComplexArray, weight: FloatArray
) -> RingCorrelation:
    """Return the Fourier ring correlation of two images under a common window.

    Re(sum F1 F2*) / sqrt(sum |F1|^2 sum |F2|^2) over rings one Fourier pixel (of the shorter side)
    wide, up to the Nyquist frequency: Saxton & Baumeister, *J. Microsc.* 127, 127 (1982). The
    weighted mean is taken off first, so that the window's own spectrum does not correlate.

    Parameters
    ----------
    first, second : (H, W) complex or float
    weight : (H, W) float
        The window, as from `soft_window`.
    """
    spectra = []
    for image in (first, second):
        mean = (image * weight).sum() / weight.sum()
        spectra.append(np.fft.fft2((image - mean) * weight))
    radius = np.hypot(*np.meshgrid(*map(np.fft.fftfreq, weight.shape), indexing="ij"))
    width = 1 / min(weight.shape)
    # whole rings alone: the last one may hold next to nothing below the Nyquist frequency
    inside = (radius > 0) & (radius < np.floor(NYQUIST_CYCLES_PER_PX / width) * width - 1e-9)
    ring = np.floor(radius[inside] / width + 1e-9).astype(int)
    f1, f2 = (spectrum[inside] for spectrum in spectra)

    def total(values: NDArray[np.floating]) -> FloatArray:
        return np.bincount(ring, values)[occupied].astype(float)

    occupied = np.flatnonzero(np.bincount(ring))
    count = total(np.ones(ring.size))
    power = np.sqrt(total(np.abs(f1) ** 2) * total(np.abs(f2) ** 2))
    correlation = total((f1 * f2.conj()).real) / np.maximum(power, np.finfo(float).tiny)
    # Kish's effective sample size: neighbouring Fourier pixels of a narrow window are one.
    share = (weight**2).sum() ** 2 / ((weight**4).sum() * weight.size)
    return RingCorrelation(total(radius[inside]) / count, correlation, count * share)


def soft_window(region: BoolArray, taper_px: float) -> FloatArray:
    """Return a window over the bounding box of a region: 1 well inside, 0 outside, sin^2 between.

    Parameters
    ----------
    region : (H, W) bool
    taper_px : float
        Distance from the edge of the region at which the window reaches 1.

    Returns
    -------
    weight : (h, w) float
    """
    padded = np.pad(region[bounding_box(region)], 1)
    depth = np.asarray(distance_transform_edt(padded))[1:-1, 1:-1]
    weight: FloatArray = np.sin(np.pi / 2 * np.clip(depth / (taper_px + 1), 0, 1)) ** 2
    return weight
