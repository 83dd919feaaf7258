"""What arrays a file holds, by name, shape and dtype; none of them is read."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import Any, NamedTuple

from fly64tasks.data.archive import Archive
from fly64tasks.data.readers import is_hdf5
from fly64tasks.data.readers.hdf5 import Hdf5
from fly64tasks.errors import DatasetError, shortened


class Declared(NamedTuple):
    """An array as its file declares it; one that is no plain array has no shape and says why."""

    name: str
    shape: tuple[int, ...] | None
    dtype: str


def arrays_in(path: Path, most: int = 24) -> tuple[list[Declared], int]:
    """Return the arrays of an NPZ or an HDF5 file, ``most`` of them, and how many there are more.

    Raises
    ------
    DatasetError
        It is neither.
    """
    if is_hdf5(path):
        with ExitStack() as stack:
            file = Hdf5(path, stack, [])
            names = file.names()
            return [_of_hdf5(file, name) for name in names[:most]], max(len(names) - most, 0)
    with Archive(path) as arrays:
        names = list(arrays.names)
        return [_of_npz(arrays, name) for name in names[:most]], max(len(names) - most, 0)


def _of_hdf5(file: Hdf5, name: str) -> Declared:
    try:
        found: Any = file.file[name]
        return Declared(shortened(name), tuple(found.shape or ()), str(found.dtype))
    except (OSError, RuntimeError, ValueError, KeyError, TypeError) as error:
        return Declared(shortened(name), None, f"can not be read ({shortened(error)})")


def _of_npz(arrays: Archive, name: str) -> Declared:
    try:
        header = arrays.header(name)
    except DatasetError as error:
        return Declared(
            shortened(name), None, str(error).removeprefix(f"{arrays.path}: {shortened(name)} ")
        )
    return Declared(shortened(name), header.shape, str(header.dtype))
