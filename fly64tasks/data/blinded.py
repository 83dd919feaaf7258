"""A set as a program of others gets it: without the truth, and without what would lead to it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from fly64tasks.data.dataset import PtychoDataset
from fly64tasks.study.stages import Geometry

_TOLD = ("dose_photons_per_frame", "split", "overlap_view", "diffraction_order")
"""What is told of a set's metadata; seeds, lineage and paths are not."""


def blinded(
    dataset: PtychoDataset,
    geometry: Geometry,
    shape: tuple[int, int],
    origin_px: tuple[float, float] = (0.0, 0.0),
    *,
    sees_truth: bool = False,
) -> PtychoDataset:
    """Return a set whose object is all ones: its shape alone is told, the frame of the result.

    Parameters
    ----------
    geometry : Geometry
        Its physical sizes.
    shape : (int, int)
        Of the object to reconstruct.
    origin_px : (float, float)
        What is added to the positions to lie in it, y first.
    sees_truth : bool
        Leave the object in it.
    """
    told: dict[str, Any] = {key: dataset.metadata[key] for key in _TOLD if key in dataset.metadata}
    kept = sees_truth and dataset.object_guess is not None and dataset.object_guess.shape == shape
    return replace(
        dataset,
        object_guess=dataset.object_guess if kept else np.ones(shape, np.complex64),
        positions_px=dataset.positions_px + np.array(origin_px),
        object_patches=None,
        filenames=None,
        metadata={**told, "geometry": geometry.to_dict(), "truth_removed": not kept},
        warnings=(),
        files=(),
    )
