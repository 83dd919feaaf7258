"""A run as JSON lines, for programs that watch it: what began, how far it is, how it ended."""

from __future__ import annotations

import contextlib
import errno
import json
import math
import os
import select
import socket
import stat
import sys
import threading
import time
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from doit.exceptions import BaseFail, InvalidCommand, UnmetDependency

from .. import progress
from ..errors import printable
from .failures import reason_of
from .reporter import ToCome

_EVERY_S = 1.0
_FULL_S = 5.0
_HOW = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NONBLOCK


class EventLog:
    """A doit reporter that appends a line of JSON to a file for each thing that happens.

    A line is written whole, by one call of the system, or not at all. Where one cannot be written
    the run goes on, and says so once.

    Parameters
    ----------
    path : Path
        The file; it is made when it does not exist, its folder is not.

    Raises
    ------
    InvalidCommand
        The file cannot be written.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._stderr = sys.stderr  # that of doit: a running task may have put another in its place
        self._guard = threading.Lock()
        self._begun: dict[str, float] = {}
        self._said: dict[str, float] = {}
        self._counts: dict[str, int] = {}
        self._to_come = ToCome({}, [])
        self._started: float | None = None
        self._complained = False
        try:
            self._file = os.open(path, _HOW, 0o666)
        except OSError as error:
            said = f"{path}: {error.strerror}; --events takes a file that can be written"
            if error.errno == errno.ENXIO:
                said = f"{path}: a pipe that nobody reads; start its reader first"
            raise InvalidCommand(printable(said)) from None
        self._regular = stat.S_ISREG(os.fstat(self._file).st_mode)

    def end(self, exit_code: int, signal: str | None = None) -> None:
        """Say how the run ended, and close the file; a run that never began says nothing."""
        progress.tell(None)
        if self._started is not None:
            for name in list(self._begun):
                self._ended(name, "interrupted")
            self._count("not reached", self._to_come.count - sum(self._counts.values()))
            self._write(
                "run_end",
                seconds=round(time.monotonic() - self._started, 3),
                exit_code=exit_code,
                signal=signal,
                counts={word: count for word, count in self._counts.items() if count},
            )
        with self._guard:
            self._file = _closed(self._file)

    # ---- called by doit, in the main thread unless said otherwise

    def initialize(self, tasks: dict[str, Any], selected: list[str]) -> None:
        """Say that the run begins."""
        self._started = time.monotonic()
        self._to_come = ToCome(tasks, selected)
        count = self._to_come.count
        self._write("run_begin", pid=os.getpid(), host=socket.gethostname(), tasks=count)
        progress.tell(self._progress)

    def get_status(self, task: Any) -> None:
        """Nothing: a task is about to be looked at."""

    def execute_task(self, task: Any) -> None:
        """Say that a task begins; called in the thread that runs it."""
        if task.actions:
            self._begun[task.name] = time.monotonic()
            self._write("task_begin", task=task.name)

    def add_success(self, task: Any) -> None:
        """Say that a task succeeded."""
        self._finished(task, "done")

    def add_failure(self, task: Any, fail: BaseFail) -> None:
        """Say that a task failed or could not start."""
        if isinstance(fail, UnmetDependency):
            self._finished(task, "not run", f"after {' '.join(fail.message.split())}")
        else:
            self._finished(task, "failed", reason_of(task, fail))

    def skip_uptodate(self, task: Any) -> None:
        """Say that a task is up to date."""
        self._finished(task, "up to date")

    def skip_ignore(self, task: Any) -> None:
        """Say that the user told doit to ignore a task."""
        self._finished(task, "ignored")

    def skip_missing(self, task: Any, reason: str) -> None:
        """Say that a task is skipped, as what it takes may be missing and is."""
        self._finished(task, "skipped", reason)

    def cleanup_error(self, exception: BaseFail) -> None:
        """Nothing: the other reporter says it."""

    def runtime_error(self, msg: str) -> None:
        """Nothing: the other reporter says it."""

    def teardown_task(self, task: Any) -> None:
        """Nothing: a task is about to be torn down."""

    def complete_run(self) -> None:
        """Nothing: how the run ended is known only to what calls `end`."""

    # ---- lines

    def _progress(self, name: str, report: progress.Progress) -> None:
        """Say how far a task is, at most once in a second; called in any thread."""
        said = self._said.get(name)
        if said is None or report.at - said >= _EVERY_S:
            self._said[name] = report.at
            done, total = _number(report.done), _number(report.total)
            self._write("progress", task=name, done=done, total=total, numbers=_numbers(report))

    def _finished(self, task: Any, status: str, reason: str | None = None) -> None:
        if task.actions:
            self._ended(task.name, status, reason)

    def _ended(self, name: str, status: str, reason: str | None = None) -> None:
        self._count(status)
        begun = self._begun.pop(name, None)
        self._said.pop(name, None)
        report = progress.latest(name) if begun is not None else None
        self._write(
            "task_end",
            task=name,
            status=status,
            seconds=None if begun is None else round(time.monotonic() - begun, 3),
            reason=reason,
            numbers=_numbers(report) if report else {},
        )

    def _count(self, status: str, count: int = 1) -> None:
        self._counts[status] = self._counts.get(status, 0) + count

    def _write(self, event: str, **keys: Any) -> None:
        now = datetime.now(UTC).isoformat(timespec="milliseconds")
        line = json.dumps({"event": event, "time": now, **keys}, allow_nan=False).encode() + b"\n"
        with self._guard:
            if self._file < 0:  # a pipe without reader, or a thread that reports after the end
                return
            try:
                written = self._written(line)
                if written < len(line):
                    if self._regular:
                        os.ftruncate(self._file, os.fstat(self._file).st_size - written)
                    raise OSError("the disk is full")
            except OSError as error:
                self._complain(error)
                if not self._regular:  # what was cut off would stand before the next line
                    self._file = _closed(self._file)

    def _written(self, line: bytes) -> int:
        if self._regular:
            return os.write(self._file, line)
        left = line
        while left:  # a pipe takes what there is room for
            if not select.select([], [self._file], [], _FULL_S)[1]:
                raise TimeoutError(errno.ETIMEDOUT, f"its reader took nothing in {_FULL_S:g} s")
            left = left[os.write(self._file, left) :]
        return len(line)

    def _complain(self, error: OSError) -> None:
        if not self._complained:
            self._complained = True
            said = f"{self._path}: an event is not written: {error.strerror or error}; going on"
            with contextlib.suppress(OSError):
                self._stderr.write(f"{printable(said)}\n")


def _closed(file: int) -> int:
    """-1, after closing a file that is open."""
    if file >= 0:
        os.close(file)
    return -1


class Both:
    """A doit reporter that tells several others.

    Parameters
    ----------
    reporters : iterable
        doit reporters; those of doit itself need not know every call.
    """

    def __init__(self, reporters: Iterable[Any]) -> None:
        self._reporters = list(reporters)

    def _tell(self, call: str, *args: Any) -> None:
        for reporter in self._reporters:
            if hasattr(reporter, call):
                getattr(reporter, call)(*args)

    def initialize(self, tasks: dict[str, Any], selected: list[str]) -> None:
        """Tell."""
        self._tell("initialize", tasks, selected)

    def get_status(self, task: Any) -> None:
        """Tell."""
        self._tell("get_status", task)

    def execute_task(self, task: Any) -> None:
        """Tell."""
        self._tell("execute_task", task)

    def add_success(self, task: Any) -> None:
        """Tell."""
        self._tell("add_success", task)

    def add_failure(self, task: Any, fail: BaseFail) -> None:
        """Tell."""
        self._tell("add_failure", task, fail)

    def skip_uptodate(self, task: Any) -> None:
        """Tell."""
        self._tell("skip_uptodate", task)

    def skip_ignore(self, task: Any) -> None:
        """Tell."""
        self._tell("skip_ignore", task)

    def skip_missing(self, task: Any, reason: str) -> None:
        """Tell; those of doit know of tasks that are ignored."""
        for reporter in self._reporters:
            if hasattr(reporter, "skip_missing"):
                reporter.skip_missing(task, reason)
            else:
                reporter.skip_ignore(task)

    def cleanup_error(self, exception: BaseFail) -> None:
        """Tell."""
        self._tell("cleanup_error", exception)

    def runtime_error(self, msg: str) -> None:
        """Tell."""
        self._tell("runtime_error", msg)

    def teardown_task(self, task: Any) -> None:
        """Tell."""
        self._tell("teardown_task", task)

    def complete_run(self) -> None:
        """Tell."""
        self._tell("complete_run")


def _numbers(report: progress.Progress) -> dict[str, float | None]:
    return {name: _number(value) for name, value in report.numbers.items()}


def _number(value: float) -> float | None:
    """The number, or None for what JSON has no word for."""
    if isinstance(value, int):
        return value
    plain = float(value)  # numpy's and torch's, too
    return plain if math.isfinite(plain) else None
