"""Two studies, one folder: every combination of shared and own roots works, or is refused."""

from __future__ import annotations

import itertools
import json
import shutil
import sqlite3
from pathlib import Path

import numpy as np
import pytest
from small_study import ONE_DOSE, SMALL_STUDY, doit, new_project

from fly64tasks.data.readers.npz import read_dataset

ONE = "dose_1000_baseline_train"
SELECTED = ("run", f"recon:{ONE}")
OTHER = ONE_DOSE.replace("scan_jitter_px = 0.8", "scan_jitter_px = 0.7")


@pytest.fixture(scope="module")
def first(tmp_path_factory: pytest.TempPathFactory, small_sets: dict[str, Path]) -> Path:
    """A folder with a project, to be copied: its study is done, from a base of the user's or not.

    Another study file lies in it, and a base.
    """
    folder = tmp_path_factory.mktemp("first")
    for name, said in (("built in", ""), ("user's", 'base_npz = "own.npz"\n')):
        project = new_project(folder / name, said + ONE_DOSE)
        (project / "other.toml").write_text(said + OTHER, "utf-8")
        shutil.copy(small_sets["train"].parent / "base.npz", project / "own.npz")
        doit(project, *SELECTED)
    return folder


def snapshot(folder: Path) -> dict[str, tuple[int, bytes]]:
    """Return names, time stamps and bytes of all that lies there."""
    return {
        str(path.relative_to(folder)): (
            path.stat().st_mtime_ns,
            path.read_bytes() if path.is_file() else b"",
        )
        for path in folder.rglob("*")
    }


def mine(found: dict[str, tuple[int, bytes]]) -> dict[str, tuple[int, bytes]]:
    """Return the part of a snapshot that is the first study's."""
    return {
        name: content
        for name, content in found.items()
        if name.startswith(("data/", "reports/", "own.npz"))
    }


@pytest.mark.parametrize(
    ("data", "results", "base", "state"),
    [
        pytest.param(*row, marks=[pytest.mark.slow] if "one" in row else [])
        for row in itertools.product(
            ("own data", "data"), ("own reports", "reports"), ("own", "one"), (0, 1)
        )
    ],
)
def test_second_study_works_with_roots_of_its_own_and_is_refused_in_those_of_the_first(
    first: Path, tmp_path: Path, data: str, results: str, base: str, state: int
):
    project = tmp_path / "project"
    shutil.copytree(first / ("user's" if base == "one" else "built in"), project)
    before = snapshot(project)
    shared = [
        name
        for name, is_shared in (("data", data == "data"), ("reports", results == "reports"))
        if is_shared
    ]
    if state:
        shared.append("reports/.doit.db")
    database = "reports/.doit.db" if state else "own.db" if results == "reports" else None
    line = (
        "run",
        *(("--db-file", database) if database else ()),
        SELECTED[1],
        "study=other.toml",
        f"data_root={data}",
        f"artifact_root={results}",
    )
    if not shared:
        assert ONE in doit(project, *line)
        assert (project / results / "dose_1000/baseline/train/reconstruction.npz").exists()
        assert mine(snapshot(project)) == mine(before)
    else:
        for option in ((), ("-n",)):
            said = doit(project, *line, *option, code=3)
            assert said.count("\n") == 1
            assert "study.toml, whose results lie in reports; this is other.toml" in said
            assert any(said.startswith(f"ERROR: {name}: ") for name in shared)
            assert "--take-over" in said
            assert snapshot(project) == before
    assert "run  " not in doit(project, "-n", SELECTED[1])


def test_two_projects_do_not_share_a_folder_that_the_command_line_names(
    first: Path, tmp_path: Path
):
    projects = [tmp_path / name for name in ("one", "two")]
    for project in projects:
        new_project(project, ONE_DOSE)
    roots = (f"data_root={tmp_path / 'data'}",)
    doit(projects[0], "base", *roots)
    before = snapshot(tmp_path / "data")
    said = doit(projects[1], "base", *roots, code=3)
    assert f"{tmp_path / 'data'}: belongs to {projects[0] / 'study.toml'}, whose results" in said
    assert snapshot(tmp_path / "data") == before
    assert not (projects[1] / "reports").exists()


def test_another_base_or_artifact_root_on_the_command_line_is_another_study(
    first: Path, tmp_path: Path
):
    project = tmp_path / "project"
    shutil.copytree(first / "built in", project)
    before = snapshot(project)
    for line in (("artifact_root=try",), ("base_npz=own.npz", "artifact_root=try")):
        assert "data: belongs to study.toml, whose results lie in reports" in doit(
            project, *SELECTED, *line, code=3
        )
    assert snapshot(project) == before
    roots = ("data_root=data/try", "artifact_root=reports/try")
    assert ONE in doit(project, *SELECTED, "base_npz=own.npz", *roots)
    before.update({name: found for name, found in snapshot(project).items() if "try" in name})
    assert mine(snapshot(project)).keys() == mine(before).keys()


@pytest.mark.parametrize("views", ["data_root=own", "phase_d_root=data/phase_d"])
def test_sets_of_another_study_are_read_where_the_roots_say_so(
    first: Path, tmp_path: Path, views: str
):
    project = tmp_path / "project"
    shutil.copytree(first / "built in", project)
    before = mine(snapshot(project))
    roots = ("phase_c_root=data/phase_c", views, "artifact_root=own")
    assert ONE in doit(project, *SELECTED, "study=other.toml", *roots)
    assert mine(snapshot(project)) == before


def test_edited_study_is_the_same_study(first: Path, tmp_path: Path):
    project = tmp_path / "project"
    shutil.copytree(first / "built in", project)
    (project / "study.toml").write_text(OTHER, "utf-8")
    assert "scan_jitter_px 0.8 -> 0.7" in doit(project, "-n", SELECTED[1])
    assert ONE in doit(project, *SELECTED)


def test_study_that_takes_over_makes_the_sets_anew_and_the_first_is_refused(
    first: Path, tmp_path: Path
):
    project = tmp_path / "project"
    shutil.copytree(first / "built in", project)
    line = (SELECTED[1], "study=other.toml", "artifact_root=other")
    planned = doit(project, "-n", "--take-over", *line)
    assert "made by another study: data/base.npz" not in planned
    assert "never run" in planned
    doit(project, "--take-over", *line)
    doit(project, *line)
    assert "data: belongs to other.toml" in doit(project, *SELECTED, code=3)
    printed = doit(project, "-n", "--take-over", SELECTED[1])
    assert "made by another study: data/base.npz" in printed
    doit(project, "--take-over", SELECTED[1])
    assert read_dataset(project / "data/phase_c/dose_1000/patched_train.npz").metadata["base"][
        "lineage"
    ]["base"]["scan_jitter_px"] == pytest.approx(0.8)


def of_an_earlier_version(project: Path) -> None:
    """Leave a project as a version without marks would have."""
    for path in project.rglob(".doit-owner.*"):
        path.unlink()
    connection = sqlite3.connect(project / "reports/.doit.db")
    with connection:
        connection.execute("drop table owner")
    connection.close()


def test_study_of_an_earlier_version_goes_on_untouched(first: Path, tmp_path: Path):
    project = tmp_path / "project"
    shutil.copytree(first / "built in", project)
    of_an_earlier_version(project)
    before = snapshot(project)
    assert "run  " not in doit(project, "-n", SELECTED[1])
    assert snapshot(project) == before
    doit(project, *SELECTED)
    after = snapshot(project)
    kept = [name for name in before if name.endswith((".npz", ".h5", ".csv", ".log", "run.json"))]
    assert {name: after[name] for name in kept} == {name: before[name] for name in kept}
    assert json.loads((project / "data/.doit-owner.json").read_text())["file"] == "../study.toml"
    assert "belongs to study.toml" in doit(project, *SELECTED, "study=other.toml", code=3)


def test_folders_of_an_earlier_version_are_another_s_where_this_study_has_no_record(
    first: Path, tmp_path: Path
):
    project = tmp_path / "project"
    shutil.copytree(first / "built in", project)
    of_an_earlier_version(project)
    before = snapshot(project)
    own = ("study=other.toml", "artifact_root=other")
    said = doit(project, *SELECTED, *own, code=3)
    assert "data: holds what other/.doit.db has no record of: data/base.npz, data/phase_c/" in said
    own = ("run", "--db-file", "x", SELECTED[1], "study=other.toml", "data_root=d")
    said = doit(project, *own, code=3)
    assert "reports: holds what x has no record of: reports/dose_1000/baseline/train/" in said
    assert snapshot(project) == before


SWAPPING = """

def task_swap():
    import shutil

    def swap():
        shutil.copytree("theirs", "data", dirs_exist_ok=True)

    return {"actions": [swap], "file_dep": [str(layout.phase_d(1000, "sparse", "test"))]}


def task_recon():"""


@pytest.mark.slow
@pytest.mark.parametrize("change", ["defocus_m = 18e-6", "scan_jitter_px = 0.8"])
def test_sets_that_another_swaps_while_the_study_runs_are_neither_reconstructed_nor_scored(
    project: Path, change: str
):
    theirs = project / "theirs.toml"
    theirs.write_text(ONE_DOSE.replace(change, change[:-1] + "7"), "utf-8")
    roots = ("study=theirs.toml", "data_root=theirs", "artifact_root=x")
    doit(project, "views", *roots)
    for path in (project / "theirs").glob(".doit*"):
        path.unlink()
    (project / "study.toml").write_text(ONE_DOSE, "utf-8")
    dodo = (project / "dodo.py").read_text("utf-8")
    (project / "dodo.py").write_text(dodo.replace("\n\ndef task_recon():", SWAPPING, 1), "utf-8")
    printed = doit(project, "-c", code=1)
    key = change.split()[0]
    assert printed.count(f"its base: was made by another study (lineage.base.{key}") >= 6
    assert not list(project.glob("reports/**/reconstruction.npz"))
    assert "0 of 6" in (project / "reports/index.html").read_text("utf-8")


def test_study_whose_user_swaps_the_base_makes_sets_of_one_base_alone(
    project: Path, small_sets: dict[str, Path]
):
    with np.load(small_sets["train"].parent / "base.npz") as base:
        arrays = dict(base)
    np.savez(project / "own.npz", **arrays)
    np.savez(project / "theirs.npz", **arrays | {"xcoords": arrays["xcoords"][::-1]})
    (project / "study.toml").write_text(f'base_npz = "own.npz"\n{SMALL_STUDY}', "utf-8")
    doit(project, "views:dose_1000_dense")
    (project / "theirs.npz").replace(project / "own.npz")
    printed = doit(project, "run", "-s", "recon:dose_1000_dense_train", code=1)
    assert "dense_train.npz: was made by another study (lineage.base_sha256" in printed


def test_clean_asks_whose_a_file_is_names_it_and_is_refused_to_another_study(
    done_project: Path,
):
    project = done_project
    doit(project, "forget", "--all")  # else what the tasks have made there is theirs
    foreign = {
        project / "data/base.npz": b"precious",
        project / "data/phase_c/dose_1000/patched_train.npz": b"precious",
        project / "reports/index.html": b"<p>precious",
        project / "reports/dose_1000/dense/train/losses.csv": b"precious",
        project / "reports/dose_1000/dense/train/ptychi.log": b"precious",
        project / "reports/dose_1000/dense/train/checkpoint.pt": b"precious",
    }
    for path, content in foreign.items():
        path.write_bytes(content)
    (project / "other.toml").write_text(OTHER, "utf-8")
    before = snapshot(project)
    assert "belongs to study.toml" in doit(project, "clean", "study=other.toml", code=3)
    planned = doit(project, "clean", "-n").splitlines()
    assert snapshot(project) == before
    case = "dose_1000_dense_train"
    folder = "reports/dose_1000/dense/train"
    assert f"recon:{case}: would remove {folder}/product.h5" in planned
    assert f"recon:{case}: kept {folder}/losses.csv: was not written by fly64tasks" in planned
    assert "report: would remove reports/figures/frc_curves.pdf" in planned
    assert sum("kept" in line for line in planned) == len(foreign)

    one = ("--dose", "1000", "--view", "sparse", "--split", "train")
    doit(project, "clean", *one)
    gone = {name for name in before if not (project / name).exists()}
    assert gone
    assert all(name.startswith("reports/dose_1000/sparse/train") for name in gone)

    cleaned = doit(project, "clean").splitlines()
    there = {line.partition("would remove ")[2] for line in planned if "would remove" in line}
    removed = {line.partition(" removed ")[2] for line in cleaned if " removed " in line}
    assert removed == {path for path in there if "sparse/train" not in path}
    for path, content in foreign.items():
        assert path.read_bytes() == content
    left = {path.name for path in project.glob("reports/**/*") if path.is_file()}
    assert left >= {".doit.db", "reconstruction_manifest.json", "skip_summary.json"}
    assert not left & {"summary.csv", "run.json", "scores.json", "reconstruction.npz"}
