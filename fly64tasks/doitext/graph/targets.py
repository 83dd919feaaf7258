"""What a task made, held against what lies there now: by size, for which nothing is read."""

from __future__ import annotations

import stat
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Literal

from ..state.journal import Journal
from ..state.record import TARGETS
from ..state.statuses import Status
from .moved import followed


class TargetsChanged:
    """An ``uptodate`` item that says no, because of what happened to a task's targets.

    Parameters
    ----------
    words : list of str
        What happened.
    """

    def __init__(self, words: list[str]) -> None:
        self._words = words

    def __call__(self) -> bool:
        """False."""
        return False

    def explain(self, values: Mapping[str, Any]) -> list[str]:
        """What happened."""
        return self._words


def watch(task: Any, state: Journal, comes: Callable[[str], bool] = lambda path: False) -> None:
    """Make `task` stale if a file that it made has another size now; follow files that moved.

    ``comes(path)`` says of an input that an earlier task is going to make it.
    """
    row = followed(task, state, comes)
    if row is not state.row(task.name):
        state.replace(task.name, row)
    made = row.get(TARGETS)
    words = list(_changed(task.targets, made, state.statuses.of)) if made else []
    if words:
        task.uptodate.append((TargetsChanged(words), [], {}))


def _changed(
    targets: Iterable[str],
    made: Mapping[str, Any],
    status_of: Callable[[str], Status],
) -> Iterator[str]:
    """A missing target is doit's own to find; of one that was a folder nothing is known."""
    for path in targets:
        recorded = made.get(path)
        if not recorded:
            continue
        try:
            size, _, _, _, mode = status_of(path)
        except OSError:
            continue
        if not stat.S_ISREG(mode):
            yield f"target altered: {path} (not a file)"
        elif size != recorded[0]:
            word, detail = resized(recorded[0], size)
            yield f"target {word}: {path} ({detail})"


def resized(made: int, now: int) -> tuple[Literal["truncated", "altered"], str]:
    """What became of a file of `made` bytes that has another size `now`.

    Examples
    --------
    >>> resized(8, 0), resized(8, 10)
    (('truncated', '0 of 8 bytes'), ('altered', '10 bytes, 8 when made'))
    """
    if now < made:
        return "truncated", f"{now} of {made} bytes"
    return "altered", f"{now} bytes, {made} when made"
