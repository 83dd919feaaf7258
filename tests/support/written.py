"""Other tools' files, written with h5py and numpy by what their texts say; nothing of ours is used.

Each takes a folder and a scan that is known, and returns the file that a user would name.
"""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
from measured import Known


def pair(folder: Path, known: Known) -> Path:
    """pty-chi's: start = round(pos) + round(H / 2) - 1/2 - (N - 1) / 2, pos in px of the object."""
    height, width = known.obj.shape
    # pixel N // 2 of a patch that starts there lies at pos + round(H / 2)
    y, x = ((known.positions_px - np.round([height / 2, width / 2])) * known.pixel_m).T
    with h5py.File(folder / "scan_dp.hdf5", "w") as file:
        file["dp"] = known.counts
    with h5py.File(folder / "scan_para.hdf5", "w") as file:
        file["object"] = known.obj[None]
        file["object"].attrs.update(pixel_height_m=known.pixel_m, pixel_width_m=known.pixel_m)
        file["probe"] = known.probe[None]
        file["probe_position_y_m"], file["probe_position_x_m"] = y, x
    return folder / "scan_dp.hdf5"


def fold_slice(folder: Path, known: Known) -> Path:
    y, x = known.relative_m.T
    with h5py.File(folder / "data_roi0_dp.hdf5", "w") as file:
        file.create_dataset("dp", data=known.counts, compression="gzip", chunks=(1, 32, 32))
    with h5py.File(folder / "data_roi0_para.hdf5", "w") as file:
        file["ppY"], file["ppX"] = y[None], x[None]
        file["lambda"], file["dx"] = [[known.wavelength_m]], [[known.pixel_m]]
        file["angle"] = [[0.0]]
    return folder / "data_roi0_para.hdf5"


def cxi(folder: Path, known: Known) -> Path:
    """By the text of CXI 1.6: the sample's translation, energy in J."""
    y, x = known.relative_m.T
    path = folder / "scan.cxi"
    with h5py.File(path, "w") as file:
        file["cxi_version"] = 160
        detector = file.create_group("entry_1/instrument_1/detector_1")
        detector["data"] = known.counts
        detector["distance"] = known.distance_m
        detector["x_pixel_size"] = detector["y_pixel_size"] = known.detector_pixel_m
        detector["mask"] = np.where(known.mask, 0, 0x2).astype(np.uint32)
        detector["mask"][0, 0] = 0x1000  # it has signal
        file["entry_1/instrument_1/source_1/energy"] = known.energy_ev * 1.602176634e-19
        file["entry_1/sample_1/geometry_1/translation"] = np.column_stack([x, y, 0 * x])
        file["entry_1/data_1/data"] = h5py.SoftLink("/entry_1/instrument_1/detector_1/data")
    return path


def tike(folder: Path, known: Known) -> Path:
    """Counts with the zero frequency in the corner, positions of the patches' first pixels."""
    path = folder / "tike.npz"
    np.savez(
        path,
        data=np.fft.ifftshift(known.counts, axes=(1, 2)).astype(np.float32),
        scan=(known.positions_px - known.size // 2).astype(np.float64),
        probe=known.probe[None, None].astype(np.complex64),
    )
    return path


def ptyd(folder: Path, known: Known, *, weights: bool = False) -> Path:
    """By ptypy's description: keV, m, chunks, y first; 'None' where a value is not there."""
    path = folder / "scan.ptyd"
    with h5py.File(path, "w") as file:
        meta = file.create_group("meta")
        meta["version"], meta["label"] = "0.1", "None"
        meta["num_frames"] = len(known.counts)
        meta["shape"] = [known.size, known.size]
        meta["energy"], meta["distance"] = known.energy_ev / 1e3, known.distance_m
        meta["psize"] = [known.detector_pixel_m, known.detector_pixel_m]
        meta["center"] = [known.size / 2, known.size / 2]
        meta["propagation"] = "farfield"
        for chunk, frames in enumerate(np.array_split(np.arange(len(known.counts)), 12)):
            group = file.create_group(f"chunks/{chunk}")
            group["data"] = known.counts[frames].astype(np.float32)
            group["indices"] = frames
            group["positions"] = known.relative_m[frames]
            of_frames = np.broadcast_to(known.mask, known.counts[frames].shape)
            group["weights"] = of_frames.astype(np.float32) if weights else np.empty(0)
    return path


def ptylab(folder: Path, known: Known) -> Path:
    path = folder / "ptylab.hdf5"
    with h5py.File(path, "w") as file:
        file["ptychogram"] = known.counts.astype(np.float32)
        file["encoder"] = known.relative_m
        file["wavelength"] = [[known.wavelength_m]]
        file["dxd"], file["zo"] = [[known.detector_pixel_m]], known.distance_m
        file["entrancePupilDiameter"] = 30 * known.pixel_m
    return path


def any_hdf5(folder: Path, known: Known) -> Path:
    """A beamline's file of its own, and its key map."""
    y, x = known.relative_m.T * 1e6
    with h5py.File(folder / "scan_0042.h5", "w") as file:
        for part, frames in enumerate(np.array_split(np.arange(len(known.counts)), 3)):
            file[f"entry/data/data_{part:06d}"] = known.counts[frames]
        file["entry/detector/bad"] = (~known.mask).astype(np.uint8)
        file["stages/fine_y"], file["stages/fine_x"] = y, x
        file["mono/energy_keV"] = known.energy_ev / 1e3
        file["entry/detector/distance"] = known.distance_m * 1e3
    path = folder / "beamline.toml"
    path.write_text(f"""
file = "scan_0042.h5"
frames = "/entry/data/data_*"
positions_y = "/stages/fine_y"
positions_x = "/stages/fine_x"
positions_unit = "um"
energy = "/mono/energy_keV"
energy_unit = "keV"
distance = "/entry/detector/distance"
distance_unit = "mm"
detector_pixel_size = {known.detector_pixel_m}
bad_pixels = "/entry/detector/bad"
""")
    return path


FILES = {
    "pair": pair,
    "fold_slice": fold_slice,
    "cxi": cxi,
    "tike": tike,
    "ptyd": ptyd,
    "ptylab": ptylab,
    "key map": any_hdf5,
}
