"""What lies where a task made a file: another size makes the task run again."""

from __future__ import annotations

import contextlib
import json
import os
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from doitext_project import Project

from fly64tasks.doitext.errors import TaskError

DAMAGE: dict[str, tuple[Callable[[Path], object], str]] = {
    "empty": (lambda path: os.truncate(path, 0), "target truncated: a (0 of 6 bytes)"),
    "cut": (lambda path: os.truncate(path, 5), "target truncated: a (5 of 6 bytes)"),
    "longer": (lambda path: path.write_text("x" * 9), "target altered: a (9 bytes, 6 when made)"),
    "folder": (lambda path: (path.unlink(), path.mkdir()), "target altered: a (not a file)"),
    "gone": (Path.unlink, "target missing: a"),
    "dead link": (lambda path: (path.unlink(), path.symlink_to("none")), "target missing: a"),
}


@pytest.fixture
def made(project: Project) -> Project:
    """``source -> a -> b``, and a folder beside it; all built."""
    project.write("source", "source")

    def make_folder(targets: list[str]) -> None:
        Path(targets[0]).mkdir(exist_ok=True)

    project.tasks = lambda: [
        project.task("a", file_dep=["source"], targets=["a"], meta={"record": "a.json"}),
        project.task("b", file_dep=["a"], targets=["b"]),
        {"basename": "folder", "actions": [make_folder], "targets": ["f"], "uptodate": [True]},
    ]
    project.config = {"manifest_dir": "reports"}
    assert project.doit().code == 0
    return project


def planned(project: Project, *args: str) -> dict[str, list[Any]]:
    """Verdict and reasons of the tasks that a run would not take for up to date."""
    result = project.doit("-n", "--json", *args)
    tasks = json.loads(result.out)["tasks"]
    return {
        item["task"]: [item["verdict"], *item["reasons"]]
        for item in tasks
        if item["verdict"] != "up to date"
    }


@pytest.mark.parametrize(("damage", "words"), DAMAGE.values(), ids=DAMAGE.keys())
@pytest.mark.parametrize("jobs", [[], ["-j2"]])
def test_target_of_another_size_is_made_again(
    made: Project, damage: Callable[[Path], object], words: str, jobs: list[str]
) -> None:
    damage(Path("a"))
    assert planned(made) == {"a": ["run", words], "b": ["may run", "after a"]}
    assert [line.split()[0] for line in made.doit("list", "-s").out.splitlines()] == list("RMU")
    if Path("a").is_dir():
        Path("a").rmdir()
    assert made.doit(*jobs).code == 0
    assert made.executed == ["a"]
    assert Path("a").read_text() == "source"
    assert planned(made) == {}


def test_manifest_says_which_target_was_cut(made: Project) -> None:
    os.truncate("a", 2)
    assert made.doit("manifest").code == 0
    (job,) = json.loads(Path("reports/manifest.json").read_text())["jobs"]
    assert job["status"] == "stale"
    assert job["reasons"] == ["target truncated: a (2 of 6 bytes)"]


def test_target_of_the_same_size_is_left_to_verify(made: Project) -> None:
    Path("b").write_text("SOURCE")
    assert planned(made) == {}
    made.doit()
    assert made.executed == []
    assert "altered" in made.doit("verify").out


@pytest.mark.parametrize("jobs", [[], ["-j2"]])
def test_action_is_told_what_its_task_has_made_until_it_does_again(
    project: Project, jobs: list[str]
) -> None:
    """Also after it failed, and after it was killed."""
    told: list[list[str]] = []
    fails = [False]

    def make(task: Any, targets: list[str]) -> None:
        told.append(task.meta["made"])
        if fails[0]:
            raise TaskError("not today")
        for target in targets:
            Path(target).write_text("made")

    targets = ["a", "b"]
    project.tasks = lambda: [{"basename": "make", "actions": [make], "targets": targets}]
    project.doit(*jobs)
    fails[0] = True
    project.doit(*jobs)
    project.doit(*jobs)
    with contextlib.closing(sqlite3.connect("state/doit.db")) as connection, connection:
        text = connection.execute("select task_data from doit").fetchone()[0]
        killed = json.loads(text) | {"checker:": "interrupted"}
        connection.execute("update doit set task_data = ?", (json.dumps(killed),))
    fails[0] = False
    targets.append("c")
    project.doit(*jobs)
    project.doit(*jobs)
    assert told == [[], ["a", "b"], ["a", "b"], ["a", "b"], ["a", "b", "c"]]


def test_folder_may_grow(made: Project) -> None:
    Path("f/new").write_text("x")
    assert planned(made) == {}


def test_target_without_a_record_is_as_before(made: Project) -> None:
    tasks = made.tasks
    made.tasks = lambda: [*tasks(), made.task("new", targets=["n"], uptodate=[True])]
    Path("n").write_text("from elsewhere")
    assert planned(made) == {}


def test_target_cut_in_a_partial_task_or_after_setup_is_made_again(project: Project) -> None:
    project.write("source", "source")
    project.tasks = lambda: [
        project.task("part", file_dep=["source"], targets=["p"], meta={"partial": True}),
        project.task("first", targets=["x"], uptodate=[True]),
        project.task("second", file_dep=["source"], targets=["s"], setup=["first"]),
    ]
    project.doit()
    for path in "ps":
        os.truncate(path, 0)
    project.doit()
    assert project.executed == ["part", "second"]
