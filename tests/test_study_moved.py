"""Where a study lies, and how its folders are said, is no part of what it is."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest
from small_study import doit


def is_whole(folder: Path, *roots: str) -> None:
    """Dry run, run and verify of a study of one dose find nothing to do."""
    planned = doit(folder, "-n", *roots)
    assert planned.endswith("\n17 up to date. Nothing was run.\n"), planned
    assert doit(folder, *roots).startswith("17 up to date in ")
    verified = doit(folder, "verify", *roots)
    assert re.fullmatch(r"(\d+) of \1 artifacts whole\.\n", verified), verified


@pytest.mark.parametrize(
    ("place", "roots"),
    [
        (".", ["artifact_root=reports", "data_root=data"]),
        (".", ["artifact_root=./reports/", "data_root={project}/data", "study=./study.toml"]),
        ("notes", ["artifact_root=../reports", "data_root=../notes/../data"]),
        ("notes", ["study={project}/study.toml", "data_root={alias}/data"]),
    ],
)
def test_default_that_is_said_aloud_changes_nothing(
    done_project: Path, tmp_path: Path, place: str, roots: list[str]
):
    (done_project / "notes").mkdir()
    (tmp_path / "alias").symlink_to(done_project)
    places = {"project": done_project, "alias": tmp_path / "alias"}
    is_whole(done_project / place, *(root.format(**places) for root in roots))


def test_project_that_was_moved_is_up_to_date(done_project: Path, tmp_path: Path):
    root = "artifact_root=reports/mine"
    shutil.copytree(done_project / "reports", tmp_path / "mine")
    shutil.rmtree(done_project / "reports")
    shutil.move(tmp_path / "mine", done_project / "reports/mine")
    # Its mark says where the study file lies from there: that is another place now.
    assert "belongs to" in doit(done_project, root, code=3)
    assert doit(done_project, "--take-over", root).startswith("17 up to date in ")
    is_whole(done_project, root)
    place = tmp_path / "elsewhere"
    done_project.rename(place)
    state = (place / "reports/mine/.doit.db").read_bytes()
    assert str(done_project).encode() not in state
    is_whole(place, root)
    assert (place / "reports/mine/.doit.db").read_bytes() == state, "nothing had to be found again"


def test_renamed_data_are_the_same_data(done_project: Path):
    (done_project / "data").rename(done_project / "older data")
    root = "data_root=older data"
    before = {
        path: path.stat().st_mtime_ns for path in (done_project / "older data").rglob("*.npz")
    }
    is_whole(done_project, root)
    assert before == {path: path.stat().st_mtime_ns for path in before}
    dense = done_project / "older data/phase_d/dose_1000/dense/dense_train.npz"
    dense.write_bytes(dense.read_bytes()[:-1])
    printed = doit(done_project, "-n", root)
    assert f"target truncated: {dense.relative_to(done_project)}" in printed
    assert "up to date  views:dose_1000_sparse\n" in printed


def test_data_renamed_in_the_study_file_are_the_same_data(done_project: Path):
    (done_project / "data").rename(done_project / "sets")
    study = done_project / "study.toml"
    study.write_text(study.read_text("utf-8") + '\n[paths]\ndata_root = "sets"\n', "utf-8")
    is_whole(done_project)
    page = (done_project / "reports/index.html").read_bytes()
    doit(done_project, "-a", "-s", "report")
    assert (done_project / "reports/index.html").read_bytes() == page
    (done_project / "reports").rename(done_project / "results")
    text = study.read_text("utf-8")
    study.write_text(f'{text}artifact_root = "results"\n', "utf-8")
    is_whole(done_project)


def test_base_that_the_command_line_names_is_looked_for_from_there(
    done_project: Path, tmp_path: Path
):
    (done_project / "studies").mkdir()
    (done_project / "study.toml").rename(done_project / "studies/study.toml")
    base = done_project / "notes/base.npz"
    base.parent.mkdir()
    (done_project / "data/base.npz").rename(base)
    selected = ("study=studies/study.toml", "base_npz=notes/base.npz", "simulate:dose_1000")
    printed = doit(done_project, "-n", "--take-over", *selected)  # the study file has moved
    assert printed == "up to date  simulate:dose_1000\n1 up to date. Nothing was run.\n"
    assert doit(done_project, "--take-over", *selected).startswith("1 up to date in ")
