"""The modes of a probe that is only partly coherent: where they start, and what each holds."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

SECONDARY_SHARE = 0.06
"""Of the power, what each mode starts with that nobody gave: few counts hardly change it, so that a
start of 0.02, pty-chi's own, left a beam nearly coherent (docs/settings.md)."""
ALL_SECONDARY_SHARE = 0.5
"""What all of these start with at most, however many they are."""


def with_modes(probe: NDArray[np.complexfloating], n: int | None) -> NDArray[np.complexfloating]:
    """Return a probe of ``n`` modes with the same power; as it is where ``n`` is None.

    Of more modes the strongest are kept. Those that are missing are Hermite-Gauss modes of the
    strongest, orthogonal to each other and to it, as pty-chi's
    ``generate_secondary_probe_modes_hermite`` makes them: from equal modes none could differ.

    Parameters
    ----------
    probe : (modes, N, N) complex
    n : int or None

    Examples
    --------
    >>> probe = np.exp(-np.hypot(*np.mgrid[-8:8, -8:8]) ** 2 / 8)[None] + 0j
    >>> shares(with_modes(probe, 3)).round(3).tolist()
    [0.88, 0.06, 0.06]
    """
    if n is None or n == len(probe):
        return probe
    power = _power(probe)
    ordered = probe[np.argsort(-power, kind="stable")][:n].astype(np.complex128)
    first = ordered[0]
    y, x = _coordinates(first)
    envelope = first * np.exp(-(y**2 + x**2) / 2)
    side = math.ceil(math.sqrt(n))
    orders = sorted(np.ndindex(side, side), key=lambda order: (sum(order), order))
    modes = list(ordered / np.sqrt(_power(ordered))[:, None, None])
    for i, j in orders[1:]:
        if len(modes) == n:
            break
        mode = x**j * y**i * envelope
        for _ in range(2):  # once leaves what rounding takes
            for other in modes:
                mode = mode - other * np.vdot(other, mode)
        modes.append(mode / np.linalg.norm(mode))
    given, missing = _power(ordered), n - len(ordered)
    share = min(SECONDARY_SHARE, ALL_SECONDARY_SHARE / max(missing, 1))
    rest = np.full(missing, share)
    held = power.sum() * np.concatenate([given / given.sum() * (1 - rest.sum()), rest])
    return np.asarray(np.stack(modes) * np.sqrt(held)[:, None, None]).astype(probe.dtype)


def shares(probe: NDArray[np.complexfloating]) -> NDArray[np.float64]:
    """Return the share of the power that each mode, (modes, N, N), holds."""
    power = _power(probe)
    held: NDArray[np.float64] = power / power.sum()
    return held


def _power(probe: NDArray[np.complexfloating]) -> NDArray[np.float64]:
    power: NDArray[np.float64] = (np.abs(probe.astype(np.complex128)) ** 2).sum(axis=(1, 2))
    return power


def _coordinates(
    mode: NDArray[np.complexfloating],
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return y and x from the centre of a mode's power, in units of its standard deviation."""
    weight = np.abs(mode) ** 2
    weight = weight / weight.sum()
    found = []
    for axis in np.indices(mode.shape):
        centred = axis - (axis * weight).sum()
        found.append(centred / max(math.sqrt((centred**2 * weight).sum()), 1e-6))
    return found[0], found[1]
