"""What writers share: frames as a format takes them, room on the disk, and what is in the way."""

from __future__ import annotations

import errno
import os
import shutil
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from fly64tasks.data.frame_stack import FrameStack
from fly64tasks.data.measurement import Measurement, bad_pixels
from fly64tasks.data.ownership import Mark, is_ours, refuse_foreign
from fly64tasks.data.survey import Survey
from fly64tasks.errors import DatasetError, machine_error

_SPARE_BYTES = 2**24
CONVERTED_NPZ = '"taken_from": {"format"'.encode("utf-32-le")
"""What the metadata of a scan that was converted say, and those of no other NPZ of ours."""


def refuse_unconverted(path: Path, mark: Mark) -> None:
    """Refuse to write a conversion over anything but a conversion, which has a mark of its own.

    Raises
    ------
    DatasetError
        ``path`` exists and was not written by this project, or is a set or a result of it that
        nothing was converted into.
    """
    refuse_foreign(path)
    if path.exists() and not is_ours(path, mark):
        raise DatasetError(
            f"{path}: exists and is no conversion, but what a run made; expected a free name"
        )


def whole_counts(measurement: Measurement, seen: Survey) -> FrameStack | None:
    """Return the counts as integers, -1 where a pixel of a frame is bad; None where they are none.

    Integers stay as the file has them, marks of bad pixels too.
    """
    frames = measurement.frames
    if frames.is_whole:
        return frames
    if not seen.whole or seen.largest >= np.iinfo(np.int32).max:
        return None
    return frames.mapped(lambda block: _integers(block), dtype=np.int32)


def _integers(block: NDArray[Any]) -> NDArray[np.int32]:
    return np.where(bad_pixels(block), -1, np.nan_to_num(block)).astype(np.int32)


def without_bad(frames: FrameStack) -> FrameStack:
    """Return frames with 0 where a pixel is bad, for formats that can not say it."""
    return frames.mapped(lambda block: np.where(bad_pixels(block), 0, block).astype(block.dtype))


def write_frames(file: h5py.File, key: str, frames: FrameStack, path: Path) -> h5py.Dataset:
    """Write frames into an HDF5 file, block by block.

    Raises
    ------
    MachineError
        There is no room for them: HDF5 itself may abort the process on a full disk.
    """
    need_room(path, frames)
    dataset = file.create_dataset(key, shape=frames.shape, dtype=frames.dtype)
    start = 0
    for block in frames.blocks():
        dataset[start : start + len(block)] = block
        start += len(block)
    return dataset


def need_room(path: Path, frames: FrameStack) -> None:
    """Refuse to begin what the disk has no room for."""
    size = int(np.prod(frames.shape)) * frames.dtype.itemsize
    folder = next(parent for parent in path.absolute().parents if parent.exists())
    if shutil.disk_usage(folder).free < size + _SPARE_BYTES:
        error = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))
        raise machine_error(error)
