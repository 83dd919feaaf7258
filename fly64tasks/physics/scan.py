"""Scan positions: the built-in raster, the split, thinning, disc overlap, frame of reference.

Everything here is deterministic and works on ``(n, 2)`` positions in px, y first.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import KDTree

from fly64tasks.errors import DatasetError
from fly64tasks.study.stages import BaseSpec, ViewSpec

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
class Thinning:
    """The frames that a view keeps: ascending indices, and how they were chosen."""

    kept: IntArray
    strategy: Literal["direct", "greedy"]


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


def select_view(
    positions_px: FloatArray, spec: ViewSpec, frame_size_px: int, name: str
) -> Thinning:
    """Return the frames of a view, at least ``min_positions`` of them.

    Raises
    ------
    DatasetError
        Too few frames pass; the message gives the counts and the spacing.
    """
    spacing = spec.spacing_px(frame_size_px)
    thinning = thin(positions_px, spacing)
    if len(thinning.kept) < spec.min_positions:
        raise DatasetError(
            f"{name}: view {spec.view!r} keeps {len(thinning.kept)} of {len(positions_px)} "
            f"positions at a minimum spacing of {spacing:g} px (overlap {spec.overlap:g}), "
            f"expected at least {spec.min_positions} (min_positions); raise the overlap or scan "
            "a wider area"
        )
    return thinning


def disc_overlap(distance_px: FloatArray, diameter_px: float) -> FloatArray:
    """Return the overlap area of two equal discs over the area of one.

    (2/pi) (arccos t - t sqrt(1 - t^2)) with t = distance / diameter: twice the circular segment
    cut off by the common chord (Weisstein, "Circle-Circle Intersection", MathWorld, eq. 14).

    >>> disc_overlap(np.array([0.0, 5.0, 10.0, 12.0]), 10.0).round(3)
    array([1.   , 0.391, 0.   , 0.   ])
    """
    t = np.clip(np.asarray(distance_px, dtype=float) / diameter_px, 0, 1)
    overlap: FloatArray = 2 / np.pi * (np.arccos(t) - t * np.sqrt(1 - t**2))
    return overlap


def overlap_metrics(
    positions_px: FloatArray, *, diameter_px: float, gridsize: int, neighbor_count: int
) -> dict[str, Any]:
    """Return the three disc-overlap metrics of a scan, and what they were computed with.

    With f the `disc_overlap` of discs of the probe's diameter, C = gridsize^2 and a group for each
    frame, made of it and its C - 1 nearest:

    ``overlap_group_members``
        (gridsize 2 and more) mean over groups of the mean f over pairs of members.
    ``overlap_neighbors``
        Mean over unique positions of the mean f to the ``neighbor_count`` nearest others.
    ``overlap_groups``
        Mean over groups of the mean f between a group's centre of mass and those of the groups
        nearer than one diameter; 0 for a group that has none.

    A metric is None where the scan has too few positions for it; ``overlap_notes`` says so.
    """
    unique = np.unique(positions_px, axis=0)
    n, group_size = len(unique), gridsize**2
    notes = []
    k = min(neighbor_count, n - 1)
    if k < neighbor_count:
        notes.append(f"only {k} neighbours exist, neighbor_count is {neighbor_count}")
    tree = KDTree(unique)
    neighbor_overlap = None
    if k >= 1:
        distance = np.asarray(tree.query(unique, k=k + 1)[0])[:, 1:]
        neighbor_overlap = float(disc_overlap(distance, diameter_px).mean())

    member_overlap = group_overlap = None
    if n < group_size:
        notes.append(f"{n} positions form no group of {group_size} (gridsize {gridsize})")
    else:
        nearest = list(range(1, group_size + 1))
        members = np.asarray(tree.query(unique, k=nearest)[1])
        if group_size > 1:
            member_overlap = float(np.mean([_pairwise(unique[m], diameter_px) for m in members]))
        centres = unique[members].mean(axis=1)
        centre_tree = KDTree(centres)
        per_group = []
        for i, near in enumerate(centre_tree.query_ball_point(centres, diameter_px)):
            others = [j for j in near if j != i]
            distance = np.hypot(*(centres[others] - centres[i]).T)
            others_overlap = disc_overlap(distance[distance < diameter_px], diameter_px)
            per_group.append(others_overlap.mean() if others_overlap.size else 0.0)
        group_overlap = float(np.mean(per_group))
    return {
        "probe_diameter_px": diameter_px,
        "gridsize": gridsize,
        "neighbor_count": neighbor_count,
        "overlap_group_members": member_overlap,
        "overlap_neighbors": neighbor_overlap,
        "overlap_groups": group_overlap,
        "overlap_notes": notes,
    }


def _pairwise(positions_px: FloatArray, diameter_px: float) -> float:
    """Return the mean disc overlap over all pairs of distinct members of a group."""
    i, j = np.triu_indices(len(positions_px), k=1)
    distance = np.hypot(*(positions_px[i] - positions_px[j]).T)
    return float(disc_overlap(distance, diameter_px).mean())


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
    positions_px: FloatArray, frame_size_px: int, object_shape: tuple[int, int], name: str
) -> Canvas:
    """Return the canvas of a scan; refuse positions that can not be meant.

    The positions are taken to be in the object's frame where the patch at their median lies inside
    the object; then every patch has to. Otherwise (a scan centred on zero, positions in [0, 1)) the
    canvas is sized from the scan. Medians, because one stray position must not decide.

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
    distance = _nearest(positions_px)
    worst = int(distance.argmax())
    if distance[worst] > ISOLATION_LIMIT * frame_size_px:
        y, x = positions_px[worst]
        raise DatasetError(
            f"{name}: position {worst} (y {y:g}, x {x:g}) lies {distance[worst]:g} px from its "
            f"nearest neighbour, expected at most {ISOLATION_LIMIT} frames of {frame_size_px} px: "
            "xcoords and ycoords are in pixels of the object; remove or mend it"
        )
    inside = patches_inside(positions_px, frame_size_px, object_shape)
    median = np.median(positions_px, axis=0, keepdims=True)
    if patches_inside(median, frame_size_px, object_shape)[0]:
        if not inside.all():
            outside = np.flatnonzero(~inside)
            y, x = positions_px[outside[0]]
            raise DatasetError(
                f"{name}: {len(outside)} of {n} positions put their {frame_size_px} px patch off "
                f"the {object_shape[0]} x {object_shape[1]} object (first: frame {outside[0]} at "
                f"y {y:g}, x {x:g}); expected patch centres in the object's frame"
            )
        return Canvas(object_shape, (0.0, 0.0), "object")
    margin = 2
    low = np.floor(positions_px.min(axis=0)) - frame_size_px // 2 - margin
    high = np.ceil(positions_px.max(axis=0)) + frame_size_px - frame_size_px // 2 + margin
    height, width = (int(extent) for extent in high - low)
    if height * width > CANVAS_LIMIT_PX:
        raise DatasetError(
            f"{name}: the scan spans {height} x {width} px, expected at most {CANVAS_LIMIT_PX} in "
            "all: xcoords and ycoords are in pixels of the object"
        )
    return Canvas((height, width), (float(-low[0]), float(-low[1])), "scan")


def _nearest(positions_px: FloatArray) -> FloatArray:
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
