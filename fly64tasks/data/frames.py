"""From what a detector's file holds to amplitudes and a mask: counts, gaps, marks, NaN.

Files hold counts or their square root, in any dtype, with pixels that measured nothing written as
NaN, as a negative number or as the largest number of the detector's counter. Every reader goes
through here, so that all formats are told alike.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from fly64tasks.errors import DatasetError

Kind = Literal["auto", "amplitude", "intensity"]

MOST_BAD_SHARE = 0.01
"""Share of pixels that may hold no measurement in a file that has no mask to say so."""
MARKED_COUNTS = (2**16 - 1, 2**32 - 1)
"""What detectors of 16 and 32 bits write where they measured nothing, or too much."""
AMPLITUDE_LIMIT = 1e9
_BLOCK = 2**18
"""Pixels to work on at a time, as lines of the detector: little memory beside the values."""


@dataclass(frozen=True)
class Frames:
    """Diffraction as the contract has it.

    Attributes
    ----------
    amplitude : (n, N, N) float32
        Square root of counts; 0 where masked.
    mask : (N, N) or (n, N, N) bool or None
        Pixels that count; None where all do.
    taken_from : str or None
        What the amplitude was taken from, in words, where it is not what the file holds.
    warnings : tuple of str
    """

    amplitude: NDArray[np.float32]
    mask: NDArray[np.bool_] | None
    taken_from: str | None
    warnings: tuple[str, ...]


def holds_intensity(values: NDArray[Any]) -> bool:
    """Return whether values are counts rather than amplitudes, by dtype or by what they are.

    >>> holds_intensity(np.array([0, 1], np.uint16)), holds_intensity(np.array([0.0, 3.0, 7.0]))
    (True, True)
    >>> holds_intensity(np.array([0.0, 1.0])), holds_intensity(np.array([0.0, 1.7]))
    (False, False)
    """
    if values.dtype.kind in "iu":
        return True
    largest = 0.0
    for _, part in _blocks(values):
        good = part[np.isfinite(part) & (part >= 0)]
        if not np.array_equal(good, np.rint(good)):
            return False
        largest = max(largest, float(good.max(initial=0)))
    return 1 < largest <= AMPLITUDE_LIMIT**2


def frames_of(
    values: NDArray[Any],
    name: str,
    *,
    kind: Kind = "auto",
    mask: NDArray[np.bool_] | None = None,
) -> Frames:
    """Return what a file holds as amplitudes, with what measured nothing masked.

    Parameters
    ----------
    values : (n, N, N) int or float
        Counts or amplitudes, zero frequency centred.
    name : str
        The file and the key, for errors.
    kind : str
        What the values are; ``auto`` finds it out (`holds_intensity`).
    mask : (N, N) or (n, N, N) bool, optional
        The file's own: pixels that count.

    Raises
    ------
    DatasetError
        More than `MOST_BAD_SHARE` of the pixels measured nothing and the file has no mask, the
        values are past single precision, or none is left.
    """
    intensity = holds_intensity(values) if kind == "auto" else kind == "intensity"
    marks = _marks(values, mask, intensity)
    as_it_is = mask is None and not intensity and values.dtype == np.float32
    amplitude = values if as_it_is else np.empty(values.shape, np.float32)
    unmeasured: NDArray[np.bool_] | None = None
    found = dict.fromkeys(("NaN or infinite", "negative", *marks), 0)
    largest = 0.0
    for lines, part in _blocks(values):
        good = _good(mask, lines, values.shape)
        bad = np.zeros(part.shape, bool)
        for what, where in _unmeasured(part, marks):
            found[what] += int(np.count_nonzero(where & good))
            bad |= where
        if (bad & good).any():
            if unmeasured is None:
                unmeasured = np.zeros(values.shape, bool)
            _lines_of(unmeasured)[lines] = bad
        kept = np.where(bad | ~good, 0, part)
        largest = max(largest, float(kept.max(initial=0)))
        if as_it_is and not bad.any():
            continue
        if as_it_is:  # the first that does not hold what is wanted
            as_it_is, amplitude = False, values.copy(order="C")
        with np.errstate(over="ignore"):  # what is too large is refused below
            roots = np.sqrt(kept, dtype=np.float64) if intensity else kept
            _lines_of(amplitude)[lines] = roots
    limit = AMPLITUDE_LIMIT**2 if intensity else AMPLITUDE_LIMIT
    if largest > limit:
        raise DatasetError(
            f"{name} holds magnitudes up to {largest:.3g}, expected at most {limit:g}"
        )
    warnings = _said_of_unmeasured(found, unmeasured, name, values.size, has_mask=mask is not None)
    mask = _combined(mask, unmeasured)
    if mask is not None and not mask.any():
        raise DatasetError(f"{name} has no pixel left that its mask lets count; nonzero is good")
    if not amplitude.any():
        raise DatasetError(f"{name} is zero everywhere, expected measured amplitudes or counts")
    taken_from = f"{values.dtype} counts, square root taken" if intensity else None
    return Frames(amplitude, mask, taken_from, warnings)


def _lines_of(values: NDArray[Any]) -> NDArray[Any]:
    return values.reshape(-1, values.shape[-1])


def _blocks(values: NDArray[Any]) -> Iterator[tuple[slice, NDArray[Any]]]:
    """Yield lines of the detector, of one frame after the other, and which they are."""
    lines = _lines_of(values)
    step = max(_BLOCK // lines.shape[-1], 1)
    for start in range(0, len(lines), step):
        chosen = slice(start, min(start + step, len(lines)))
        yield chosen, lines[chosen]


def _good(
    mask: NDArray[np.bool_] | None, lines: slice, shape: tuple[int, ...]
) -> NDArray[np.bool_]:
    """Return which pixels of these lines of frames of a shape a mask lets count."""
    if mask is None:
        return np.broadcast_to(True, (lines.stop - lines.start, shape[-1]))
    if mask.ndim == 3:
        good: NDArray[np.bool_] = _lines_of(mask)[lines]
        return good
    return np.asarray(mask[np.arange(lines.start, lines.stop) % shape[-2]])


def _marks(values: NDArray[Any], mask: NDArray[np.bool_] | None, intensity: bool) -> dict[str, Any]:
    """Return the detector's mark, by its name, where the largest value of the good pixels is one.

    One pixel may hold that many photons, and a mark is there more often: unless it is the most that
    the file's counter can say, which measures nothing however often.
    """
    largest, times = values.dtype.type(0), 0
    for lines, part in _blocks(values):
        good = _good(mask, lines, values.shape) & np.isfinite(part)
        finite = np.where(good, part, values.dtype.type(0))
        top = finite.max(initial=largest)
        times = int(np.count_nonzero(finite == top)) + (times if top == largest else 0)
        largest = top
    marked = set(MARKED_COUNTS)
    if values.dtype.kind in "iu" and values.dtype.itemsize > 1:
        full = int(np.iinfo(values.dtype).max)
        marked.add(full)
        times += int(largest == full > np.iinfo(np.int16).max)
    if times < 2 or largest <= 0:
        return {}
    for counts in marked:
        mark = counts if intensity else counts**0.5
        if abs(float(largest) - mark) <= (1e-6 * mark if values.dtype.kind == "f" else 0):
            power = f"2^{counts.bit_length()} - 1"
            name = f"{counts}" if intensity else f"{float(largest):.6g} = sqrt({power})"
            return {f"{name} (a detector's mark)": largest}
    return {}


def _unmeasured(
    part: NDArray[Any], marks: dict[str, Any]
) -> Iterator[tuple[str, NDArray[np.bool_]]]:
    yield "NaN or infinite", ~np.isfinite(part)
    yield "negative", np.isfinite(part) & (part < 0)
    for what, value in marks.items():
        yield what, part == value


def _said_of_unmeasured(
    found: dict[str, int],
    unmeasured: NDArray[np.bool_] | None,
    name: str,
    size: int,
    *,
    has_mask: bool,
) -> tuple[str, ...]:
    """Return what is said of the pixels that measured nothing; refuse too many of them."""
    if unmeasured is None:
        return ()
    total = int(unmeasured.sum())
    kinds = ", ".join(f"{count} x {what}" for what, count in found.items() if count)
    always = int(unmeasured.all(axis=0).sum())
    where = f", {always} pixels in every frame" if always else ""
    said = f"holds values that are no counts: {kinds}{where} ({total / size:.2g} of all)"
    if total > MOST_BAD_SHARE * size and not has_mask:
        raise DatasetError(
            f"{name} {said}; expected at most {MOST_BAD_SHARE:g} of all in a file "
            "without a mask: add the key mask (nonzero is good) or bad_pixels"
        )
    return (f"{name.rpartition(': ')[2]} {said}; they are masked",)


def _combined(
    mask: NDArray[np.bool_] | None, unmeasured: NDArray[np.bool_] | None
) -> NDArray[np.bool_] | None:
    """Return the pixels that count, of every frame alike where that says it."""
    if unmeasured is not None:
        good = ~unmeasured
        mask = good if mask is None else good & mask
    if mask is not None and mask.ndim == 3 and (mask == mask[0]).all():
        mask = mask[0].copy()
    return None if mask is None or mask.all() else mask
