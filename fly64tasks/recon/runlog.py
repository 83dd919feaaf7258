"""The log of a run: the records and warnings of one thread, in a file of bounded size."""

from __future__ import annotations

import contextlib
import logging
import threading
import warnings
from collections.abc import Iterator
from logging.handlers import RotatingFileHandler
from pathlib import Path

LIMIT_BYTES = 8 * 2**20


@contextlib.contextmanager
def logging_to(path: Path, *, append: bool, limit_bytes: int = LIMIT_BYTES) -> Iterator[None]:
    """Send this thread's log records and warnings to a file, and to it alone.

    A file that would grow over ``limit_bytes`` becomes ``<path>.1``, in place of a former one. A
    log that can not be written on, as on a full disk, ends no run. Our own warnings are shown on
    stderr too, where nobody else listens.

    Raises
    ------
    OSError
        The file can not be opened.
    """
    thread = threading.get_ident()
    if not append or path.is_symlink():
        path.unlink(missing_ok=True)  # a link would have us write to where it leads
    root, ours, ptychi = map(logging.getLogger, ("", "fly64tasks", "ptychi"))
    shown = None if ours.hasHandlers() else logging.StreamHandler()
    handler = _Bounded(path, maxBytes=limit_bytes, backupCount=1, encoding="utf-8")
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
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
    try:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("default")
            yield
    finally:
        for warning in caught:
            ptychi.warning("%s: %s", warning.category.__name__, warning.message)
        if shown:
            ours.removeHandler(shown)
        root.removeHandler(handler)
        with contextlib.suppress(OSError):
            handler.close()
        for logger, level in levels.items():
            logger.setLevel(level)


class _Bounded(RotatingFileHandler):
    def handleError(self, record: logging.LogRecord) -> None:
        """Go on: what the log is about matters more than the log."""
