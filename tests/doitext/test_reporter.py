"""Lines for logs, bars for terminals."""

from __future__ import annotations

import fcntl
import io
import os
import pty
import re
import signal
import struct
import subprocess
import sys
import termios
from pathlib import Path
from typing import Any

import pytest
from doit.task import Task
from doitext_project import DOIT, LONG, Project, wait_until_up

from fly64tasks.doitext import progress
from fly64tasks.doitext.running.ahead import Ahead
from fly64tasks.doitext.running.reporter import LineReporter
from fly64tasks.doitext.running.words import running_row


def test_the_line_of_a_task_shows_its_last_numbers(project: Project) -> None:
    def train(task: Any) -> None:
        for epoch in range(3):
            progress.report(task.name, epoch + 1, 3, loss=0.1 / (epoch + 1), lr=1.0)

    project.tasks = lambda: [{"basename": "t", "actions": [train]}]
    line = project.doit().out.splitlines()[0]
    assert line.startswith("[1/1] t  ")
    assert line.endswith("loss 0.0333  lr 1")


def test_a_task_that_reports_nothing_shows_no_numbers_of_an_earlier_run(project: Project) -> None:
    progress.report("t", 1, 1, loss=9.0)
    project.tasks = lambda: [{"basename": "t", "actions": [lambda: None]}]
    assert "loss" not in project.doit().out


def test_groups_and_up_to_date_tasks_have_no_line(project: Project) -> None:
    project.tasks = lambda: [
        project.task("g", name=name, targets=[name], uptodate=[True]) for name in "ab"
    ]
    assert len(project.doit().out.splitlines()) == 3
    (line,) = project.doit().out.splitlines()
    assert line.startswith("2 up to date in ")


@pytest.mark.parametrize(
    "line",
    [
        *([], ["-c"], ["-n"], ["list"], ["list", "-s", "--deps"], ["verify"], ["clean"]),
        *(
            ["clean", "-n"],
            ["manifest"],
            ["--allow-missing-extra"],
            ["absent\x1b[2J"],
            ["-\x1b[2J"],
        ),
        *(["--dose", "7"], ["absent\x1b*"], ["series:\x1b"], ["forget", "absent\x1b[2J"]),
    ],
    ids=ascii,
)
@pytest.mark.parametrize("failing", [False, True])
def test_names_and_docs_that_steer_a_terminal_are_escaped_in_every_line(
    project: Project, line: list[str], failing: bool
) -> None:
    evil = "\x1b[2J\u202e\n\x07"

    def fail() -> None:
        raise ValueError(f"failed {evil}")

    def tasks() -> list[dict[str, Any]]:
        made = project.task("series", name=f"a{evil}", targets=["made"], clean=True)
        extra = project.task("extra", name=evil, file_dep=["absent"], meta={"optional": "extra"})
        bad = project.task("bad", name=evil, doc=f"doc {evil}") | {"clean": [fail]}
        found = [made | {"doc": f"doc {evil}", "meta": {"dose": 1, "record": f"{evil}.json"}}, bad]
        if failing:
            bad["actions"] = [fail]
        return [*found, extra] if "--allow-missing-extra" in line else found

    project.tasks = tasks
    project.config = {"manifest_dir": "out"}
    project.commands |= {"run": "doitext_project:Forgiving"}
    for arguments in (line, line):  # never run, and then run
        result = project.doit(*arguments)
        for text in (*result.out.split("\n"), *result.err.split("\n")):
            assert text.isprintable(), ascii(text)


def test_failure_verbosity_repeats_what_the_task_said(project: Project) -> None:
    def fail() -> bool:
        print("to stdout")
        print("to stderr", file=sys.stderr)
        return False

    project.tasks = lambda: [{"basename": "t", "actions": [fail]}]
    said = project.doit("--failure-verbosity", "2").out
    assert "  stderr:\nto stderr\n  stdout:\nto stdout\n" in said
    assert "stdout" not in project.doit("--failure-verbosity", "1").out.replace("to stdout", "")


def test_counts_only_what_will_be_looked_at(project: Project) -> None:
    project.tasks = lambda: [
        project.task("a", targets=["x"]),
        project.task("b", file_dep=["x"]),
        project.task("c"),
    ]
    assert project.doit("b").out.splitlines()[0].startswith("[1/2] a")


SLOW = """
import time
from fly64tasks.doitext import progress
from fly64tasks.doitext.running import quiet

quiet.QUIET_S = 0.2
DOIT_CONFIG = {"backend": "journal", "dep_file": "s.db", "verbosity": 0}


def train(task):
    for epoch in range(8):
        progress.report(task.name, epoch, 8, loss=0.5)
        time.sleep(0.15)


def task_recon():
    for split in ("train", "test"):
        yield {"name": f"dose_1000_dense_{split}", "actions": [train]}


def task_fails():
    return {"actions": [lambda: False]}
"""
"""A dodo.py of three tasks, two of which take 1.2 s and say how far they are."""


def on_terminal(folder: Path, width: int, *line: str, **environment: str) -> str:
    """What doit writes to a terminal of so many columns."""
    leader, follower = pty.openpty()
    fcntl.ioctl(follower, termios.TIOCSWINSZ, struct.pack("HHHH", 24, width, 0, 0))
    of_ours = ("COLUMNS", "LINES", "NO_COLOR", "FORCE_COLOR")
    clean = {key: value for key, value in os.environ.items() if key not in of_ours}
    process = subprocess.Popen(
        [*DOIT, *line],
        cwd=folder,
        stdout=follower,
        stderr=follower,
        env={**clean, "TERM": "xterm", **environment},
    )
    os.close(follower)
    seen = bytearray()
    while True:
        try:
            part = os.read(leader, 4096)
        except OSError:  # the other end is closed
            break
        if not part:
            break
        seen += part
    os.close(leader)
    process.wait()
    return seen.decode()


def rows(text: str) -> list[str]:
    """The lines that a terminal was given, without what steers it."""
    return [row for row in re.split(r"(?:\x1b\[[0-9;?]*[A-Za-z]|[\r\n])+", text) if row]


@pytest.mark.parametrize("width", [30, 40, 60, 80, 120, 200])
def test_a_terminal_shows_running_tasks_with_progress(tmp_path: Path, width: int) -> None:
    (tmp_path / "dodo.py").write_text(SLOW)
    text = on_terminal(tmp_path, width, "recon", "-j2")
    assert "[1/2] recon:dose_1000_dense_" in text
    live = [row for row in rows(text) if "/8" in row or " of 2" in row]
    assert max(map(len, live)) <= width
    name = "recon:dose_1000_dense_train" if width > 33 else "recon:dose_1…_dense_train"
    assert any(row.startswith(f"{name} ") and re.search(" [1-7]/8", row) for row in live), live
    assert any("loss 0.5" in row for row in live) == (width >= 60)
    assert any("━" in row for row in live) == (width >= 80)
    assert any(re.fullmatch(r"0 of 2, (about|at least) \d\.\d s left", row) for row in live), live


def test_what_is_left_of_a_run_is_known_by_what_its_tasks_took_before(tmp_path: Path) -> None:
    (tmp_path / "dodo.py").write_text(SLOW)
    assert "0 of 3, at least" in on_terminal(tmp_path, 80, "-c")
    again = on_terminal(tmp_path, 80, "recon")
    left = [float(said) for said in re.findall(r"0 of 2, about (\d\.\d) s left", again)]
    assert 1.9 < left[0] < 4.0
    assert left == sorted(left, reverse=True) or left[-1] < left[0]


def test_failures_are_red_on_a_terminal_unless_no_color_says_otherwise(tmp_path: Path) -> None:
    (tmp_path / "dodo.py").write_text(SLOW)
    red = on_terminal(tmp_path, 80, "fails")
    assert "\x1b[1;31mFAILED\x1b[0m" in red
    assert "\x1b[1;31m1 failed\x1b[0m in " in red
    plain = on_terminal(tmp_path, 80, "fails", NO_COLOR="1")
    assert "FAILED" in plain
    assert not re.search(r"\x1b\[[0-9;]*3[0-7]", plain)


def test_long_job_off_a_terminal_says_something_now_and_then(tmp_path: Path) -> None:
    (tmp_path / "dodo.py").write_text(SLOW)
    command = [*DOIT, "recon"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
    said = [line for line in done.stdout.splitlines() if "running" in line]
    assert re.match(
        r"\[0/2\] running: recon:dose_1000_dense_train  0\.\d s  \d/8  loss 0\.5", said[0]
    )
    assert any("left in all" in line for line in said)
    assert 2 <= len(said) <= 8, "less and less often"
    assert done.stdout.splitlines()[-1].startswith("2 done in ")


@pytest.mark.parametrize("width", range(30, 201, 5))
def test_row_of_a_task_fits_and_shows_its_end_and_its_steps(width: int) -> None:
    name = "recon:dose_100000_sparse_train"
    said = progress.Progress(1234, 10000, {"loss": 0.0461, "lr": 1e-3})
    row = running_row(name, 3725.0, said, width, len(name))
    assert len(row) <= width
    assert "1234/10000" in row.replace(" 1234", "1234")
    assert row.split()[0].endswith("train")
    assert len(running_row(name, 3725.0, None, width, len(name))) <= width


def test_tasks_that_are_up_to_date_are_not_counted_into_what_is_left() -> None:
    took = {"a:1": 10.0, "a:2": 10.0, "b": 5.0}
    tasks = {name: Task(name, [lambda: None]) for name in took} | {
        "c": Task("c", [lambda: None], task_dep=["a:1"])
    }
    ahead = Ahead(tasks, lambda: set(tasks), took.get)
    assert ahead.seconds({}) == (0.0, False), "only c has never run, and nobody knows how long"
    for name in tasks:
        ahead.before(name)
    ahead.ended("a:1", 20.0)  # it ran again, and takes twice as long: so will a:2; then c
    assert ahead.seconds({}) == (20.0, False)
    assert ahead.seconds({"a:2": (5.0, None)}) == (15.0, False)
    ahead.ended("a:2", 20.0)
    ahead.ended("c", 1.0)
    assert ahead.seconds({}) == (0.0, True)


def test_output_that_is_no_terminal_has_no_control_characters() -> None:
    out = io.StringIO()
    reporter = LineReporter(out, {})
    reporter.initialize({}, [])
    reporter.complete_run()
    assert "\x1b" not in out.getvalue()
    assert out.getvalue().startswith("nothing to do in ")


DODO = f"""{LONG}

def task_done():
    return {{"actions": [lambda: None]}}


def task_fails():
    return {{"actions": [lambda: False]}}
"""


@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
@pytest.mark.parametrize("jobs", [[], ["-j2"]], ids=["serial", "parallel"])
def test_run_that_is_stopped_says_what_was_done_failed_and_cut_off(
    tmp_path: Path, signum: signal.Signals, jobs: list[str]
) -> None:
    (tmp_path / "dodo.py").write_text(DODO)
    process = subprocess.Popen(
        [*DOIT, "-c", *jobs, "done", "fails", "then"],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    first = [process.stdout.readline() for _ in range(2)]
    assert "FAILED" in "".join(first)
    wait_until_up(tmp_path, process)
    process.send_signal(signum)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 128 + signum
    assert err == f"stopped by {signum.name}; what was running will run again\n"
    lines = out.splitlines()
    assert lines[-1].startswith("1 done, 1 failed, 1 interrupted, 1 not reached in ")
    assert "fails: Python Task failed" in lines[-2]
