"""The state file, the lock, the digests and the files that are whole or absent."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from doit.dependency import JSONCodec, SqliteDB, get_file_md5
from doit.exceptions import InvalidCommand, InvalidTask
from doitext_project import Project

from fly64tasks.doitext.atomic import replaced, sweep
from fly64tasks.doitext.spec import SpecUnchanged, differences
from fly64tasks.doitext.state import digests
from fly64tasks.doitext.state.digests import DigestCache, MD5Checker
from fly64tasks.doitext.state.journal import Journal
from fly64tasks.doitext.state.lock import Lock
from fly64tasks.doitext.state.record import ATTEMPT, CHECKER, INTERRUPTED
from fly64tasks.doitext.state.statuses import Status, status

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
        if state._connection is not None:
            state._connection.close()


def dead_process() -> int:
    done = subprocess.Popen(["true"])
    done.wait()
    return done.pid


# ---- Journal


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


# ---- Lock


@contextlib.contextmanager
def another_holding(path: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Give a process that holds a lock; it ends with the block, if it has not before."""
    script = (
        "import sys, time; from fly64tasks.doitext.state.lock import Lock;"
        f"lock = Lock({str(path)!r}); lock.acquire(); print('locked', flush=True);"
        "time.sleep(60)"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    with subprocess.Popen(
        [sys.executable, "-c", script], stdout=subprocess.PIPE, env=environment
    ) as other:
        assert other.stdout is not None
        other.stdout.readline()
        try:
            yield other
        finally:
            other.kill()


def test_a_lock_names_its_holder_and_ends_with_its_process(tmp_path: Path) -> None:
    with another_holding(tmp_path / "s") as other:
        lock = Lock(str(tmp_path / "s"))
        with pytest.raises(InvalidCommand, match=rf"s: in use by pid {other.pid} on .* since 20"):
            lock.acquire()
    lock.acquire()
    assert lock.held
    assert f"pid {os.getpid()} on {socket.gethostname()}" in str(lock.holder())
    lock.release()
    assert lock.holder() is None


def test_a_folder_that_cannot_be_written_to_is_named(project: Project) -> None:
    project.write("state", "a file where the folder should be")
    project.tasks = lambda: [project.task("t", targets=["x"])]
    assert project.doit("-n", "--json").verdicts == {"t": "run"}
    result = project.doit()
    assert result.code == 3
    assert "state/doit.db" in result.err and "Traceback" not in result.err


# ---- digests


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


# ---- atomic


def test_an_error_leaves_the_old_file_and_no_other(tmp_path: Path) -> None:
    path = tmp_path / "f"
    path.write_text("old")

    def write_half() -> None:
        with replaced(path) as temporary:
            temporary.write_text("ne")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        write_half()
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_the_temporary_file_has_the_suffix_of_the_final_one(tmp_path: Path) -> None:
    with replaced(tmp_path / "new/x.npz") as temporary:
        assert temporary.suffix == ".npz"
        assert temporary.parent == tmp_path / "new"
        temporary.touch()
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["x.npz"]


def test_sweep_removes_only_what_dead_processes_of_this_host_left(tmp_path: Path) -> None:
    host, dead = socket.gethostname(), dead_process()
    gone = [
        tmp_path / f".x.{host}-{dead}-0123abcd.tmp",
        tmp_path / f".x.{host}-{dead}-0123abcd.tmp.npz",
    ]
    kept = [
        tmp_path / f".x.npz.{host}-{os.getpid()}-0123abcd.tmp",
        tmp_path / f".x.npz.other.host-{dead}-0123abcd.tmp",
        tmp_path / ".x.npz.tmp",
        tmp_path / "x.tmp",
        tmp_path / f"x.npz.{host}-{dead}-0123abcd.tmp",
    ]
    for path in [*gone, *kept]:
        path.touch()
    assert sweep([str(tmp_path / "x.npz")]) == gone
    assert sorted(tmp_path.iterdir()) == sorted(kept)


def test_the_next_run_sweeps_beside_the_targets_of_a_cut_off_task(
    project: Project, journal: Open
) -> None:
    project.write("source", "s")
    name = f".made.{socket.gethostname()}-{dead_process()}-0123abcd.tmp"
    for folder in ("cut", "other"):
        project.write(f"{folder}/{name}", "half")
    project.tasks = lambda: [project.task("t", file_dep=["source"], targets=["cut/made"])]
    state = journal(Path("state/doit.db"))
    state.lock()
    state.begin("t", ["cut/made"])
    state.dump()
    state.unlock()
    assert project.doit("-n", "--json").reasons == {"t": ["interrupted"]}
    project.doit()
    assert not Path("cut", name).exists()
    assert Path("other", name).exists()


# ---- SpecUnchanged


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ({"a": 1}, {"a": 1.0}, []),
        ({"a": 100}, {"a": 200}, ["a 100 -> 200"]),
        ({"a": {"b": "x"}}, {"a": {"b": "y"}}, ["a.b x -> y"]),
        ({"a": [1, 2]}, {"a": [1, 3]}, ["a [1, 2] -> [1, 3]"]),
        ({"a": None}, {"a": ""}, ['a null -> ""']),
        ({"a": 1}, {}, ["a 1 -> nothing"]),
        ({}, {"a": False}, ["a nothing -> false"]),
        ({"a": {"b": 1}}, {"a": 2}, ['a {"b": 1} -> 2']),
        ({"a": "x" * 50}, {"a": "y"}, ["a " + "x" * 37 + "... -> y"]),
    ],
)
def test_differences_in_words(old: object, new: object, words: list[str]) -> None:
    assert list(differences(old, new)) == words


def test_tuples_equal_the_lists_they_are_stored_as(project: Project) -> None:
    project.tasks = lambda: [
        project.task("t", targets=["x"], uptodate=[SpecUnchanged({"a": (1, (2, 3))})])
    ]
    project.doit()
    project.doit()
    assert project.executed == []


def test_a_spec_that_is_not_json_is_refused_by_name(project: Project) -> None:
    project.tasks = lambda: [project.task("t", uptodate=[SpecUnchanged({"a": {1, 2}})])]
    assert "t: SpecUnchanged takes JSON values only" in project.doit("-n").err
    with pytest.raises(InvalidTask):
        SpecUnchanged({"a": b""}).explain({"_spec": json.loads("{}")})


def test_a_lock_left_by_a_killed_process_names_nobody(tmp_path: Path) -> None:
    """Also where its number is that of a living process now: pid 1 always lives."""
    entry = {"pid": 1, "host": socket.gethostname(), "since": "2026-01-31 12:00:00"}
    (tmp_path / "s.lock").write_text(json.dumps(entry))
    assert Lock(str(tmp_path / "s")).holder() is None


@pytest.mark.parametrize("text", ["", "{", "[]", '{"pid": 1}'])
def test_a_lock_whose_holder_is_not_named_is_held_all_the_same(tmp_path: Path, text: str) -> None:
    with another_holding(tmp_path / "s"):
        (tmp_path / "s.lock").write_text(text)
        assert Lock(str(tmp_path / "s")).holder() == "another doit"


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
