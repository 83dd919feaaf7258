"""Whether what should lie in the centre does."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def misplaced(power: NDArray[np.float64]) -> str | None:
    """Return where the most of it lies, in words, where that is not the centre."""
    half = np.array(power.shape) // 2
    inner = tuple(slice(h // 2, h // 2 + h) for h in half)
    centre = power[inner].sum()
    places = {"in the corners": (1, 1), "at the upper and lower edge": (1, 0)}
    places["at the left and right edge"] = (0, 1)
    for words, halves in places.items():
        if np.roll(power, half * halves, axis=(0, 1))[inner].sum() > 2 * centre:
            return words
    return None
