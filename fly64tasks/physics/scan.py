"""Scan positions: the built-in raster, the split, the canvas and its frame of reference.

Everything here is deterministic and works on ``(n, 2)`` positions in px, y first.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import KDTree

from fly64tasks.errors import DatasetError
from fly64tasks.study.stages import BaseSpec

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.integer]

ISOLATION_LIMIT = 4
CANVAS_LIMIT_PX = 2**28


def raster_positions(spec: BaseSpec) -> FloatArray:
    """Return a jittered raster whose patches lie inside the object.

    Returns
    -------
    positions_px : (n, 2) float64
        Patch centres in the object's frame, y first, in scan order.
    """
    margin = spec.probe_size_px // 2 + 1 + spec.scan_jitter_px
    stop = spec.object_size_px - margin
    axis = np.arange(margin, stop, spec.scan_step_px)
    axis += (stop - axis[-1]) / 2
    y, x = np.meshgrid(axis, axis, indexing="ij")
    rng = np.random.default_rng([spec.seed, 1])
    jitter = rng.uniform(-spec.scan_jitter_px, spec.scan_jitter_px, (y.size, 2))
    return np.column_stack([y.ravel(), x.ravel()]) + jitter


def split_at_median(positions_px: FloatArray, axis: Literal["y", "x"]) -> dict[str, IntArray]:
    """Return the frames of train (at or below the median of the axis) and test (above it).

    >>> split_at_median(np.array([[0.0, 9], [2, 9], [1, 9], [3, 9]]), "y")
    {'train': array([0, 2]), 'test': array([1, 3])}
    """
    along = positions_px[:, 0 if axis == "y" else 1]
    below = along <= np.median(along)
    return {"train": np.flatnonzero(below), "test": np.flatnonzero(~below)}


@dataclass(frozen=True)
class Canvas:
    """The object array that a scan is reconstructed on.

    ``origin_px`` (y, x) is added to the set's positions to give pixels of the array. ``frame`` is
    ``object`` where that is the frame of the set's own object, so that both can be compared, and
    ``scan`` where the array was sized from the scan.
    """

    shape: tuple[int, int]
    origin_px: tuple[float, float]
    frame: Literal["object", "scan"]


def canvas_of(
    positions_px: FloatArray,
    frame_size_px: int,
    object_shape: tuple[int, int] | None,
    name: str,
    margin_px: int = 2,
) -> Canvas:
    """Return the canvas of a scan; refuse positions that can not be meant.

    The positions are taken to be in the object's frame where the patch at their median lies inside
    the object; then every patch has to. Otherwise (a scan centred on zero, positions in [0, 1)) the
    canvas is sized from the scan, as where ``object_shape`` is None. Medians, because one stray
    position must not decide.

    Parameters
    ----------
    margin_px : int
        Around the scan, where the canvas is sized from it.

    Raises
    ------
    DatasetError
        Fewer than two positions, positions off the object, or a position far from all others.
    """
    n = len(positions_px)
    if n < 2:
        raise DatasetError(
            f"{name}: {n} scan position, expected at least 2: one frame fixes neither object nor "
            "probe"
        )
    distance = nearest_px(positions_px)
    worst = int(distance.argmax())
    if distance[worst] > ISOLATION_LIMIT * frame_size_px:
        y, x = positions_px[worst]
        raise DatasetError(
            f"{name}: position {worst} (y {y:g}, x {x:g}) lies {distance[worst]:g} px from its "
            f"nearest neighbour, expected at most {ISOLATION_LIMIT} frames of {frame_size_px} px: "
            "xcoords and ycoords are in pixels of the object; remove or mend it"
        )
    median = np.median(positions_px, axis=0, keepdims=True)
    if object_shape and patches_inside(median, frame_size_px, object_shape)[0]:
        inside = patches_inside(positions_px, frame_size_px, object_shape)
        if not inside.all():
            outside = np.flatnonzero(~inside)
            y, x = positions_px[outside[0]]
            raise DatasetError(
                f"{name}: {len(outside)} of {n} positions put their {frame_size_px} px patch off "
                f"the {object_shape[0]} x {object_shape[1]} object (first: frame {outside[0]} at "
                f"y {y:g}, x {x:g}); expected patch centres in the object's frame"
            )
        return Canvas(object_shape, (0.0, 0.0), "object")
    low = np.floor(positions_px.min(axis=0)) - frame_size_px // 2 - margin_px
    high = np.ceil(positions_px.max(axis=0)) + frame_size_px - frame_size_px // 2 + margin_px
    height, width = (int(extent) for extent in high - low)
    if height * width > CANVAS_LIMIT_PX:
        raise DatasetError(
            f"{name}: the scan spans {height} x {width} px, expected at most {CANVAS_LIMIT_PX} in "
            "all: xcoords and ycoords are in pixels of the object"
        )
    return Canvas((height, width), (float(-low[0]), float(-low[1])), "scan")


def nearest_px(positions_px: FloatArray) -> FloatArray:
    """Return each position's distance to its nearest neighbour, in px.

    Equal positions are looked up once: a tree of them would compare each with each.
    """
    places, place, times = np.unique(positions_px, axis=0, return_inverse=True, return_counts=True)
    distance = np.zeros(len(places))
    if len(places) > 1:
        distance = np.asarray(KDTree(places).query(places, k=2)[0])[:, 1]
    return np.where(times > 1, 0.0, distance)[place.ravel()]


def patches_inside(
    positions_px: FloatArray, frame_size_px: int, object_shape: tuple[int, int]
) -> NDArray[np.bool_]:
    """Return which positions have their whole patch inside the object."""
    start = np.round(positions_px) - frame_size_px // 2
    fits = (start >= 0) & (start + frame_size_px <= np.array(object_shape))
    return np.asarray(fits.all(axis=1))
