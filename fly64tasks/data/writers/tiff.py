"""The writer of TIFF: phase and amplitude in single precision, with the pixel's size for ImageJ."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from fly64tasks.data.ownership import WRITER, refuse_foreign
from fly64tasks.doitext.atomic import replaced


def write(path: Path, obj: NDArray[np.complexfloating], pixel_size_m: float | None) -> list[Path]:
    """Write ``STEM_phase.tif`` (rad) and ``STEM_amplitude.tif``; return their paths.

    Parameters
    ----------
    path : Path
        ``STEM.tif``.
    obj : (H, W) complex
    pixel_size_m : float or None

    Raises
    ------
    DatasetError
        One exists and was not written by this project.
    """
    import tifffile

    images = {"phase": np.angle(obj), "amplitude": np.abs(obj)}
    targets = [path.with_name(f"{path.stem}_{name}{path.suffix}") for name in images]
    for target in targets:
        refuse_foreign(target)
    with ExitStack() as stack:
        for target, image in zip(targets, images.values(), strict=True):
            temporary = stack.enter_context(replaced(target))
            per_um = None if pixel_size_m is None else (1e-6 / pixel_size_m, 1e-6 / pixel_size_m)
            tifffile.imwrite(
                temporary,
                image.astype(np.float32),
                imagej=True,
                software=WRITER,
                resolution=per_um,
                metadata={"axes": "YX", "unit": "pixel" if per_um is None else "um"},
            )
    return targets
