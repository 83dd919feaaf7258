"""The writer of Ptychodus' ``diffraction.h5``, with the ``product.h5`` that has its positions."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np

from fly64tasks.data.frame_stack import FrameStack
from fly64tasks.data.measurement import Measurement
from fly64tasks.data.ownership import WRITER, refuse_foreign
from fly64tasks.data.readers.ptychodus import DIFFRACTION, PRODUCT
from fly64tasks.data.writers.counts import refuse_unconverted, without_bad, write_frames
from fly64tasks.data.writers.product import SIZES_ARE, write_product
from fly64tasks.doitext.atomic import replaced
from fly64tasks.errors import DatasetError

_NOT_RECONSTRUCTED = "not reconstructed."
"""What a product of ours says that is no result."""


def write(path: Path, measurement: Measurement, counts: FrameStack) -> list[Path]:
    """Write a diffraction file, and its product beside it; return their paths.

    Parameters
    ----------
    measurement : Measurement
        With a probe and an object.
    counts : FrameStack
        Its frames, as they are to be written.

    Raises
    ------
    DatasetError
        One exists and was not converted by this project.
    """
    product = path.with_name(PRODUCT)
    refuse_foreign(path)
    if path == product:
        raise DatasetError(
            f"{path}: is the name of the product beside the frames; expected another for the "
            f"frames, as {DIFFRACTION}"
        )
    refuse_unconverted(product, _NOT_RECONSTRUCTED.encode())
    assert measurement.obj is not None
    assert measurement.probe is not None
    geometry = measurement.geometry
    size = geometry.detector_pixel_size_m
    bad = np.zeros(counts.shape[1:], bool) if measurement.mask is None else ~measurement.mask
    with replaced(path) as temporary, h5py.File(temporary, "w") as file:
        file.attrs["writer"] = WRITER
        patterns = write_frames(file, "patterns", without_bad(counts), path)
        patterns.attrs.update(detector_pixel_width_m=size, detector_pixel_height_m=size)
        file["indexes"] = np.arange(len(counts))
        file["bad_pixels"] = bad
    write_product(
        product,
        name=measurement.path.stem,
        comments=f"The scan of {measurement.path.name} ({measurement.kind}), {_NOT_RECONSTRUCTED}"
        + geometry.assumed * f" {SIZES_ARE} assumed.",
        obj=measurement.obj.astype(np.complex64),
        probe=measurement.probe.astype(np.complex64),
        positions_px=measurement.positions_px,
        loss=(),
        geometry=geometry,
    )
    return [path, product]
