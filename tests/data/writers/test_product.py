"""Ptychodus products, as HDF5 sees them; `test_ptychodus.py` has the real reader."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from fly64tasks.data.writers.product import write_product
from fly64tasks.errors import DatasetError
from fly64tasks.study.stages import Geometry

GEOMETRY = Geometry(pixel_size_m=10e-9, energy_ev=8800.0, detector_pixel_size_m=75e-6)


def product(folder: Path, **changes: Any) -> Path:
    rng = np.random.default_rng(0)
    values = {
        "name": "dense_train",
        "comments": "",
        "obj": (rng.random((30, 40)) + 1j * rng.random((30, 40))).astype(np.complex64),
        "probe": np.full((2, 8, 8), 3 + 0j, np.complex64),
        "positions_px": np.array([[10.0, 12.0], [14.25, 20.5]]),
        "loss": np.array([0.2, 0.1]),
        "geometry": GEOMETRY,
        **changes,
    }
    path = folder / "product.h5"
    write_product(path, **values)
    return path


def test_product_has_what_the_format_asks(tmp_path: Path):
    with h5py.File(product(tmp_path)) as file:
        assert file.attrs["name"] == "dense_train"
        assert file.attrs["photon_energy_eV"] == file.attrs["probe_energy_eV"] == 8800.0
        assert file.attrs["probe_photon_count"] == pytest.approx(2 * 64 * 9)
        assert file["object"].shape == (1, 30, 40)
        assert file["object"].attrs["pixel_width_m"] == 10e-9
        assert file["object_layer_spacing_m"].shape == (0,)
        assert file["probe"].shape == (1, 2, 8, 8)
        assert file["probe_position_indexes"][:].tolist() == [0, 1]
        assert file["loss_epochs"][:].tolist() == [1, 2]
        assert file["loss_values"][:].tolist() == [0.2, 0.1]


@pytest.mark.parametrize(("n", "centre"), [(8, 3.5), (9, 4.0)])
def test_positions_are_of_patch_centres_from_the_centre_of_the_object(
    tmp_path: Path, n: int, centre: float
):
    """A patch of N px at p begins at p - N // 2, and its middle lies (N - 1) / 2 px on."""
    path = product(tmp_path, probe=np.ones((1, n, n), np.complex64))
    with h5py.File(path) as file:
        y_px = file["probe_position_y_m"][:] / 10e-9 + 29 / 2
        x_px = file["probe_position_x_m"][:] / 10e-9 + 39 / 2
    assert y_px - centre + n // 2 == pytest.approx([10.0, 14.25], abs=1e-6)
    assert x_px - centre + n // 2 == pytest.approx([12.0, 20.5], abs=1e-6)


def test_distance_is_the_one_that_samples_the_object_pixel(tmp_path: Path):
    with h5py.File(product(tmp_path)) as file:
        distance = file.attrs["detector_object_distance_m"]
    assert distance == pytest.approx(10e-9 * 8 * 75e-6 / GEOMETRY.wavelength_m)


def test_nexus_default_leads_to_the_phase_with_its_axes(tmp_path: Path):
    with h5py.File(product(tmp_path)) as file:
        entry = file[file.attrs["default"]]
        data = entry[entry.attrs["default"]]
        assert entry.attrs["NX_class"] == "NXentry"
        assert data.attrs["NX_class"] == "NXdata"
        signal = data[data.attrs["signal"]]
        assert signal[:] == pytest.approx(np.angle(file["object"][0]), abs=1e-6)
        for axis, length in zip(data.attrs["axes"], signal.shape, strict=True):
            assert data[axis].shape == (length,)
            assert data[axis].attrs["units"] == "um"


def test_same_reconstruction_gives_the_same_bytes(tmp_path: Path):
    first = product(tmp_path).read_bytes()
    assert product(tmp_path).read_bytes() == first


def test_file_of_another_is_not_overwritten(tmp_path: Path):
    path = tmp_path / "product.h5"
    with h5py.File(path, "w") as file:
        file.attrs["writer"] = "another"
    for theirs in (path.read_bytes(), b"theirs"):
        path.write_bytes(theirs)
        with pytest.raises(DatasetError, match="exists and was not written by fly64tasks"):
            product(tmp_path)
        assert path.read_bytes() == theirs
