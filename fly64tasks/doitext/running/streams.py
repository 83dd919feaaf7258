"""Where a run says what it says."""

from __future__ import annotations

import contextlib
import errno
import os
import sys
from collections.abc import Iterator
from typing import Any

from doit.exceptions import InvalidCommand

from ..errors import printable


@contextlib.contextmanager
def writing_to(outfile: Any) -> Iterator[Any]:
    """What to write to: the file of that name, a stream that was given, or stdout where none was.

    Raises
    ------
    InvalidCommand
        The file can not be written.
    """
    if not isinstance(outfile, str):
        yield outfile or sys.stdout
        return
    try:
        file = open(outfile, "w", encoding="utf-8", opener=_no_wait)  # noqa: SIM115
    except OSError as error:
        unread = error.errno == errno.ENXIO
        why = "a pipe that nobody reads; start its reader first" if unread else error.strerror
        raise InvalidCommand(printable(f"-o {outfile}: {why}")) from None
    with file:
        os.set_blocking(file.fileno(), True)
        yield file


def _no_wait(path: str, flags: int) -> int:
    """Open for `open`, but do not wait for somebody to read a pipe."""
    return os.open(path, flags | os.O_NONBLOCK, 0o666)


@contextlib.contextmanager
def same_streams() -> Iterator[None]:
    """Put stdout and stderr back: actions in threads swap them, not always in pairs."""
    streams = sys.stdout, sys.stderr
    try:
        yield
    finally:
        sys.stdout, sys.stderr = streams
