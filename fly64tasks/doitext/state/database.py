"""The sqlite3 file of a state: read once, and committed to by one process at a time."""

from __future__ import annotations

import contextlib
import sqlite3
import stat
from collections.abc import Iterable, Iterator, Mapping
from operator import itemgetter

from doit.exceptions import InvalidCommand

from .digests import Digest, DigestCache
from .lock import Lock
from .notes import Key, Note
from .readonly import BUSY_S, named_errors, reading, tables_of
from .statuses import status

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


class Database:
    """What the state file holds, and how it changes.

    Nothing is read before `load` and nothing is written before `lock` or the first change, not even
    the file or its folder.

    Parameters
    ----------
    name : str
        Path of the file.
    digests : DigestCache
        Where those that are stored go when the file is read.

    Attributes
    ----------
    loaded : bool
        Whether the file was read.
    text : dict of str to str
        The record of each task, as JSON, in the file's order.
    owner : tuple of str or None
        Whose state it is.
    """

    def __init__(self, name: str, digests: DigestCache) -> None:
        self.name = name
        self._digests = digests
        self._lock = Lock(name)
        self._guarded = False
        self._connection: sqlite3.Connection | None = None
        self._forget()

    def _forget(self) -> None:
        self.loaded = False
        self.text: dict[str, str] = {}
        self.owner: tuple[str, str] | None = None
        self._seen: object = None

    # ---- by whom it may be written

    def lock(self, wait: bool = False) -> bool:
        """Become the only writer, see `Lock.acquire`; whether another has written meanwhile.

        Then what was read is forgotten.
        """
        self._lock.acquire(wait)
        self._guarded = True
        if self.loaded and self._marks() != self._seen:
            self._forget()
            return True
        return False

    def unlock(self) -> None:
        """Let other processes write."""
        self._guarded = False
        self._lock.release()

    def holder(self) -> str | None:
        """The other process that writes the file at the moment, in words."""
        return None if self._lock.held else self._lock.holder()

    def close(self) -> None:
        """Close the file; who became its only writer remains so."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None
        if not self._guarded:
            self._lock.release()

    # ---- reading

    def load(self) -> None:
        """Read the file, once."""
        if self.loaded:
            return
        self.loaded = True
        self._seen = self._marks()
        if self._seen is None:
            return
        with reading(self.name) as connection:
            tables = tables_of(self.name, connection)
            if not tables:  # killed before the first commit
                return
            self.text = dict(
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
                self._digests.known.update(zip(map(itemgetter(4), rows), rows, strict=True))
            if "owner" in tables:
                self.owner = connection.execute(
                    "select cast(file as text), cast(folder as text) from owner"
                    " where file not null and folder not null limit 1"
                ).fetchone()

    def notes(self, kind: str) -> Iterator[tuple[Key, Note]]:
        """Yield the notes of a kind, as they are now."""
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

    # ---- writing

    def store(
        self,
        records: Mapping[str, str | None],
        digests: Iterable[Digest],
        notes: Iterable[tuple[Key, Note]],
    ) -> None:
        """Commit what is new, all of it or nothing; a record that is None is removed.

        Raises
        ------
        InvalidCommand
            The file can not be written, or another process has written to it since it was read.
        """
        new_digests = list(digests)
        new_notes = [(*key, *marks, text) for key, (marks, text) in notes]
        if not (records or new_digests or new_notes):
            return
        with self._writing() as connection:
            for task_id, text in records.items():
                if text is None:
                    connection.execute("delete from doit where task_id = ?", (task_id,))
                else:
                    connection.execute("replace into doit values (?, ?)", (task_id, text))
            connection.executemany(
                "replace into digest (size, mtime_ns, inode, md5, path) values (?, ?, ?, ?, ?)",
                new_digests,
            )
            connection.executemany("replace into note values (?, ?, ?, ?, ?, ?, ?)", new_notes)
        for task_id, text in records.items():
            if text is None:
                del self.text[task_id]
            else:
                self.text[task_id] = text

    def belong_to(self, owner: tuple[str, str]) -> None:
        """Store whose state it is."""
        with self._writing() as connection:
            connection.execute("delete from owner")
            connection.execute("insert into owner values (?, ?)", owner)
        self.owner = owner

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
