"""Ptychodus' HDF5 training sets: patterns, probe, object and positions (px) in one file.

A position is where the middle (N - 1) / 2 of a patch lies, in pixels of the object; the detector's
pixel is what object pixel, energy and distance leave.
"""

from __future__ import annotations

import numpy as np

from fly64tasks.data.measurement import SQUARE, Measurement, object_pixel_m
from fly64tasks.data.readers.hdf5 import Hdf5
from fly64tasks.data.readers.pair import first_of_opr

KIND = "Ptychodus training set"


def claims(file: Hdf5) -> bool:
    """Return whether a file is a training set."""
    return "patterns" in file and "probe_position_x_px" in file


def read(file: Hdf5) -> Measurement:
    """Return the scan of a training set."""
    frames = file.frames("patterns")
    n = frames.shape[-1]
    obj = file.complex_array("object")
    layers = obj.reshape(-1, *obj.shape[-2:])
    pixel = file.number("object_pixel_width_m")
    height = file.number("object_pixel_height_m")
    if abs(pixel - height) > SQUARE * pixel:
        raise file.refusal(f"has object pixels of {height:g} x {pixel:g} m, expected square ones")
    energy = file.number_or_none("photon_energy_eV")
    distance = file.number_or_none("detector_object_distance_m")
    bad = file.array("bad_pixels") if "bad_pixels" in file else None
    probe, notes = first_of_opr(file, "probe")
    positions = np.column_stack(
        [file.array(f"probe_position_{axis}_px").ravel().astype(float) for axis in "yx"]
    )
    return Measurement(
        path=file.path,
        kind=KIND,
        frames=frames,
        positions_px=positions + n // 2 - (n - 1) / 2,
        probe=probe,
        obj=layers[0],
        mask=None if bad is None or not bad.any() else bad == 0,
        pixel_size_m=pixel,
        energy_ev=energy or None,
        detector_pixel_size_m=object_pixel_m(energy, distance, pixel, n),  # its own inverse
        notes=notes,
    )
