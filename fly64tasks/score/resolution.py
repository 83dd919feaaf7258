"""Resolution by a ring correlation: where it falls below a threshold, or why that is not known."""

from __future__ import annotations

from dataclasses import replace
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from fly64tasks.physics.alignment import bounding_box
from fly64tasks.physics.frc import NYQUIST_CYCLES_PER_PX, RingCorrelation
from fly64tasks.score.metric import Bound
from fly64tasks.study.stages import Geometry


class Correlated(Protocol):
    """An object's sizes, where it was looked at, and a ring correlation there."""

    @property
    def geometry(self) -> Geometry:
        """Return the physical sizes."""

    @property
    def region(self) -> NDArray[np.bool_]:
        """Return the region, (H, W)."""

    @property
    def rings(self) -> RingCorrelation:
        """Return the correlation."""


def crossing(c: Correlated, threshold: float | NDArray[np.float64]) -> float | Bound:
    """Return the spatial frequency, in cycles/px, at which the ring correlation falls below."""
    found = c.rings.crossing(threshold)
    if found is None:
        return Bound(NYQUIST_CYCLES_PER_PX, "the curve stays above the threshold up to Nyquist")
    if found == 0:
        rows, columns = bounding_box(c.region)
        width_px = max(rows.stop - rows.start, columns.stop - columns.start)
        geometry = c.geometry
        width_um = (
            "" if geometry.assumed else f" or {width_px * geometry.pixel_size_m * 1e6:.3g} µm"
        )
        note = (
            "no resolution: the curve never rises above the threshold (limit: the field's width, "
            f"{width_px} px{width_um})"
        )
        return Bound(1 / width_px, note, side="worse")
    return found


def period_nm(c: Correlated, threshold: float | NDArray[np.float64]) -> float | Bound:
    """Return the full period at that frequency."""
    pixel_nm = c.geometry.pixel_size_m * 1e9
    found = crossing(c, threshold)
    if isinstance(found, Bound):
        return replace(found, value=pixel_nm / found.value)
    return pixel_nm / found
