"""One line per finished task, and what failed at the end."""

from __future__ import annotations

import sys
import threading
import time
from pathlib import Path
from typing import IO, Any, Protocol

from doit.exceptions import BaseFail, UnmetDependency

from .. import progress
from ..errors import printable, printable_lines
from ..graph.control import with_feeding
from ..progress import Progress
from .ahead import Ahead
from .failures import reason_of
from .quiet import Quiet
from .words import duration, left_of, running_row, still

_NAME_WIDTH = 40
_SAID = 3


class Display(Protocol):
    """What shows running tasks on a terminal; see `doitext.running.live`."""

    def line(self, text: str, alarming: str = "") -> None:
        """Print a line above what is running, one word of it in red."""

    def close(self) -> None:
        """Show no longer what is running."""


class LineReporter:
    """A doit reporter: ``[7/18] recon:dose_1000_dense_train  24 s  loss 0.046``.

    On a terminal the running tasks are shown below the lines, with progress and the time that they
    and the whole run still take. Elsewhere a line says so now and then.

    Parameters
    ----------
    outstream : file
        Where lines go.
    options : dict
        doit's ``failure_verbosity``: 1 repeats a failed task's stderr, 2 its stdout too; ``took``
        and ``jobs`` as `Ahead` has them.
    """

    desc = "one line per finished task, live progress on a terminal"

    def __init__(self, outstream: IO[str], options: dict[str, Any]) -> None:
        self._out = outstream
        self._verbosity = options.get("failure_verbosity", 0)
        self._known = {key: options[key] for key in ("took", "jobs") if key in options}
        self._guard = threading.Lock()
        self._begun: dict[str, float] = {}
        self._failures: list[tuple[Any, BaseFail]] = []
        words = ("done", "up to date", "failed", "not run", "skipped", "ignored")
        self._counts = dict.fromkeys(words, 0)
        self._errors: list[str] = []
        self._to_come = ToCome({}, [])
        self._seen = 0
        self._width = 0
        self._display: Display | None = None
        self._quiet: Quiet | None = None
        self._ahead = Ahead({}, list)
        self._started = time.monotonic()

    # ---- called by doit, in the main thread unless said otherwise

    def initialize(self, tasks: dict[str, Any], selected: list[str]) -> None:
        """Count the tasks to come; doit calls this once, first."""
        self._to_come = ToCome(tasks, selected)
        self._width = min(
            _NAME_WIDTH, max((len(printable(name)) for name in self._to_come.names), default=0)
        )
        self._ahead = Ahead(tasks, self._to_come.needed, **self._known)
        if self._out.isatty():
            from .live import LiveDisplay

            self._display = LiveDisplay(self._out, self._rows)
        else:
            self._quiet = Quiet(self._say_what_runs)

    def get_status(self, task: Any) -> None:
        """Note what a task took before; it is about to be looked at."""
        self._ahead.before(task.name)

    def execute_task(self, task: Any) -> None:
        """Note the beginning of a task; called in the thread that runs it."""
        if not task.actions:
            return
        progress.forget(task.name)
        with self._guard:
            self._begun[task.name] = time.monotonic()

    def add_success(self, task: Any) -> None:
        """Print the line of a task that succeeded."""
        if task.actions:
            report = progress.latest(task.name)
            self._finished(task, "done", report.words() if report else "")

    def add_failure(self, task: Any, fail: BaseFail) -> None:
        """Print the line of a task that failed or could not start."""
        if not task.actions:
            return
        if isinstance(fail, UnmetDependency):
            self._finished(task, "not run", f"NOT RUN  after {' '.join(fail.message.split())}")
            return
        self._failures.append((task, fail))
        self._finished(task, "failed", f"FAILED  {reason_of(task, fail)}")

    def skip_uptodate(self, task: Any) -> None:
        """Count a task that is up to date."""
        self._count(task, "up to date")

    def skip_ignore(self, task: Any) -> None:
        """Count a task that the user told doit to ignore."""
        self._count(task, "ignored")

    def skip_missing(self, task: Any, reason: str) -> None:
        """Print the line of a task that is skipped, as what it takes may be missing and is."""
        if task.actions:
            self._finished(task, "skipped", f"SKIPPED  {reason}")

    def cleanup_error(self, exception: BaseFail) -> None:
        """Print the failure of a teardown."""
        sys.stderr.write(printable_lines(exception.get_msg()))

    def runtime_error(self, msg: str) -> None:
        """Keep an error of doit itself for the end."""
        self._errors.append(msg)

    def teardown_task(self, task: Any) -> None:
        """Nothing: a task is about to be torn down."""

    def complete_run(self) -> None:
        """Print the totals and the failures."""
        shown = self._display or self._quiet
        if shown:
            shown.close()
        for task, fail in self._failures:
            self._describe(task, fail)
        for message in self._errors:
            self._print(f"stopped: {printable_lines(message)}")
        cut_off = len(self._begun)
        left = self._to_come.count - self._seen - cut_off
        rest = {"interrupted": cut_off, "not reached": left}
        counts = [f"{n} {word}" for word, n in {**self._counts, **rest}.items() if n > 0]
        taken = duration(time.monotonic() - self._started)
        failed = f"{self._counts['failed']} failed"
        self._print(f"{', '.join(counts) or 'nothing to do'} in {taken}", alarming=failed)

    # ---- lines

    def _count(self, task: Any, word: str) -> None:
        if task.actions:
            self._counts[word] += 1
            self._seen += 1
            begun = self._begun.get(task.name)
            taken = None if begun is None else time.monotonic() - begun
            with self._guard:
                self._ahead.ended(task.name, taken)

    def _finished(self, task: Any, word: str, text: str) -> None:
        self._count(task, word)
        with self._guard:
            begun = self._begun.pop(task.name, None)
        taken = duration(time.monotonic() - begun) if begun is not None else "-"
        name = printable(task.name)
        line = f"{self._head()} {name:{self._width}}  {taken:>7}  {printable(text)}"
        self._print(line.rstrip(), alarming="FAILED" if word == "failed" else "")

    def _head(self) -> str:
        total = self._to_come.count
        return f"[{self._seen:{len(str(total))}}/{total}]"

    # ---- what is running; called in other threads

    def _running(self) -> tuple[list[tuple[str, float, Progress | None]], str]:
        """The tasks that run, since how many seconds and how far, and what is left of the run."""
        now = time.monotonic()
        with self._guard:
            begun = [(name, now - at, progress.latest(name)) for name, at in self._begun.items()]
            if not begun:
                return [], ""
            left = self._ahead.seconds(
                {name: (since, left_of(report, since)) for name, since, report in begun}
            )
        return begun, still(*left)

    def _rows(self, width: int) -> list[str]:
        begun, left = self._running()
        names = max((len(printable(name)) for name, _, _ in begun), default=0)
        rows = [
            running_row(printable(name), since, report, width, names)
            for name, since, report in begun
        ]
        whole = f"{self._seen} of {self._to_come.count}"
        return [*rows, f"{whole}, {left}" if left else whole] if begun else []

    def _say_what_runs(self) -> None:
        begun, left = self._running()
        said = [
            "  ".join(
                [
                    printable(name),
                    duration(since),
                    *([f"{report.done:g}/{report.total:g}", report.words()] if report else []),
                ]
            ).rstrip()
            for name, since, report in begun[:_SAID]
        ]
        said += [f"{len(begun) - _SAID} more"] if len(begun) > _SAID else []
        if said:
            whole = f"; {left} in all" if left else ""
            self._out.write(f"{self._head()} running: {', '.join(said)}{whole}\n")
            self._out.flush()

    def _describe(self, task: Any, fail: BaseFail) -> None:
        self._print(f"\n{printable(task.name)}: {reason_of(task, fail)}")
        if fail.traceback:
            self._print(printable_lines("".join(fail.traceback).rstrip()))
        log = (task.meta or {}).get("log")
        if log and Path(log).exists():
            self._print(f"  log: {printable(log)}")
        streams = {"stderr": "err", "stdout": "out"}
        for stream, attribute in list(streams.items())[: self._verbosity]:
            said = "".join(getattr(action, attribute) or "" for action in task.actions)
            if said:
                self._print(f"  {stream}:\n{said.rstrip()}")

    def _print(self, text: str, alarming: str = "") -> None:
        if self._display:
            self._display.line(text, alarming)
        else:
            if self._quiet:
                self._quiet.heard()
            self._out.write(f"{text}\n")
            self._out.flush()


class ToCome:
    """The selected tasks and all that feeds them; groups do nothing and are out.

    Parameters
    ----------
    tasks : dict
        By name; a run may add some, by doit's ``create_after``.
    selected : list of str
        Names.

    Attributes
    ----------
    names : list of str
        Of those that do something, as far as they were known when they were last counted.
    """

    def __init__(self, tasks: dict[str, Any], selected: list[str]) -> None:
        self._tasks, self._selected = tasks, selected
        self._delayed = [name for name, task in tasks.items() if task.loader]
        self.names = self._named()

    def needed(self) -> set[str]:
        """The names of all of them, groups too."""
        return with_feeding(self._tasks, self._selected)

    def _named(self) -> list[str]:
        return [name for name in self.needed() if self._tasks[name].actions]

    @property
    def count(self) -> int:
        """How many there are now."""
        waiting = [name for name in self._delayed if self._tasks[name].loader]
        if waiting != self._delayed:
            self._delayed, self.names = waiting, self._named()
        return len(self.names)
