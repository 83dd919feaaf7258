"""The scale of a reconstruction: the set's intensities, pty-chi's numbers, and the way back.

All that scales a probe in a reconstruction is here. A set that is not photon counts is brought to a
mean frame of `ASSUMED_PHOTONS_PER_FRAME`, because pty-chi's epsilons are absolute; the first probe
is brought to the photons of the mean frame; and pty-chi's transform is not normalised, so that its
probe is 1/N of the unitary one.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

ASSUMED_PHOTONS_PER_FRAME = 1e5
"""Mean frame of a set that is not counts, as pty-chi is given it."""


@dataclass(frozen=True)
class Scale:
    """What a set's intensities are multiplied by, and its probe with them.

    Attributes
    ----------
    counts : bool
        Whether the set holds whole photon counts.
    intensity : float
        1 for counts; else what brings the mean frame to `ASSUMED_PHOTONS_PER_FRAME`.
    mean_photons : float
        Of the set's frames, before they are multiplied.
    frame_size_px : int
        N.
    """

    counts: bool
    intensity: float
    mean_photons: float
    frame_size_px: int

    @classmethod
    def of(cls, intensity: NDArray[np.float64]) -> Scale:
        """Return the scale for diffraction intensities, (n, N, N), as the set has them."""
        counts = holds_counts(intensity)
        mean_photons = intensity.sum(axis=(1, 2)).mean()
        factor = 1.0 if counts else ASSUMED_PHOTONS_PER_FRAME / mean_photons
        return cls(counts, float(factor), float(mean_photons), intensity.shape[-1])

    def first_probe(self, guess: NDArray[np.complexfloating]) -> NDArray[np.complex64]:
        """Return a probe, (modes, N, N), with the power of the mean frame that pty-chi is given."""
        power = (np.abs(guess.astype(np.complex128)) ** 2).sum()
        factor = np.sqrt(self.intensity * self.mean_photons / power)
        return np.asarray(guess * factor).astype(np.complex64)

    def to_ptychi(self, probe: NDArray[np.complex64]) -> NDArray[np.complex64]:
        """Return a probe in sqrt(photons) per pixel as pty-chi's transform wants it."""
        scaled: NDArray[np.complex64] = probe / self.frame_size_px
        return scaled

    def from_ptychi(self, probe: NDArray[np.complex64]) -> NDArray[np.complex64]:
        """Return pty-chi's probe in sqrt(photons) per pixel, in the scale of the set."""
        factor = self.frame_size_px / np.sqrt(self.intensity)
        return np.asarray(probe * factor).astype(np.complex64)


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
