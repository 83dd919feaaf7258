"""HDF5 files with bytes that are wrong: read, or refused in one line; never anything else."""

from __future__ import annotations

import random
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import written
from measured import Known

from fly64tasks.data.readers import read_dataset
from fly64tasks.errors import DatasetError, Fly64Error


@pytest.mark.parametrize("value", [0, np.nan])
@pytest.mark.parametrize("name", ["pair", "tike"])
def test_probe_of_nothing_is_refused(tmp_path: Path, known: Known, name: str, value: float):
    path = written.FILES[name](tmp_path, replace(known, probe=known.probe * value))
    with pytest.raises(DatasetError, match=r"probe .*(zero everywhere|NaN)"):
        read_dataset(path)


@pytest.mark.filterwarnings("ignore::RuntimeWarning")  # of numbers that damage made large
@pytest.mark.parametrize("name", ["cxi", "pair", "ptyd", "ptylab"])
def test_damaged_files_end_in_one_line(tmp_path: Path, known: Known, name: str):
    few = replace(known, counts=known.counts[:12], positions_px=known.positions_px[:12])
    path = written.FILES[name](tmp_path, few)
    whole = path.read_bytes()
    chance = random.Random(name)
    refused = []
    for _ in range(40):
        damaged = bytearray(whole)
        for _ in range(chance.choice([1, 3, 20])):
            where = chance.randrange(min(len(damaged), chance.choice([2000, 6000, len(damaged)])))
            damaged[where] ^= 1 << chance.randrange(8)
        if chance.random() < 0.1:
            del damaged[chance.randrange(len(damaged)) :]
        path.write_bytes(damaged)
        try:
            dataset = read_dataset(path)
        except Fly64Error as error:
            refused.append(str(error))
        else:
            assert np.isfinite(dataset.positions_px).all()
            assert np.isfinite(dataset.diffraction_amplitude).all()
    assert len(refused) > 3
    assert [text for text in refused if "\n" in text] == []
