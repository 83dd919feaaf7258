"""What was read of files and is not read again, and that it never says what is no longer so."""

from __future__ import annotations

import contextlib
import json
import os
import sqlite3
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from doit.dependency import JSONCodec
from doitext_project import DOIT, Project

from fly64tasks.doitext.graph.manifest import Describe
from fly64tasks.doitext.state.journal import Journal
from fly64tasks.doitext.state.notes import LONGEST, Notes, noted, used


class Reader:
    """Reads files, and counts."""

    def __init__(self) -> None:
        self.count = 0

    def __call__(self, path: Path) -> Any:
        self.count += 1
        return path.read_text()


@pytest.fixture
def read() -> Reader:
    return Reader()


def settled(path: Path, text: str) -> Path:
    """Write a file, and wait until its time stamps are older than what may change unseen."""
    path.write_text(text)
    time.sleep(0.1)
    return path


def test_file_that_is_the_same_is_read_once(tmp_path: Path, read: Reader):
    path, notes = settled(tmp_path / "f", "one"), Notes()
    assert [notes.of(path, "text", read) for _ in range(3)] == ["one"] * 3
    assert read.count == 1
    assert notes.of(path, "other", read) == "one"  # of another kind nothing is known
    assert read.count == 2


def rewritten(path: Path, text: str) -> None:
    path.write_text(text)


def replaced_by_another(path: Path, text: str) -> None:
    other = path.with_name("other")
    other.write_text(text)
    other.replace(path)


@pytest.mark.parametrize("write", [rewritten, replaced_by_another])
def test_file_with_as_many_bytes_and_its_former_time_stamp_is_read_again(
    tmp_path: Path, read: Reader, write: Callable[[Path, str], None]
):
    """Its ``ctime`` says so, which nobody can set back; doit's own digests do not see the first."""
    path, notes = settled(tmp_path / "f", "one"), Notes()
    assert notes.of(path, "text", read) == "one"
    before = path.stat()
    write(path, "two")
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert (path.stat().st_size, path.stat().st_mtime_ns) == (3, before.st_mtime_ns)
    assert notes.of(path, "text", read) == "two"


def test_file_that_was_only_just_written_is_not_kept(tmp_path: Path, read: Reader):
    path, notes = tmp_path / "f", Notes()
    path.write_text("one")
    assert notes.of(path, "text", read) == "one"
    assert not notes.known


def test_file_from_the_future_is_not_kept(tmp_path: Path, read: Reader):
    path, notes = settled(tmp_path / "f", "one"), Notes()
    os.utime(path, (time.time() + 3600,) * 2)
    assert notes.of(path, "text", read) == "one"
    assert not notes.known


def test_file_that_changes_while_it_is_read_is_not_kept(tmp_path: Path):
    path, notes = settled(tmp_path / "f", "one"), Notes()

    def read_and_change(path: Path) -> str:
        text = path.read_text()
        path.write_text("two and more")
        return text

    assert notes.of(path, "text", read_and_change) == "one"
    assert not notes.known


def test_no_file_and_what_says_much_is_read_each_time(tmp_path: Path):
    path, notes = settled(tmp_path / "f", "one"), Notes()
    assert notes.of(tmp_path / "none", "text", lambda path: None) is None
    assert notes.of(tmp_path, "text", lambda path: "a folder") == "a folder"
    assert len(notes.of(path, "text", lambda path: "x" * LONGEST)) == LONGEST
    assert not notes.known


def test_what_can_not_be_read_is_tried_again(tmp_path: Path, read: Reader):
    path, notes = settled(tmp_path / "f", "one"), Notes()

    def refuse(path: Path) -> Any:
        raise ValueError("damaged")

    with pytest.raises(ValueError, match="damaged"):
        notes.of(path, "text", refuse)
    assert notes.of(path, "text", read) == "one"


def test_notes_are_used_only_where_somebody_says_so(tmp_path: Path, read: Reader):
    path, notes = settled(tmp_path / "f", "one"), Notes()
    assert noted(path, "text", read) == noted(path, "text", read) == "one"
    assert read.count == 2
    with used(notes):
        assert noted(path, "text", read) == noted(path, "text", read) == "one"
    assert read.count == 3


def opened(folder: Path) -> Journal:
    return Journal(str(folder / "state.db"), JSONCodec())


def test_notes_are_stored_with_the_state_and_an_older_state_goes_on(tmp_path: Path, read: Reader):
    path, journal = settled(tmp_path / "f", "one"), opened(tmp_path)
    journal.load()
    journal.notes.of(path, "text", read)
    journal.dump()
    again = opened(tmp_path)
    again.load()
    assert again.notes.of(path, "text", read) == "one"
    assert read.count == 1
    with contextlib.closing(sqlite3.connect(tmp_path / "state.db")) as connection, connection:
        connection.execute("drop table note")  # as an earlier version left it
    earlier = opened(tmp_path)
    earlier.load()
    assert not earlier.notes.known


def test_notes_of_a_kind_are_loaded_when_one_is_asked_for(tmp_path: Path, read: Reader):
    path, journal = settled(tmp_path / "f", "one"), opened(tmp_path)
    for kind in ("text", "other"):
        journal.notes.of(path, kind, read)
    journal.dump()
    again = opened(tmp_path)
    again.load()
    assert again.notes.of(path, "text", read) == "one"
    assert [kind for _, kind in again.notes.known] == ["text"]
    assert again.notes.of(path, "other", read) == "one"
    assert read.count == 2


def test_note_takes_the_status_that_the_state_has(
    tmp_path: Path, read: Reader, monkeypatch: pytest.MonkeyPatch
):
    path, journal = settled(tmp_path / "f", "one"), opened(tmp_path)
    journal.notes.of(path, "text", read)
    looks, stat = [], os.stat
    monkeypatch.setattr(os, "stat", lambda path, **how: looks.append(path) or stat(path, **how))
    assert journal.notes.of(path, "text", read) == "one" and not looks
    journal.statuses.keep_none()  # a task begins
    assert journal.notes.of(path, "text", read) == "one" and looks == [str(path)]


@pytest.mark.parametrize("text", ["{", "[" * 5000, None, b"\xff"])
def test_damaged_note_is_none(tmp_path: Path, read: Reader, text: Any):
    path, journal = settled(tmp_path / "f", "one"), opened(tmp_path)
    journal.load()
    journal.notes.of(path, "text", read)
    journal.dump()
    with contextlib.closing(sqlite3.connect(tmp_path / "state.db")) as connection, connection:
        connection.execute("update note set text = ?", (text,))
    again = opened(tmp_path)
    again.load()
    assert again.notes.of(path, "text", read) == "one"


def test_state_of_before_a_crash_knows_nothing_of_what_was_written_since(
    tmp_path: Path, read: Reader
):
    path, journal = settled(tmp_path / "f", "one"), opened(tmp_path)
    journal.load()
    journal.notes.of(path, "text", read)
    journal.dump()
    stored = (tmp_path / "state.db").read_bytes()
    settled(path, "two")
    later = opened(tmp_path)
    later.load()
    assert later.notes.of(path, "text", read) == "two"
    later.dump()
    (tmp_path / "state.db").write_bytes(stored)  # what a power cut leaves of the state
    restored = opened(tmp_path)
    restored.load()
    assert restored.notes.of(path, "text", read) == "two"


def test_lock_takes_what_was_loaded_unless_another_wrote(tmp_path: Path):
    path, first = settled(tmp_path / "f", "one"), opened(tmp_path)
    first.set("task", "key:", 1)
    first.dump()
    second = opened(tmp_path)
    assert second.get("task", "key:") == 1
    loaded = second.row("task")
    second.lock()
    assert second.row("task") is loaded
    second.unlock()
    assert second.statuses.of(str(path))
    before = (tmp_path / "state.db").stat()
    third = opened(tmp_path)
    third.set("task", "key:", 2)  # as many bytes
    third.dump()
    os.utime(tmp_path / "state.db", ns=(before.st_atime_ns, before.st_mtime_ns))
    second.lock()
    assert second.get("task", "key:") == 2
    second.unlock()


MANIFEST = """
import json, sys
from pathlib import Path
from fly64tasks.doitext.graph.manifest import Describe

def take(record):
    Path("taken").open("a").write("x")
    if record and "loss" not in record:
        raise ValueError("no loss")
    return record and record["loss"]

DOIT_CONFIG = {"backend": "journal", "dep_file": "s.db", "verbosity": 0, "manifest_dir": ".",
               "describe": Describe("loss 1", take, lambda task, loss: {"loss": loss})}

def make(targets):
    Path(targets[0]).write_text("made")
    Path("record.json").write_text(json.dumps({"loss": 1}))

def task_one():
    return {"actions": [make], "targets": ["made"], "uptodate": [True],
            "meta": {"record": "record.json"}}
"""


def run(folder: Path, *arguments: str) -> None:
    subprocess.run([*DOIT, *arguments], cwd=folder, check=True)


def test_manifest_reads_a_record_again_only_where_it_may_be_another(tmp_path: Path):
    (tmp_path / "dodo.py").write_text(MANIFEST)

    def loss_and_takes() -> tuple[Any, int]:
        [job] = json.loads((tmp_path / "manifest.json").read_text())["jobs"]
        return job["loss"], len((tmp_path / "taken").read_text())

    run(tmp_path)
    assert loss_and_takes() == (1, 1)
    time.sleep(0.1)
    run(tmp_path)  # its record had only just been written
    run(tmp_path)
    run(tmp_path, "manifest")
    assert loss_and_takes() == (1, 2)
    record = tmp_path / "record.json"
    before = record.stat()
    record.write_text(json.dumps({"loss": 2}))
    os.utime(record, ns=(before.st_atime_ns, before.st_mtime_ns))
    run(tmp_path)
    assert loss_and_takes() == (2, 3)
    record.unlink()
    run(tmp_path)
    assert loss_and_takes()[0] is None


def test_describe_is_a_plain_callable_too():
    describe = Describe("loss", lambda record: (record or {}).get("loss"), lambda _, x: {"x": x})
    assert describe(None, {"loss": 3}) == {"x": 3}
    assert describe(None, None) == {"x": None}


def test_inputs_are_looked_at_again_once_a_task_has_run(project: Project):
    """The first task makes the source of the second other, which says so to nobody."""
    project.write("source", "one")
    project.write("first", "1")

    def tasks() -> list[dict[str, Any]]:
        def change() -> None:
            project.write("source", "other")
            project.write("one", "made")

        return [
            {"name": "early", "actions": [lambda: None], "file_dep": ["source"]},
            {"name": "one", "actions": [change], "file_dep": ["first"], "targets": ["one"]},
            project.task("two", name="two", file_dep=["source"], targets=["two"]),
        ]

    project.tasks = tasks
    assert project.doit().code == 0
    project.write("source", "one")
    assert project.doit().code == 0
    project.executed.clear()
    project.write("first", "2")
    assert project.doit().code == 0
    assert project.executed == ["two:two"]
