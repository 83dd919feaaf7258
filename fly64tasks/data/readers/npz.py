"""The reader of the NPZ contract DATA-001.

All that the contract asks is checked here, before anything else sees an array, each violation
with its own message.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import msgspec
import numpy as np
from msgspec import Meta, Struct
from numpy.typing import NDArray

from fly64tasks.data.archive import Archive, blocks_of
from fly64tasks.data.dataset import Base, PtychoDataset


def read_dataset(path: Path) -> PtychoDataset:
    """Read a Phase C or Phase D set and check it against the contract.

    Raises
    ------
    DatasetError
        One line: the file, what was found, what the contract expects.
    """
    with Archive(path) as arrays:
        return _dataset(arrays)


def read_base(path: Path) -> Base:
    """Read object, probe and scan to simulate from; any diffraction in the file is ignored.

    Raises
    ------
    DatasetError
        As `read_dataset`.
    """
    with Archive(path) as arrays:
        return Base(_object(arrays), _probe(arrays), _positions(arrays), _metadata(arrays))


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


def _metadata(arrays: Archive) -> dict[str, Any]:
    """Return the metadata, once what is used of them has the type that it is used in."""
    metadata = arrays.metadata()
    try:
        msgspec.convert(metadata, _Said)
    except msgspec.ValidationError as error:
        raise arrays.error("_metadata", f"says what can not be used: {error}") from None
    return metadata


def _dataset(arrays: Archive) -> PtychoDataset:
    metadata = _metadata(arrays)
    positions = _positions(arrays)
    n = len(positions)
    amplitude = _frames_first(arrays, n, metadata)
    size = amplitude.shape[-1]
    if size < 4:
        raise arrays.error("diffraction", f"has frames of {size} px, expected at least 4")
    if amplitude.min() < 0:
        raise arrays.error(
            "diffraction", f"holds {amplitude.min():g}, expected amplitudes, 0 or more"
        )
    if not amplitude.any():
        raise arrays.error("diffraction", "is zero everywhere, expected measured amplitudes")
    if amplitude.max() > 1 and all((part == np.round(part)).all() for part in blocks_of(amplitude)):
        raise arrays.error(
            "diffraction",
            "holds whole numbers only, as photon counts do; expected amplitude, the square root "
            "of counts",
        )
    probe = _probe(arrays)
    if probe.shape[-1] != size:
        raise arrays.error(
            "probeGuess", f"is {size_text(probe.shape)}, expected N = {size} to match diffraction"
        )
    return PtychoDataset(
        diffraction_amplitude=_single(arrays, _diffraction_key(arrays), amplitude),
        object_guess=_single(arrays, "objectGuess", _object(arrays)),
        probe_guess=_single(arrays, "probeGuess", probe),
        positions_px=positions,
        object_patches=_object_patches(arrays, n),
        filenames=_filenames(arrays, n),
        metadata=metadata,
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
        if array.ndim != 1:
            raise arrays.error(key, f"has shape {array.shape}, expected (n,)")
        axes[key] = array.astype(np.float64)
    if len(axes["xcoords"]) != len(axes["ycoords"]):
        raise arrays.error(
            "xcoords",
            f"has shape {axes['xcoords'].shape}, expected {axes['ycoords'].shape} to match ycoords",
        )
    return np.column_stack([axes["ycoords"], axes["xcoords"]])


def _frames_first(arrays: Archive, n: int, metadata: dict[str, Any]) -> NDArray[np.floating]:
    """Return diffraction as (n, N, N), turned round from (N, N, n) where that is certain."""
    key = _diffraction_key(arrays)
    array = arrays.numbers(
        "diffraction", "diff3d", kinds="f", expected="float amplitude (square root of counts)"
    )
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
    if frames_first:
        return array
    if frames_last:
        arrays.take(key, array.nbytes)
        return np.ascontiguousarray(np.moveaxis(array, 2, 0))
    raise arrays.error(
        key,
        f"has shape {array.shape}, expected ({n}, N, N) with square frames to match the {n} "
        "positions of xcoords and ycoords",
    )


def _diffraction_key(arrays: Archive) -> str:
    return "diffraction" if "diffraction" in arrays else "diff3d"


def _object(arrays: Archive) -> NDArray[np.complexfloating]:
    array = arrays.numbers("objectGuess", kinds="c", expected="complex")
    if array.ndim != 2:
        raise arrays.error("objectGuess", f"has shape {array.shape}, expected (H, W)")
    return array


def _probe(arrays: Archive) -> NDArray[np.complexfloating]:
    array = arrays.numbers("probeGuess", kinds="c", expected="complex")
    if array.ndim not in (2, 3) or array.shape[-1] != array.shape[-2]:
        raise arrays.error(
            "probeGuess", f"has shape {array.shape}, expected (N, N) or (modes, N, N)"
        )
    if not array.any():
        raise arrays.error("probeGuess", "is zero everywhere, expected an illumination")
    return array.reshape(-1, *array.shape[-2:])


def _object_patches(arrays: Archive, n: int) -> NDArray[np.complex64] | None:
    if "Y" not in arrays:
        return None
    array = arrays.numbers("Y", kinds="c", expected="complex")
    if array.ndim != 3 or array.shape[0] != n or array.shape[1] != array.shape[2]:
        raise arrays.error("Y", f"has shape {array.shape}, expected ({n}, M, M)")
    return _single(arrays, "Y", array)


def _filenames(arrays: Archive, n: int) -> NDArray[np.str_] | None:
    if "filenames" not in arrays:
        return None
    array = arrays.get("filenames")
    if array.dtype.kind not in "US" or array.shape != (n,):
        raise arrays.error(
            "filenames", f"has dtype {array.dtype}, shape {array.shape}, expected text, ({n},)"
        )
    try:
        return array.astype(np.str_)
    except UnicodeDecodeError as error:
        raise arrays.error("filenames", f"is not ASCII text ({error}), expected text") from None


def size_text(shape: tuple[int, ...]) -> str:
    """Return a shape in words.

    >>> size_text((8, 64, 64))
    '8 x 64 x 64'
    """
    return " x ".join(map(str, shape)) or "a scalar"
