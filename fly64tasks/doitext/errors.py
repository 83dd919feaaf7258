"""The error a task raises when the cause is the user's to mend."""

from __future__ import annotations


def printable(text: object) -> str:
    r"""`text` with all that could steer a terminal escaped: a file may be named by anyone.

    Examples
    --------
    >>> printable("süß\x1b[2J")
    'süß\\x1b[2J'
    """
    return "".join(
        char if char.isprintable() else char.encode("unicode_escape").decode("ascii")
        for char in str(text)
    )


class TaskError(Exception):
    """A failure whose message says it all: reported in one line, without a traceback.

    Any exception class may join by setting the class attribute ``task_error = True``.
    """

    task_error = True


def is_task_error(error: BaseException) -> bool:
    """Whether `error` is to be reported in one line."""
    return getattr(error, "task_error", False) is True
