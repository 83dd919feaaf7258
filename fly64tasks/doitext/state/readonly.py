"""Reading a sqlite3 file without changing a byte of it or beside it; its errors in one line."""

from __future__ import annotations

import contextlib
import os
import shutil
import sqlite3
import tempfile
from collections.abc import Iterator
from pathlib import Path
from stat import S_ISREG

from doit.exceptions import InvalidCommand

from ..errors import printable

BUSY_S = 30.0

_TO_DO = {
    sqlite3.SQLITE_FULL: "make room on its disk",
    sqlite3.SQLITE_READONLY: "see that it is in its place and may be written to",
    sqlite3.SQLITE_CANTOPEN: "see that its folder is there and may be written to",
    sqlite3.SQLITE_PERM: "see that it may be read and written to",
    sqlite3.SQLITE_IOERR: "see to its disk",
    sqlite3.SQLITE_BUSY: "wait for the program that uses it",
}


@contextlib.contextmanager
def reading(name: str) -> Iterator[sqlite3.Connection]:
    """A connection that changes nothing beside or in the file.

    A process killed while it commits leaves a rollback journal, which the next reader has to
    apply: here that is done to a copy. Nobody writes the file at that time.
    """
    if not S_ISREG(os.stat(name).st_mode):  # noqa: PTH116
        raise _not_ours(name, "no file")  # and a pipe would be waited for
    with contextlib.ExitStack() as stack, named_errors(name):
        uri = f"{Path(name).absolute().as_uri()}?mode=ro"
        connection = sqlite3.connect(uri, uri=True, timeout=BUSY_S)
        stack.callback(lambda: connection.close())
        try:
            connection.execute("select 1 from sqlite_master").fetchall()
        except sqlite3.OperationalError as error:
            if error.sqlite_errorname != "SQLITE_READONLY_ROLLBACK":
                raise
            connection.close()
            folder = stack.enter_context(tempfile.TemporaryDirectory())
            copy = shutil.copy(name, folder)
            shutil.copy(f"{name}-journal", folder)
            connection = sqlite3.connect(copy)
        yield connection


@contextlib.contextmanager
def named_errors(name: str) -> Iterator[None]:
    """Say of which file an error of sqlite3 speaks, and what to do."""
    try:
        yield
    except sqlite3.DatabaseError as error:
        code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR) & 0xFF  # less the details
        if code in _TO_DO:
            raise InvalidCommand(
                f"{name}: {error}; {_TO_DO[code]}, and doit goes on from what is recorded there"
            ) from error
        raise _not_ours(name, str(error)) from error


def tables_of(name: str, connection: sqlite3.Connection) -> set[str]:
    """Return the tables of a state file, which holds nothing else.

    Raises
    ------
    InvalidCommand
        It holds what runs when it is read or written: a view, which need never end, a trigger, or a
        table that is made up by a module of sqlite3.
    """
    items = connection.execute("select type, name, sql from sqlite_master").fetchall()
    for kind, item, sql in items:
        made_up = str(sql).lower().startswith("create virtual")
        if kind not in ("table", "index") or made_up:
            raise _not_ours(name, f"{'virtual ' if made_up else ''}{kind} {item}")
    return {item for kind, item, _ in items if kind == "table"}


def _not_ours(name: str, found: str) -> InvalidCommand:
    return InvalidCommand(
        printable(
            f"{name}: not a readable doit state ({found}), expected a sqlite3 file with a table "
            "'doit'; move it away and doit starts afresh"
        )
    )
