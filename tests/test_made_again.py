"""What a study made is its own, whatever was done to it since: `doit` makes it again."""

from __future__ import annotations

import csv
import os
from pathlib import Path

import pytest
from small_study import doit

from fly64tasks.recon.files import TARGETS
from fly64tasks.report.files import REPORT_FILES
from fly64tasks.score.files import SCORE_FILES

CASE = "reports/dose_1000/sparse/test"
VARY = ("run.json", "index.html")  # they have times
SECONDS = ("summary.csv", "seconds")
"""A file and the column of it that has times, of the reconstruction that was made again."""


def made_again(project: Path, files: list[str], size: int) -> None:
    """Cut files and run doit: they are as before, and all is whole."""
    before = {name: content_of(project / name) for name in files}
    for name in files:
        os.truncate(project / name, size)
    said = doit(project)
    assert "failed" not in said
    assert "artifacts whole.\n" in doit(project, "verify")
    for name, content in before.items():
        assert name.endswith(VARY) or content_of(project / name) == content, name


def content_of(path: Path) -> object:
    """Return the bytes of a file, or its rows where a column of it varies."""
    name, column = SECONDS
    if path.name != name:
        return path.read_bytes()
    with path.open(newline="", encoding="utf-8") as file:
        return [{**row, column: None} for row in csv.DictReader(file)]


@pytest.mark.parametrize("size", [0, 1])
def test_report_that_was_cut_is_made_again(done_project: Path, size: int):
    made_again(done_project, [f"reports/{name}" for name in REPORT_FILES], size)


@pytest.mark.slow
def test_every_kind_of_file_that_was_cut_is_made_again(done_project: Path):
    """One byte is left: no mark is."""
    made_again(
        done_project,
        [
            "data/base.npz",
            "data/phase_c/dose_1000/patched_train.npz",
            "data/phase_d/dose_1000/sparse/sparse_test.npz",
            *(f"{CASE}/{name}" for name in (*TARGETS, *SCORE_FILES)),
            *(f"reports/{name}" for name in REPORT_FILES),
        ],
        size=1,
    )


def test_report_that_was_cut_is_cleaned(done_project: Path):
    for name in REPORT_FILES:
        os.truncate(done_project / "reports" / name, 1)
    said = doit(done_project, "clean", "report")
    assert said.count("report: removed reports/") == len(REPORT_FILES)
    assert "kept" not in said


def test_report_that_was_cut_is_made_again_after_it_failed(done_project: Path):
    """What was made is known also of a task that did not succeed since."""
    summary = done_project / "reports/summary.md"
    table = done_project / f"{CASE}/frc.csv"
    kept = table.read_bytes()
    summary.write_bytes(b"!")
    table.write_bytes(kept.replace(b"n_pixels", b"N_pixels"))
    assert "has no column" in doit(done_project, "run", "-s", "report", code=1)
    table.write_bytes(kept)
    doit(done_project)
    assert summary.stat().st_size > 500


def test_file_of_yours_in_a_place_where_nothing_was_made_is_left_alone(project: Path):
    theirs = project / "reports/summary.md"
    theirs.parent.mkdir()
    theirs.write_text("my notes")
    said = doit(project, "run", "-s", "report", code=1)
    assert "summary.md: exists and was not written by fly64tasks" in said
    assert "summary.md: exists" in doit(project, "run", "-s", "report", code=1)
    assert theirs.read_text() == "my notes"
