"""The log of a run: what is said of it, and the records and warnings of its thread, in a file of
bounded size.
"""

from __future__ import annotations

import contextlib
import logging
import re
import threading
import warnings
from collections.abc import Callable, Iterator
from io import TextIOWrapper
from logging.handlers import RotatingFileHandler
from pathlib import Path
from typing import Any

from fly64tasks.data.ownership import is_ours

LIMIT_BYTES = 8 * 2**20

_OURS = "fly64tasks"
_LINE = r"\d{{4}}-\d\d-\d\d \d\d:\d\d:\d\d,\d{{3}} [A-Z]+ (?:{})[\w.]*: "
LOG_MARK = re.compile(_LINE.format(f"{_OURS}|ptychi").encode())
"""How a log of ours begins: in our name, and those of earlier versions with a line of pty-chi."""
_FORMAT = logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s")
_OUR_HEAD = re.compile(_LINE.format(_OURS).encode())


@contextlib.contextmanager
def logging_to(
    path: Path, *, append: bool, limit_bytes: int = LIMIT_BYTES
) -> Iterator[Callable[[str], None]]:
    """Send this thread's log records and warnings to a file, and to it alone.

    Yields ``say(line)``, which writes a line of ours there.

    A file that would grow over ``limit_bytes`` becomes ``<path>.1``, in place of a former one. One
    that does not begin in our name is never begun anew, but appended to. A log that can not be
    written on, as on a full disk, ends no run. Our own warnings are shown on stderr too, where
    nobody else listens.

    Raises
    ------
    OSError
        The file can not be opened.
    """
    thread = threading.get_ident()
    if path.is_symlink() or (not append and is_ours(path, _OUR_HEAD)):
        path.unlink()  # a link would have us write to where it leads
    root, ours, ptychi = map(logging.getLogger, ("", _OURS, "ptychi"))
    shown = None if ours.hasHandlers() else logging.StreamHandler()
    handler = _Bounded(path, maxBytes=limit_bytes, backupCount=1, encoding="utf-8")
    handler.setFormatter(_FORMAT)
    handler.addFilter(lambda record: record.thread == thread)
    levels = {logger: logger.level for logger in (ours, ptychi)}
    for logger in levels:
        logger.setLevel(logging.INFO)
    # pty-chi draws its own progress bar where this logger's level is below WARNING.
    logging.getLogger("ptychi.reconstructors.base").setLevel(logging.WARNING)
    root.addHandler(handler)
    if shown:
        shown.setLevel(logging.WARNING)
        shown.setFormatter(logging.Formatter("warning: %(message)s"))
        ours.addHandler(shown)

    def say(line: str) -> None:
        of_ours = {"name": ours.name, "levelname": "INFO", "levelno": logging.INFO}
        handler.handle(logging.makeLogRecord({**of_ours, "msg": line}))

    def warn(message: Warning | str, category: type[Warning], *place: Any, **more: Any) -> None:
        ptychi.warning("%s: %s", category.__name__, message)

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("default")
            warnings.showwarning = warn
            yield say
    finally:
        if shown:
            ours.removeHandler(shown)
        root.removeHandler(handler)
        with contextlib.suppress(OSError):
            handler.close()
        for logger, level in levels.items():
            logger.setLevel(level)


class _Bounded(RotatingFileHandler):
    def _open(self) -> TextIOWrapper:
        """Open the file, and begin it in our name."""
        stream = super()._open()
        if stream.tell() == 0:
            said = {"name": _OURS, "levelname": "INFO", "msg": "log of a reconstruction"}
            with contextlib.suppress(OSError):
                stream.write(f"{_FORMAT.format(logging.makeLogRecord(said))}\n")
        return stream

    def handleError(self, record: logging.LogRecord) -> None:
        """Go on: what the log is about matters more than the log."""
