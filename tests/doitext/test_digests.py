"""Files are read once for each content."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest
from doit.dependency import get_file_md5
from doitext_project import Project

from fly64tasks.doitext.state import digests
from fly64tasks.doitext.state.digests import DigestCache, MD5Checker
from fly64tasks.doitext.state.statuses import Status, status


def old_file(path: Path, text: str) -> Status:
    path.write_text(text)
    hour_ago = time.time() - 3600
    os.utime(path, (hour_ago, hour_ago))
    return status(str(path))


def test_a_file_is_read_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = old_file(tmp_path / "f", "a")
    cache = DigestCache()
    first = cache.md5(str(tmp_path / "f"), found)
    monkeypatch.setattr(digests.dependency, "get_file_md5", lambda _: pytest.fail("read again"))
    assert cache.md5(str(tmp_path / "f"), found) == first == "0cc175b9c0f1b6a831c399e269772661"


def test_a_replaced_file_is_read_again(tmp_path: Path) -> None:
    path = tmp_path / "f"
    cache = DigestCache()
    first = cache.md5(str(path), old_file(path, "a"))
    (tmp_path / "g").write_text("b")
    os.utime(tmp_path / "g", ns=(path.stat().st_atime_ns, path.stat().st_mtime_ns))
    (tmp_path / "g").replace(path)
    assert cache.md5(str(path), status(str(path))) != first


def test_the_digest_of_a_file_just_written_is_not_kept(tmp_path: Path) -> None:
    path = tmp_path / "f"
    path.write_text("a")
    cache = DigestCache()
    cache.md5(str(path), status(str(path)))
    assert cache.known == {}


def test_a_touched_file_is_unchanged_and_read_only_once_in_two_runs(project: Project) -> None:
    old_file(Path("source"), "text")
    project.tasks = lambda: [
        project.task(name, file_dep=["source"], targets=[f"{name}.out"]) for name in "abc"
    ]
    project.doit()
    then = time.time() - 60
    os.utime("source", (then, then))
    read = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            digests.dependency, "get_file_md5", lambda path: read.append(path) or get_file_md5(path)
        )
        project.doit()
        project.doit()
    assert project.executed == []
    assert read == ["source"]


def test_the_checker_is_stored_under_the_name_of_stock_doit() -> None:
    assert MD5Checker.__name__ == "MD5Checker"
