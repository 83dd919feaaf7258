"""Which files are ours to write over: those with our mark, and what doit's state says we made."""

from __future__ import annotations

import mmap
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

_MARKS: dict[str, Mark] = {
    ".npz": f'"writer": "{WRITER}"'.encode("utf-32-le"),  # in `_metadata`: numpy's text
    ".json": f'"writer": "{WRITER}"'.encode(),
    ".h5": WRITER.encode(),
    ".svg": f"<dc:title>{WRITER}</dc:title>".encode(),
    ".pdf": re.compile(rf"(?s:.*?)(?:\n%{WRITER}\n|/Creator \({WRITER}\))".encode()),
    ".png": f"Software\0{WRITER}".encode(),
}
"""What a file of ours holds, by its suffix: near its beginning, so that one cut short has it too.
Any other file of ours holds our name."""

_recorded: ContextVar[frozenset[Path]] = ContextVar("recorded", default=frozenset())


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


def refuse_foreign(path: Path, mark: Mark | None = None) -> None:
    """Refuse to write over a file that is not ours: one with content that lacks our mark.

    Parameters
    ----------
    mark : bytes or pattern, optional
        What a file of ours holds, or begins with, where its suffix does not say it.

    Raises
    ------
    DatasetError
        ``path`` exists and was not written by this project.
    """
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
    mark = mark or _MARKS.get(path.suffix, WRITER.encode())
    if isinstance(mark, Beside):
        return is_ours(path.with_name(mark.name))
    with (
        path.open("rb") as file,
        mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content,
    ):
        if isinstance(mark, bytes):
            return content.find(mark) >= 0
        return mark.match(content) is not None
