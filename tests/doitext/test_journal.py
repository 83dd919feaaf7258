"""The state file: what is on disk when, and what is refused."""

from __future__ import annotations

import contextlib
import os
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from doit.dependency import JSONCodec, SqliteDB
from doit.exceptions import InvalidCommand
from doitext_project import Project

from fly64tasks.doitext.state.journal import Journal
from fly64tasks.doitext.state.record import ATTEMPT, CHECKER, INTERRUPTED

Open = Callable[[Path], Journal]


@pytest.fixture
def journal() -> Iterator[Open]:
    """Opens journals, and closes them all."""
    opened = []

    def open_(path: Path) -> Journal:
        opened.append(Journal(str(path), JSONCodec()))
        return opened[-1]

    yield open_
    for state in opened:
        state.unlock()
        state._file.close()


def test_reading_a_journal_makes_no_file(tmp_path: Path, journal: Open) -> None:
    state = journal(tmp_path / "new/state.db")
    assert state.row("t") == {} and not state.in_("t")
    state.dump()
    assert list(tmp_path.iterdir()) == []


def test_what_ended_is_on_disk_before_dump(tmp_path: Path, journal: Open) -> None:
    state = journal(tmp_path / "state.db")
    state.lock()
    state.begin("t", ["x"])
    assert journal(tmp_path / "state.db").row("t")[CHECKER] == INTERRUPTED
    state.set("t", "deps:", ["a"])
    state.set("t", CHECKER, "MD5Checker")
    state.end("t")
    row = journal(tmp_path / "state.db").row("t")
    assert row["deps:"] == ["a"]
    assert row[ATTEMPT]["status"] == "done"
    state.dump()


def test_dump_keeps_the_mark_of_a_running_task(tmp_path: Path, journal: Open) -> None:
    state = journal(tmp_path / "state.db")
    state.lock()
    state.begin("t", ["x"])
    state.set("t", CHECKER, "MD5Checker")  # as in a success that is cut off half-way
    state.dump()
    assert list(journal(tmp_path / "state.db").cut_off()) == [("t", ["x"])]


def test_an_interrupted_task_is_stale_for_stock_doit_too(tmp_path: Path, journal: Open) -> None:
    state = journal(tmp_path / "state.db")
    state.lock()
    state.begin("t", [])
    state.dump()
    stock = SqliteDB(str(tmp_path / "state.db"), JSONCodec())
    assert stock.get("t", CHECKER) == INTERRUPTED
    stock._conn.close()


def test_the_journal_goes_on_with_a_stock_file(tmp_path: Path, journal: Open) -> None:
    stock = SqliteDB(str(tmp_path / "state.db"), JSONCodec())
    stock.set("t", "deps:", ["a"])
    stock.dump()
    state = journal(tmp_path / "state.db")
    assert state.get("t", "deps:") == ["a"]
    state.set("u", "deps:", [])
    state.dump()
    assert journal(tmp_path / "state.db").get("u", "deps:") == []


def test_a_file_that_is_no_state_is_named(tmp_path: Path, journal: Open) -> None:
    path = tmp_path / "state.db"
    path.write_text("not a database, but long enough to be looked at\n" * 40)
    with pytest.raises(InvalidCommand, match=r"state\.db: not a readable doit state .* move it"):
        journal(path).row("t")


def test_a_file_without_tables_is_an_empty_state(tmp_path: Path, journal: Open) -> None:
    (tmp_path / "state.db").touch()  # as left by a doit that is killed while it makes the file
    assert journal(tmp_path / "state.db").row("t") == {}


def test_the_database_of_another_program_is_refused(tmp_path: Path, journal: Open) -> None:
    other = sqlite3.connect(tmp_path / "state.db")
    other.execute("create table photos (name text)")
    other.close()
    with pytest.raises(InvalidCommand, match="expected a sqlite3 file with a table 'doit'"):
        journal(tmp_path / "state.db").row("t")


def test_a_state_changed_by_another_is_not_overwritten(tmp_path: Path, journal: Open) -> None:
    slow = journal(tmp_path / "state.db")
    slow.set("t", "ignore:", "1")
    quick = journal(tmp_path / "state.db")
    quick.set("t", "deps:", ["a"])
    quick.dump()
    with pytest.raises(InvalidCommand, match="changed by another doit"):
        slow.dump()
    assert journal(tmp_path / "state.db").row("t") == {"deps:": ["a"]}


def test_a_folder_that_cannot_be_written_to_is_named(project: Project) -> None:
    project.write("state", "a file where the folder should be")
    project.tasks = lambda: [project.task("t", targets=["x"])]
    assert project.doit("-n", "--json").verdicts == {"t": "run"}
    result = project.doit()
    assert result.code == 3
    assert "state/doit.db" in result.err and "Traceback" not in result.err


ENDLESS = """
create view {view} as with recursive c(x) as (select 1 union all select x + 1 from c)
select x as task_id, '{{}}' as task_data, x as path, 1 as size, 1 as mtime_ns, 1 as inode,
'm' as md5 from c;
"""
TABLE = "create table if not exists doit (task_id text not null primary key, task_data json);"


@pytest.mark.parametrize(
    ("script", "found"),
    [
        (ENDLESS.format(view="doit"), "view doit"),
        (TABLE + ENDLESS.format(view="digest"), "view digest"),
        (
            TABLE + ENDLESS.format(view="v") + "create trigger t after insert on doit begin "
            "insert into doit select task_id, task_data from v; end;",
            "view v",
        ),
        (
            TABLE + "create trigger t after insert on doit begin select 1; end;",
            "trigger t",
        ),
    ],
)
@pytest.mark.parametrize("command", [["-n"], [], ["list", "-s"]])
def test_a_state_that_would_run_something_is_refused(
    project: Project, script: str, found: str, command: list[str]
) -> None:
    project.tasks = lambda: [project.task("t", targets=["x"])]
    Path("state").mkdir()
    with contextlib.closing(sqlite3.connect("state/doit.db")) as connection:
        connection.executescript(script)
    result = project.doit(*command)
    assert result.code == 3
    assert f"state/doit.db: not a readable doit state ({found})" in result.err


def test_a_state_that_is_a_pipe_is_not_waited_for(project: Project) -> None:
    project.tasks = lambda: [project.task("t", targets=["x"])]
    Path("state").mkdir()
    os.mkfifo("state/doit.db")
    result = project.doit()
    assert result.code == 3
    assert "state/doit.db: not a readable doit state (no file)" in result.err
