"""Frames that a reconstruction is not shown, so that it can be asked to predict them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

COVERED_SHARE = 0.9
"""Of the light of a frame that is held out: so much falls where the others tell the object."""


def held_out_frames(
    positions_px: NDArray[np.float64],
    probe: NDArray[np.complexfloating],
    shape: tuple[int, int],
    share: float,
    seed: int,
    threshold: float = 0.1,
) -> NDArray[np.integer]:
    """Return frames to hold out, ascending: drawn at random, each within what the others cover.

    Covered is a pixel on which the frames that are left put more than ``threshold`` of the most
    that the whole scan puts on any. At least `COVERED_SHARE` of the light of each frame that is
    held out falls on such pixels. Where frames lie far apart there may be none.

    Parameters
    ----------
    positions_px : (n, 2) float
        Patch centres in pixels of the object, y first.
    probe : (modes, N, N) complex
    shape : (H, W)
        Of the object.
    share : float
        Of the frames, at most.

    Examples
    --------
    >>> scan = np.stack(np.mgrid[8:24:2, 8:24:2], axis=-1).reshape(-1, 2).astype(float)
    >>> len(held_out_frames(scan, np.ones((1, 8, 8)), (32, 32), share=0.25, seed=0))
    16
    >>> len(held_out_frames(scan[[0, 63]], np.ones((1, 8, 8)), (32, 32), share=0.5, seed=0))
    0
    """
    light = (np.abs(probe.astype(complex)) ** 2).sum(axis=0)
    light /= light.sum()
    size = light.shape[-1]
    windows = [
        (slice(y, y + size), slice(x, x + size))
        for y, x in np.round(positions_px).astype(int) - size // 2
    ]
    total = np.zeros(shape)
    for window in windows:
        total[window] += light
    least = threshold * total.max()

    def is_covered(frame: int) -> bool:
        return bool(light[total[windows[frame]] > least].sum() >= COVERED_SHARE)

    held: list[int] = []
    for frame in np.random.default_rng([seed, len(positions_px)]).permutation(len(positions_px)):
        if len(held) >= share * len(positions_px):
            break
        total[windows[frame]] -= light
        near = np.abs(positions_px[held] - positions_px[frame]).max(axis=-1, initial=0) < size
        if all(map(is_covered, [frame, *np.array(held, int)[near]])):
            held.append(int(frame))
        else:
            total[windows[frame]] += light
    return np.sort(np.array(held, dtype=int))
