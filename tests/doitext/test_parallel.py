"""Several tasks at once: which start first, and what they share."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from doitext_project import Project

from fly64tasks.doitext import parallel


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


ALL_RUNNERS = pytest.mark.parametrize(
    "how", [[], ["-j2"], ["-j2", "-P", "process"]], ids=["serial", "threads", "processes"]
)


@ALL_RUNNERS
@pytest.mark.parametrize("code", [0, 3, None, "no probe"])
def test_a_task_that_exits_fails_and_the_others_run(
    project: Project, how: list[str], code: object
) -> None:
    def leave() -> None:
        sys.exit(code)  # type: ignore[arg-type]

    project.tasks = lambda: [
        {"basename": "leaves", "actions": [leave]},
        project.task("after", targets=["after"], task_dep=["leaves"]),
        project.task("other", targets=["other"]),
    ]
    result = project.doit("-c", *how)
    assert result.code == 1
    said = "" if code is None else repr(code)
    assert f"FAILED  called sys.exit({said})" in result.out
    assert "1 done, 1 failed, 1 not run" in result.out
    assert Path("other").exists() and not Path("after").exists()
    assert project.doit("-n", "--json").reasons["leaves"] == [
        f"failed last time: called sys.exit({said})"
    ]


@pytest.mark.parametrize("where", ["uptodate", "teardown"])
def test_an_exit_outside_of_the_actions_is_no_success(project: Project, where: str) -> None:
    def leave() -> None:
        sys.exit(0)

    project.tasks = lambda: [
        {"basename": "leaves", "actions": [lambda: None], where: [leave]},
        project.task("other", targets=["other"]),
    ]
    ended = threading.Event()
    threading.Thread(target=ended.wait).start()  # of the program that calls doit: no task of ours
    result = project.doit()
    ended.set()
    assert result.code == 2
    assert "stopped: called sys.exit(0) outside of a task's actions" in result.err


@pytest.mark.parametrize(
    ("end", "said"),
    [
        (lambda: os.kill(os.getpid(), signal.SIGKILL), "was ended by SIGKILL, and no result"),
        (lambda: os._exit(7), "ended with 7, and no result"),
        (lambda: os._exit(0), "ended with 0, and no result"),
    ],
)
def test_a_task_whose_process_dies_fails_and_the_others_run(
    project: Project, end: Callable[[], None], said: str
) -> None:
    project.tasks = lambda: [
        {"basename": "dies", "actions": [end]},
        project.task("after", targets=["after"], task_dep=["dies"]),
        *(project.task(f"other{i}", targets=[f"other{i}"]) for i in range(5)),
    ]
    result = project.doit("-c", "-j2", "-P", "process")
    assert result.code == 1
    assert f"FAILED  its process {said}" in result.out
    assert "5 done, 1 failed, 1 not run" in result.out


def test_tasks_in_processes_run_at_once_and_in_order(project: Project) -> None:
    def meet(name: str, other: str) -> None:
        Path(name).touch()
        while not Path(other).exists():
            time.sleep(0.01)

    def give() -> dict[str, int]:
        return {"pid": os.getpid()}

    def take(pid: int) -> None:
        Path("pid").write_text(str(pid))

    project.tasks = lambda: [
        {"basename": "last", "actions": [give], "task_dep": ["a", "b"]},
        {"basename": "a", "actions": [(meet, ["a", "b"])], "setup": ["first"]},
        {"basename": "b", "actions": [(meet, ["b", "a"])], "setup": ["first"]},
        {"basename": "first", "actions": [give], "teardown": [Path("torn").touch]},
        {"basename": "takes", "actions": [take], "getargs": {"pid": ("last", "pid")}},
    ]
    result = project.doit("-j2", "-P", "process")
    assert result.code == 0, result
    assert "5 done" in result.out
    assert int(Path("pid").read_text()) != os.getpid()
    assert Path("torn").exists()


def test_a_result_that_can_not_be_sent_is_a_failure(project: Project) -> None:
    def give() -> dict[str, object]:
        return {"it": lambda: None}

    project.tasks = lambda: [{"basename": "gives", "actions": [give]}, project.task("other")]
    result = project.doit("-c", "-j2", "-P", "process")
    assert result.code == 2
    assert "1 done, 1 failed" in result.out
