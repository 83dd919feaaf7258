"""What a key map does to a scan: frames chosen, turned, cut out, rebinned; axes turned."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from fly64tasks.data.edits import cropped, oriented, rebinned, turned
from fly64tasks.data.measurement import Measurement
from fly64tasks.data.readers.keymap import METRES, KeyMap
from fly64tasks.study.stages import Orientation


def edited(measurement: Measurement, keymap: KeyMap) -> Measurement:
    """Return a scan as a key map wants it: frames chosen, turned, cut out, rebinned; axes too.

    Raises
    ------
    DatasetError
        No frame is left, or the frames can not be cut as wanted.
    """
    n, height, width = measurement.frames.shape
    last = n - 1 if keymap.last_frame is None else keymap.last_frame
    if keymap.first_frame > last or last >= n:
        raise measurement.error(
            f"has {n} frames, expected first_frame <= last_frame < {n}, found "
            f"{keymap.first_frame} and {last}"
        )
    if (keymap.first_frame, last, keymap.every) != (0, n - 1, 1):
        kept = np.arange(keymap.first_frame, last + 1, keymap.every)
        measurement = replace(
            measurement,
            frames=measurement.frames.kept(kept),
            positions_px=measurement.positions_px[kept],
        )
    turns = (keymap.detector_transpose, keymap.detector_flip_y, keymap.detector_flip_x)
    centre = keymap.centre_px or (height // 2, width // 2)
    if any(turns):
        transpose, flip_y, flip_x = turns
        measurement = oriented(measurement, transpose=transpose, flip_y=flip_y, flip_x=flip_x)
        centre = centre[::-1] if transpose else centre
        _, height, width = measurement.frames.shape
        centre = (
            height - 1 - centre[0] if flip_y else centre[0],
            width - 1 - centre[1] if flip_x else centre[1],
        )
    if keymap.crop_px or keymap.centre_px or (any(turns) and height == width):
        size = keymap.crop_px or min(height, width)
        if (size, *centre) != (width, height // 2, width // 2):
            measurement = cropped(measurement, size, centre)
    if keymap.rebin > 1:
        measurement = rebinned(measurement, keymap.rebin)
    measurement = turned(
        measurement,
        Orientation(swap_xy=keymap.swap_xy, flip_y=keymap.flip_y, flip_x=keymap.flip_x),
    )
    return replace(measurement, defocus_m=keymap.defocus * METRES[keymap.defocus_unit])
