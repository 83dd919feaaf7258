"""Folders of a run: gone with it, left to the next by a kill, and never anyone else's."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from engine_project import living_in, new_project, start, under_way

from fly64tasks.engine.folder import OwnFolder

HOLD = (
    "import sys; from pathlib import Path; from fly64tasks.engine.folder import OwnFolder;"
    "folder = OwnFolder(Path(sys.argv[1]), 'run-'); print(folder.path, flush=True);"
    "sys.stdin.read()"
)


@pytest.fixture
def short_folder() -> Iterator[Path]:
    """A folder whose path leaves room for the name of a socket, which has 108 characters."""
    with tempfile.TemporaryDirectory() as name:
        yield Path(name)


def held(parent: Path) -> tuple[subprocess.Popen[str], Path]:
    """Return a living process that has a folder, and the folder."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(parent)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout
    return process, Path(process.stdout.readline().strip())


def test_folder_goes_with_its_block_and_is_nobody_elses(tmp_path: Path):
    with OwnFolder(tmp_path, "run-") as folder:
        assert folder.stat().st_mode & 0o777 == 0o700
        (folder / "below").mkdir()
        (folder / "below" / "keys").touch()
    assert list(tmp_path.iterdir()) == []


def test_folder_of_a_killed_owner_is_removed_by_the_next_and_that_of_a_living_one_is_not(
    tmp_path: Path,
):
    killed, left = held(tmp_path)
    living, kept = held(tmp_path)
    (left / "keys").touch()
    killed.kill()
    killed.communicate()
    with OwnFolder(tmp_path, "run-") as folder:
        assert set(tmp_path.iterdir()) == {kept, folder}
    living.kill()
    living.communicate()
    with OwnFolder(tmp_path, "run-") as folder:
        assert set(tmp_path.iterdir()) == {folder}


def test_folder_that_bears_no_mark_of_ours_stays(tmp_path: Path):
    killed, left = held(tmp_path)
    killed.kill()
    killed.communicate()
    [mark] = left.iterdir()
    words = mark.read_bytes()
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    left.rename(elsewhere / "data")
    (tmp_path / "run-link").symlink_to(elsewhere / "data")
    for name, content in {
        "run-plain": None,
        "run-empty": b"",
        "run-other": words.replace(socket.gethostname().encode(), b"another-host"),
    }.items():
        (tmp_path / name).mkdir()
        (tmp_path / name / "scan1.h5").touch()
        if content is not None:
            (tmp_path / name / mark.name).write_bytes(content)
    os.mkfifo(tmp_path / "run-plain" / mark.name)
    (tmp_path / "run-file").touch()
    before = set(tmp_path.rglob("*"))
    with OwnFolder(tmp_path, "run-"):
        pass
    assert set(tmp_path.rglob("*")) == before
    assert (elsewhere / "data").exists()


def test_run_dir_of_the_engine_file_keeps_what_others_have_in_it(tmp_path: Path):
    """Whatever its name is: the number of a process says nothing."""
    shared = tmp_path / "scratch"
    dead = subprocess.Popen(["true"])
    dead.wait()
    theirs = [
        shared / f"{socket.gethostname()}-20261124" / "raw" / "scan1.h5",
        shared / f"{socket.gethostname()}-{dead.pid}" / "raw" / "scan1.h5",
        shared / ".engine" / f"{socket.gethostname()}-{dead.pid}" / "scan1.h5",
        shared / f"fly64tasks-engine-{os.geteuid()}" / "run-1" / "scan1.h5",
    ]
    for path in theirs:
        path.parent.mkdir(parents=True)
        path.write_text("raw")
    folder = new_project(tmp_path / "project", f'run_dir = "{shared}"\n')
    process = start(folder, "-j", "2")
    printed, _ = process.communicate(timeout=60)
    assert process.returncode == 0, printed
    assert sorted(path for path in shared.rglob("*") if path.is_file()) == sorted(theirs)


@pytest.mark.parametrize("own_run_dir", [False, pytest.param(True, marks=pytest.mark.slow)])
def test_what_a_killed_run_leaves_is_removed_by_the_next(
    tmp_path: Path, short_folder: Path, own_run_dir: bool
):
    temporary = short_folder
    settings = f'run_dir = "{tmp_path}/scratch"\n' if own_run_dir else ""
    folder = new_project(tmp_path / "project", settings)
    process = under_way(folder, "-j", "2", steps=2, temporary=temporary)
    while living := living_in(folder):
        for pid in living:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
    process.communicate(timeout=20)
    runs = tmp_path / "scratch" if own_run_dir else folder / "state" / ".engine"
    assert list(temporary.glob("fly64-*"))
    assert list(runs.rglob("run-*"))
    theirs = temporary / "fly64-results"
    theirs.mkdir()
    process = start(folder, "-j", "2", temporary=temporary)
    printed, _ = process.communicate(timeout=60)
    assert process.returncode == 0, printed
    assert list(temporary.iterdir()) == [theirs]
    assert not list(runs.rglob("run-*"))
