"""Every process of a parallel run killed in turn: no hang, no orphan, nothing finished repeated."""

from __future__ import annotations

import os
import re
import signal
import time
from pathlib import Path

import pytest
from engine_project import (
    EXPECTED,
    ONE_BY_ONE,
    WAITING,
    assert_all_done,
    assert_nothing_left,
    begun,
    living_in,
    new_project,
    outputs,
    start,
    under_way,
    victim,
    wait_for,
)


@pytest.mark.parametrize(
    "who",
    [
        "worker",
        pytest.param("manager", marks=pytest.mark.slow),
        "interchange",
        pytest.param("keeper of the pool", marks=pytest.mark.slow),
        pytest.param("keeper of the interchange", marks=pytest.mark.slow),
    ],
)
def test_a_part_of_the_engine_is_killed(tmp_path: Path, who: str):
    folder = new_project(tmp_path / "Süß project")
    process = under_way(folder, "-j", "2")
    os.kill(victim(folder, who), signal.SIGKILL)
    printed, _ = process.communicate(timeout=60)
    assert_nothing_left(folder)
    assert "Traceback" not in printed
    assert process.returncode == 0, printed
    assert "worker lost: " in printed
    names = [name for name, _ in begun(folder)]
    assert 6 < len(names) <= 8, "each task that was lost ran once more"
    assert outputs(folder) == EXPECTED
    assert not (folder / "state" / ".engine").exists()
    finish(folder, printed)


def test_task_is_given_to_an_interchange_whose_end_is_not_known_yet(tmp_path: Path):
    """As for seconds after each such end, while its keeper ends what is below it."""
    folder = new_project(tmp_path / "project", dodo=ONE_BY_ONE)
    process = start(folder, "-j", "2")
    wait_for((folder / "out" / "0.txt").exists, 40, lambda: (begun(folder), living_in(folder)))
    time.sleep(0.5)
    os.kill(victim(folder, "keeper of the interchange"), signal.SIGSTOP)
    os.kill(victim(folder, "interchange"), signal.SIGKILL)
    (folder / "go").touch()
    printed, _ = process.communicate(timeout=60)
    assert process.returncode == 0, printed
    assert "worker lost: the engine's interchange took no task in 5 s; its task" in printed
    assert "2 done" in printed
    assert [name for name, _ in begun(folder)] == ["0", "1"]
    assert_nothing_left(folder)


def test_a_worker_is_killed_that_waits_for_a_task(tmp_path: Path):
    folder = new_project(tmp_path / "project", dodo=WAITING)
    process = start(folder, "-j", "2")
    idle = folder / "out" / "1.txt"
    wait_for(idle.exists, 40, lambda: (begun(folder), living_in(folder)))
    time.sleep(0.5)
    os.kill(dict(begun(folder))["1"], signal.SIGKILL)
    printed, _ = process.communicate(timeout=60)
    assert process.returncode == 0, printed
    assert "3 done" in printed
    assert [name for name, _ in begun(folder)].count("1") == 1
    assert_nothing_left(folder)


@pytest.mark.parametrize(
    "how",
    [
        pytest.param(signal.SIGINT, marks=pytest.mark.slow),
        pytest.param(signal.SIGTERM, marks=pytest.mark.slow),
        signal.SIGKILL,
    ],
)
def test_doit_is_killed(tmp_path: Path, how: signal.Signals):
    folder = new_project(tmp_path / "Süß project")
    process = under_way(folder, "-j", "2")
    process.send_signal(how)
    printed, _ = process.communicate(timeout=10)
    assert process.returncode == (-how if how is signal.SIGKILL else 128 + how), printed
    assert_nothing_left(folder)
    assert "Traceback" not in printed
    assert (folder / "state" / ".engine").exists() == (how is signal.SIGKILL)
    finish(folder, printed)


def finish(folder: Path, printed: str) -> None:
    """Run doit again: it does what is left and no more."""
    before = begun(folder)
    done = set(re.findall(r"/6\] step:(\d) +[\d.]+ s$", printed, flags=re.MULTILINE))
    again = start(folder)
    said, _ = again.communicate(timeout=60)
    assert again.returncode == 0, said
    assert not done & {name for name, _ in begun(folder)[len(before) :]}, (printed, said)
    assert_all_done(folder)
