"""dp/para pairs, written with h5py by what pty-chi, PtychoViT and fold_slice read and write."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
import pytest
import written
from measured import Known, holds

from fly64tasks.data.readers import open_measurement, read_dataset
from fly64tasks.errors import DatasetError


@pytest.mark.parametrize("named", ["scan_dp.hdf5", "scan_para.hdf5"])
def test_either_file_of_a_pair_is_the_scan(tmp_path: Path, known: Known, named: str):
    written.pair(tmp_path, known)
    found = holds(tmp_path / named, known, absolute=True, energy=False, mask=False)
    assert np.array_equal(found.obj, known.obj)
    assert found.geometry.assumed


def test_positions_of_fold_slice_are_metres(tmp_path: Path, known: Known):
    path = written.fold_slice(tmp_path, known)
    found = holds(path, known, energy=False, probe=False, mask=False)
    assert found.energy_ev == pytest.approx(known.energy_ev)


def test_opr_modes_and_slices_are_left_out_and_named(tmp_path: Path, known: Known):
    path = written.pair(tmp_path, known)
    with h5py.File(tmp_path / "scan_para.hdf5", "r+") as file:
        del file["probe"]
        file["probe"] = np.stack([known.probe, 0.1 * known.probe])
        attrs = dict(file["object"].attrs)
        del file["object"]
        file["object"] = np.stack([known.obj, known.obj])
        file["object"].attrs.update(attrs)
    with open_measurement(path) as found:
        assert found.obj is None
        assert np.array_equal(found.probe, known.probe)
        assert found.notes == (
            "probe: 1 OPR modes are left out, opr_modes = 1 finds as many",
            "object: 2 slices are left out, slices = 2 finds as many",
        )


def test_the_whole_set_is_amplitudes(tmp_path: Path, known: Known):
    dataset = read_dataset(written.pair(tmp_path, known))
    assert np.array_equal(dataset.diffraction_amplitude, np.sqrt(known.counts.astype(np.float32)))
    assert dataset.diffraction_from == "dp/para pair: uint16 counts, square root taken"
    assert not dataset.is_simulated


def test_pair_without_its_other_file_says_which(tmp_path: Path, known: Known):
    path = written.pair(tmp_path, known)
    (tmp_path / "scan_para.hdf5").unlink()
    with pytest.raises(DatasetError, match=r"expected scan_para.hdf5 beside it"):
        read_dataset(path)


def test_object_without_its_pixel_is_refused(tmp_path: Path, known: Known):
    path = written.pair(tmp_path, known)
    with h5py.File(tmp_path / "scan_para.hdf5", "r+") as file:
        del file["object"].attrs["pixel_height_m"]
    with pytest.raises(DatasetError, match=r"scan_para.hdf5: object says no pixel_height_m"):
        read_dataset(path)
