"""Methods and draws as doit runs them: real processes, real files."""

from __future__ import annotations

import csv
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from small_study import ONE_DOSE, doit, new_project

METHODS = """
[methods.epie]
algorithm = "EPIE"
num_epochs = 2
"""
VIEWS = "\n[views]\noverlap = { dense = 0.7 }\n"
ASKED = f"repeats = 2\n{ONE_DOSE}{VIEWS}{METHODS}"
JOB = "dose_1000_dense_train"


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """A project where one cell is done, by every method in every draw."""
    project = new_project(tmp_path_factory.mktemp("methods") / "project", ASKED)
    return project, doit(project, "-j", "2", "--view", "dense", "--split", "train")


def results_of(project: Path) -> dict[str, bytes]:
    return {
        path.parent.name: path.read_bytes()
        for path in project.glob("reports/*/dense/*/reconstruction.npz")
    }


def verdicts(project: Path, *arguments: str) -> dict[str, str]:
    plan = json.loads(doit(project, "-n", "--json", *arguments))
    return {
        item["task"]: "; ".join(item["reasons"]) or item["verdict"]
        for item in plan["tasks"]
        if item["verdict"] != "up to date"
    }


def test_each_method_and_draw_is_a_job_in_a_folder_of_its_own(run: tuple[Path, str]):
    project, said = run
    names = {"train", "train@2", "train@epie", "train@epie@2"}
    assert results_of(project).keys() == names
    assert len(set(results_of(project).values())) == len(names)
    assert "recon:dose_1000_dense_train@epie@2" in said
    assert doit(project, "--view", "dense", "--split", "train").startswith("13 up to date")
    assert "not whole" not in doit(project, "verify", "--view", "dense", "--split", "train")


def test_draws_have_one_base_and_the_same_frames_with_other_noise(run: tuple[Path, str]):
    data = run[0] / "data"
    first, second = (
        np.load(data / f"phase_d{draw}/dose_1000/dense/dense_train.npz") for draw in ("", "/draw_2")
    )
    for key in ("xcoords", "ycoords", "objectGuess", "probeGuess"):
        assert np.array_equal(first[key], second[key])
    counts, others = first["diffraction"] ** 2, second["diffraction"] ** 2
    assert (np.round(counts) != np.round(others)).mean() > 0.1
    assert abs(counts.sum() / others.sum() - 1) < 0.03
    assert [path.name for path in data.glob("*.npz")] == ["base.npz"]


def test_first_draw_by_main_is_byte_for_byte_what_a_study_without_methods_makes(
    run: tuple[Path, str], tmp_path: Path
):
    """And it stays up to date where methods are asked for later."""
    plain = new_project(tmp_path / "plain", ONE_DOSE + VIEWS)
    doit(plain, "--view", "dense", "--split", "train")
    for name in ("reconstruction.npz", "product.h5", "losses.csv", "scores.json", "frc.csv"):
        ours = run[0] / "reports/dose_1000/dense/train" / name
        assert ours.read_bytes() == (plain / "reports/dose_1000/dense/train" / name).read_bytes()
    (plain / "study.toml").write_text(ASKED)
    asked = verdicts(plain, "--view", "dense", "--split", "train")
    assert asked.keys() == {
        "simulate:dose_1000@2",
        "views:dose_1000_dense@2",
        *(f"{kind}:{JOB}@{of}" for kind in ("recon", "score") for of in ("epie", "2", "epie@2")),
    }


def test_setting_of_a_method_makes_its_own_jobs_stale_alone(run: tuple[Path, str], tmp_path: Path):
    project = Path(shutil.copytree(run[0], tmp_path / "copy"))
    (project / "study.toml").write_text(ASKED.replace("num_epochs = 2", "num_epochs = 4"))
    one = ("--view", "dense", "--split", "train")
    changed = "num_epochs 2 -> 4"
    assert verdicts(project, *one) == {
        f"recon:{JOB}@epie": changed,
        f"recon:{JOB}@epie@2": changed,
        f"score:{JOB}@epie": f"after recon:{JOB}@epie",
        f"score:{JOB}@epie@2": f"after recon:{JOB}@epie@2",
    }
    assert verdicts(project, *one, "--repeat", "2", "--method", "epie").keys() == {
        f"recon:{JOB}@epie@2",
        f"score:{JOB}@epie@2",
    }
    said = doit(project, "-n", "--method", "epi", code=3)
    assert "did you mean --method epie?" in said


def test_more_draws_leave_those_that_are_done_and_fewer_leave_orphans(
    run: tuple[Path, str], tmp_path: Path
):
    project = Path(shutil.copytree(run[0], tmp_path / "copy"))
    (project / "study.toml").write_text(ASKED.replace("repeats = 2", "repeats = 5"))
    one = ("--view", "dense", "--split", "train")
    new = [f"@{draw}" for draw in (3, 4, 5)]
    asked = verdicts(project, *one)
    assert len(asked) == 3 * 6  # simulate, views, and recon and score of two methods
    assert all(name.endswith(tuple(new)) for name in asked)

    (project / "study.toml").write_text(ASKED.replace("repeats = 2", "repeats = 1"))
    assert verdicts(project, *one) == {}
    listed = doit(project, "clean", "--orphans", "-n").splitlines()
    makers = {line.rpartition("(made by ")[2].rstrip(")") for line in listed[:-1]}
    assert makers >= {f"{kind}:{JOB}@{of}" for kind in ("recon", "score") for of in ("2", "epie@2")}
    assert makers >= {"simulate:dose_1000@2", "views:dose_1000_dense@2"}
    assert all(name.endswith("@2") for name in makers)


def test_fifty_values_are_fifty_methods(tmp_path: Path):
    listed = f"\n[methods.seeds]\nseed = {list(range(50))}\n"
    project = new_project(tmp_path / "project", ONE_DOSE + VIEWS + listed)
    names = doit(project, "list", "-q", "recon:*dense_test@*").split()
    assert names == [f"recon:dose_1000_dense_test@seeds_{index}" for index in range(50)]
    assert doit(project, "list", "-q", "recon:*", "--method", "seeds_49").count("@seeds_49") == 4


def test_manifest_has_the_method_and_draw_of_each_job(run: tuple[Path, str]):
    doit(run[0], "manifest", "--view", "dense", "--split", "train")
    manifest = json.loads((run[0] / "reports/reconstruction_manifest.json").read_text())
    assert manifest["grid"]["method"] == ["main", "epie"]
    assert manifest["grid"]["repeat"] == [1, 2]
    found = {(job["method"], job["repeat"]): job for job in manifest["jobs"]}
    assert len(found) == 4
    assert found["epie", 2]["algorithm"] == "EPIE"
    assert found["epie", 2]["output_dir"].endswith("dose_1000/dense/train@epie@2")


def test_summary_and_page_have_each_method_and_draw(run: tuple[Path, str], tmp_path: Path):
    project = Path(shutil.copytree(run[0], tmp_path / "copy"))
    doit(project, "run", "-s", "report")
    with (project / "reports/summary.csv").open(encoding="utf-8") as file:
        rows = [row for row in csv.DictReader(file) if row["metric"] == "complex_nrmse"]
    scored = {(row["method"], row["repeat"]): float(row["value"]) for row in rows if row["value"]}
    assert scored.keys() == {("main", "1"), ("main", "2"), ("epie", "1"), ("epie", "2")}
    assert len(set(scored.values())) == 4
    page = (project / "reports/index.html").read_text("utf-8")
    for variant in ("", "@2", "@epie", "@epie@2"):
        assert f'<details class="job" id="job-dose_1000_dense_train{variant}"' in page
    assert "paired over 2 draws" in page
    times = page[page.index("<h3>time of all tasks</h3>") :]
    for kind, tasks in (("simulating", 2), ("thinning", 2), ("reconstructing, epie", 2)):
        assert re.search(rf"<dt>{kind}</dt><dd>{tasks} tasks, [\d.]+ s</dd>", times)


def test_clean_removes_the_jobs_of_a_method(run: tuple[Path, str], tmp_path: Path):
    project = Path(shutil.copytree(run[0], tmp_path / "copy"))
    doit(project, "clean", "--method", "epie", "--repeat", "2")
    assert results_of(project).keys() == {"train", "train@2", "train@epie"}
    assert not (project / "reports/dose_1000/dense/train@epie@2").exists()


@pytest.mark.parametrize(
    "shell",
    [
        ["bash", "-c"],
        ["bash", "-O", "extglob", "-O", "failglob", "-c"],
        ["dash", "-c"],
        ["zsh", "-fc"],
        ["zsh", "-f", "-o", "extendedglob", "-o", "kshglob", "-o", "interactivecomments", "-c"],
    ],
    ids=" ".join,
)
def test_names_need_no_quotes(run: tuple[Path, str], shell: list[str]):
    if shutil.which(shell[0]) is None:
        pytest.skip(f"{shell[0]} is not installed")
    words = f"recon:{JOB}@2 recon:{JOB}@epie@2"
    command = f"{sys.executable} -m doit list -q {words}"
    done = subprocess.run(
        [*shell, command], cwd=run[0], capture_output=True, text=True, env=os.environ, check=False
    )
    assert done.stdout.split() == words.split(), done.stderr
