"""The status of files, asked for once in a command, as long as no task has begun."""

from __future__ import annotations

import os
from collections.abc import Callable

Status = tuple[int, int, int, int, int]
"""Of a file: size, mtime and ctime in ns, inode, mode.

A plain tuple, as a hundred thousand of what `os.stat` gives have three times the size, and what is
not near at hand takes longest.
"""


def condensed(found: os.stat_result) -> Status:
    """What is asked of a status, by anybody here."""
    return found.st_size, found.st_mtime_ns, found.st_ctime_ns, found.st_ino, found.st_mode


def status(path: str) -> Status:
    """The status of a file as it is now; raises OSError where there is none."""
    return condensed(os.stat(path))  # noqa: PTH116


class _Kept(dict[str, Status]):
    def __missing__(self, path: str) -> Status:
        found = self[path] = status(path)  # what is missing is asked for again: its error says how
        return found


class Statuses:
    """`status` by path.

    A command looks at a graph as it is when it begins; from the first task that runs on, files
    change, and each is looked at again.

    Attributes
    ----------
    of : callable
        ``of(path)`` is the status of a file; raises OSError where there is none. It is another
        function after `forget` and `keep_none`.
    """

    of: Callable[[str], Status]

    def __init__(self) -> None:
        self.forget()

    def exists(self, path: str) -> bool:
        """Whether there is anything at a path, where links lead to."""
        try:
            self.of(path)
        except (OSError, ValueError):
            return False
        return True

    def forget(self) -> None:
        """Look at each file again, once."""
        self.of = _Kept().__getitem__

    def keep_none(self) -> None:
        """Look at each file whenever it is asked for: a task begins."""
        self.of = status
