"""The scale of a reconstruction: the set's intensities, pty-chi's numbers, and the way back.

All that scales a probe in a reconstruction is here. A set that is not photon counts is brought to a
mean frame of `ASSUMED_PHOTONS_PER_FRAME`, because pty-chi's epsilons are absolute; the first probe
is brought to the photons of the mean frame, which an object of ones explains best; and pty-chi's
transform is not normalised, so that its probe is 1/N of the unitary one.

Multiplying the object and dividing the probe by one number predicts the same frames, so that the
scale of one must be known. Known is what the set's own probe holds, where it can be in photons: an
object absorbs some of them, none of physics adds any. Else the probe is taken to hold the photons
of the mean frame.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from fly64tasks.data.frame_stack import FrameStack
from fly64tasks.physics import optics
from fly64tasks.physics.relaxation import Relaxation

ASSUMED_PHOTONS_PER_FRAME = 1e5
"""Mean frame of a set that is not counts, as pty-chi is given it."""

MOST_ABSORBED = 5.0
"""A probe of so many times the photons of the mean frame at most is taken to be in photons."""


@dataclass(frozen=True)
class Scale:
    """What a set's intensities are multiplied by, and what its probe is to hold.

    Attributes
    ----------
    counts : bool
        Whether the set holds whole photon counts.
    intensity : float
        1 for counts; else what brings the mean frame to `ASSUMED_PHOTONS_PER_FRAME`.
    mean_photons : float
        Of the set's frames, before they are multiplied.
    known_from : str
        ``probe``, the set's own, or ``frames``, the mean of them.
    known_photons : float
        Per frame, what the probe of the result holds, in the unit of the set.
    frame_size_px : int
        N.
    """

    counts: bool
    intensity: float
    mean_photons: float
    known_from: Literal["probe", "frames"]
    known_photons: float
    frame_size_px: int

    @classmethod
    def of(
        cls,
        intensity: FrameStack,
        probe: NDArray[np.complexfloating],
        mask: NDArray[np.bool_] | None = None,
    ) -> Scale:
        """Return the scale of a set.

        Parameters
        ----------
        intensity : (n, N, N) float
            Diffraction intensity as the set has it.
        probe : (modes, N, N) complex
            The set's own.
        mask : (N, N) or (n, N, N) bool, optional
            Pixels that count: the photons of a mean frame are then those that the probe's far
            field puts on all pixels, where it puts those found on these.
        """
        counts = holds_counts(intensity.blocks())
        photons = np.concatenate([block.sum(axis=(1, 2)) for block in intensity.blocks()])
        mean = float(photons.mean()) / _share_seen(probe, mask)
        factor = 1.0 if counts else ASSUMED_PHOTONS_PER_FRAME / mean
        held = _power(probe)
        in_photons = mean <= held <= MOST_ABSORBED * mean
        return cls(
            counts=counts,
            intensity=factor,
            mean_photons=mean,
            known_from="probe" if in_photons else "frames",
            known_photons=held if in_photons else mean,
            frame_size_px=intensity.shape[-1],
        )

    def first_probe(self, guess: NDArray[np.complexfloating]) -> NDArray[np.complex64]:
        """Return a probe, (modes, N, N), with the power of the mean frame that pty-chi is given."""
        factor = np.sqrt(self.intensity * self.mean_photons / _power(guess))
        return np.asarray(guess * factor).astype(np.complex64)

    def to_ptychi(self, probe: NDArray[np.complex64]) -> NDArray[np.complex64]:
        """Return a probe in sqrt(photons) per pixel as pty-chi's transform wants it."""
        scaled: NDArray[np.complex64] = probe / self.frame_size_px
        return scaled

    def from_ptychi(self, probe: NDArray[np.complex64]) -> NDArray[np.complex64]:
        """Return pty-chi's probe in sqrt(photons) per pixel, in the scale of the set."""
        factor = self.frame_size_px / np.sqrt(self.intensity)
        return np.asarray(probe * factor).astype(np.complex64)

    def to_known(
        self,
        obj: NDArray[np.complex64],
        probe: NDArray[np.complex64],
        relaxation: Relaxation | None = None,
    ) -> tuple[NDArray[np.complex64], NDArray[np.complex64], float]:
        """Return object and probe (in pty-chi's scale) in the known scale, and the probe's factor.

        1 for a probe that holds nothing, or is not finite: no factor helps it. Of an object of
        several layers, (layers, H, W), each is divided by its root.

        Parameters
        ----------
        relaxation : Relaxation, optional
            What the probe changes by from frame to frame; the known scale is that of their mean.
        """
        power = _power(probe) if relaxation is None else relaxation.mean_power(probe)
        held = power * self.frame_size_px**2
        if not 0 < held < np.inf:
            return obj, probe, 1.0
        factor = float(np.sqrt(self.known_photons * self.intensity / held))
        layers = len(obj) if obj.ndim == 3 else 1
        return obj / np.float32(factor ** (1 / layers)), probe * np.float32(factor), factor

    def said(self, factor: float) -> dict[str, Any]:
        """Return what a record says of the scale, and of the factor of the probe."""
        return {
            "known_from": self.known_from,
            "probe_photons_per_frame": self.known_photons,
            "object_multiplied_by": 1 / factor,
            "probe_multiplied_by": factor,
        }


def _share_seen(probe: NDArray[np.complexfloating], mask: NDArray[np.bool_] | None) -> float:
    """Return the share of the probe's far field that falls on pixels that count, 1 % at least."""
    if mask is None:
        return 1.0
    pattern = optics.diffraction_intensity(probe.astype(complex))
    valid = mask if mask.ndim == 2 else mask.mean(axis=0)
    return max(float((pattern * valid).sum() / pattern.sum()), 0.01)


def _power(probe: NDArray[np.complexfloating]) -> float:
    """Return the sum of |p|^2."""
    return float((np.abs(probe.astype(np.complex128)) ** 2).sum())


def holds_counts(intensity: Iterable[NDArray[np.floating]]) -> bool:
    """Return whether intensities are whole numbers, up to the rounding of a float32 amplitude.

    Pixels above 1e5 say nothing, as float32 no longer tells whole numbers apart there.

    Parameters
    ----------
    intensity : iterable of (...) float
        Part by part, frames or blocks of them.

    Examples
    --------
    >>> holds_counts([np.sqrt(np.array([0.0, 1, 3, 7])).astype(np.float32).astype(float) ** 2])
    True
    >>> holds_counts([np.array([0.0, 1.0]), np.array([0.25, 0.5])])
    False
    """
    found = False
    for part in intensity:
        telling = part[part < 1e5]
        whole = np.round(telling)
        if np.abs(telling - whole).max(initial=0) >= 0.05:
            return False
        found |= bool(whole.any())
    return found
