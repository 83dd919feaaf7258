"""Results of doses and views that a study no longer has: listed, and pruned on request."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from small_study import doit

DENSE = "reports/dose_1000/dense/train"


@pytest.fixture
def without_dense(done_project: Path) -> Path:
    """A project whose study had a view more when it was done."""
    study = done_project / "study.toml"
    text = study.read_text("utf-8")
    study.write_text(f"{text}\n[views]\noverlap = {{ sparse = 0.2 }}\n", "utf-8")
    return done_project


def files(folder: Path) -> dict[str, bytes]:
    found = [*folder.glob("data/**/*"), *folder.glob("reports/**/*")]
    return {str(path.relative_to(folder)): path.read_bytes() for path in found if path.is_file()}


def test_orphans_are_listed_and_nothing_is_written(without_dense: Path):
    before = files(without_dense)
    said = doit(without_dense, "clean", "--orphans", "-n").splitlines()
    of_dense = sorted(path for path in before if "/dense" in path)
    assert [line.split()[2] for line in said[:-1]] == of_dense
    assert f"would remove {DENSE}/run.json  (made by recon:dose_1000_dense_train)" in said
    assert said[-1].startswith(f"{len(of_dense)} files, ")
    assert said[-1].endswith(" MB. Nothing was removed.")
    assert files(without_dense) == before


def test_orphans_are_pruned_with_their_records_and_all_else_stays(without_dense: Path):
    before = files(without_dense)
    (without_dense / DENSE / "checkpoint.pt").write_bytes(b"of somebody else")
    (without_dense / DENSE / "notes.txt").write_text("mine")
    shutil.copy(without_dense / DENSE / "run.json", without_dense / "reports/dose_1000/run.json")
    (without_dense / "reports/dose_1000/dense/test/losses.csv").write_text("my own table\n")
    said = doit(without_dense, "clean", "--orphans")
    assert "kept reports/dose_1000/dense/test/losses.csv: not as its task made it" in said
    left = files(without_dense)
    assert {path for path in left if "/dense/" in path} == {
        f"{DENSE}/checkpoint.pt",
        f"{DENSE}/notes.txt",
        "reports/dose_1000/dense/test/losses.csv",
    }
    assert "reports/dose_1000/run.json" in left
    assert not (without_dense / "data/phase_d/dose_1000/dense").exists()
    others = {path for path in before if "/dense" not in path and ".doit" not in path}
    assert {path: left[path] for path in others} == {path: before[path] for path in others}
    assert "recon:dose_1000_dense_train" not in json.loads(doit(without_dense, "dumpdb"))
    assert (
        doit(without_dense, "clean", "--orphans", "-n") == "0 files, 0.0 MB. Nothing was removed.\n"
    )
    assert doit(without_dense, "-n", "recon").endswith("7 up to date. Nothing was run.\n")


def test_sets_that_the_study_reads_are_no_orphans(done_project: Path):
    roots = ["phase_c_root=data/phase_c", "phase_d_root=data/phase_d"]
    said = doit(done_project, "clean", "--orphans", "-n", *roots)
    assert said == "0 files, 0.0 MB. Nothing was removed.\n"


def test_what_lies_beyond_a_link_or_belongs_to_another_study_is_kept(
    without_dense: Path, tmp_path: Path
):
    elsewhere = tmp_path / "elsewhere"
    shutil.move(without_dense / "reports/dose_1000/dense", elsewhere)
    (without_dense / "reports/dose_1000/dense").symlink_to(elsewhere)
    owned = without_dense / "data/phase_d/dose_1000/dense"
    (owned / ".doit-owner.json").write_text('{"file": "../x.toml", "folder": "."}')
    said = doit(without_dense, "clean", "--orphans")
    assert said == "0 files, 0.0 MB removed.\n"
    assert (elsewhere / "train/run.json").exists()
    assert (owned / "dense_train.npz").exists()


@pytest.mark.parametrize("choice", [["recon"], ["--view", "sparse"]])
def test_orphans_take_no_choice(without_dense: Path, choice: list[str]):
    assert "takes no task names and no filters" in doit(
        without_dense, "clean", "--orphans", *choice, code=3
    )


def test_orphans_of_another_study_are_refused(without_dense: Path):
    shutil.copy(without_dense / "study.toml", without_dense / "other.toml")
    before = files(without_dense)
    refused = doit(without_dense, "study=other.toml", "clean", "--orphans", code=3)
    assert "belongs to study.toml" in refused
    assert files(without_dense) == before
