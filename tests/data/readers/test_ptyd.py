"""ptypy's ptyd, written with h5py by ptypy's description of it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np
import pytest
import written
from measured import Known, holds, opened

from fly64tasks.data.readers import read_dataset
from fly64tasks.errors import DatasetError


def test_chunks_are_one_scan_in_the_order_of_their_numbers(tmp_path: Path, known: Known):
    holds(written.ptyd(tmp_path, known), known, probe=False, mask=False)


def test_weights_of_the_frames_mask_their_pixels(tmp_path: Path, known: Known):
    dataset = read_dataset(written.ptyd(tmp_path, known, weights=True))
    assert np.array_equal(dataset.mask, known.mask)
    expected = np.sqrt(np.where(known.mask, known.counts, 0).astype(np.float32))
    assert np.array_equal(dataset.diffraction_amplitude, expected)


def test_weight_of_all_frames_is_the_mask(tmp_path: Path, known: Known):
    path = written.ptyd(tmp_path, known)
    with h5py.File(path, "r+") as file:
        file["meta/weight2d"] = known.mask.astype(float)
    holds(path, known, probe=False)


def test_another_centre_is_moved_to_the_middle(tmp_path: Path, known: Known):
    moved = replace(known, counts=np.roll(known.counts, (1, -2), axis=(1, 2)))
    path = written.ptyd(tmp_path, moved)
    with h5py.File(path, "r+") as file:
        file["meta/center"][...] = [known.size // 2 + 1, known.size // 2 - 2]
    with opened(path) as (found, counts):
        assert np.array_equal(counts[:, :-1, 2:], known.counts[:, :-1, 2:])
        assert not found.mask[-1].any()
        assert not found.mask[:, :2].any()
        assert found.mask[:-1, 2:].all()


def test_near_field_is_refused_by_name(tmp_path: Path, known: Known):
    path = written.ptyd(tmp_path, known)
    with h5py.File(path, "r+") as file:
        del file["meta/propagation"]
        file["meta/propagation"] = "nearfield"
    with pytest.raises(DatasetError, match="is a near-field scan"):
        read_dataset(path)
