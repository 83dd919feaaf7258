"""Lines for logs, bars for terminals."""

from __future__ import annotations

import io
import os
import pty
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from doitext_project import LONG, MAIN, Project, wait_until_up

from fly64tasks.doitext import progress
from fly64tasks.doitext.running.reporter import LineReporter


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


def test_a_terminal_shows_running_tasks_with_progress(tmp_path: Path) -> None:
    (tmp_path / "dodo.py").write_text(
        "import time\n"
        "from fly64tasks.doitext import progress\n"
        "DOIT_CONFIG = {'backend': 'journal', 'dep_file': 's.db'}\n"
        "def train(task):\n"
        "    for epoch in range(8):\n"
        "        progress.report(task.name, epoch, 8, loss=0.5)\n"
        "        time.sleep(0.15)\n"
        "def task_train():\n"
        "    return {'actions': [train]}\n"
    )
    leader, follower = pty.openpty()
    environment = {**os.environ, "TERM": "xterm", "COLUMNS": "100"}
    process = subprocess.Popen(
        [sys.executable, "-c", MAIN],
        cwd=tmp_path,
        stdout=follower,
        stderr=follower,
        env=environment,
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
    assert process.wait() == 0
    text = seen.decode()
    assert "/8" in text and "loss 0.5" in text
    assert "[1/1] train" in text


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
        [sys.executable, "-c", MAIN, "-c", *jobs, "done", "fails", "then"],
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
