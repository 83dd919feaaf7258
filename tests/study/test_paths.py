from pathlib import Path

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
