"""The writer of CXI 1.6 files, with the classes and fields that NXcxi_ptycho adds.

Positions are the sample's translations, of a detector whose rows go along -y and columns along -x,
see `fly64tasks.data.readers.cxi`.
"""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np

from fly64tasks.data.frame_stack import FrameStack
from fly64tasks.data.measurement import EV_J, Measurement, centred_m
from fly64tasks.data.ownership import WRITER
from fly64tasks.data.writers.counts import refuse_unconverted, without_bad, write_frames
from fly64tasks.doitext.atomic import replaced

VERSION = 160
IS_BAD = 0x1


def write(path: Path, measurement: Measurement, counts: FrameStack) -> list[Path]:
    """Write a scan, its mask, probe and object; return the paths.

    Parameters
    ----------
    measurement : Measurement
        With a probe.
    counts : FrameStack
        Its frames, as they are to be written.

    Raises
    ------
    DatasetError
        ``path`` exists and was not converted by this project.
    """
    refuse_unconverted(path, b"cxi_version")
    geometry = measurement.geometry
    size, n = geometry.detector_pixel_size_m, counts.shape[-1]
    shape = (1, 1) if measurement.obj is None else measurement.obj.shape
    y_m, x_m = centred_m(measurement.positions_px, geometry.pixel_size_m, shape, n).T
    with replaced(path) as temporary, h5py.File(temporary, "w") as file:
        file.attrs["writer"] = WRITER
        if geometry.assumed:
            file.attrs["sizes_assumed"] = True  # a word of ours: CXI has none for it
        file["cxi_version"] = VERSION
        file["number_of_entries"] = 1
        entry = _group(file, "entry_1", "NXentry")
        entry["title"], entry["program_name"] = measurement.path.stem, WRITER
        instrument = _group(entry, "instrument_1", "NXinstrument")
        source = _group(instrument, "source_1", "NXsource")
        source["energy"] = geometry.energy_ev * EV_J
        source["wavelength"] = geometry.wavelength_m
        beam = _group(instrument, "beam_1", "NXbeam")
        beam["incident_beam_energy"] = geometry.energy_ev * EV_J
        beam["incident_beam_energy"].attrs["units"] = "J"
        detector = _group(instrument, "detector_1", "NXdetector")
        detector["distance"] = geometry.detector_distance_m(n)
        detector["x_pixel_size"] = detector["y_pixel_size"] = size
        detector["basis_vectors"] = np.array([[0, -size, 0], [-size, 0, 0]]).T
        data = write_frames(file, "entry_1/instrument_1/detector_1/data", without_bad(counts), path)
        data.attrs["axes"] = "translation:y:x"
        if measurement.mask is not None:
            detector["mask"] = np.where(measurement.mask, 0, IS_BAD).astype(np.uint32)
        sample = _group(_group(entry, "sample_1", "NXsample"), "geometry_1", "NXgeometry")
        sample["translation"] = np.column_stack([x_m, y_m, np.zeros(len(x_m))])
        sample["translation"].attrs["units"] = "m"
        shown = _group(entry, "data_1", "NXdata")
        shown.attrs["signal"] = "data"
        shown["data"] = h5py.SoftLink("/entry_1/instrument_1/detector_1/data")
        shown["translation"] = h5py.SoftLink("/entry_1/sample_1/geometry_1/translation")
        detector["translation"] = h5py.SoftLink("/entry_1/sample_1/geometry_1/translation")
        if measurement.probe is not None:
            _group(entry, "image_1", "NXdata")["data"] = measurement.probe.astype(np.complex64)
            source["illumination"] = h5py.SoftLink("/entry_1/image_1/data")
        if measurement.obj is not None:
            _group(entry, "image_2", "NXdata")["data"] = measurement.obj.astype(np.complex64)
    return [path]


def _group(parent: h5py.Group, name: str, nx_class: str) -> h5py.Group:
    group = parent.create_group(name)
    group.attrs["NX_class"] = nx_class
    return group
