"""Readers: one file format a module.

A new format is a module here with a ``read_dataset(path, *, diffraction, obj, extras)`` that gives
a `PtychoDataset`, and a row of `READERS`.
"""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from fly64tasks.data.dataset import PtychoDataset
    from fly64tasks.data.frames import Kind

READERS = {".npz": "npz"}
"""The module that reads a suffix."""

_OTHERS = "npz"
"""The one for all other names; it says what is expected."""


def read_dataset(
    path: Path, *, diffraction: Kind = "auto", obj: bool = True, extras: bool = True
) -> PtychoDataset:
    """Read a set and check it against the contract; what is not wanted is not read.

    Parameters
    ----------
    diffraction : str
        Whether its diffraction is ``amplitude`` or ``intensity``; ``auto`` finds out.
    obj : bool
        Read the object of a measured set too; that of a simulated one always is.
    extras : bool
        Read the object's patches and the names of the frames too.

    Raises
    ------
    DatasetError
        One line: the file, what was found, what was expected.
    """
    module = READERS.get(path.suffix.lower(), _OTHERS)
    reader = importlib.import_module(f"{__name__}.{module}")
    found: PtychoDataset = reader.read_dataset(
        path, diffraction=diffraction, obj=obj, extras=extras
    )
    return found
