"""What is up to date is seen in one look at its files, and doit itself is not asked."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
from doit.dependency import Dependency

from fly64tasks.doitext.spec import SpecUnchanged


def write(targets: list[str]) -> None:
    for target in targets:
        Path(target).write_text("made")


def chain(letters: int = 3) -> list[dict[str, Any]]:
    """Two tasks: the second reads what the first makes."""
    common = {"actions": [write], "uptodate": [SpecUnchanged({"letters": letters})]}
    return [
        {"basename": "first", "file_dep": ["source"], "targets": ["a"], **common},
        {"basename": "then", "file_dep": ["a", "source"], "targets": ["b"], **common},
    ]


@pytest.fixture
def finished(project: Any) -> Any:
    """Both tasks are done."""
    project.write("source", "x")
    project.tasks = chain
    assert project.doit().code == 0
    return project


@pytest.mark.parametrize("arguments", [["-n"], []])
def test_doit_is_not_asked_about_what_is_up_to_date(finished: Any, arguments: list[str]):
    with mock.patch.object(Dependency, "get_status", side_effect=AssertionError("asked")):
        done = finished.doit(*arguments)
    assert done.code == 0, done
    assert "2 up to date" in done.out


def altered() -> None:
    Path("source").write_text("y")


def aged() -> None:
    Path("source").write_text("y")
    os.utime("source", (1e9, 1e9))


def cut_short() -> None:
    os.truncate("b", 2)


def replaced_by_a_folder() -> None:
    Path("b").unlink()
    Path("b").mkdir()


@pytest.mark.parametrize(
    ("change", "task", "reason"),
    [
        (altered, "first", "input changed: source"),
        (aged, "first", "input changed: source"),
        (lambda: Path("source").unlink(), "first", "input missing: source"),
        (lambda: Path("b").unlink(), "then", "target missing: b"),
        (cut_short, "then", "target truncated: b (2 of 4 bytes)"),
        (replaced_by_a_folder, "then", "target altered: b (not a file)"),
    ],
)
def test_what_changed_is_seen(finished: Any, change: Any, task: str, reason: str):
    change()
    assert reason in finished.doit("-n", "--json").reasons[task]


def test_new_setting_input_and_target_are_seen(finished: Any):
    finished.tasks = lambda: chain(letters=4)
    assert finished.doit("-n", "--json").reasons["first"] == ["letters 3 -> 4"]

    def wider() -> list[dict[str, Any]]:
        first, then = chain()
        finished.write("more", "x")
        first["targets"] = ["a", "c"]
        then["file_dep"] = ["a", "source", "more"]
        return [first, then]

    finished.tasks = wider
    reasons = finished.doit("-n", "--json").reasons
    assert reasons["first"] == ["target missing: c"]
    assert "input added: more" in reasons["then"]


def test_what_has_nothing_to_hold_on_to_runs_each_time(project: Any):
    project.tasks = lambda: [{"basename": "always", "actions": [write], "targets": ["a"]}]
    assert project.doit().code == 0
    assert project.doit("-n", "--json").verdicts == {"always": "run"}


def test_what_is_up_to_date_says_what_another_depends_on(project: Any):
    def found() -> dict[str, Any]:
        return {"file_dep": ["read"], "more": "kept"}

    project.write("read", "one")
    project.tasks = lambda: [
        {"basename": "find", "actions": [found], "uptodate": [SpecUnchanged({"a": 1})]},
        {"basename": "use", "actions": [write], "calc_dep": ["find"], "targets": ["used"]},
    ]
    assert project.doit().code == 0
    assert project.doit("-n", "--json").verdicts == {"find": "up to date", "use": "up to date"}
    project.write("read", "two")
    assert project.doit("-n", "--json").reasons["use"] == ["input changed: read"]
    assert project.doit().code == 0
    assert project.doit("-n", "--json").verdicts == {"find": "up to date", "use": "up to date"}
