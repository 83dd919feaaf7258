"""The reader of the NPZ contract DATA-001.

All that the contract asks is checked here, before anything else sees an array, each violation
with its own message.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import msgspec
import numpy as np
from msgspec import Meta, Struct
from numpy.typing import NDArray

from fly64tasks.data.archive import Archive, Unreadable
from fly64tasks.data.dataset import Base, PtychoDataset
from fly64tasks.data.edits import squared
from fly64tasks.data.frame_stack import FrameStack
from fly64tasks.data.frames import Frames, Kind, frames_of, holds_intensity
from fly64tasks.data.measurement import Measurement
from fly64tasks.data.metadata import geometry_of
from fly64tasks.data.survey import survey
from fly64tasks.errors import DatasetError
from fly64tasks.study.stages import SIZES, Geometry

_DIFFRACTION = ("diffraction", "diff3d")


def read_dataset(
    path: Path, *, diffraction: Kind = "auto", obj: bool = True, extras: bool = True
) -> PtychoDataset:
    """Read a Phase C or Phase D set and check it against the contract.

    Parameters
    ----------
    diffraction, obj, extras
        As `fly64tasks.data.readers.read_dataset` has them.

    Raises
    ------
    DatasetError
        One line: the file, what was found, what the contract expects.
    """
    with Archive(path) as arrays:
        return _dataset(arrays, diffraction, obj=obj, extras=extras)


def read_base(path: Path) -> Base:
    """Read object, probe and scan to simulate from; any diffraction in the file is ignored.

    Raises
    ------
    DatasetError
        As `read_dataset`.
    """
    with Archive(path) as arrays:
        metadata, warnings = _metadata(arrays)
        obj, probe, positions = _object(arrays), _probe(arrays), _positions(arrays)
        return Base(
            obj, probe, positions, metadata, (*warnings, *_unusable(arrays, len(positions)))
        )


def read_measurement(path: Path) -> Measurement:
    """Return a set as a scan, with the counts of the file: where they are stored, unread.

    Raises
    ------
    DatasetError
        As `read_dataset`.
    """
    with Archive(path) as arrays:
        metadata, warnings = _metadata(arrays)
        positions = _positions(arrays)
        frames = _unread(arrays, len(positions), metadata)
        mask, probe = _mask(arrays, frames.shape), _probe(arrays)
        obj = _object(arrays) if "objectGuess" in arrays else None
    sizes = geometry_of(metadata, Geometry(), str(path)).to_dict()
    table = metadata.get("geometry") or {}
    said = {key: sizes[key] for key in SIZES if key in table}
    said["sizes_assumed"] = bool(table.get("assumed"))
    found = Measurement(
        path, "NPZ", frames, positions, probe, obj, mask=None, notes=warnings, **said
    )
    if not frames.is_whole and not survey(found).whole:
        frames = frames.mapped(squared, dtype=np.float32)
    if mask is not None and mask.ndim == 3:
        of_frames = FrameStack.of(mask)
        frames = frames.zipped(
            of_frames, lambda counts, good: np.where(good, counts, np.nan), float
        )
        mask = np.asarray(mask.any(axis=0))
    return replace(found, frames=frames, mask=mask)


def _unread(arrays: Archive, n: int, metadata: dict[str, Any]) -> FrameStack:
    """Return the diffraction where it is stored as (n, N, N), else as `_diffraction` reads it."""
    keys = [key for key in _DIFFRACTION if key in arrays]
    source = arrays.stored(keys[0]) if len(keys) == 1 else None
    if source is not None and source.dtype.kind in "fiu" and len(source.shape) == 3:
        frames, height, width = source.shape
        sure = frames != width or metadata.get("diffraction_order") == "NHW"
        if frames == n and height == width >= 4 and sure:
            return FrameStack.of(source)
    return FrameStack.of(_diffraction(arrays, n, metadata, "auto")[1])


Number = Annotated[float, Meta(ge=-1e18, le=1e18)]
"""What a record can repeat and a report can show."""


class _Said(Struct):
    """What sets may say of themselves that is used further on, and in which type."""

    simulated: bool = False
    lineage: dict[str, Any] | None = None
    diffraction_order: str | None = None
    dose_photons_per_frame: Number | None = None
    split: str | None = None
    overlap_view: str | None = None
    selection_strategy: str | None = None
    acceptance_rate: Number | None = None
    spacing_threshold: Number | None = None
    n_accepted: Number | None = None
    n_rejected: Number | None = None
    probe_diameter_px: Number | None = None
    gridsize: Number | None = None
    neighbor_count: Number | None = None
    overlap_group_members: Number | None = None
    overlap_neighbors: Number | None = None
    overlap_groups: Number | None = None
    overlap_notes: list[str] | None = None


def _metadata(arrays: Archive) -> tuple[dict[str, Any], tuple[str, ...]]:
    """Return the metadata, and a warning in place of those that can not be read.

    What is used of them has the type that it is used in.
    """
    try:
        metadata = arrays.metadata()
    except Unreadable as error:
        said = str(error).removeprefix(f"{arrays.path}: ")
        return {}, (f"{said}; it is left out: sizes are assumed, and there is no truth",)
    try:
        msgspec.convert(metadata, _Said)
    except msgspec.ValidationError as error:
        raise arrays.error("_metadata", f"says what can not be used: {error}") from None
    return metadata, ()


def _dataset(arrays: Archive, kind: Kind, *, obj: bool, extras: bool) -> PtychoDataset:
    metadata, warnings = _metadata(arrays)
    positions = _positions(arrays)
    n = len(positions)
    key, values = _diffraction(arrays, n, metadata, kind)
    frames = _frames(arrays, key, values, kind)
    del values
    probe = _probe(arrays)
    size = frames.amplitude.shape[-1]
    if probe.shape[-1] != size:
        raise arrays.error(
            "probeGuess", f"is {size_text(probe.shape)}, expected N = {size} to match diffraction"
        )
    has_object = metadata.get("simulated") or (obj and "objectGuess" in arrays)
    return PtychoDataset(
        diffraction_amplitude=frames.amplitude,
        object_guess=_single(arrays, "objectGuess", _object(arrays)) if has_object else None,
        probe_guess=_single(arrays, "probeGuess", probe),
        positions_px=positions,
        object_patches=_object_patches(arrays, n) if extras else None,
        filenames=_filenames(arrays, n) if extras else None,
        metadata=metadata,
        mask=frames.mask,
        diffraction_from=f"{key}: {frames.taken_from}" if frames.taken_from else None,
        warnings=(*warnings, *_unusable(arrays, n), *frames.warnings),
    )


def _single(arrays: Archive, key: str, array: NDArray[Any]) -> NDArray[Any]:
    """Return an array in single precision; a copy counts as memory that its key takes."""
    dtype = np.dtype(np.complex64 if array.dtype.kind == "c" else np.float32)
    if array.dtype != dtype:
        arrays.take(key, array.size * dtype.itemsize)
    return array.astype(dtype, copy=False)


def _positions(arrays: Archive) -> NDArray[np.float64]:
    """Return (n, 2) positions, y first."""
    axes = {}
    for key in ("ycoords", "xcoords"):
        array = arrays.numbers(key, kinds="fiu", expected="float positions in px")
        array = squeezed(array, 1)
        if array.ndim != 1:
            raise arrays.error(key, f"has shape {array.shape}, expected (n,)")
        axes[key] = array.astype(np.float64)
    if len(axes["xcoords"]) != len(axes["ycoords"]):
        raise arrays.error(
            "xcoords",
            f"has shape {axes['xcoords'].shape}, expected {axes['ycoords'].shape} to match ycoords",
        )
    return np.column_stack([axes["ycoords"], axes["xcoords"]])


def _diffraction(
    arrays: Archive, n: int, metadata: dict[str, Any], kind: Kind
) -> tuple[str, NDArray[Any]]:
    """Return the key that holds the diffraction, and its values as (n, N, N)."""
    keys = [key for key in _DIFFRACTION if key in arrays]
    if len(keys) < 2:
        key = keys[0] if keys else _DIFFRACTION[0]
        return key, _frames_first(arrays, key, n, metadata)
    if kind == "auto":
        raise arrays.error(
            "diffraction",
            "and diff3d are both there, expected one of them: say which with --diffraction "
            'amplitude or intensity, in a study [data] diffraction = "intensity"',
        )
    found = {key: _frames_first(arrays, key, n, metadata) for key in keys}
    meant = [key for key in keys if holds_intensity(found[key]) == (kind == "intensity")]
    if len(meant) != 1:
        held = "intensities" if len(meant) == (2 if kind == "intensity" else 0) else "amplitudes"
        raise arrays.error(
            "diffraction", f"and diff3d both hold {held}, expected one of them: leave the other out"
        )
    return meant[0], found[meant[0]]


def _frames_first(
    arrays: Archive, key: str, n: int, metadata: dict[str, Any]
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
    array = squeezed(array, 3)
    if array.ndim != 3:
        raise arrays.error(key, f"has shape {array.shape}, expected (n, N, N)")
    frames_first = array.shape[0] == n and array.shape[1] == array.shape[2]
    frames_last = array.shape[2] == n and array.shape[0] == array.shape[1]
    if frames_first and frames_last and metadata.get("diffraction_order") != "NHW":
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


def _frames(arrays: Archive, key: str, values: NDArray[Any], kind: Kind) -> Frames:
    mask = _mask(arrays, values.shape)
    if values.dtype != np.float32:
        arrays.take(key, 4 * values.size)
    return frames_of(values, f"{arrays.path}: {key}", kind=kind, mask=mask)


def _mask(arrays: Archive, shape: tuple[int, ...]) -> NDArray[np.bool_] | None:
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
            array = squeezed(array, 2)
        if array.shape not in (shape, shape[1:]):
            raise arrays.error(
                key,
                f"has shape {array.shape}, expected {shape[1:]} or {shape}: of the detector's "
                "pixels",
            )
        counts = array != 0 if key == "mask" else array == 0
        good = counts if good is None else good & counts
    return good


def _object(arrays: Archive) -> NDArray[np.complexfloating]:
    array = squeezed(arrays.numbers("objectGuess", kinds="c", expected="complex"), 2)
    if array.ndim != 2:
        raise arrays.error("objectGuess", f"has shape {array.shape}, expected (H, W)")
    return array


def _probe(arrays: Archive) -> NDArray[np.complexfloating]:
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


def _object_patches(arrays: Archive, n: int) -> NDArray[np.complex64] | None:
    if "Y" not in arrays or _problem(arrays, "Y", n):
        return None
    return _single(arrays, "Y", arrays.get("Y"))


def _filenames(arrays: Archive, n: int) -> NDArray[np.str_] | None:
    if "filenames" not in arrays or _problem(arrays, "filenames", n):
        return None
    return arrays.get("filenames").astype(np.str_)


def _unusable(arrays: Archive, n: int) -> tuple[str, ...]:
    """Return a warning that names the optional keys that can not be used, none where all can."""
    problems = {key: _problem(arrays, key, n) for key in ("Y", "filenames") if key in arrays}
    said = [f"{key} {problem}" for key, problem in problems.items() if problem]
    verb = "are" if len(said) > 1 else "is"
    return (f"{', '.join(said)}; {verb} left out, the rest is used",) if said else ()


def _problem(arrays: Archive, key: str, n: int) -> str | None:
    """Return why an optional key can not be used; its header says it, names are read."""
    try:
        shape, dtype = arrays.header(key)
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


def squeezed(array: NDArray[Any], axes: int) -> NDArray[Any]:
    """Return an array without axes of length 1, as long as it has more than it should have.

    >>> squeezed(np.ones((1, 5, 4)), 2).shape, squeezed(np.ones((1, 1)), 2).shape
    ((5, 4), (1, 1))
    """
    for axis in reversed(range(array.ndim)):
        if array.ndim > axes and array.shape[axis] == 1:
            array = array.squeeze(axis)
    return array


def size_text(shape: tuple[int, ...]) -> str:
    """Return a shape in words.

    >>> size_text((8, 64, 64))
    '8 x 64 x 64'
    """
    return " x ".join(map(str, shape)) or "a scalar"
