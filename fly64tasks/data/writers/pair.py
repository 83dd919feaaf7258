"""The writer of dp/para pairs, as `fly64tasks.data.readers.pair` has them."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path

import h5py
import numpy as np

from fly64tasks.data.frame_stack import FrameStack
from fly64tasks.data.measurement import Measurement, centred_m
from fly64tasks.data.ownership import WRITER, refuse_foreign
from fly64tasks.data.readers.pair import partner
from fly64tasks.data.writers.counts import without_bad, write_frames
from fly64tasks.doitext.atomic import replaced
from fly64tasks.errors import DatasetError


def write(path: Path, measurement: Measurement, counts: FrameStack) -> list[Path]:
    """Write both files of a pair, of which ``path`` is one; return their paths.

    Parameters
    ----------
    measurement : Measurement
        With a probe and an object.
    counts : FrameStack
        Its frames, as they are to be written.

    Raises
    ------
    DatasetError
        One exists and was not written by this project, or the name is not one of a pair's.
    """
    dp, para = path, partner(path)
    if path.stem.endswith("_para"):
        dp, para = para, dp
    if dp == para:
        raise DatasetError(
            f"{path}: is one file, and a dp/para pair is two; expected a name that ends in _dp or "
            f"_para, as {path.stem}_dp{path.suffix}"
        )
    for target in (dp, para):
        refuse_foreign(target)
    assert measurement.obj is not None
    assert measurement.probe is not None
    pixel = measurement.geometry.pixel_size_m
    n, shape = counts.shape[-1], measurement.obj.shape
    y_m, x_m = centred_m(measurement.positions_px, pixel, shape, n).T
    with ExitStack() as stack:
        of_dp, of_para = (stack.enter_context(replaced(target)) for target in (dp, para))
        with h5py.File(of_dp, "w") as file:
            file.attrs["writer"] = WRITER
            write_frames(file, "dp", without_bad(counts), dp)
        with h5py.File(of_para, "w") as file:
            file.attrs["writer"] = WRITER
            obj = file.create_dataset("object", data=measurement.obj[None].astype(np.complex64))
            obj.attrs.update(pixel_height_m=pixel, pixel_width_m=pixel)
            file["probe"] = measurement.probe[None].astype(np.complex64)
            file["probe_position_y_m"], file["probe_position_x_m"] = y_m, x_m
    return [dp, para]
