"""doit's state in sqlite3, committed after each task, with a mark on what is running."""

from __future__ import annotations

import contextlib
import os
import sqlite3
import stat
import time
from collections.abc import Iterable, Iterator
from operator import itemgetter
from typing import Any

from doit.exceptions import InvalidCommand

from ..errors import printable
from .digests import DigestCache
from .lock import Lock
from .notes import Key, Note, Notes
from .readonly import BUSY_S, named_errors, reading, tables_of
from .record import ATTEMPT, CHECKER, FAILED, INTERRUPTED, OURS, TARGETS, Row, flaw
from .statuses import Statuses, status

_SCHEMA = """
create table if not exists doit (task_id text not null primary key, task_data json);
create table if not exists digest (
    path text not null primary key, size integer, mtime_ns integer, inode integer, md5 text
);
create table if not exists note (
    path text not null, kind text not null, size integer, mtime_ns integer, ctime_ns integer,
    inode integer, text text, primary key (path, kind)
);
create table if not exists owner (file text, folder text);
"""


class Journal:
    """The state file of a task graph: a doit backend.

    The table ``doit`` is that of doit's own sqlite3 backend, which can read and continue it. A
    task that begins has its record replaced by one whose checker is ``interrupted``: no checker
    has this name, so the task is stale, for stock doit too, until it succeeds. A failed task's
    record says ``failed`` in the same place.

    Nothing is read before the first question and nothing is written before `lock`, not even the
    file or its folder.

    Parameters
    ----------
    name : str
        Path of the state file.
    codec
        doit's JSON codec.
    module_name
        Not used; part of the backend protocol.

    Attributes
    ----------
    began : bool
        Whether this process has begun a task.
    owner : tuple of str or None
        Whose state it is, as `doitext.state.claims` keeps it; None while nobody has said so.
    """

    desc = "sqlite3 file, committed after each task"
    _last: tuple[str | None, Row]

    def __init__(self, name: str, codec: Any, *, module_name: str | None = None) -> None:
        self.name = name
        self.began = False
        self.digests = DigestCache()
        self.statuses = Statuses()
        self.notes = Notes(codec.decode, self._stored_notes, self.statuses)
        self._codec = codec
        self._lock = Lock(name)
        self._guarded = False
        self._connection: sqlite3.Connection | None = None
        self._forget_loaded()
        self._changed: set[str] = set()
        self._running: dict[str, tuple[float, float]] = {}  # since when, by both clocks

    # ---- the backend protocol of doit

    def get(self, task_id: str, dependency: str) -> Any:
        """The value stored for a task under a key, or None."""
        return self.row(task_id).get(dependency)

    def set(self, task_id: str, dependency: str, value: Any) -> None:
        """Remember a value; it is stored when the task ends, or by `dump`."""
        row = self._rows[task_id] = self.row(task_id)
        row[dependency] = value
        self._changed.add(task_id)

    def in_(self, task_id: str) -> bool:
        """Whether anything is stored for the task."""
        return bool(self.row(task_id))

    def remove(self, task_id: str) -> None:
        """Forget the task."""
        self.load()
        self._rows[task_id] = {}
        self._changed.add(task_id)

    def remove_all(self) -> None:
        """Forget every task."""
        self.load()
        for task_id in [*self._text, *self._rows]:
            self.remove(task_id)

    def dump(self) -> None:
        """Store what is not stored yet, and close the file.

        A task between `begin` and `end` keeps its mark.
        """
        try:
            self._store(self._changed - self._running.keys())
        finally:
            if self._connection is not None:
                self._connection.close()
                self._connection = None
            if not self._guarded:
                self._lock.release()

    # ---- beyond doit's protocol

    @property
    def owner(self) -> tuple[str, str] | None:
        """Whose state it is."""
        self.load()
        return self._owner

    def belong_to(self, owner: tuple[str, str]) -> None:
        """Store whose state it is."""
        with self._writing() as connection:
            connection.execute("delete from owner")
            connection.execute("insert into owner values (?, ?)", owner)
        self._owner: tuple[str, str] | None = owner

    def recorded(self) -> Iterator[tuple[str, list[str]]]:
        """Yield each task of which anything is recorded, with the targets that are named there."""
        for task_id, row in self.rows():
            attempt = row.get(ATTEMPT) or {}
            yield task_id, [*(row.get(TARGETS) or ()), *(attempt.get("targets") or ())]

    def row(self, task_id: str) -> Row:
        """All that is stored for a task; empty when it never ran.

        It is made of its text anew, but for the last one: who asks for all of them asks for each
        once, and together they have twenty times the size of their text.
        """
        if not self._loaded:
            self.load()
        row = self._rows.get(task_id)
        if row is None:
            asked, row = self._last
            if asked != task_id:
                text = self._text.get(task_id)
                row = self._decoded(task_id, text) if text else {}
                self._last = task_id, row
        return row

    def rows(self) -> Iterator[tuple[str, Row]]:
        """Yield every task of which anything is stored, with all that is, in the file's order."""
        self.load()
        for task_id in list(self._text):
            yield task_id, self.row(task_id)

    def _decoded(self, task_id: str, text: str) -> Row:
        try:
            row: Row = self._codec.decode(text)
            wrong = flaw(row)
        except (ValueError, RecursionError) as error:
            wrong = f"not JSON: {error}"
        if wrong:
            raise InvalidCommand(
                printable(
                    f"{self.name}: what is recorded of {task_id} is not doit's ({wrong}); "
                    "move the file away and doit starts afresh"
                )
            )
        return row

    def lock(self, wait: bool = False) -> None:
        """Become the only writer; see `Lock.acquire`."""
        self._lock.acquire(wait)
        self._guarded = True
        if self._loaded and self._marks() != self._seen:  # another doit has run meanwhile
            self.statuses.forget()
            self._forget_loaded()

    def unlock(self) -> None:
        """Let other processes write."""
        self._guarded = False
        self._lock.release()

    def holder(self) -> str | None:
        """The other process that writes the state file at the moment, in words."""
        return None if self._lock.held else self._lock.holder()

    def made(self, task_id: str) -> list[str]:
        """The files that the task made the last time that it succeeded, whatever it did since."""
        row = self.row(task_id)
        return sorted(row.get(TARGETS) or row.get(OURS) or ())

    def at_it(self, row: Row) -> str | None:
        """The process that runs, at the moment, the task of a row; None where it was cut off."""
        holder = self.holder() if row.get(CHECKER) == INTERRUPTED else None
        pid = (row.get(ATTEMPT) or {}).get("pid")
        return holder if holder and (pid is None or holder.startswith(f"pid {pid} ")) else None

    def begin(self, task_id: str, targets: Iterable[str], made: Iterable[str] = ()) -> None:
        """Mark a task as running, on disk, before its first action.

        Until it succeeds, `made` are the files of the last time that it did.
        """
        started, since = time.time(), time.monotonic()
        attempt = {"status": "running", "started": started, "pid": os.getpid()}
        attempt["targets"] = list(targets)
        self._rows[task_id] = {CHECKER: INTERRUPTED, ATTEMPT: attempt, OURS: list(made)}
        self._running[task_id] = started, since
        self.statuses.keep_none()
        self._store([task_id])
        self.began = True

    def replace(self, task_id: str, row: Row) -> None:
        """Have another record of the task, stored as `set` stores."""
        self._rows[task_id] = row
        self._changed.add(task_id)

    def put_back(self, task_id: str, row: Row) -> None:
        """Undo what doit forgets of a task when it only asks for its status.

        A record whose checker is not today's, such as that of a failed task, is removed then.
        """
        self._rows[task_id] = row
        self._changed.discard(task_id)

    def record_targets(self, task_id: str, paths: Iterable[str]) -> None:
        """Remember size and MD5 of what a task made, for `doit verify`; stock doit ignores it.

        Of what is not a file (a folder) only the name is kept.
        """
        made: dict[str, tuple[int, str] | None] = {}
        for path in paths:
            found = status(path)
            regular = stat.S_ISREG(found[-1])
            digest = self.digests.md5(path, found, store=False) if regular else ""
            made[path] = (found[0], digest) if regular else None
        self.set(task_id, TARGETS, made)

    def end(self, task_id: str, failure: str | None = None, optional: str | None = None) -> None:
        """Store how a running task ended, on disk, before anything else happens.

        ``optional`` is the option's word by which the failure may be a skip.
        """
        started, since = self._running[task_id]
        attempt = {"status": "done", "started": started, "seconds": time.monotonic() - since}
        ours = self._rows[task_id].pop(OURS, [])
        if failure is not None:
            attempt |= {"status": "failed", "message": failure}
            if optional:
                attempt["optional"] = optional
            self._rows[task_id] = {CHECKER: FAILED, OURS: ours}
        self._rows[task_id][ATTEMPT] = attempt
        self._store([task_id])
        del self._running[task_id]

    def is_running(self, task_id: str) -> bool:
        """Whether this process began the task and did not end it."""
        return task_id in self._running

    def cut_off(self) -> Iterator[tuple[str, list[str]]]:
        """Yield each task that was running when its doit died, with its targets."""
        self.load()
        for task_id, text in self._text.items():
            if f'"{INTERRUPTED}"' in text and self.row(task_id).get(CHECKER) == INTERRUPTED:
                attempt = self.row(task_id).get(ATTEMPT) or {}
                yield task_id, attempt.get("targets") or []

    def took(self) -> dict[str, float]:
        """The seconds that each task took whose last attempt succeeded."""
        self.load()
        attempts = {
            name: self.row(name).get(ATTEMPT) or {} for name in {**self._text, **self._rows}
        }
        return {
            name: attempt["seconds"]
            for name, attempt in attempts.items()
            if attempt.get("status") == "done" and "seconds" in attempt
        }

    # ---- reading and writing the file

    def _forget_loaded(self) -> None:
        self._loaded = False
        self._seen: object = None
        self._text: dict[str, str] = {}
        self._rows: dict[str, Row] = {}  # those that differ from their text, or did
        self._last = None, {}
        self._owner = None

    def load(self) -> None:
        """Read the file, once."""
        if self._loaded:
            return
        self._loaded = True
        self._seen = self._marks()
        if self._seen is None:
            return
        with reading(self.name) as connection:
            tables = tables_of(self.name, connection)
            if not tables:  # killed before the first commit
                return
            self._text = dict(
                connection.execute(
                    "select cast(task_id as text), cast(task_data as text) from doit"
                    " where task_data not null"
                )
            )
            if "digest" in tables:
                rows = connection.execute(
                    "select size, mtime_ns, inode, md5, path from digest"
                    " where typeof(path) = 'text' and typeof(md5) = 'text'"
                ).fetchall()
                self.digests.known.update(zip(map(itemgetter(4), rows), rows, strict=True))
            if "owner" in tables:
                self._owner = connection.execute(
                    "select cast(file as text), cast(folder as text) from owner"
                    " where file not null and folder not null limit 1"
                ).fetchone()

    def _stored_notes(self, kind: str) -> Iterator[tuple[Key, Note]]:
        if self._marks() is None:
            return
        with reading(self.name) as connection:
            if "note" in tables_of(self.name, connection):
                rows = connection.execute(
                    "select path, size, mtime_ns, ctime_ns, inode, text from note"
                    " where typeof(path) = 'text' and kind = ?",
                    (kind,),
                )
                yield from (((row[0], kind), (row[1:5], row[5])) for row in rows)

    def _marks(self) -> object:
        """By what the file is known to be as it was loaded: sqlite3 counts its changes in there."""
        try:
            size, mtime_ns, _, inode, mode = status(self.name)
        except (FileNotFoundError, NotADirectoryError):
            return None
        head = b""
        if stat.S_ISREG(mode):  # a pipe would be waited for
            with contextlib.suppress(OSError), open(self.name, "rb") as file:  # noqa: PTH123
                head = file.read(100)
        return size, mtime_ns, inode, head

    def _store(self, task_ids: Iterable[str]) -> None:
        """Write the rows of `task_ids` that differ from the file, and the fresh digests."""
        rows = []
        for task_id in task_ids:
            text = self._codec.encode(self._rows[task_id]) if self._rows[task_id] else None
            if text != self._text.get(task_id):
                rows.append((task_id, text))
        digests = [self.digests.known[path] for path in self.digests.fresh]
        notes = [
            (*key, *marks, text)
            for key in self.notes.fresh
            for marks, text in [self.notes.known[key]]
        ]
        if rows or digests or notes:
            with self._writing() as connection:
                for task_id, text in rows:
                    if text is None:
                        connection.execute("delete from doit where task_id = ?", (task_id,))
                    else:
                        connection.execute("replace into doit values (?, ?)", (task_id, text))
                connection.executemany(
                    "replace into digest (size, mtime_ns, inode, md5, path) values (?, ?, ?, ?, ?)",
                    digests,
                )
                connection.executemany("replace into note values (?, ?, ?, ?, ?, ?, ?)", notes)
        for task_id, text in rows:
            if text is None:
                del self._text[task_id]
            else:
                self._text[task_id] = text
        self.digests.fresh.clear()
        self.notes.fresh.clear()
        self._changed.difference_update(task_ids)

    @contextlib.contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        """A connection whose changes are committed together, or not at all."""
        if not self._lock.held:
            self._lock.acquire()
            if self._marks() != self._seen:
                self._lock.release()
                raise InvalidCommand(f"{self.name}: changed by another doit meanwhile; try again")
        with named_errors(self.name):
            if self._connection is None:
                self._connection = sqlite3.connect(self.name, timeout=BUSY_S)
                self._connection.executescript(_SCHEMA)
            with self._connection:
                yield self._connection
