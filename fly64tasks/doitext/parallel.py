"""The run that is under way: how many tasks at once, and what they share until it ends."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from typing import Any, TypeVar

T = TypeVar("T")


class Run:
    """A run of tasks in threads.

    Parameters
    ----------
    jobs : int
        How many tasks run at once.
    options : mapping
        The options of the command line and of DOIT_CONFIG.
    """

    def __init__(self, jobs: int, options: Mapping[str, Any]) -> None:
        self.jobs = jobs
        self.options = options
        self._guard = threading.Lock()
        self._shared: dict[object, Any] = {}
        self._ends = contextlib.ExitStack()

    def shared(self, make: Callable[[Run], AbstractContextManager[T]]) -> T:
        """What ``make(run)`` yields: entered when a task first asks, left when the run ends."""
        with self._guard:
            if make not in self._shared:
                self._shared[make] = self._ends.enter_context(make(self))
            found: T = self._shared[make]
            return found

    def end(self) -> None:
        """Leave what the tasks shared."""
        self._ends.close()


_current: Run | None = None


def current() -> Run | None:
    """The run that is under way in threads; None when tasks run one after the other."""
    return _current


@contextlib.contextmanager
def running(jobs: int, options: Mapping[str, Any]) -> Iterator[None]:
    """Be the current run, of `jobs` tasks at once; of 0 jobs, be none."""
    global _current
    run = Run(jobs, options) if jobs else None
    _current = run
    try:
        yield
    finally:
        _current = None
        if run:
            run.end()
