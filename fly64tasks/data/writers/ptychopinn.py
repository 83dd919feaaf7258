"""Writers for PtychoPINN: a scan as counts, and a reconstruction for its comparison."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from fly64tasks.data.archive import write_npz
from fly64tasks.data.frame_stack import FrameStack
from fly64tasks.data.measurement import Measurement
from fly64tasks.data.writers.counts import (
    CONVERTED_NPZ,
    need_room,
    refuse_unconverted,
    without_bad,
)

COMPARISON = "ptychi_reconstruction.npz"
"""What its comparison looks for."""


def write(path: Path, measurement: Measurement, counts: FrameStack) -> list[Path]:
    """Write a scan as PtychoPINN's trainers take it: ``diff3d`` holds counts; return the paths.

    Parameters
    ----------
    measurement : Measurement
        With a probe and an object, in whose frame its positions are.
    counts : FrameStack
        Its frames, as they are to be written.

    Raises
    ------
    DatasetError
        ``path`` exists and was not converted by this project.
    """
    refuse_unconverted(path, CONVERTED_NPZ)
    need_room(path, counts)
    assert measurement.obj is not None
    assert measurement.probe is not None
    y, x = measurement.positions_px.T
    bad = np.zeros(counts.shape[1:], bool) if measurement.mask is None else ~measurement.mask
    write_npz(
        path,
        {
            "xcoords": x,
            "ycoords": y,
            "xcoords_start": x,
            "ycoords_start": y,
            "diff3d": without_bad(counts),
            "bad_pixels": bad,
            "probeGuess": measurement.probe.astype(np.complex64),
            "objectGuess": measurement.obj.astype(np.complex64),
            "scan_index": np.zeros(len(counts), int),
        },
        measurement.metadata(),
    )
    return [path]


def write_comparison(
    path: Path,
    obj: NDArray[np.complexfloating],
    positions_px: NDArray[np.float64],
    algorithm: str,
) -> list[Path]:
    """Write a reconstruction, cut to the box of its scan, for PtychoPINN's comparison.

    Parameters
    ----------
    obj : (H, W) complex
    positions_px : (n, 2) float
        In pixels of it, y first.
    algorithm : str

    Raises
    ------
    DatasetError
        ``path`` exists and was not converted by this project.
    """
    refuse_unconverted(path, '"box_px"'.encode("utf-32-le"))
    low = np.maximum(np.floor(positions_px.min(axis=0)).astype(int), 0)
    high = np.ceil(positions_px.max(axis=0)).astype(int) + 1
    box = obj[low[0] : high[0], low[1] : high[1]]
    write_npz(
        path,
        {"reconstructed_object": box.astype(np.complex64), "algorithm": np.array(algorithm)},
        {"box_px": [[int(low[0]), int(high[0])], [int(low[1]), int(high[1])]]},
    )
    return [path]
