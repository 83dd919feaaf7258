"""The real study killed at random moments: no finished job is repeated, no half result kept."""

from __future__ import annotations

import json
import random
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from doit.dependency import JSONCodec
from doitext_project import session_members
from small_study import PROJECT, SMALL_STUDY

from fly64tasks.doitext.state import Journal

ONE_DOSE = SMALL_STUDY.replace("[1e3, 1e4]", "[1e3]").replace("num_epochs = 3", "num_epochs = 30")
SIGNALS = (signal.SIGKILL, signal.SIGTERM, signal.SIGINT)


def new_project(folder: Path) -> Path:
    folder.mkdir()
    shutil.copy(PROJECT / "dodo.py", folder)
    (folder / "study.toml").write_text(ONE_DOSE, "utf-8")
    return folder


def start(folder: Path, *arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "doit", *arguments],
        cwd=folder,
        start_new_session=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def finished(printed: str) -> list[str]:
    """Return the tasks that a run reported as executed and done."""
    lines = re.findall(r"^\[ *\d+/\d+\] (\S+)(.*)$", printed, flags=re.MULTILINE)
    return [name for name, rest in lines if "FAILED" not in rest and "INTERRUPTED" not in rest]


def cut_off(folder: Path) -> set[str]:
    """Return the tasks that the state file says were running."""
    state = Journal(str(folder / "reports" / ".doit.db"), JSONCodec())
    return {name for name, _ in state.cut_off()}


def results(folder: Path) -> dict[str, bytes]:
    """Return everything that must come out the same: all but records of time, and logs."""
    paths = [*folder.glob("data/**/*"), *folder.glob("reports/*/**/*")]
    kept = [
        path for path in paths if path.is_file() and path.name not in ("run.json", "ptychi.log")
    ]
    return {str(path.relative_to(folder)): path.read_bytes() for path in kept}


def kill_and_finish(
    folder: Path, when: float, how: signal.Signals, jobs: int, expected: dict[str, bytes]
) -> str:
    """Kill doit in a new project after ``when`` seconds, finish it, check; return what happened."""
    new_project(folder)
    first = start(folder, "-j", str(jobs))
    time.sleep(when)
    first.send_signal(how)
    printed, _ = first.communicate(timeout=60)
    deadline = time.monotonic() + 5
    while session_members(first.pid):
        assert time.monotonic() < deadline, f"orphans {session_members(first.pid)}"
        time.sleep(0.05)
    done, cut = finished(printed), cut_off(folder)
    if done and "10 done" not in printed:
        assert first.returncode == (-how if how is signal.SIGKILL else 128 + how), printed
        assert "Traceback" not in printed
    for path in folder.glob("reports/**/run.json"):
        json.loads(path.read_text("utf-8"))

    second = start(folder, "-j", str(jobs))
    again, _ = second.communicate(timeout=300)
    assert second.returncode == 0, printed + again
    repeated = finished(again)
    assert not set(repeated) & set(done), (printed, again)
    assert cut <= set(repeated), (cut, again)
    assert results(folder) == expected, again
    shutil.rmtree(folder)
    return f"{how.name} at {when:.1f} s, -j {jobs}: {len(done)} done, cut off {sorted(cut)}"


def prove(folder: Path, kills: int, jobs: tuple[int, ...]) -> None:
    undisturbed = new_project(folder / "undisturbed")
    began = time.monotonic()
    process = start(undisturbed)
    printed, _ = process.communicate(timeout=300)
    duration = time.monotonic() - began
    assert process.returncode == 0, printed
    expected = results(undisturbed)
    rng = random.Random(1)
    cut = 0
    for i in range(kills):
        when, how = rng.uniform(0.3, duration), SIGNALS[i % 3]
        told = kill_and_finish(
            folder / f"killed {i}", when, how, jobs[i // 3 % len(jobs)], expected
        )
        cut += "cut off []" not in told
        print(told, flush=True)
    print(f"{kills} kills, {cut} with a task cut off, all finished to the same bytes")


def test_study_survives_being_killed(tmp_path: Path):
    prove(tmp_path, kills=2, jobs=(1, 2))


@pytest.mark.slow
def test_study_survives_being_killed_sixty_times(tmp_path: Path):
    prove(tmp_path, kills=60, jobs=(1, 2))
