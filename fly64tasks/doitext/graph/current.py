"""Whether a task is up to date, in the usual case in one pass over its files."""

from __future__ import annotations

from stat import S_ISREG
from typing import Any

from doit.task import Task

from ..spec import ITEM_SIGNATURE
from ..state.digests import MD5Checker
from ..state.journal import Journal
from ..state.record import CHECKER, TARGETS, Row


def is_current(task: Any, dependencies: Any) -> bool:
    """Whether doit would say that a task is up to date, and what `watch` looks for is not there.

    False says nothing: then doit is asked, which knows more kinds of ``uptodate`` items and gives
    reasons. True is given only where each of its questions has been answered, and takes a third of
    the time.

    Parameters
    ----------
    task : doit.task.Task
    dependencies
        doit's dependency manager, on a `Journal`.
    """
    state: Journal = dependencies.backend
    checker = dependencies.checker
    row = state.row(task.name)
    if type(checker) is not MD5Checker or row.get(CHECKER) != MD5Checker.__name__:
        return False
    try:
        same = _are_as_made(task, row, state) and _are_as_read(task, row, checker)
    except OSError:
        return False
    return same and _is_settled(task, row)


def _are_as_made(task: Any, row: Row, state: Journal) -> bool:
    """Whether what was made are the targets of today and the log, in their sizes."""
    made = row.get(TARGETS)
    if made is None:
        return False
    log = (task.meta or {}).get("log")
    if len(made) != len(task.targets) + (log in made):
        return False
    status_of = state.statuses.of
    for path in task.targets:
        recorded = made.get(path)
        if recorded is None:  # a folder, or not made then
            return False
        size, _, _, _, mode = status_of(path)
        if size != recorded[0] or not S_ISREG(mode):
            return False
    return True


def _are_as_read(task: Any, row: Row, checker: MD5Checker) -> bool:
    """Whether the inputs are those of the last time, with the content that they had."""
    then = row.get("deps:") or ()  # each once, in the order of their states in the row
    if len(then) != len(task.file_dep) or not task.file_dep.issuperset(then):
        return False
    status_of, digest_of = checker.statuses.of, checker.digests.md5
    for path in then:
        recorded = row.get(path)
        if recorded is None:
            return False
        found = status_of(path)
        if found[0] != recorded[1] or digest_of(path, found) != recorded[2]:
            return False
    return True


def _is_settled(task: Any, row: Row) -> bool:
    """Whether its ``uptodate`` items all say yes; some other dependency has to be there."""
    values = row.get("_values_:") or {}
    anything = bool(task.file_dep)
    for item, positional, named in task.uptodate:
        if item is True:
            anything = True
        elif item is not None:
            if getattr(item, "__signature__", None) is not ITEM_SIGNATURE or positional or named:
                return False
            if not item(task, values):
                return False
            anything = True
    return anything


def calculated(values: dict[str, Any]) -> dict[str, Any]:
    """Of the values of a task that is up to date, what another takes that has it as ``calc_dep``.

    doit keeps all of them, which are the settings of each task once more.
    """
    return {key: values[key] for key in Task._expand_map if key in values}
