import os
import time
import zipfile
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fly64tasks.data.dataset import PtychoDataset
from fly64tasks.data.lineage import MadeAsAsked, lineage_of_set, said_by
from fly64tasks.data.readers.npz import read_dataset
from fly64tasks.data.writers.npz import write_dataset
from fly64tasks.doitext.state.notes import Notes, used
from fly64tasks.simulation.views import make_view
from fly64tasks.study.stages import Geometry, SimulationSpec
from fly64tasks.study.study import Study


def is_current(sets: dict[str, Path], *made_from: Any) -> bool:
    base = sets["train"].parent / "base.npz"
    return MadeAsAsked(sets.values(), lambda: lineage_of_set(base, *made_from))(None, {})


def test_set_made_as_asked_is_current_and_any_other_is_not(small_sets: dict[str, Path]):
    assert is_current(small_sets, 1e4, SimulationSpec(), Geometry())
    assert not is_current(small_sets, 1e3, SimulationSpec(), Geometry())
    assert not is_current(small_sets, 1e4, SimulationSpec(seed=1), Geometry())
    assert not is_current(small_sets, 1e4, SimulationSpec(), Geometry(energy_ev=1.0))


def test_set_made_from_another_base_is_not_current(small_sets: dict[str, Path], tmp_path: Path):
    other = tmp_path / "base.npz"
    other.write_bytes(b"another base")
    asked = lineage_of_set(other, 1e4, SimulationSpec(), Geometry())
    check = MadeAsAsked(small_sets.values(), lambda: asked)
    assert check.explain({}) == [f"made by another study: {path}" for path in small_sets.values()]


def test_view_says_what_it_was_thinned_from_and_how(small_sets: dict[str, Path], tmp_path: Path):
    made = {split: tmp_path / f"{split}.npz" for split in small_sets}
    spec = Study().view_spec("dense")
    make_view(small_sets, made, spec=spec)
    base = small_sets["train"].parent / "base.npz"
    made_from = (base, 1e4, SimulationSpec(), Geometry())
    other = Study().view_spec("sparse")
    assert MadeAsAsked(made.values(), lambda: lineage_of_set(*made_from, spec))(None, {})
    assert not MadeAsAsked(made.values(), lambda: lineage_of_set(*made_from, other))(None, {})


def test_nothing_is_said_while_there_is_no_base(small_sets: dict[str, Path], tmp_path: Path):
    absent = tmp_path / "base.npz"
    asked = partial(lineage_of_set, absent, 1e4, SimulationSpec(), Geometry())
    assert MadeAsAsked(small_sets.values(), asked)(None, {})


def test_absent_foreign_and_edited_sets_are_left_to_the_other_checks(
    small_set: PtychoDataset, tmp_path: Path
):
    np.savez(tmp_path / "foreign.npz", diffraction=np.zeros(3))
    write_dataset(tmp_path / "edited.npz", replace(small_set, metadata={}))
    (tmp_path / "text.npz").write_text("hello")
    for name in ("absent.npz", "foreign.npz", "edited.npz", "text.npz"):
        assert said_by(tmp_path / name) is None


def test_metadata_read_without_numpy_are_those_read_with_it(small_sets: dict[str, Path]):
    assert said_by(small_sets["train"]) == read_dataset(small_sets["train"]).metadata["lineage"]


def test_set_that_is_the_same_is_not_opened_again(
    small_sets: dict[str, Path], monkeypatch: pytest.MonkeyPatch
):
    opened: list[Any] = []
    true_zip = zipfile.ZipFile
    monkeypatch.setattr(zipfile, "ZipFile", lambda path: opened.append(path) or true_zip(path))
    time.sleep(0.1)  # what was just written is not kept
    with used(Notes()):
        for _ in range(3):
            assert is_current(small_sets, 1e4, SimulationSpec(), Geometry())
            assert not is_current(small_sets, 1e3, SimulationSpec(), Geometry())
    assert sorted(opened) == sorted(small_sets.values())


def test_set_of_another_study_with_as_many_bytes_and_the_former_time_stamp_is_seen(
    small_set: PtychoDataset, tmp_path: Path
):
    paths = {seed: tmp_path / f"{seed}.npz" for seed in (1, 2)}
    for seed, path in paths.items():
        write_dataset(path, replace(small_set, metadata={"lineage": {"seed": seed}}))
    time.sleep(0.1)
    check = MadeAsAsked([paths[1]], lambda: {"seed": 1})
    with used(Notes()):
        assert check(None, {})
        before = paths[1].stat()
        paths[1].write_bytes(paths[2].read_bytes())  # in place
        os.utime(paths[1], ns=(before.st_atime_ns, before.st_mtime_ns))
        after = paths[1].stat()
        assert (after.st_size, after.st_ino) == (before.st_size, before.st_ino)
        assert not check(None, {})
