"""How much the frames of a scan overlap, as discs of the probe's diameter."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import KDTree

from fly64tasks.physics.scan import nearest_px

FloatArray = NDArray[np.float64]


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


def nearest_overlap(positions_px: FloatArray, diameter_px: float) -> dict[str, float]:
    """Return how far a scan's frames lie apart, and how far the discs of neighbours overlap.

    Returns
    -------
    dict
        ``probe_diameter_px``; ``nearest_spacing_px``, the mean distance of a frame to the nearest
        other; ``nearest_spacing_diameters``, over the diameter; ``nearest_disc_overlap``, the mean
        `disc_overlap` at that distance.

    Examples
    --------
    >>> line = np.array([[0.0, 0], [0, 5], [0, 10]])
    >>> nearest_overlap(line, 10.0)["nearest_spacing_diameters"]
    0.5
    """
    nearest = nearest_px(positions_px)
    return {
        "probe_diameter_px": diameter_px,
        "nearest_spacing_px": float(nearest.mean()),
        "nearest_spacing_diameters": float(nearest.mean() / diameter_px),
        "nearest_disc_overlap": float(disc_overlap(nearest, diameter_px).mean()),
    }


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
