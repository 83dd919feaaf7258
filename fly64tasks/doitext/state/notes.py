"""What was read of files, kept while they are the same: by size, both times, and inode.

One rule for all that is not read again, stricter than doit's own by the time of the last change of
status (``ctime``), which nobody can set back: a file that is written over with as many bytes and
its former time stamp is read again. `doit verify` takes none of it.
"""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Callable, Iterable, Iterator
from contextvars import ContextVar
from pathlib import Path
from stat import S_ISREG
from typing import Any

from .digests import RACY_NS
from .statuses import Status, Statuses, status

LONGEST = 2**14
"""Characters of JSON that a note may have: who asks for one loads all of its kind."""

Marks = tuple[int, int, int, int]
"""By which a file is known to be the same: size, mtime and ctime in ns, inode."""
Note = tuple[Marks, str]
"""The marks of a file, and what was read of it, as JSON."""
Key = tuple[str, str]
"""Path and kind."""


class Notes:
    """What was read of files, by path and kind.

    Parameters
    ----------
    decode : callable
        Reads JSON; raises ValueError where there is none.
    stored : callable
        Gives the notes of a kind that are stored; called for the first of it that is asked for.
    statuses : Statuses, optional
        Those of the same command.

    Attributes
    ----------
    known : dict
        Every note of the kinds that were asked for, by path and kind.
    fresh : set
        The keys of those that are not stored yet.
    """

    def __init__(
        self,
        decode: Callable[[str], Any] = json.loads,
        stored: Callable[[str], Iterable[tuple[Key, Note]]] = lambda kind: (),
        statuses: Statuses | None = None,
    ) -> None:
        self._decode = decode
        self._stored = stored
        self._statuses = statuses
        self._kinds: set[str] = set()
        self.known: dict[Key, Note] = {}
        self.fresh: set[Key] = set()

    def of(self, path: Path, kind: str, read: Callable[[Path], Any]) -> Any:
        """What ``read(path)`` gives, JSON-ready; read only where the file may be another.

        What is no file, says more than `LONGEST`, was written in the last 50 ms (it may change
        again without a new time stamp), comes from the future, or changes while it is read, is
        read each time.

        Parameters
        ----------
        path : Path
        kind : str
            What is read of the file; another word where `read` gives something else than before.
        read : callable
        """
        if kind not in self._kinds:
            self.known.update(self._stored(kind))
            self._kinds.add(kind)
        key = str(path), kind
        marks = _marks(key[0], self._statuses.of if self._statuses else status)
        note = self.known.get(key)
        if note is not None and note[0] == marks:
            with contextlib.suppress(ValueError, RecursionError, TypeError):  # none of ours
                return self._decode(note[1])
        began = time.time_ns()
        found = read(path)
        if marks is not None and began - max(marks[1:3]) > RACY_NS and _marks(key[0]) == marks:
            text = json.dumps(found)
            if len(text) <= LONGEST:
                self.known[key] = (marks, text)
                self.fresh.add(key)
        return found


def _marks(path: str, status_of: Callable[[str], Status] = status) -> Marks | None:
    try:
        size, mtime_ns, ctime_ns, inode, mode = status_of(path)
    except (OSError, ValueError):  # what reads it says so
        return None
    return (size, mtime_ns, ctime_ns, inode) if S_ISREG(mode) else None


_current: ContextVar[Notes | None] = ContextVar("notes", default=None)


@contextlib.contextmanager
def used(notes: Notes) -> Iterator[None]:
    """Within it, `noted` takes what `notes` has."""
    token = _current.set(notes)
    try:
        yield
    finally:
        _current.reset(token)


def noted(path: Path, kind: str, read: Callable[[Path], Any]) -> Any:
    """What ``read(path)`` gives: as `Notes.of` has it where notes are `used`, else read now."""
    notes = _current.get()
    return read(path) if notes is None else notes.of(path, kind, read)
