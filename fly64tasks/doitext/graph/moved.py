"""Files that have another path than when a task read or made them, known by their content."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Any

from ..state.journal import Journal
from ..state.record import TARGETS, Row

Same = Callable[[str, str], bool]


def followed(task: Any, state: Journal, comes: Callable[[str], bool] = lambda path: False) -> Row:
    """What is recorded of a task, under the paths that its files have now.

    Parameters
    ----------
    task : doit.task.Task
    state : Journal
    comes : callable
        ``comes(path)`` says of an input that an earlier task is going to make it.
    """

    def same(path: str, md5: str) -> bool:
        try:
            return comes(path) or state.digests.md5(path, state.statuses.of(path)) == md5
        except OSError:
            return False

    return follow(state.row(task.name), task, same)


def follow(row: Row, task: Any, same: Same) -> Row:
    """`row` as it would be, had the files of `task` always had the paths that they have now.

    Where a folder was renamed, each path that is new ends as one that is gone does. All of them,
    inputs, targets and log, have to be the same files, by ``same(path, md5)``; else it is `row`
    itself.
    """
    read, made = row.get("deps:"), row.get(TARGETS)
    if read is None or made is None:
        return row
    then, now = set(read), set(task.targets)
    log = (task.meta or {}).get("log")
    if log and len(made) > len(now):  # of a run that recorded its log too
        now.add(log)
    if then == task.file_dep and now == made.keys():
        return row
    inputs = _renamed(then - task.file_dep, task.file_dep - then)
    targets = _renamed(made.keys() - now, now - made.keys())
    if inputs is None or targets is None:
        return row
    states = {new: row.get(old) for new, old in inputs.items()}
    digests = {new: made[old] for new, old in targets.items()}
    for new, recorded in {**states, **digests}.items():
        if not isinstance(recorded, (list, tuple)) or not same(new, recorded[-1]):
            return row
    moved = {key: value for key, value in row.items() if key not in inputs.values()}
    kept = {path: value for path, value in made.items() if path not in targets.values()}
    return {**moved, **states, "deps:": tuple(task.file_dep), TARGETS: {**kept, **digests}}


def _renamed(gone: Collection[str], come: Collection[str]) -> dict[str, str] | None:
    """For each path that has come that which it had: the one that ends most like it.

    The last one that ends like no other had what is left. None where it is not one for one.

    Examples
    --------
    >>> _renamed(["data/a/x", "data/b/x"], ["old/data/b/x", "old/data/a/x"])
    {'old/data/b/x': 'data/b/x', 'old/data/a/x': 'data/a/x'}
    >>> _renamed(["data/x", "scan"], ["old/data/x", "first"])
    {'old/data/x': 'data/x', 'first': 'scan'}
    >>> _renamed(["data/x", "data/y"], ["data/z", "data/x2"])
    """
    ends: dict[str, str | None] = {}
    for path in gone:
        for end in _ends(path):
            ends[end] = None if end in ends else path
    found = {path: next((ends[end] for end in _ends(path) if end in ends), None) for path in come}
    names = {path: old for path, old in found.items() if old is not None}
    new, left = [path for path in come if path not in names], set(gone) - set(names.values())
    if len(new) == len(left) == 1:
        names[new[0]] = left.pop()
    one_for_one = len(names) == len(come) == len(gone) == len(set(names.values()))
    return names if one_for_one else None


def _ends(path: str) -> list[str]:
    """The path, and what is left of it as its folders are taken away."""
    parts = path.split("/")
    return ["/".join(parts[i:]) for i in range(len(parts))]
