"""The writer of the NPZ contract DATA-001."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fly64tasks.data.archive import write_npz
from fly64tasks.data.dataset import Base, PtychoDataset
from fly64tasks.data.frame_stack import FrameStack
from fly64tasks.data.measurement import Measurement
from fly64tasks.data.writers.counts import CONVERTED_NPZ, need_room, refuse_unconverted


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


def write_measurement(path: Path, measurement: Measurement, counts: FrameStack) -> list[Path]:
    """Write a scan as a set, its frames block by block; return the paths.

    Parameters
    ----------
    measurement : Measurement
        With a probe.
    counts : FrameStack
        Its frames as the contract has them: counts, negative where a pixel of a frame is bad, or
        amplitudes, NaN there.

    Raises
    ------
    DatasetError
        ``path`` exists and was not converted by this project.
    """
    refuse_unconverted(path, CONVERTED_NPZ)
    need_room(path, counts)
    assert measurement.probe is not None
    arrays: dict[str, NDArray[Any] | FrameStack] = {
        "diffraction": counts,
        "probeGuess": _squeeze_single_mode(measurement.probe).astype(np.complex64),
        "xcoords": measurement.positions_px[:, 1],
        "ycoords": measurement.positions_px[:, 0],
    }
    if measurement.obj is not None:
        arrays["objectGuess"] = measurement.obj.astype(np.complex64)
    if measurement.mask is not None:
        arrays["mask"] = measurement.mask
    write_npz(path, arrays, measurement.metadata())
    return [path]
