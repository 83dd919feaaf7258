"""Which files are ours to write over: those with our mark, and what doit's state says we made.

None of them is one that is read from.
"""

from __future__ import annotations

import mmap
import os
import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import NamedTuple

from fly64tasks.errors import DatasetError

WRITER = "fly64tasks"


class Beside(NamedTuple):
    """The mark of a file that may hold anything: the file beside it that bears ours."""

    name: str


Mark = bytes | re.Pattern[bytes] | Beside
"""What a file of ours holds, or what it begins with."""

_MARKS: dict[bytes, bytes | re.Pattern[bytes]] = {
    b"PK": f'"writer": "{WRITER}"'.encode("utf-32-le"),  # NPZ: in `_metadata`, numpy's text
    b"{": f'"writer": "{WRITER}"'.encode(),
    b"\x89HDF": len(WRITER).to_bytes(8, "little") + WRITER.encode() + b"\0",  # a whole text
    b"<?xml": f"<dc:title>{WRITER}</dc:title>".encode(),
    b"%PDF": re.compile(rf"(?s:.*?)(?:\n%{WRITER}\n|/Creator \({WRITER}\))".encode()),
    b"\x89PNG": f"Software\0{WRITER}".encode(),
    b"II*\0": f"\0{WRITER}\0".encode(),  # TIFF: a whole text
    b"SQLite": WRITER.encode(),
}
"""What a file of ours holds, by how its format begins: near the beginning, so that one cut short
has it too. Our name alone is no mark: paths of a clone have it, in files of anybody's."""

_recorded: ContextVar[frozenset[Path]] = ContextVar("recorded", default=frozenset())
_read: ContextVar[frozenset[str]] = ContextVar("read", default=frozenset())


@contextmanager
def recorded(paths: Iterable[str | Path]) -> Iterator[None]:
    """Within it, the files at ``paths`` are ours whatever they hold: doit's state says so.

    They may have been cut, emptied or overwritten since, and lost their mark.
    """
    token = _recorded.set(frozenset(map(Path, paths)))
    try:
        yield
    finally:
        _recorded.reset(token)


@contextmanager
def reading(paths: Iterable[Path]) -> Iterator[None]:
    """Within it, no file at ``paths`` is to be written over, ours or not: it is read from."""
    token = _read.set(frozenset(map(os.path.realpath, paths)))
    try:
        yield
    finally:
        _read.reset(token)


def refuse_foreign(path: Path, mark: Mark | None = None) -> None:
    """Refuse to write over a file that is not ours: one with content that lacks our mark.

    Parameters
    ----------
    mark : bytes or pattern, optional
        What a file of ours holds, or begins with, where its format does not say it.

    Raises
    ------
    DatasetError
        ``path`` exists and was not written by this project, or it is one that is read from.
    """
    if os.path.realpath(path) in _read.get():
        raise DatasetError(
            f"{path}: is read from, and would be written over; expected another folder, or another "
            "name"
        )
    if path.exists() and not is_ours(path, mark):
        raise DatasetError(
            f"{path}: exists and was not written by {WRITER}; expected a free name: move it away "
            "or choose another folder"
        )


def is_ours(path: Path, mark: Mark | None = None) -> bool:
    """Return whether a file bears our mark, is `recorded`, or is empty: there is nothing to lose.

    Parameters
    ----------
    mark : bytes or pattern, optional
        As `refuse_foreign` has it.
    """
    if not path.is_file():
        return False
    if path in _recorded.get() or path.stat().st_size == 0:
        return True
    if isinstance(mark, Beside):
        return is_ours(path.with_name(mark.name))
    with (
        path.open("rb") as file,
        mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content,
    ):
        if mark is None:
            head = content[:8]
            mark = next((its for begins, its in _MARKS.items() if head.startswith(begins)), None)
        if mark is None:
            return False
        if isinstance(mark, bytes):
            return content.find(mark) >= 0
        return mark.match(content) is not None
