"""What is to be doubted of a scan: its unit, its overlap, and the field that it was measured in."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from fly64tasks.data.dataset import PtychoDataset
from fly64tasks.errors import DatasetError
from fly64tasks.physics import optics
from fly64tasks.physics.overlap import disc_overlap
from fly64tasks.physics.scan import ISOLATION_LIMIT, nearest_px
from fly64tasks.physics.shadow import shadow_of
from fly64tasks.study.stages import Geometry

SAME_PLACE_PX = 0.1
"""Positions within so much of each other see one place, from which nothing can be told."""
LEAST_SPAN_DIAMETERS = 0.25
NEAR_FIELD_WINDOWS = 2
"""Widths of the far field's window from which on a beam is none of the far field."""
_UNITS_M = {"metres": 1.0, "millimetres": 1e-3, "micrometres": 1e-6, "nanometres": 1e-9}
_SENSIBLE_STEP_DIAMETERS = (0.02, 1.0)


def refuse_near_field(dataset: PtychoDataset, name: str) -> None:
    """Refuse frames that are shadows of the sample in a beam that the far field can not hold.

    Raises
    ------
    DatasetError
        It says how far the shadows move, and how wide the beam is.
    """
    shadow = shadow_of(dataset.diffraction_amplitude, dataset.positions_px)
    size = dataset.frame_size_px
    if shadow is not None and shadow.beam_px > NEAR_FIELD_WINDOWS * size:
        raise DatasetError(
            f"{name}: is a near-field scan: its frames are shadows of the sample, which move by "
            f"{shadow.magnification:.3g} pixels of the detector for each pixel of the scan, so "
            f"that the beam is {shadow.beam_px:.0f} px wide at the sample; expected the far field, "
            f"in which it lies within the {size} px of a frame (or positions in another unit: "
            "xcoords and ycoords are in pixels of the object)"
        )


def refuse_scan(dataset: PtychoDataset, geometry: Geometry, name: str) -> None:
    """Refuse positions of which nothing can come: all at one place, or frames apart.

    Raises
    ------
    DatasetError
        It names the unit that would make sense of them.
    """
    positions = dataset.positions_px
    n, size = len(positions), dataset.frame_size_px
    if n < 2:
        return
    span = float(np.ptp(positions, axis=0).max())
    if span == 0:
        raise DatasetError(
            f"{name}: all {n} positions are equal, expected a scan: frames of one place fix "
            "neither object nor probe"
        )
    unit = _unit_that_fits(dataset, geometry)
    hint = f" ({unit})" if unit else ""
    if span < SAME_PLACE_PX:
        raise DatasetError(
            f"{name}: all {n} positions lie within {span:.2g} px of each other; xcoords and "
            f"ycoords are in pixels of the object{hint}"
        )
    apart = float(np.median(nearest_px(positions)))
    if apart > ISOLATION_LIMIT * size:
        raise DatasetError(
            f"{name}: neighbouring positions lie {apart:.3g} px apart, frames are {size} px wide; "
            f"xcoords and ycoords are in pixels of the object{hint}"
        )


def of_scan(dataset: PtychoDataset, geometry: Geometry) -> Iterator[str]:
    """Yield what is to be doubted of the positions."""
    positions = dataset.positions_px
    diameter = optics.probe_diameter_px(dataset.probe_guess)
    span = float(np.ptp(positions, axis=0).max())
    apart = float(np.median(nearest_px(positions)))
    unit = _unit_that_fits(dataset, geometry)
    hint = f"{unit}; " if unit else ""
    if span < LEAST_SPAN_DIAMETERS * diameter:
        yield (
            f"the scan spans {span:.2g} px, the probe is {diameter:.3g} px wide: {hint}xcoords and "
            "ycoords are in pixels of the object"
        )
    elif apart > diameter and "overlap_view" not in dataset.metadata:  # else it is meant so
        overlap = float(disc_overlap(np.array(apart), diameter))
        yield (
            f"neighbouring frames overlap by {overlap:.0%} of the probe: they lie {apart:.3g} px "
            f"apart, the probe is {diameter:.3g} px wide; {hint}without overlap any object fits"
        )


def _unit_that_fits(dataset: PtychoDataset, geometry: Geometry) -> str | None:
    """Return the unit of length in which the scan's step suits the probe, and its factor."""
    distance = nearest_px(dataset.positions_px)
    distance = distance[distance > 0]
    if not len(distance):
        return None
    step = float(np.median(distance)) / optics.probe_diameter_px(dataset.probe_guess)
    low, high = _SENSIBLE_STEP_DIAMETERS
    if low <= step <= high:
        return None
    for unit, metres in _UNITS_M.items():
        factor = metres / geometry.pixel_size_m
        if low <= step * factor <= high:
            assumed = ", which is assumed" if geometry.assumed else ""
            return (
                f"{unit}? multiply by {factor:.3g}, for a pixel size of "
                f"{geometry.pixel_size_m * 1e9:.3g} nm{assumed}"
            )
    return None
