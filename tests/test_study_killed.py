"""The real study killed at random moments: no finished job is repeated, no half result kept."""

from __future__ import annotations

import json
import random
import re
import shutil
import signal
import time
from dataclasses import dataclass
from pathlib import Path

import pytest
from doit.dependency import JSONCodec
from engine_project import assert_nothing_left, start
from small_study import ONE_DOSE, new_project, results

from fly64tasks.doitext.state.journal import Journal

STUDY = ONE_DOSE.replace("num_epochs = 3", "num_epochs = 30")
SIGNALS = (signal.SIGKILL, signal.SIGTERM, signal.SIGINT)


def finished(printed: str) -> list[str]:
    """Return the tasks that a run reported as executed and done."""
    lines = re.findall(r"^\[ *\d+/\d+\] (\S+)(.*)$", printed, flags=re.MULTILINE)
    return [name for name, rest in lines if "FAILED" not in rest and "INTERRUPTED" not in rest]


def cut_off(folder: Path) -> set[str]:
    """Return the tasks that the state file says were running."""
    state = Journal(str(folder / "reports" / ".doit.db"), JSONCodec())
    return {name for name, _ in state.cut_off()}


def kill_and_finish(
    folder: Path, when: float, how: signal.Signals, jobs: int, expected: dict[str, bytes]
) -> str:
    """Kill doit in a new project after ``when`` seconds, finish it, check; return what happened."""
    new_project(folder, STUDY)
    parallel = ["-j", str(jobs)] if jobs else []
    first = start(folder, *parallel)
    time.sleep(when)
    first.send_signal(how)
    printed, _ = first.communicate(timeout=60)
    assert_nothing_left(folder)
    done, cut = finished(printed), cut_off(folder)
    if done and not re.search(r"^\d+ done", printed, re.MULTILINE):
        assert first.returncode == (-how if how is signal.SIGKILL else 128 + how), printed
        assert "Traceback" not in printed
    for path in folder.glob("reports/**/run.json"):
        json.loads(path.read_text("utf-8"))

    second = start(folder, *parallel)
    again, _ = second.communicate(timeout=300)
    assert second.returncode == 0, printed + again
    repeated = finished(again)
    assert not set(repeated) & set(done), (printed, again)
    assert cut <= set(repeated), (cut, again)
    assert results(folder) == expected, again
    shutil.rmtree(folder)
    return f"{how.name} at {when:.1f} s, -j {jobs}: {len(done)} done, cut off {sorted(cut)}"


@dataclass(frozen=True)
class Undisturbed:
    """What a serial run gave, and how long it took."""

    results: dict[str, bytes]
    seconds: float


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Undisturbed:
    folder = new_project(tmp_path_factory.mktemp("undisturbed") / "project", STUDY)
    began = time.monotonic()
    process = start(folder)
    printed, _ = process.communicate(timeout=300)
    assert process.returncode == 0, printed
    return Undisturbed(results(folder), time.monotonic() - began)


def prove(folder: Path, undisturbed: Undisturbed, kills: int, jobs: tuple[int, ...]) -> None:
    rng = random.Random(1)
    cut = 0
    for i in range(kills):
        when, how = rng.uniform(0.3, undisturbed.seconds), SIGNALS[i % 3]
        place, at_once = folder / f"killed {i}", jobs[i % len(jobs)]
        told = kill_and_finish(place, when, how, at_once, undisturbed.results)
        cut += "cut off []" not in told
        print(told, flush=True)
    print(f"{kills} kills, {cut} with a task cut off, all finished to the same bytes")


@pytest.mark.slow
def test_parallel_study_gives_the_same_bytes(tmp_path: Path, undisturbed: Undisturbed):
    folder = new_project(tmp_path / "parallel", STUDY)
    process = start(folder, "-j", "2")
    printed, _ = process.communicate(timeout=300)
    assert process.returncode == 0, printed
    assert printed.count("  loss ") == 6
    assert_nothing_left(folder)
    assert sum(path.endswith("/reconstruction.npz") for path in undisturbed.results) == 6
    assert results(folder) == undisturbed.results


def test_study_survives_being_killed(tmp_path: Path, undisturbed: Undisturbed):
    prove(tmp_path, undisturbed, kills=1, jobs=(2,))


@pytest.mark.slow
def test_study_survives_being_killed_sixty_times(tmp_path: Path, undisturbed: Undisturbed):
    prove(tmp_path, undisturbed, kills=60, jobs=(2, 0, 0, 2))
