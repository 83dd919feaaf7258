"""The arrays of the NPZ contract DATA-001, key by key, each violation with its own message.

All that the contract asks of an array is checked here, before anything else sees it; what breaks
it is a DatasetError of one line. ``n`` is the number of positions, ``said`` are the metadata.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from fly64tasks.data.archive import Archive
from fly64tasks.data.frame_stack import FrameStack
from fly64tasks.data.frames import Frames, Kind, frames_of, holds_intensity
from fly64tasks.data.metadata import why_unusable
from fly64tasks.data.npy import Unreadable
from fly64tasks.errors import DatasetError

_DIFFRACTION = ("diffraction", "diff3d")


def metadata(arrays: Archive) -> tuple[dict[str, Any], tuple[str, ...]]:
    """Return the metadata, and a warning in place of those that can not be read.

    What is used of them has the type that it is used in.
    """
    try:
        found = arrays.metadata()
    except Unreadable as error:
        said = str(error).removeprefix(f"{arrays.path}: ")
        return {}, (f"{said}; it is left out: sizes are assumed, and there is no truth",)
    wrong = why_unusable(found)
    if wrong:
        raise arrays.error("_metadata", f"says what can not be used: {wrong}")
    return found, ()


def refuse_lacking(arrays: Archive, *needed: str) -> None:
    """Name all that a set lacks, and what helps where it is the probe alone."""
    lacking = [key for key in needed if key not in arrays]
    if not any(key in arrays for key in _DIFFRACTION):
        lacking.append(" or ".join(_DIFFRACTION))
    if lacking:
        helps = "; fly64tasks convert writes a set with one that is guessed from the frames"
        raise arrays.lacks(*lacking, helps=helps if lacking == ["probeGuess"] else "")


def positions(arrays: Archive) -> NDArray[np.float64]:
    """Return (n, 2) positions, y first."""
    axes = {}
    for key in ("ycoords", "xcoords"):
        array = arrays.numbers(key, kinds="fiu", expected="float positions in px")
        array = _squeezed(array, 1)
        if array.ndim != 1:
            raise arrays.error(key, f"has shape {array.shape}, expected (n,)")
        axes[key] = array.astype(np.float64)
    if len(axes["xcoords"]) != len(axes["ycoords"]):
        raise arrays.error(
            "xcoords",
            f"has shape {axes['xcoords'].shape}, expected {axes['ycoords'].shape} to match ycoords",
        )
    return np.column_stack([axes["ycoords"], axes["xcoords"]])


def diffraction(
    arrays: Archive, n: int, said: dict[str, Any], kind: Kind
) -> tuple[str, NDArray[Any]]:
    """Return the key that holds the diffraction, and its values as (n, N, N)."""
    keys = [key for key in _DIFFRACTION if key in arrays]
    if len(keys) < 2:
        key = keys[0] if keys else _DIFFRACTION[0]
        return key, _frames_first(arrays, key, n, said)
    if kind == "auto":
        raise arrays.error(
            "diffraction",
            "and diff3d are both there, expected one of them: say which with --diffraction "
            'amplitude or intensity, in a study [data] diffraction = "intensity"',
        )
    found = {key: _frames_first(arrays, key, n, said) for key in keys}
    meant = [key for key in keys if holds_intensity(found[key]) == (kind == "intensity")]
    if len(meant) != 1:
        held = "intensities" if len(meant) == (2 if kind == "intensity" else 0) else "amplitudes"
        raise arrays.error(
            "diffraction", f"and diff3d both hold {held}, expected one of them: leave the other out"
        )
    return meant[0], found[meant[0]]


def _frames_first(
    arrays: Archive, key: str, n: int, said: dict[str, Any]
) -> NDArray[np.floating | np.integer]:
    """Return diffraction as (n, N, N), turned round from (N, N, n) where that is certain."""
    array = arrays.get(*(_DIFFRACTION if key not in arrays else (key,)))
    if array.dtype.kind not in "fiu":
        raise arrays.error(
            key,
            f"has dtype {array.dtype}, expected float amplitude (square root of counts) or counts",
        )
    if array.size == 0:
        raise arrays.error(key, f"is empty (shape {array.shape}), expected at least one frame")
    array = _squeezed(array, 3)
    if array.ndim != 3:
        raise arrays.error(key, f"has shape {array.shape}, expected (n, N, N)")
    frames_first = array.shape[0] == n and array.shape[1] == array.shape[2]
    frames_last = array.shape[2] == n and array.shape[0] == array.shape[1]
    if frames_first and frames_last and said.get("diffraction_order") != "NHW":
        raise arrays.error(
            key,
            f"has shape {array.shape} with {n} positions: (n, N, N) and (N, N, n) both fit; "
            'expected an unambiguous order: say {"diffraction_order": "NHW"} in _metadata or '
            "leave a frame out",
        )
    if frames_first or frames_last:
        if not frames_first:
            arrays.take(key, array.nbytes)
            array = np.ascontiguousarray(np.moveaxis(array, 2, 0))
        if array.shape[-1] < 4:
            raise arrays.error(key, f"has frames of {array.shape[-1]} px, expected at least 4")
        return array
    raise arrays.error(
        key,
        f"has shape {array.shape}, expected ({n}, N, N) with square frames to match the {n} "
        "positions of xcoords and ycoords",
    )


def frames(arrays: Archive, key: str, values: NDArray[Any], kind: Kind) -> Frames:
    """Return diffraction as amplitudes, with the mask that the file has."""
    good = mask(arrays, values.shape)
    if values.dtype != np.float32:
        arrays.take(key, 4 * values.size)
    return frames_of(values, f"{arrays.path}: {key}", kind=kind, mask=good)


def unread(arrays: Archive, n: int, said: dict[str, Any]) -> FrameStack:
    """Return the diffraction where it is stored as (n, N, N), else as `diffraction` reads it."""
    keys = [key for key in _DIFFRACTION if key in arrays]
    source = arrays.stored(keys[0]) if len(keys) == 1 else None
    if source is not None and source.dtype.kind in "fiu" and len(source.shape) == 3:
        first, height, width = source.shape
        sure = first != width or said.get("diffraction_order") == "NHW"
        if first == n and height == width >= 4 and sure:
            return FrameStack.of(source)
    return FrameStack.of(diffraction(arrays, n, said, "auto")[1])


def mask(arrays: Archive, shape: tuple[int, ...]) -> NDArray[np.bool_] | None:
    """Return the pixels that count, (N, N) or (n, N, N): nonzero in mask, zero in bad_pixels."""
    good: NDArray[np.bool_] | None = None
    for key in ("mask", "bad_pixels"):
        if key not in arrays:
            continue
        array = arrays.get(key)
        if array.dtype.kind not in "biuf":
            raise arrays.error(key, f"has dtype {array.dtype}, expected truth values or numbers")
        if np.isnan(array).any():
            raise arrays.error(key, "holds NaN, which is neither good nor bad, expected 0 or 1")
        if array.shape not in (shape, shape[1:]) and array.shape == (*shape[1:], shape[0]):
            array = np.moveaxis(array, 2, 0)
        if array.shape not in (shape, shape[1:]):
            array = _squeezed(array, 2)
        if array.shape not in (shape, shape[1:]):
            raise arrays.error(
                key,
                f"has shape {array.shape}, expected {shape[1:]} or {shape}: of the detector's "
                "pixels",
            )
        counts = array != 0 if key == "mask" else array == 0
        good = counts if good is None else good & counts
    return good


def obj(arrays: Archive) -> NDArray[np.complexfloating]:
    """Return the object, (H, W)."""
    array = _squeezed(arrays.numbers("objectGuess", kinds="c", expected="complex"), 2)
    if array.ndim != 2:
        raise arrays.error("objectGuess", f"has shape {array.shape}, expected (H, W)")
    return array


def probe(arrays: Archive) -> NDArray[np.complexfloating]:
    """Return the probe, (modes, N, N), in the unit of the diffraction amplitudes."""
    array = arrays.numbers("probeGuess", kinds="c", expected="complex")
    while array.ndim > 3 and array.shape[0] == 1:  # a further one would be that of the modes
        array = array[0]
    if array.ndim not in (2, 3) or array.shape[-1] != array.shape[-2]:
        raise arrays.error(
            "probeGuess", f"has shape {array.shape}, expected (N, N) or (modes, N, N)"
        )
    if not array.any():
        raise arrays.error("probeGuess", "is zero everywhere, expected an illumination")
    return array.reshape(-1, *array.shape[-2:])


def single(arrays: Archive, key: str, array: NDArray[Any]) -> NDArray[Any]:
    """Return an array in single precision; a copy counts as memory that its key takes."""
    dtype = np.dtype(np.complex64 if array.dtype.kind == "c" else np.float32)
    if array.dtype != dtype:
        arrays.take(key, array.size * dtype.itemsize)
    return array.astype(dtype, copy=False)


def patches(arrays: Archive, n: int) -> NDArray[np.complex64] | None:
    """Return the patches of the object, (n, M, M), None where there are none that can be used."""
    if "Y" not in arrays or _problem(arrays, "Y", n):
        return None
    return single(arrays, "Y", arrays.get("Y"))


def filenames(arrays: Archive, n: int) -> NDArray[np.str_] | None:
    """Return the names of the frames, (n,), None where there are none that can be used."""
    if "filenames" not in arrays or _problem(arrays, "filenames", n):
        return None
    return arrays.get("filenames").astype(np.str_)


def unusable(arrays: Archive, n: int) -> tuple[str, ...]:
    """Return a warning that names the optional keys that can not be used, none where all can."""
    problems = {key: _problem(arrays, key, n) for key in ("Y", "filenames") if key in arrays}
    said = [f"{key} {problem}" for key, problem in problems.items() if problem]
    verb = "are" if len(said) > 1 else "is"
    return (f"{', '.join(said)}; {verb} left out, the rest is used",) if said else ()


def _problem(arrays: Archive, key: str, n: int) -> str | None:
    """Return why an optional key can not be used; its header says it, names are read."""
    try:
        shape, _, dtype, _ = arrays.header(key)
        if key == "Y":
            fits = dtype.kind == "c" and len(shape) == 3 and shape[0] == n and shape[1] == shape[2]
            return None if fits else f"has dtype {dtype}, shape {shape}, expected ({n}, M, M)"
        if dtype.kind not in "US" or shape != (n,):
            return f"has dtype {dtype}, shape {shape}, expected text, ({n},)"
        arrays.get(key).astype(np.str_)
    except UnicodeDecodeError:
        return "is not ASCII text"
    except DatasetError as error:
        return str(error).removeprefix(f"{arrays.path}: {key} ")
    return None


def _squeezed(array: NDArray[Any], axes: int) -> NDArray[Any]:
    """Return an array without axes of length 1, as long as it has more than it should have.

    >>> _squeezed(np.ones((1, 5, 4)), 2).shape, _squeezed(np.ones((1, 1)), 2).shape
    ((5, 4), (1, 1))
    """
    for axis in reversed(range(array.ndim)):
        if array.ndim > axes and array.shape[axis] == 1:
            array = array.squeeze(axis)
    return array
