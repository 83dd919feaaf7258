"""What is said of a run while it runs and once it has ended, however it did."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from fly64tasks.errors import failure_of
from fly64tasks.recon import record
from fly64tasks.recon.runlog import logging_to


@contextlib.contextmanager
def recorded(
    of_run: dict[str, Any],
    command: Sequence[str],
    *,
    about: Path,
    log: Path,
    append: bool = False,
    remove: Callable[[], None],
    write: Callable[[], None],
    took: Callable[[], dict[str, Any]] = dict,
) -> Iterator[None]:
    """Make the folder for a run, and say there what it is and how it ended.

    Parameters
    ----------
    of_run : dict
        The record, which gets how it ended.
    command : sequence of str
        What does the same.
    about : Path
        The set, which errors name.
    log : Path
        In the folder of the run.
    append : bool
        Go on with the log that is there.
    remove : callable
        Removes the results: of a former run, and of this one where it fails.
    write : callable
        Writes the record.
    took : callable
        Returns what else is to be recorded at the end.
    """
    began = time.perf_counter()

    def note(**outcome: Any) -> None:
        of_run.update(outcome)
        of_run["seconds"] = round(time.perf_counter() - began, 3)
        of_run.update(took())
        write()

    with contextlib.ExitStack() as stack:
        say: Callable[[str], None] = lambda line: None  # noqa: E731
        try:
            log.parent.mkdir(parents=True, exist_ok=True)
            remove()
            say = stack.enter_context(logging_to(log, append=append))
            for line in record.head(of_run, command):
                say(line)
            yield
            note(state="done", exit_code=0)
            say(record.outcome(of_run))
        except BaseException as error:
            failure = failure_of(error, about, log)
            ended = record.ended(failure)
            with contextlib.suppress(OSError):  # where it fails, `failure` says why
                remove()
                note(**ended)
            say(record.outcome({**of_run, **ended}))
            if failure is error:
                raise
            raise failure from None
