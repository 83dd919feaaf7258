"""What fails on the machine: one line each, and nothing that had finished is lost."""

from __future__ import annotations

import errno
import os
import resource
import socket
from pathlib import Path
from typing import Any

import pytest
from doitext_project import Project
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


def test_action_that_finds_no_file_has_its_traceback(project: Project) -> None:
    project.tasks = lambda: [{"basename": "t", "actions": [lambda: Path("none").read_text()]}]
    result = project.doit()
    assert result.code == 2
    assert "Traceback" in result.out
