"""Thinning: which frames of a scan a view keeps."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import KDTree

from fly64tasks.errors import TooFewFrames
from fly64tasks.study.stages import ViewSpec

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.integer]


@dataclass(frozen=True)
class Thinning:
    """The frames that a view keeps: ascending indices, and how they were chosen."""

    kept: IntArray
    strategy: Literal["direct", "greedy", "share", "every"]


def thin(positions_px: FloatArray, spacing_px: float) -> Thinning:
    """Return a subset whose centres lie at least ``spacing_px`` apart, which no frame can join.

    ``direct`` where all frames pass as they are; ``greedy`` otherwise: frames are visited by y,
    then x, and each is kept that is far enough from all kept before it.

    >>> thin(np.array([[0.0, 0], [0, 4], [0, 5]]), 5).kept
    array([0, 2])
    """
    tree = KDTree(positions_px)
    free = np.ones(len(positions_px), dtype=bool)
    kept = []
    for i in np.lexsort((positions_px[:, 1], positions_px[:, 0])):
        if free[i]:
            kept.append(i)
            near = np.array(tree.query_ball_point(positions_px[i], spacing_px))
            distance = np.hypot(*(positions_px[near] - positions_px[i]).T)
            free[near[distance < spacing_px]] = False
    strategy: Literal["direct", "greedy"] = "direct" if len(kept) == len(free) else "greedy"
    return Thinning(np.sort(kept), strategy)


def random_share(n: int, share: float, seed: int) -> IntArray:
    """Return a share of n frames, drawn without order or neighbourhood; ascending.

    >>> len(random_share(98, 0.25, seed=1))
    24
    """
    rng = np.random.default_rng([seed, n])
    return np.sort(rng.choice(n, size=round(share * n), replace=False))


def select_view(
    positions_px: FloatArray, spec: ViewSpec, frame_size_px: int, name: str
) -> Thinning:
    """Return the frames of a view, at least ``min_positions`` of them.

    Raises
    ------
    TooFewFrames
        Too few frames pass; the message gives the counts and the spacing.
    """
    n, spacing = len(positions_px), spec.spacing_px(frame_size_px)
    if spacing is not None:
        thinning, rule = thin(positions_px, spacing), f"at {spacing:g} px"
    elif spec.share is not None:
        assert spec.share_seed is not None
        thinning = Thinning(random_share(n, spec.share, spec.share_seed), "share")
        rule = f"by share = {spec.share:g}"
    else:
        thinning = Thinning(np.arange(0, n, spec.every), "every")
        rule = f"by every = {spec.every}"
    if len(thinning.kept) < spec.min_positions:
        raise TooFewFrames(
            f"{name}: view {spec.view!r} keeps {len(thinning.kept)} of {n} "
            f"positions {rule}, expected at least {spec.min_positions} (min_positions)"
        )
    return thinning
