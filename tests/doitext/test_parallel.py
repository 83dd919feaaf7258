"""Several tasks at once: which start first, and what they share."""

from __future__ import annotations

from pathlib import Path

import pytest
from doitext_project import Project

from fly64tasks.doitext import parallel


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    monkeypatch.chdir(tmp_path)
    return Project(tmp_path)


def test_the_task_with_the_most_to_read_starts_first(project: Project) -> None:
    sizes = {"small": 10, "none": 0, "large": 1000, "medium": 100, "twin": 100}
    for name, size in sizes.items():
        project.write(f"{name}.in", "x" * size)
    project.tasks = lambda: [
        project.task(name, file_dep=[f"{name}.in"], targets=[f"{name}.out"]) for name in sizes
    ]
    assert project.doit("-j", "1").code == 0
    assert project.executed == ["large", "medium", "twin", "small", "none"]


def test_what_a_task_waits_for_still_comes_before_it(project: Project) -> None:
    project.write("big.in", "x" * 1000)
    project.write("little.in", "x")
    project.tasks = lambda: [
        project.task("last", file_dep=["made"], targets=["end"]),
        project.task("little", file_dep=["little.in"], targets=["little.out"]),
        project.task("setup"),
        project.task("big", file_dep=["big.in"], targets=["made"], setup=["setup"]),
    ]
    assert project.doit("-j", "1").code == 0
    assert sorted(project.executed) == ["big", "last", "little", "setup"]
    order = project.executed.index
    assert order("setup") < order("big") < order("last")


def test_there_is_a_parallel_run_in_threads_and_only_then(project: Project) -> None:
    seen: list[int | None] = []

    def look() -> None:
        run = parallel.current()
        seen.append(run.jobs if run else None)

    project.tasks = lambda: [{"basename": "look", "actions": [look]}]
    for arguments in (["-j", "3"], []):
        assert project.doit(*arguments).code == 0
    assert seen == [3, None]
    assert parallel.current() is None
