"""Processes of a parallel run that stand still: said, ended, and their tasks done by others."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import time
from pathlib import Path

import pytest
from engine_project import (
    assert_all_done,
    begun,
    living_in,
    new_project,
    start,
    under_way,
    victim,
    wait_for,
)

SAID = r"stood still \(stopped\)|does not answer|worker lost: "


def frozen_run(folder: Path, who: str, resumed_after_s: float | None = None) -> tuple[str, float]:
    """Stop a part of a run; return what doit printed at its end, and how long that took."""
    new_project(folder)
    process = under_way(folder, "-j", "2")
    pid = victim(folder, who)
    began = time.monotonic()
    os.kill(pid, signal.SIGSTOP)
    try:
        if resumed_after_s is not None:
            time.sleep(resumed_after_s)
            _resume(pid)
        printed, _ = process.communicate(timeout=80)
    finally:
        process.kill()
    assert process.returncode == 0, printed
    assert "Traceback" not in printed
    assert "6 done" in printed
    assert_all_done(folder)
    assert not (folder / "state" / ".engine").exists()
    return printed, time.monotonic() - began


def _resume(pid: int) -> None:
    with contextlib.suppress(ProcessLookupError):  # ended meanwhile
        os.kill(pid, signal.SIGCONT)


@pytest.mark.slow
@pytest.mark.parametrize("who", ["worker", "manager", "interchange", "server of the manager"])
def test_what_stands_still_is_said_and_its_tasks_go_to_another(tmp_path: Path, who: str):
    printed, seconds = frozen_run(tmp_path / "project", who)
    assert re.search(SAID, printed), printed
    assert seconds < 60


@pytest.mark.slow
@pytest.mark.parametrize("who", ["keeper of the pool", "keeper of the interchange"])
def test_keeper_that_stands_still_harms_nothing(tmp_path: Path, who: str):
    frozen_run(tmp_path / "project", who)


@pytest.mark.slow
@pytest.mark.parametrize(
    "who", ["worker", "manager", "interchange", "keeper of the pool", "keeper of the interchange"]
)
@pytest.mark.parametrize("seconds", [5, 12, 20])
def test_what_is_resumed_does_no_harm(tmp_path: Path, who: str, seconds: float):
    frozen_run(tmp_path / "project", who, resumed_after_s=seconds)


@pytest.mark.slow
def test_run_that_stands_still_as_a_whole_goes_on(tmp_path: Path):
    """As after Ctrl-Z, with a laptop's lid closed, or in a container that is paused."""
    folder = new_project(tmp_path / "project", "heartbeat_s = 4\nretries = 0\n")
    process = start(folder, "-j", "2")
    for _ in range(2):
        ran = len(begun(folder))
        wait_for(lambda n=ran: len(begun(folder)) > n, 40, lambda: living_in(folder))
        os.killpg(process.pid, signal.SIGSTOP)
        time.sleep(10)
        os.killpg(process.pid, signal.SIGCONT)
    printed, _ = process.communicate(timeout=80)
    assert process.returncode == 0, printed
    assert_all_done(folder)
