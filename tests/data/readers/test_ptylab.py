"""PtyLab's HDF5, written with h5py by what PtyLab's own reader asks for."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import h5py
import numpy as np
import pytest
import written
from measured import Known, holds, opened

from fly64tasks.data.readers import read_dataset
from fly64tasks.errors import DatasetError

REQUIRED = ["ptychogram", "wavelength", "encoder", "dxd", "zo"]


def test_scan_of_ptylab(tmp_path: Path, known: Known, ptylab: SimpleNamespace):
    path = written.ptylab(tmp_path, known)
    theirs = ptylab.read.loadInputData(path, REQUIRED, [])
    assert theirs["zo"] == known.distance_m
    holds(path, known, probe=False, mask=False)


@pytest.mark.parametrize("code", range(8))
def test_orientation_is_ptypys_code(tmp_path: Path, known: Known, code: int):
    path = written.ptylab(tmp_path, known)
    expected = known.counts
    if code & 4:
        expected = expected.transpose(0, 2, 1)
    if code & 2:
        expected = expected[:, ::-1]
    if code & 1:
        expected = expected[:, :, ::-1]
    with h5py.File(path, "r+") as file:
        file["orientation"] = code
    with opened(path) as (_, counts):
        assert np.array_equal(counts, expected)


def test_fourier_ptychography_is_refused_by_name(tmp_path: Path, known: Known):
    path = written.ptylab(tmp_path, known)
    with h5py.File(path, "r+") as file:
        del file["zo"]
        file["zled"] = 0.06
    with pytest.raises(DatasetError, match="is of Fourier ptychography"):
        read_dataset(path)
