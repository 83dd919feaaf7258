"""The writer of the NPZ contract DATA-001."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fly64tasks.data.archive import write_npz
from fly64tasks.data.dataset import Base, PtychoDataset


def write_dataset(path: Path, dataset: PtychoDataset) -> None:
    """Write a set; the same set gives the same bytes.

    Raises
    ------
    DatasetError
        ``path`` exists and was not written by this project.
    """
    arrays: dict[str, NDArray[Any]] = {
        "diffraction": dataset.diffraction_amplitude.astype(np.float32, copy=False),
    }
    if dataset.object_guess is not None:
        arrays["objectGuess"] = dataset.object_guess.astype(np.complex64)
    arrays |= {
        "probeGuess": _squeeze_single_mode(dataset.probe_guess).astype(np.complex64),
        "xcoords": dataset.positions_px[:, 1],
        "ycoords": dataset.positions_px[:, 0],
    }
    if dataset.mask is not None:
        arrays["mask"] = dataset.mask
    if dataset.object_patches is not None:
        arrays["Y"] = dataset.object_patches.astype(np.complex64, copy=False)
    if dataset.filenames is not None:
        arrays["filenames"] = dataset.filenames
    write_npz(path, arrays, dataset.metadata)


def write_base(path: Path, base: Base) -> None:
    """Write a base; raises as `write_dataset`."""
    write_npz(
        path,
        {
            "objectGuess": base.object_guess,
            "probeGuess": _squeeze_single_mode(base.probe_guess),
            "xcoords": base.positions_px[:, 1],
            "ycoords": base.positions_px[:, 0],
        },
        base.metadata,
    )


def _squeeze_single_mode(probe: NDArray[Any]) -> NDArray[Any]:
    return probe[0] if probe.shape[0] == 1 else probe
