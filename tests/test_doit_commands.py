"""What this project adds to doitext's commands: its filters, its file names, its options."""

from __future__ import annotations

import json
import subprocess
import sys
import tomllib
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

import pytest
from doitext_project import Project
from small_study import PROJECT

import fly64tasks_entry
from fly64tasks import doit_commands

COMMANDS = ("run", "list", "info", "manifest", "verify", "clean", "forget", "ignore")
CASES = [(dose, view) for dose in (1000.0, 1e4) for view in ("baseline", "dense")]


@pytest.fixture
def study(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    """Four jobs, two of them on a Phase D set that may be missing."""
    monkeypatch.chdir(tmp_path)
    project = Project(tmp_path, filters={}, config={"manifest_dir": "reports"})
    project.commands = {name: f"fly64tasks.doit_commands:{name.title()}" for name in COMMANDS}

    def tasks() -> list[dict[str, Any]]:
        made = []
        for dose, view in CASES:
            name = f"dose_{int(dose)}_{view}"
            size = 1 if view == "baseline" else 2
            meta = {"dose": dose, "view": view, "split": "train", "gridsize": size, "record": "r"}
            if view == "dense":
                meta["optional"] = "phase_d"
            made.append(
                project.task("recon", name=name, file_dep=[view], targets=[name], meta=meta)
            )
        return made

    project.tasks = tasks
    project.write("baseline", "set")
    project.write("dense", "set")
    return project


def test_entry_points_are_these_commands() -> None:
    declared = tomllib.loads((PROJECT / "pyproject.toml").read_text())["project"]["entry-points"]
    for name, place in declared["doit.COMMAND"].items():
        module, attribute = place.split(":")
        assert module == fly64tasks_entry.__name__
        assert getattr(fly64tasks_entry, attribute) is getattr(doit_commands, attribute)
        assert getattr(doit_commands, attribute).get_name() == name
    assert {*COMMANDS, "engine", "reset-dep", "dumpdb"} == set(declared["doit.COMMAND"])
    assert {point.name for point in entry_points(group="doit.COMMAND")} >= {*COMMANDS, "engine"}


@pytest.mark.parametrize(
    ("options", "found"),
    [
        (["--dose", "1e3"], ["dose_1000_baseline", "dose_1000_dense"]),
        (["--dose", "1000.0,10000", "--view", "dense"], ["dose_1000_dense", "dose_10000_dense"]),
        (["--gridsize", "1", "--dose", "1e4"], ["dose_10000_baseline"]),
        (["--split=train", "--view", "baseline"], ["dose_1000_baseline", "dose_10000_baseline"]),
    ],
)
def test_cases_are_filtered(study: Project, options: list[str], found: list[str]) -> None:
    listed = study.doit("list", "-q", *options).out.split()
    assert listed == [f"recon:{name}" for name in found]
    assert list(study.doit("-n", "--json", *options).verdicts) == listed


def test_jobs_without_their_phase_d_set_are_skipped_on_request(study: Project) -> None:
    Path("dense").unlink()
    refused = study.doit()
    assert refused.code == 3
    assert "--allow-missing-phase-d skips what may be missing" in refused.err
    assert study.doit("--allow-missing-phase-d").code == 0
    assert study.executed == ["recon:dose_1000_baseline", "recon:dose_10000_baseline"]


def test_manifest_is_that_of_reconstructions(study: Project) -> None:
    study.doit("--dose", "1000")
    manifest = json.loads(Path("reports/reconstruction_manifest.json").read_text())
    assert list(manifest["grid"]) == ["dose", "view", "split", "gridsize"]
    assert [job["status"] for job in manifest["jobs"]] == ["done", "done"]
    assert len(json.loads(Path("reports/skip_summary.json").read_text())["skipped"]) == 2


def test_help_shows_the_options_of_this_project(study: Project) -> None:
    said = study.doit("help", "run").out
    for word in ("--dose=VALUE", "--gridsize=VALUE", "--allow-missing-phase-d", "--engine"):
        assert word in said


@pytest.mark.parametrize(("asked", "named", "jobs"), [(0, "", 0), (3, "", 3), (0, "e.toml", 2)])
def test_engine_says_how_many_jobs_where_nobody_asks(
    study: Project, asked: int, named: str, jobs: int
) -> None:
    study.write("e.toml", 'provider = "slurm"\nblocks = 1\ngpus_per_node = 2\n')
    run = doit_commands.Run.__new__(doit_commands.Run)
    run.params = {"engine": named and str(study.folder / named)}
    assert run.jobs(asked) == jobs


def test_no_numerical_package_is_imported() -> None:
    script = (
        "import sys, fly64tasks_entry; fly64tasks_entry.Run, fly64tasks_entry.Journal; "
        "print(*{'torch', 'numpy', 'matplotlib', 'pandas', 'scipy', 'rich'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.stdout.strip() == "", done
    assert done.returncode == 0, done.stderr
