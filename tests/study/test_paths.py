from pathlib import Path
from typing import Any

import msgspec
import pytest

from fly64tasks.errors import StudyError
from fly64tasks.study.cases import Case
from fly64tasks.study.paths import Layout
from fly64tasks.study.study import Paths, Study

CASE = Case(dose=1e3, view="dense", split="train", gridsize=2)


DEFAULT = Study()


def layout(study: Study = DEFAULT, **roots: Path) -> Layout:
    return Layout.of(study, study_folder=Path("/studies"), project=Path("/p"), **roots)


def test_every_file_of_a_case_lies_where_the_design_says():
    files = layout()
    assert files.base == Path("/p/data/base.npz")
    assert files.phase_c(1e3, "train") == Path("/p/data/phase_c/dose_1000/patched_train.npz")
    assert files.dataset(CASE) == Path("/p/data/phase_d/dose_1000/dense/dense_train.npz")
    assert files.recon_dir(CASE) == Path("/p/reports/dose_1000/dense/train")


def test_baseline_reads_phase_c():
    baseline = Case(dose=1e3, view="baseline", split="test", gridsize=1)
    assert layout().dataset(baseline) == layout().phase_c(1e3, "test")


def test_roots_that_the_user_brings_are_not_ours_to_make():
    assert not layout(phase_c_root=Path("/mine")).makes_base
    files = layout(phase_d_root=Path("/mine"))
    assert files.dataset(CASE) == Path("/mine/dose_1000/dense/dense_train.npz")
    assert not files.makes_phase_d
    assert files.makes_phase_c
    assert files.makes_base


def test_what_a_study_file_brings_lies_beside_it_and_what_we_write_in_the_project():
    study = Study(
        base_npz="../base.npz", paths=Paths(phase_c_root="c", data_root="d", artifact_root="a")
    )
    files = layout(study)
    assert files.base == Path("/base.npz")
    assert files.phase_c_root == Path("/studies/c")
    assert files.phase_d_root == Path("/p/d/phase_d")
    assert files.recon_dir(CASE) == Path("/p/a/dose_1000/dense/train")
    assert not files.makes_base
    assert not files.makes_phase_c


def test_root_on_the_command_line_wins_over_the_study_file():
    study = Study(paths=Paths(artifact_root="a"))
    assert layout(study, artifact_root=Path("/out")).artifact_root == Path("/out")


def test_state_lies_with_the_artifacts():
    assert layout(artifact_root=Path("/out")).state == Path("/out/.doit.db")


def with_patterns(**paths: Any) -> Study:
    return msgspec.convert({"paths": paths}, Study)


@pytest.mark.parametrize(
    ("key", "pattern", "path"),
    [
        ("phase_d", "{dose}/{view}/{split}.npz", "dose_1000/dense/train.npz"),
        ("phase_d", "{split}/{view}-{dose:d}.npz", "train/dense-1000.npz"),
        ("phase_d", "{view}_{dose:.0e}_{split}.npz", "dense_1e+03_train.npz"),
        ("phase_c", "{dose:07d}_{split}.npz", "0001000_train.npz"),
    ],
)
def test_sets_lie_where_a_pattern_says(key: str, pattern: str, path: str):
    files = layout(with_patterns(**{f"{key}_root": "own", f"{key}_pattern": pattern}))
    found = files.dataset(CASE) if key == "phase_d" else files.phase_c(1e3, "train")
    assert found == Path("/studies/own") / path


def test_pattern_names_what_we_write_too():
    study = with_patterns(phase_d_pattern="{dose}/{view}/{split}.npz")
    assert layout(study).dataset(CASE) == Path("/p/data/phase_d/dose_1000/dense/train.npz")


def test_pattern_that_is_the_default_is_said_nowhere():
    said = with_patterns(phase_c_pattern="{dose}/patched_{split}.npz")
    assert said.to_dict() == DEFAULT.to_dict()
    assert "phase_c_pattern" not in DEFAULT.to_dict()["paths"]


@pytest.mark.parametrize(
    ("key", "pattern", "said"),
    [
        (
            "phase_d",
            "{dose}/{split}.npz",
            "dose_1000_dense_train and dose_1000_sparse_train .*{view}",
        ),
        (
            "phase_d",
            "{view}/{split}.npz",
            "dose_1000_dense_train and dose_10000_dense_train .*{dose}",
        ),
        ("phase_c", "{dose}.npz", "dose_1000_baseline_train and dose_1000_baseline_test .*{split}"),
    ],
)
def test_pattern_that_gives_two_cases_one_file_is_refused(key: str, pattern: str, said: str):
    with pytest.raises(StudyError, match=rf"paths.{key}_pattern is '.*': {said} apart"):
        layout(with_patterns(**{f"{key}_pattern": pattern}))


def test_doses_that_a_format_rounds_to_one_name_are_refused():
    table = {"doses": [1000, 1100], "paths": {"phase_c_pattern": "{dose:.0e}_{split}.npz"}}
    with pytest.raises(StudyError, match=r"would both be .*1e\+03_train.npz"):
        layout(msgspec.convert(table, Study))


def test_phases_in_one_folder_may_not_share_a_file():
    paths = {"phase_c_root": "own", "phase_d_root": "own", "phase_c_pattern": "dense_{split}.npz"}
    table = {"doses": [1000], "paths": paths | {"phase_d_pattern": "{view}_{split}.npz"}}
    with pytest.raises(StudyError, match=r"baseline_train and dose_1000_dense_train would both be"):
        layout(msgspec.convert(table, Study))


def test_pattern_may_leave_out_what_the_study_has_once():
    table = {"doses": [1000], "paths": {"phase_c_pattern": "patched_{split}.npz"}}
    files = layout(msgspec.convert(table, Study), phase_c_root=Path("/mine"))
    assert files.phase_c(1e3, "test") == Path("/mine/patched_test.npz")
