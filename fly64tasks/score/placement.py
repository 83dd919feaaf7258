"""Where the pixels of an object of any origin lie on the truth; refused where that can not be told.

In this order: by the positions that its file has, by its shape where that is the truth's, and by
registration. One that fits far better conjugated, flipped or turned is told so by name: whoever
made it means another convention, and would be scored for that.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from fly64tasks.data.readers.objects import FoundObject
from fly64tasks.errors import DatasetError
from fly64tasks.physics.registration import AS_IT_IS, VARIANTS, Place, locate, turn_of
from fly64tasks.score.compare import laid_on
from fly64tasks.study.stages import Geometry

FITS = 0.4
"""Least correlation at which an object is taken to lie where it was found."""
SURE = 0.8
"""From here on nothing else is tried: conjugated, an object has about half of its correlation."""
_CLEARER = 1.2
"""How much better than in any other way an object has to fit: by chance one has 0.3 on a region of
300 px, 0.6 on one of 60, in the best of 16 ways."""
_FAR_BETTER = 1.5
_SAME_PIXEL = 0.01
_SAME_PLACE_PX = 0.05
_SAME_FRAME_PX = 2

By = Literal["positions", "shape", "registration"]
_WORDS = {
    "positions": "placed by the positions in its file",
    "shape": "placed by its shape, which is the truth's",
    "registration": "registered",
}


@dataclass(frozen=True)
class Placement:
    """An object on the truth's array.

    Attributes
    ----------
    by : str
    obj : (H, W) complex
    covered : (H, W) bool
        Where it has pixels.
    origin_px : (int, int)
        Its pixel that lies on the truth's first, y first.
    correlation : float
        With the truth, 0 to 1, as `fly64tasks.physics.registration` has it.
    fits : bool
        Whether that is clear of chance.
    wandered_px : (float, float)
        By how much its positions, and so it, were corrected in the mean.
    """

    by: By
    obj: NDArray[np.complexfloating]
    covered: NDArray[np.bool_]
    origin_px: tuple[int, int]
    correlation: float
    fits: bool
    wandered_px: tuple[float, float] = (0.0, 0.0)

    @property
    def words(self) -> str:
        """Return how it was placed, in words."""
        y, x = self.origin_px
        said = f"{_WORDS[self.by]}: its pixel y {y}, x {x} lies on the truth's first, correlation "
        doubt = "" if self.fits else ", no clearer than chance"
        return f"{said}{self.correlation:.2f}{doubt}"

    def to_dict(self) -> dict[str, Any]:
        """Return it as ``scores.json`` has it."""
        return {
            "by": self.by,
            "origin_px": list(self.origin_px),
            "correlation": self.correlation,
            "words": self.words,
        }


def place(
    found: FoundObject,
    truth: NDArray[np.complexfloating],
    region: NDArray[np.bool_],
    positions_px: NDArray[np.float64],
    geometry: Geometry,
    name: str,
) -> Placement:
    """Return an object on the truth's array.

    Parameters
    ----------
    truth : (H, W) complex
    region : (H, W) bool
        Where the set's frames were.
    positions_px : (n, 2) float
        Of the set, y first.
    geometry : Geometry
        Of the set.
    name : str
        Of the object, in errors.

    Raises
    ------
    DatasetError
        Its pixels have another size, it lies nowhere, or fits far better conjugated or turned.
    """
    pixel_m = found.pixel_size_m
    if pixel_m and not geometry.assumed:
        ratio = pixel_m / geometry.pixel_size_m
        if abs(ratio - 1) > _SAME_PIXEL:
            raise DatasetError(
                f"{name}: its pixels are {pixel_m * 1e9:.4g} nm wide, those of the set "
                f"{geometry.pixel_size_m * 1e9:.4g} nm ({ratio:.3g} x); expected the same: "
                "resample it"
            )
    best = locate(found.obj, truth, region)
    fits, chance = best.correlation >= SURE, 0.0
    if not fits:
        ways = {name: locate(found.obj, truth, region, name) for name in VARIANTS}
        _refuse_convention(ways, name)
        chance = _rival(ways, AS_IT_IS)
        fits = best.correlation >= max(FITS, _CLEARER * chance)
    own = _own_frame(found, truth.shape, positions_px)
    if own is not None and not (fits and _lies_elsewhere(*own, best)):
        by, origin, wandered = own
        laid, covered = _laid(found.obj, origin, truth.shape)
        return Placement(by, laid, covered, origin, best.correlation, fits, wandered)
    if not fits:
        raise DatasetError(
            f"{name}: lies nowhere in the truth: {found.obj.shape[0]} x {found.obj.shape[1]} px, "
            f"best correlation {best.correlation:.2f}, expected at least {FITS} and "
            f"{_CLEARER} x the {chance:.2f} of other ways; tried at every place {AS_IT_IS}, "
            "conjugated, flipped, transposed and turned, with pixels as large as the set's: is it "
            "of this set's object?"
        )
    return _registered(found.obj, best, truth.shape)


def _rival(ways: dict[str, Place], name: str) -> float:
    """Return the best correlation in any other way; conjugation, which keeps half, is none."""
    base = turn_of(name)
    return max(place.correlation for other, place in ways.items() if turn_of(other) != base)


def _refuse_convention(ways: dict[str, Place], name: str) -> None:
    other = max(ways.values(), key=lambda place: place.correlation)
    as_is = ways[AS_IT_IS].correlation
    chance = max(_rival(ways, other.variant), as_is)
    if other.variant != AS_IT_IS and other.correlation >= max(FITS, _FAR_BETTER * chance):
        raise DatasetError(
            f"{name}: it fits when {other.variant} (correlation {other.correlation:.2f}, "
            f"{as_is:.2f} {AS_IT_IS}); expected the set's convention, which its probe and "
            "positions are of: change the object and score it again"
        )


def _own_frame(
    found: FoundObject, shape: tuple[int, ...], positions_px: NDArray[np.float64]
) -> tuple[By, tuple[int, int], tuple[float, float]] | None:
    """Return the frame that an object's file tells, with its origin and how far it wandered."""
    now, given = found.positions_px, found.given_positions_px
    if now is not None and given is not None and given.shape == positions_px.shape:
        apart = given - positions_px
        origin = np.round(apart.mean(axis=0)).astype(int)
        if np.ptp(apart, axis=0).max() < _SAME_PLACE_PX:
            wandered = (now - given).mean(axis=0) if now.shape == given.shape else np.zeros(2)
            return "positions", (int(origin[0]), int(origin[1])), (wandered[0], wandered[1])
    if found.obj.shape == shape:
        return "shape", (0, 0), (0.0, 0.0)
    return None


def _lies_elsewhere(
    by: By, origin_px: tuple[int, int], wandered_px: tuple[float, float], best: Place
) -> bool:
    """Return whether what fits lies where its shape has it not: that may agree by chance."""
    apart = np.abs(np.subtract(best.origin_px, origin_px)).max()
    return by == "shape" and bool(apart > _SAME_FRAME_PX)


def _laid(
    obj: NDArray[np.complexfloating], origin_px: tuple[int, int], shape: tuple[int, ...]
) -> tuple[NDArray[np.complexfloating], NDArray[np.bool_]]:
    inside = (shape[0], shape[1])
    there = laid_on(np.full(obj.shape, 2.0), origin_px, inside) == 2.0
    return laid_on(obj, origin_px, inside), there


def _registered(obj: NDArray[np.complexfloating], best: Place, shape: tuple[int, ...]) -> Placement:
    """Return an object where it was found; beyond its edge it goes on as it ends.

    The shift by parts of a pixel that follows is periodic, and would carry a step into it.
    """
    oy, ox = best.origin_px
    _, covered = _laid(obj, best.origin_px, shape)
    rows = np.clip(np.arange(shape[0]) + oy, 0, obj.shape[0] - 1)
    columns = np.clip(np.arange(shape[1]) + ox, 0, obj.shape[1] - 1)
    laid = obj[np.ix_(rows, columns)]
    return Placement("registration", laid, covered, best.origin_px, best.correlation, True)
