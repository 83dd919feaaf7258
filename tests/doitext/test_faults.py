"""What fails on the machine: one line each, and nothing that had finished is lost."""

from __future__ import annotations

import errno
import os
import resource
import shutil
import socket
import sqlite3
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest
from doitext_project import DOIT, Project
from faults import fill, read_only, small_disk

from fly64tasks.doitext.errors import machine_fault

# ---- actions


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (OSError(errno.ENOSPC, "", "a.npz"), "No space left on device: a.npz"),
        (OSError(errno.EDQUOT, ""), "Disk quota exceeded"),
        (OSError(errno.EIO, "read error", b"a.npz"), "Input/output error: b'a.npz'"),
        (OSError(errno.ESTALE, "", "a\x1b[2Jb"), r"Stale file handle: a\x1b[2Jb"),
        (PermissionError(errno.EACCES, "", Path("a.npz")), "Permission denied: a.npz"),
        (TimeoutError(errno.ETIMEDOUT, "", 3), "Connection timed out: 3"),
        (MemoryError("Unable to allocate 7 GiB"), "Out of memory: Unable to allocate 7 GiB"),
        (MemoryError(), "Out of memory"),
        (FileNotFoundError(errno.ENOENT, "", "a.npz"), None),
        (IsADirectoryError(errno.EISDIR, "", "a"), None),
        (OSError("without a number"), None),
        (socket.gaierror(socket.EAI_FAIL, "no such host"), None),
        (ValueError("a bug"), None),
    ],
)
def test_fault_of_the_machine_is_told_from_others(error: Exception, words: str | None) -> None:
    assert machine_fault(error) == words


def failed_plainly(project: Project, action: Any) -> str:
    """Run one task with `action`, which must fail in one line; the line is returned."""
    project.tasks = lambda: [{"basename": "t", "actions": [action]}]
    result = project.doit()
    assert result.code == 1
    assert "Traceback" not in result.out + result.err
    return result.out.splitlines()[0].partition("FAILED  ")[2]


def test_action_on_a_full_disk_fails_in_one_line(project: Project) -> None:
    with small_disk(Path("disk"), "64k") as disk:
        fill(disk)
        said = failed_plainly(project, lambda: (disk / "made").write_text("x" * 9999) and None)
    assert said == "No space left on device"


def test_action_on_a_read_only_disk_fails_in_one_line(project: Project) -> None:
    with small_disk(Path("disk"), "64k") as disk, read_only(disk):
        said = failed_plainly(project, lambda: (disk / "made").touch())
    assert said == "Read-only file system: disk/made"


def test_action_that_opens_too_many_files_fails_in_one_line(project: Project) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)

    def open_all() -> None:
        files = []
        resource.setrlimit(resource.RLIMIT_NOFILE, (128, hard))
        try:
            for _ in range(200):
                files.append(os.open("dodo", os.O_CREAT))
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
            for file in files:
                os.close(file)

    assert failed_plainly(project, open_all) == "Too many open files: dodo"


def test_input_that_can_not_be_read_fails_its_task_alone(project: Project) -> None:
    broken = Path("broken")  # a file of no bytes; /proc/self/mem is one that gives EIO
    broken.touch()

    def tasks() -> list[dict[str, Any]]:
        return [
            {"basename": "a", "actions": [lambda: None], "file_dep": ["broken"]},
            {"basename": "b", "actions": [lambda: None]},
        ]

    project.tasks = tasks
    assert project.doit().code == 0
    broken.unlink()
    broken.symlink_to("/proc/self/mem")
    result = project.doit("-n")
    assert result.code == 3
    assert "error       a  Input/output error: broken" in result.out
    result = project.doit("-c")
    assert result.code == 1
    assert "FAILED  Input/output error: broken" in result.out
    assert "1 done, 1 failed" in result.out
    assert "Traceback" not in result.out + result.err
    broken.unlink()
    broken.touch()
    assert "1 done, 1 up to date" in project.doit().out


def test_action_that_finds_no_file_has_its_traceback(project: Project) -> None:
    project.tasks = lambda: [{"basename": "t", "actions": [lambda: Path("none").read_text()]}]
    result = project.doit()
    assert result.code == 2
    assert "Traceback" in result.out


# ---- the state file

DODO = """
import time
from pathlib import Path

DOIT_CONFIG = {"backend": "journal", "dep_file": "disk/state/doit.db", "verbosity": 0,
               "manifest_dir": "disk/reports"}


def make(task, targets):
    with open("log", "a") as log:
        log.write(f"{task.name}\\n")
    Path(targets[0]).write_text(task.name)


def make_when_told(task, targets):
    make(task, targets)
    while not Path("go").exists():
        time.sleep(0.01)


def task_before():
    return {"actions": [make], "targets": ["before"], "uptodate": [True]}


def task_while():
    return {"actions": [make_when_told], "targets": ["while"], "uptodate": [True],
            "task_dep": ["before"]}


def task_after():
    return {"actions": [make], "targets": ["after"], "uptodate": [True], "task_dep": ["while"],
            "meta": {"record": "r"}}
"""
JOBS = pytest.mark.parametrize("jobs", [[], ["-j2"]], ids=["serial", "parallel"])


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A project whose state lies in ``disk/``, with a task that waits for the file ``go``."""
    (tmp_path / "dodo.py").write_text(DODO)
    (tmp_path / "disk").mkdir()
    (tmp_path / "log").touch()
    return tmp_path


def started(folder: Path, *args: str) -> subprocess.Popen[str]:
    """A doit of its own."""
    return subprocess.Popen(
        [*DOIT, *args],
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def executed(folder: Path) -> list[str]:
    """The tasks that have run so far, in order."""
    return (folder / "log").read_text().split()


def waiting(folder: Path, *args: str) -> subprocess.Popen[str]:
    """A doit that has come to the task that waits."""
    process = started(folder, *args)
    while executed(folder)[-1:] != ["while"]:
        assert process.poll() is None, process.communicate()
        time.sleep(0.01)
    return process


def ended(process: subprocess.Popen[str]) -> tuple[int, str, str]:
    """Exit code and what it said, in which there may be no traceback."""
    out, err = process.communicate(timeout=60)
    assert "Traceback" not in out + err
    return process.returncode, out, err


def goes_on(folder: Path, repeated: list[str]) -> None:
    """The next doit runs what is not recorded, and the one after it nothing."""
    before = len(executed(folder))
    code, _, err = ended(started(folder))
    assert code == 0, err
    assert executed(folder)[before:] == repeated
    assert "3 up to date" in ended(started(folder))[1]


@JOBS
def test_disk_that_fills_while_a_task_runs_ends_the_run(folder: Path, jobs: list[str]) -> None:
    with small_disk(folder / "disk", "256k") as disk:
        process = waiting(folder, *jobs)
        filler = fill(disk)
        (folder / "go").touch()
        code, out, err = ended(process)
        assert code == 1
        assert "stopped: disk/state/doit.db: database or disk is full; make room on its disk" in err
        assert out.splitlines()[-1].startswith("1 done, 1 interrupted, 1 not reached in ")
        code, _, err = ended(started(folder))
        assert code == 3
        manifest, state = err.splitlines()
        assert manifest.startswith("disk/reports/manifest.json: not written: No sp")
        assert state.startswith("ERROR: disk/state/doit.db")
        filler.unlink()
        goes_on(folder, ["while", "after"])


@JOBS
def test_folder_of_the_state_that_goes_while_a_task_runs_ends_the_run(
    folder: Path, jobs: list[str]
) -> None:
    process = waiting(folder, *jobs)
    (folder / "disk").rename(folder / "elsewhere")
    (folder / "go").touch()
    code, out, err = ended(process)
    assert code == 1
    assert "stopped: disk/state/doit.db: " in err
    assert "1 done, 1 interrupted, 1 not reached in " in out
    shutil.rmtree(folder / "disk")  # the manifest's
    (folder / "elsewhere").rename(folder / "disk")
    goes_on(folder, ["while", "after"])


def test_disk_that_is_read_only_is_refused_before_anything_runs(folder: Path) -> None:
    (folder / "go").touch()
    with small_disk(folder / "disk", "256k") as disk:
        with read_only(disk):
            assert ended(started(folder)) == (
                3,
                "",
                "ERROR: disk/state/doit.db.lock: Read-only file system; "
                "the state file needs a folder to write to\n",
            )
        assert ended(started(folder, "after"))[0] == 0
        with read_only(disk):
            assert "3 up to date. " in ended(started(folder, "-n"))[1]
            assert ended(started(folder))[0] == 3
        goes_on(folder, [])


def test_disk_that_is_full_at_the_start_is_refused_before_anything_runs(folder: Path) -> None:
    with small_disk(folder / "disk", "64k") as disk:
        (disk / "state").mkdir()
        filler = fill(disk)
        code, _, err = ended(started(folder))
        assert code == 3
        assert err.startswith("ERROR: disk/state/doit.db")
        assert err.count("\n") == 1
        filler.unlink()
        (folder / "go").touch()
        goes_on(folder, ["before", "while", "after"])


JUNK: dict[str, object] = {
    "no JSON": "{checker",
    "endless nesting": "[" * 99_999,
    "a list": "[1, 2]",
    "a number": 7,
    "bytes": b"\xff\xfe\x00",
    "checker": '{"checker:": ["MD5Checker"]}',
    "attempt": '{"checker:": "MD5Checker", "attempt:": "done"}',
    "attempt's seconds": '{"attempt:": {"status": "done", "seconds": "7"}}',
    "interrupted targets": '{"checker:": "interrupted", "attempt:": {"targets": [3]}}',
    "failed": '{"checker:": "failed"}',
    "targets": '{"checker:": "MD5Checker", "targets:": ["before"]}',
    "target": '{"checker:": "MD5Checker", "targets:": {"before": ["large", 3]}}',
    "deps": '{"checker:": "MD5Checker", "deps:": "source"}',
    "dep": '{"checker:": "MD5Checker", "deps:": ["source"], "source": [1, 2]}',
    "values": '{"checker:": "MD5Checker", "_values_:": [1]}',
    "terminal": '{"checker:": ["\\u001b[2J"]}',
}


@pytest.mark.parametrize("row", JUNK.values(), ids=JUNK.keys())
def test_junk_in_the_state_is_refused_in_one_line(project: Project, row: object) -> None:
    project.write("source", "s")
    project.tasks = lambda: [project.task("t", file_dep=["source"], targets=["x"])]
    assert project.doit().code == 0
    state = sqlite3.connect("state/doit.db")
    with state:
        state.execute("update doit set task_data = ?", (row,))
    state.close()
    for command in (["run"], ["-n"], ["list", "-s"], ["verify"]):
        result = project.doit(*command)
        assert result.code == 3
        assert result.err.startswith("ERROR: state/doit.db: ")
        assert "move" in result.err and "doit starts afresh" in result.err
        assert result.err.count("\n") == 1 and result.err[:-1].isprintable()
    assert project.executed == []
    Path("state/doit.db").unlink()
    assert project.doit().code == 0


def test_junk_among_the_digests_is_read_anew(project: Project) -> None:
    project.write("source", "s")
    project.tasks = lambda: [project.task("t", file_dep=["source"], targets=["x"])]
    assert project.doit().code == 0
    marks = Path("source").stat()
    junk = [marks.st_size, marks.st_mtime_ns, marks.st_ino, b"\xff"]
    state = sqlite3.connect("state/doit.db")
    with state:
        state.execute("replace into digest values ('source', ?, ?, ?, ?)", junk)
        state.execute("replace into digest values (x'ff', null, 'large', 1.5, null)")
    state.close()
    assert "1 up to date" in project.doit().out
