"""Readers: one file format a module.

A new format is a module here with a ``read_dataset(path)`` that gives a `PtychoDataset`, and a row
of `READERS`.
"""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from fly64tasks.data.dataset import PtychoDataset

READERS = {".npz": "npz"}
"""The module that reads a suffix."""

_OTHERS = "npz"
"""The one for all other names; it says what is expected."""


def read_dataset(path: Path) -> PtychoDataset:
    """Read a set and check it against the contract.

    Raises
    ------
    DatasetError
        One line: the file, what was found, what was expected.
    """
    module = READERS.get(path.suffix.lower(), _OTHERS)
    found: PtychoDataset = importlib.import_module(f"{__name__}.{module}").read_dataset(path)
    return found
