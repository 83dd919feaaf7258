"""What a job on a worker tells doit while it runs: a file of JSON lines, written there, read here.

A file, because it works the same on this machine and on a shared file system, and because what a
worker wrote before it was killed can still be read.
"""

from __future__ import annotations

import contextlib
import json
import logging
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

Tell = Callable[..., None]


@contextlib.contextmanager
def telling(path: str) -> Iterator[Tell]:
    """Yield what writes its arguments to a file; warnings of ours are written there as well."""
    with open(path, "a", encoding="utf-8") as file:  # noqa: PTH123

        def tell(*event: Any, kind: str = "event") -> None:
            print(json.dumps({kind: event}), file=file, flush=True)

        handler = _Forwarding(tell)
        logger = logging.getLogger("fly64tasks")
        logger.addHandler(handler)
        try:
            yield tell
        finally:
            logger.removeHandler(handler)


class _Forwarding(logging.Handler):
    """Tells of warnings, which would otherwise end in a log of Parsl's."""

    def __init__(self, tell: Tell) -> None:
        super().__init__(logging.WARNING)
        self._tell = tell

    def emit(self, record: logging.LogRecord) -> None:
        """Tell."""
        self._tell(record.name, record.levelno, record.getMessage(), kind="log")


class Follower:
    """Reads a file that `telling` writes, as it grows.

    Parameters
    ----------
    path : Path
        The file; it need not be there yet.
    on_event : callable, optional
        Called with the arguments of each event.
    """

    def __init__(self, path: Path, on_event: Callable[..., None] | None) -> None:
        self._path = path
        self._on_event = on_event
        self._offset = 0

    def read(self) -> None:
        """Pass on the whole lines that are new."""
        try:
            with self._path.open("rb") as file:  # opened anew: so a shared file system looks again
                file.seek(self._offset)
                text = file.read()
        except FileNotFoundError:  # not begun
            return
        lines = text[: text.rfind(b"\n") + 1]
        self._offset += len(lines)
        for line in lines.splitlines():
            told = json.loads(line)
            if "log" in told:
                name, level, message = told["log"]
                logger = logging.getLogger(name)
                if logger.hasHandlers():
                    logger.log(level, "%s", message)
                else:  # as a run in this process says it
                    print(f"warning: {message}", file=sys.stderr)
            elif self._on_event:
                self._on_event(*told["event"])


def said_in(path: str) -> str | None:
    """Return what a file says, None where it is not there."""
    try:
        return Path(path).read_text("utf-8")
    except OSError:
        return None
