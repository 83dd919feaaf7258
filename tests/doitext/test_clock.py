"""A clock that is set back: no negative durations, nothing repeated, no change overlooked."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from doitext_project import DOIT

DODO = """
import time
from pathlib import Path

DOIT_CONFIG = {"backend": "journal", "dep_file": "state/doit.db", "manifest_dir": "reports",
               "verbosity": 0}


def copy(task, dependencies, targets):
    with open("log", "a") as log:
        log.write(f"{task.name}\\n")
    if Path("set_back").exists():
        Path("clock").write_text("-1h")  # read anew by each look at the clock
        Path("set_back").unlink()
    Path(targets[0]).write_text(Path(dependencies[0]).read_text())


def task_a():
    return {"actions": [copy], "file_dep": ["source"], "targets": ["a"], "meta": {"record": "r"}}


def task_b():
    return {"actions": [copy], "file_dep": ["a"], "targets": ["b"], "meta": {"record": "r"}}
"""

Run = Callable[[], list[str]]


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """Runs doit by the clock that the file ``clock`` says; gives the tasks that it executed."""
    faketime = shutil.which("faketime")
    if faketime is None:
        pytest.skip("the program faketime is not installed")
    asked = [faketime, "-m", "-f", "+0", "printenv", "LD_PRELOAD"]
    library = subprocess.run(asked, capture_output=True, text=True, check=True).stdout.strip()
    environment = {
        **os.environ,
        "LD_PRELOAD": library,
        "FAKETIME_TIMESTAMP_FILE": str(tmp_path / "clock"),
        "FAKETIME_NO_CACHE": "1",
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        "DONT_FAKE_MONOTONIC": "1",
        "NO_FAKE_STAT": "1",  # files keep the stamps of the clock by which they were written
    }
    (tmp_path / "dodo.py").write_text(DODO)
    (tmp_path / "source").write_text("source")
    (tmp_path / "clock").write_text("+0")
    log = tmp_path / "log"

    def run() -> list[str]:
        log.write_text("")
        done = subprocess.run(DOIT, cwd=tmp_path, env=environment, capture_output=True)
        assert done.returncode == 0, done
        return log.read_text().split()

    return run


def jobs(folder: Path) -> list[dict[str, float]]:
    manifest = json.loads((folder / "reports/manifest.json").read_text())
    found: list[dict[str, float]] = manifest["jobs"]
    return found


def edit_an_hour_earlier(path: Path) -> None:
    """Change a file, but not its size, as by a clock that was set back."""
    path.write_text(path.read_text().upper())
    then = time.time() - 3600
    os.utime(path, (then, then))


def test_clock_that_is_set_back_between_runs(tmp_path: Path, run: Run) -> None:
    assert run() == ["a", "b"]
    (tmp_path / "clock").write_text("-1h")
    assert run() == []
    assert run() == []
    edit_an_hour_earlier(tmp_path / "source")
    assert run() == ["a", "b"]
    assert all(job["seconds"] >= 0 for job in jobs(tmp_path))
    assert all(time.time() - job["started"] > 3000 for job in jobs(tmp_path))
    (tmp_path / "clock").write_text("+0")
    assert run() == []


def test_clock_that_is_set_back_while_a_task_runs(tmp_path: Path, run: Run) -> None:
    (tmp_path / "set_back").touch()
    assert run() == ["a", "b"]
    first, second = jobs(tmp_path)
    assert first["started"] - second["started"] > 3000, "the clock was not set back"
    assert 0 <= first["seconds"] < 600
    assert 0 <= second["seconds"] < 600
    assert run() == []
    edit_an_hour_earlier(tmp_path / "source")
    assert run() == ["a", "b"]
    assert (tmp_path / "b").read_text() == "SOURCE"


def test_file_from_the_future_that_changes_at_the_same_moment_is_read_again(
    tmp_path: Path, run: Run
) -> None:
    source = tmp_path / "source"
    ahead = (time.time() + 3600,) * 2
    os.utime(source, ahead)
    assert run() == ["a", "b"]
    source.write_text("SOURCE")
    os.utime(source, ahead)
    assert run() == ["a", "b"]
