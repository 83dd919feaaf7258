"""What ``--events`` writes: whole lines of JSON, whatever becomes of the run."""

from __future__ import annotations

import json
import math
import os
import signal
import socket
import subprocess
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from doitext_project import DOIT, LONG, Project, wait_until_up
from faults import fill, small_disk

from fly64tasks.doitext import progress
from fly64tasks.doitext.errors import TaskError

JOBS = pytest.mark.parametrize("jobs", [[], ["-j2"]], ids=["serial", "parallel"])


def _refuse(constant: str) -> None:
    raise AssertionError(f"{constant} is no JSON")


def events(path: Path = Path("events.jsonl")) -> list[dict[str, Any]]:
    """The lines of an event log, each of which must be whole and strict JSON."""
    text = path.read_text("ascii")
    assert text == "" or text.endswith("\n")
    return [json.loads(line, parse_constant=_refuse) for line in text.splitlines()]


def of_task(name: str, said: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [event for event in said if event.get("task") == name]


@pytest.fixture
def study(project: Project) -> Project:
    """Tasks that are up to date, that report numbers, fail, and cannot start."""

    def train(task: Any) -> None:
        for epoch in range(50):
            progress.report(task.name, epoch + 1, 50, loss=1 / (epoch + 1), bad=math.nan)

    def fail() -> None:
        raise TaskError("x.npz: no probe")

    project.tasks = lambda: [
        project.task("made", targets=["made"], uptodate=[True]),
        {"basename": "train", "actions": [train]},
        {"basename": "fails", "actions": [fail]},
        {"basename": "then", "actions": [fail], "task_dep": ["fails"]},
        {"basename": "group", "actions": None, "task_dep": ["made", "train"]},
    ]
    assert project.doit("made").code == 0
    return project


@JOBS
def test_each_task_begins_and_ends_with_its_numbers(study: Project, jobs: list[str]) -> None:
    assert study.doit("-c", *jobs, "--events", "events.jsonl").code == 1
    said = events()
    first, last = said[0], said[-1]
    assert first | {"time": ""} == {
        "event": "run_begin",
        "time": "",
        "pid": os.getpid(),
        "host": socket.gethostname(),
        "tasks": 4,
    }
    assert datetime.now(UTC) - datetime.fromisoformat(first["time"]) < timedelta(hours=1)
    assert (last["event"], last["exit_code"], last["signal"]) == ("run_end", 1, None)
    assert last["counts"] == {"done": 1, "up to date": 1, "failed": 1, "not run": 1}
    begin, step, end = of_task("train", said)
    assert begin["event"] == "task_begin"
    assert step["event"] == "progress", "more than one in a second"
    assert (step["done"], step["total"], step["numbers"]) == (1, 50, {"loss": 1.0, "bad": None})
    assert end["event"] == "task_end" and end["status"] == "done" and end["seconds"] >= 0
    assert end["numbers"] == {"loss": 0.02, "bad": None}
    (made,) = of_task("made", said)
    assert (made["status"], made["seconds"], made["reason"]) == ("up to date", None, None)
    assert of_task("fails", said)[-1]["reason"] == "x.npz: no probe"
    (then,) = of_task("then", said)
    assert (then["status"], then["reason"]) == ("not run", "after fails")


def test_progress_is_said_once_in_a_second(project: Project) -> None:
    def train(task: Any) -> None:
        for step in range(24):
            progress.report(task.name, step, 24)
            time.sleep(0.1)

    project.tasks = lambda: [{"basename": "t", "actions": [train]}]
    project.doit("--events", "events.jsonl")
    said = [event for event in events() if event["event"] == "progress"]
    assert 2 <= len(said) <= 1 + (events()[-1]["seconds"])


def test_runs_are_appended_and_a_dry_run_writes_nothing(study: Project) -> None:
    assert study.doit("-n", "--events", "none/events.jsonl").code == 0
    study.doit("-n", "--events", "events.jsonl")
    assert not Path("events.jsonl").exists()
    for _ in range(2):
        study.doit("made", "--events", "events.jsonl")
    assert [event["event"] for event in events()] == ["run_begin", "task_end", "run_end"] * 2


def test_log_may_be_named_in_the_configuration(study: Project) -> None:
    study.config = {"events": "events.jsonl"}
    study.doit("made")
    assert events()[-1]["counts"] == {"up to date": 1}


def test_log_that_cannot_be_written_is_refused_before_anything_runs(study: Project) -> None:
    for path in ("none/events.jsonl", "."):
        result = study.doit("train", "--events", path)
        assert result.code == 3
        assert path in result.err and "--events takes a file" in result.err
        assert result.err.count("\n") == 1


def test_names_that_steer_a_terminal_are_escaped(project: Project) -> None:
    project.tasks = lambda: [project.task("t\x1b[2J\u202e")]
    project.doit("--events", "events.jsonl")
    assert of_task("t\x1b[2J\u202e", events())
    assert Path("events.jsonl").read_bytes().replace(b"\n", b"").decode().isprintable()


@JOBS
def test_log_on_a_disk_that_fills_is_given_up_and_the_run_goes_on(
    project: Project, jobs: list[str]
) -> None:
    with small_disk(Path("disk"), "64k") as disk:
        project.tasks = lambda: [
            {"basename": "a", "actions": [lambda: fill(disk) and None]},
            *({"basename": "x" * size, "actions": [lambda: None]} for size in (9, 999, 4999)),
        ]
        (disk / "events.jsonl").write_bytes(b"")
        result = project.doit(*jobs, "--events", "disk/events.jsonl")
        assert result.code == 0
        assert "4 done in " in result.out
        said = "events.jsonl: an event is not written: "
        assert result.err.count(said) == 1 and result.err.count("\n") == 1
        assert events(disk / "events.jsonl")[0]["event"] == "run_begin"


@JOBS
@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_run_that_is_stopped_says_so_in_its_last_line(
    tmp_path: Path, signum: signal.Signals, jobs: list[str]
) -> None:
    (tmp_path / "dodo.py").write_text(LONG)
    command = [*DOIT, *jobs, "--events", "events.jsonl"]
    process = subprocess.Popen(command, cwd=tmp_path, stderr=subprocess.PIPE)
    wait_until_up(tmp_path, process)
    process.send_signal(signum)
    process.communicate(timeout=60)
    said = events(tmp_path / "events.jsonl")
    assert [event["event"] for event in said] == ["run_begin", "task_begin", "task_end", "run_end"]
    assert said[2]["status"] == "interrupted"
    assert (said[3]["exit_code"], said[3]["signal"]) == (128 + signum, signum.name)
    assert said[3]["counts"] == {"interrupted": 1, "not reached": 1}


@pytest.mark.parametrize("gone", [True, False], ids=["goes", "stops"])
def test_a_reader_that_stops_reading_costs_the_log_and_not_the_run(
    project: Project, gone: bool
) -> None:
    def leave() -> None:
        if gone:
            os.close(reader)

    long = "x" * 9000
    project.tasks = lambda: [
        {"basename": f"{long}{i}", "actions": [leave if i == 0 else lambda: None]}
        for i in range(12)
    ]
    os.mkfifo("pipe")
    reader = os.open("pipe", os.O_RDONLY | os.O_NONBLOCK)
    result = project.doit("--events", "pipe")
    assert result.code == 0
    assert "12 done" in result.out
    assert result.err.count("pipe: an event is not written: ") == 1
    if not gone:
        assert os.read(reader, 20).startswith(b'{"event": "run_begin')
        os.close(reader)
