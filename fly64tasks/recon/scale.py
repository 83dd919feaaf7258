"""The scale of object and probe: only their product is in the frames, so that one must be known.

Multiplying the object and dividing the probe by one number predicts the same frames. Known is what
the set's own probe holds, where it can be in photons: an object absorbs some of them, none of
physics adds any. Else it is taken to hold the photons of the mean frame.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

MOST_ABSORBED = 5.0
"""A probe of so many times the photons of the mean frame at most is taken to be in photons."""


@dataclass(frozen=True)
class KnownScale:
    """What the probe of a set holds.

    Attributes
    ----------
    known_from : str
        ``probe``, the set's own, or ``frames``, the mean of them.
    photons : float
        Per frame, in the unit of the frames.
    """

    known_from: Literal["probe", "frames"]
    photons: float


def known_scale(probe_photons: float, frame_photons: float) -> KnownScale:
    """Return the scale that is known of a set.

    Parameters
    ----------
    probe_photons : float
        Sum of |p|^2 over the set's own probe.
    frame_photons : float
        Photons of its mean frame.

    Examples
    --------
    >>> known_scale(1000.0, 830.0)
    KnownScale(known_from='probe', photons=1000.0)
    >>> known_scale(1.0, 830.0)
    KnownScale(known_from='frames', photons=830.0)
    """
    if frame_photons <= probe_photons <= MOST_ABSORBED * frame_photons:
        return KnownScale("probe", float(probe_photons))
    return KnownScale("frames", float(frame_photons))


def factor_to(photons: float, probe: NDArray[np.complexfloating]) -> float:
    """Return what multiplies ``probe`` (modes, N, N) so that it holds ``photons``.

    1 for a probe that holds none, or is not finite: no factor helps it.
    """
    held = float((np.abs(probe.astype(np.complex128)) ** 2).sum())
    return float(np.sqrt(photons / held)) if 0 < held < np.inf else 1.0
