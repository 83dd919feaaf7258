"""tike's NPZ, written with numpy by what tike's position module says."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import written
from measured import Known, holds

from fly64tasks.data.readers import read_dataset
from fly64tasks.errors import DatasetError


def test_corners_become_centres_and_the_zero_frequency_the_middle(tmp_path: Path, known: Known):
    path = written.tike(tmp_path, known)
    holds(path, known, absolute=True, sizes=False, energy=False, mask=False)


def test_what_is_no_scan_of_it_is_refused(tmp_path: Path, known: Known):
    path = tmp_path / "tike.npz"
    np.savez(path, data=known.counts, scan=known.positions_px[:, 0], probe=known.probe)
    with pytest.raises(DatasetError, match=r"scan has shape \(\d+,\), expected \(n, 2\)"):
        read_dataset(path)
