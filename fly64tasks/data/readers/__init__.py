"""Readers: one file format a module.

A new format is a module here with ``KIND``, ``claims`` and ``read``, and a row of `READERS`: HDF5
readers are asked in turn whether a file is theirs. `open_measurement` gives the scan of any format
with its frames unread, `read_dataset` the whole set, checked against the contract.
"""

from __future__ import annotations

import importlib
import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fly64tasks.doitext.errors import machine_fault
from fly64tasks.errors import DatasetError, machine_error, shortened
from fly64tasks.study.stages import AS_STORED, Orientation

if TYPE_CHECKING:
    from fly64tasks.data.dataset import PtychoDataset
    from fly64tasks.data.frames import Kind
    from fly64tasks.data.measurement import Measurement
    from fly64tasks.data.readers.hdf5 import Hdf5

_HDF5 = b"\x89HDF\r\n\x1a\n"
_DAMAGE = (OSError, RuntimeError, ValueError, KeyError, IndexError, TypeError, AttributeError)
"""What h5py, and numbers that are none, end in where a file is damaged."""

READERS = {
    "training": "ptychodus_training",
    "ptychodus": "ptychodus",
    "pair": "pair",
    "cxi": "cxi",
    "ptyd": "ptyd",
    "ptylab": "ptylab",
}
"""The module of each HDF5 format, in the order in which they are asked."""


def read_dataset(
    path: Path,
    *,
    diffraction: Kind = "auto",
    orientation: Orientation = AS_STORED,
    obj: bool = True,
    extras: bool = True,
) -> PtychoDataset:
    """Read a set of any format and check it against the contract; what is not wanted is not read.

    Parameters
    ----------
    diffraction : str
        Whether its diffraction is ``amplitude`` or ``intensity``; ``auto`` finds out.
    orientation : Orientation
        How it is turned once it is read.
    obj : bool
        Read the object of a measured set too; that of a simulated one always is.
    extras : bool
        Read the object's patches and the names of the frames too.

    Raises
    ------
    DatasetError
        One line: the file, what was found, what was expected.
    """
    from fly64tasks.data import edits
    from fly64tasks.data.readers.in_memory import dataset_of

    if is_contract(path):
        found: PtychoDataset = _module("npz").read_dataset(
            path, diffraction=diffraction, obj=obj, extras=extras
        )
        return edits.turned_set(found, orientation)
    with open_measurement(path) as measurement:
        measurement = edits.turned(measurement, orientation)
        return dataset_of(measurement, diffraction=diffraction, obj=obj)


@contextmanager
def open_measurement(path: Path) -> Iterator[Measurement]:
    """Open a scan of any format; its frames can be read inside the block.

    Raises
    ------
    DatasetError
        No reader knows the file, or it lacks what its format has.
    """
    opened: list[Path] = []
    with ExitStack() as stack:
        with damage_refused(path):
            found = _read(path, stack, opened).checked()
        files = dict.fromkeys([*opened, *found.files])
        files.pop(path, None)
        yield replace(found, files=tuple(files))


@contextmanager
def damage_refused(path: Path) -> Iterator[None]:
    """Make one line of whatever a damaged file ends in; what the machine failed at is none."""
    try:
        yield
    except _DAMAGE as error:
        if isinstance(error, OSError) and machine_fault(error):
            raise machine_error(error) from None
        raise DatasetError(
            f"{path}: can not be read ({shortened(error)}); is the file whole?"
        ) from None


def _read(path: Path, stack: ExitStack, opened: list[Path]) -> Measurement:
    if path.suffix.lower() == ".toml":
        return _by_keymap(path, stack, opened)
    if is_hdf5(path):
        return _of_hdf5(_module("hdf5").Hdf5(path, stack, opened))
    found: Measurement
    if is_contract(path):
        found = _module("npz").read_measurement(path)
    else:
        found = _module("tike").read(path)
    return found


def is_contract(path: Path) -> bool:
    """Return whether a file is to be read as one of the NPZ contract, which says what it lacks."""
    if path.suffix.lower() == ".toml" or is_hdf5(path):
        return False
    return not _module("tike").claims(path)


def is_hdf5(path: Path) -> bool:
    """Return whether a file has HDF5's signature, which may follow a block of any other content."""
    if not path.is_file():
        return False
    with path.open("rb") as file:
        size, offset = file.seek(0, os.SEEK_END), 0
        while offset < size:
            file.seek(offset)
            if file.read(len(_HDF5)) == _HDF5:
                return True
            offset = max(2 * offset, 512)
    return False


def _of_hdf5(file: Hdf5, name: str | None = None) -> Measurement:
    for known, module in READERS.items():
        reader = _module(module)
        if known == name or (name is None and reader.claims(file)):
            found: Measurement = reader.read(file)
            return found
    raise file.refusal(
        f"is HDF5 of no known layout ({', '.join(file.names()[:8]) or 'empty'}), expected one of "
        f"{', '.join(READERS)}: write a key map (docs/formats.md)"
    )


def _by_keymap(path: Path, stack: ExitStack, opened: list[Path]) -> Measurement:
    keymaps = _module("keymap")
    keymap = keymaps.read_keymap(path, tuple(READERS))
    source = path.parent / keymap.file
    if not source.is_file():
        raise DatasetError(f"{path}: file is {keymap.file!r}, expected a file at {source}")
    file = _module("hdf5").Hdf5(source, stack, opened)
    if keymap.format == keymaps.HDF5:
        found = _module("keymap_hdf5").read(file, keymap, path)
    else:
        found = _of_hdf5(file, keymap.format)
    edited: Measurement = _module("keymap_edits").edited(found, keymap)
    return edited


def _module(name: str) -> Any:
    return importlib.import_module(f"{__name__}.{name}")
