"""The status of files, asked for once in a command, as long as no task has begun."""

from __future__ import annotations

import os


class Statuses:
    """``os.stat`` by path.

    A command looks at a graph as it is when it begins; from the first task that runs on, files
    change, and each is looked at again.
    """

    def __init__(self) -> None:
        self._known: dict[str, os.stat_result] | None = {}

    def of(self, path: str) -> os.stat_result:
        """The status of a file.

        Raises
        ------
        OSError
            There is none.
        """
        if self._known is None:
            return os.stat(path)  # noqa: PTH116
        status = self._known.get(path)
        if status is None:  # what is missing is asked for again: its error says how
            status = self._known[path] = os.stat(path)  # noqa: PTH116
        return status

    def exists(self, path: str) -> bool:
        """Whether there is anything at a path, where links lead to."""
        try:
            self.of(path)
        except (OSError, ValueError):
            return False
        return True

    def forget(self) -> None:
        """Look at each file again, once."""
        self._known = {}

    def keep_none(self) -> None:
        """Look at each file whenever it is asked for: a task begins."""
        self._known = None
