"""``doit clean``: by name, under the lock, with filters."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import pytest
from doitext_project import DOIT, LONG, Project, wait_until_up

from fly64tasks.doitext.spec import SpecUnchanged


@pytest.fixture
def made(project: Project) -> Project:
    """Two series and what is made of both, done."""

    def tasks() -> list[dict[str, Any]]:
        series = [
            project.task(
                "series",
                content="x",
                name=str(dose),
                targets=[f"out/{dose}"],
                clean=True,
                uptodate=[SpecUnchanged({})],
                meta={"dose": dose},
            )
            for dose in (1, 2)
        ]
        both = project.task("both", file_dep=["out/1", "out/2"], targets=["out/both"], clean=True)
        return [*series, both]

    project.tasks = tasks
    assert project.doit().code == 0
    return project


def left(project: Project) -> list[str]:
    return sorted(path.name for path in (project.folder / "out").iterdir())


def test_dry_run_names_every_file_and_writes_nothing(made: Project) -> None:
    before = made.snapshot()
    for line in (["clean", "-n"], ["clean", "series", "both", "-n"], ["clean", "-n", "--forget"]):
        result = made.doit(*line)
        assert result.code == 0
        for name in ("series:1: would remove out/1", "both: would remove out/both"):
            assert name in result.out.splitlines(), line
    assert made.snapshot() == before


def test_what_is_removed_is_named_and_what_needs_others_goes_first(made: Project) -> None:
    said = made.doit("clean").out.splitlines()
    assert said[0] == "both: removed out/both"
    assert sorted(said[1:]) == ["series:1: removed out/1", "series:2: removed out/2"]
    assert left(made) == []


@pytest.mark.parametrize(
    ("line", "kept"),
    [
        (["--dose", "1"], ["2", "both"]),
        (["series", "--dose", "2"], ["1", "both"]),
        (["series:*"], ["both"]),
        (["both"], ["1", "2"]),
        (["both", "-c"], []),
        (["-a"], []),
    ],
    ids=str,
)
def test_names_patterns_and_filters_choose(made: Project, line: list[str], kept: list[str]) -> None:
    assert made.doit("clean", *line).code == 0
    assert left(made) == kept


@pytest.mark.parametrize("line", [["--dose", "7"], ["absent"], ["absent:*"]], ids=str)
def test_nothing_is_removed_where_nothing_matches(made: Project, line: list[str]) -> None:
    assert made.doit("clean", *line).code == 3
    assert left(made) == ["1", "2", "both"]


def test_forgetting_goes_with_it(made: Project) -> None:
    made.doit("clean", "both", "--forget")
    assert made.doit("-n", "--json").reasons["both"] == ["never run"]
    assert made.doit("-n", "--json").verdicts["series:1"] == "up to date"


@pytest.mark.parametrize("line", [["clean"], ["clean", "--forget"]], ids=str)
def test_under_a_running_doit_nothing_is_removed(project: Project, line: list[str]) -> None:
    done = '\n\ndef task_done():\n    return {"actions": [], "targets": ["made"], "clean": True}\n'
    project.write("dodo.py", LONG + done)
    project.write("made", "precious")
    running = subprocess.Popen([*DOIT, "long"], stderr=subprocess.DEVNULL)
    try:
        wait_until_up(project.folder, running)
        refused = subprocess.run([*DOIT, *line], capture_output=True, text=True, check=False)
        assert refused.returncode == 3
        assert f"s.db: in use by pid {running.pid}" in refused.stderr
        assert (project.folder / "made").read_text() == "precious"
    finally:
        running.kill()
        running.wait()


def test_what_can_not_be_removed_fails_in_one_line_and_the_rest_is_cleaned(made: Project) -> None:
    def fail() -> None:
        raise PermissionError(13, "Permission denied", "out/both")

    tasks = made.tasks()
    made.tasks = lambda: [*tasks[:2], tasks[2] | {"clean": [fail]}]
    result = made.doit("clean")
    assert result.code == 1
    assert "both: FAILED  Permission denied: out/both" in result.out
    assert left(made) == ["both"]


def test_folder_that_is_not_empty_is_kept_and_said(project: Project) -> None:
    project.write("out/more", "precious")
    project.tasks = lambda: [project.task("t", targets=["out"], clean=True)]
    assert project.doit("clean").out == "t: kept out: not empty\n"
    assert Path("out/more").exists()
