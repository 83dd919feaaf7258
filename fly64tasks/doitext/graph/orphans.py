"""What was made by tasks that there are no longer: known by its mark, or by what is recorded."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from ..state.claims import MARK, Claim
from ..state.journal import Journal
from ..state.record import TARGETS
from ..state.statuses import status


class Orphan(NamedTuple):
    """A file that no task of the graph makes or reads.

    Attributes
    ----------
    path : str
    task : str
        The task that made it; empty where the state does not know.
    ours : bool
        Whether it is what was made: it bears the mark of its maker, or holds what was recorded.
    """

    path: str
    task: str
    ours: bool


def orphans(tasks: Mapping[str, Any], claims: Iterable[Claim], state: Journal) -> Iterator[Orphan]:
    """Yield each file in the claimed folders that was made by a task that there is no longer.

    What is reached through a symbolic link, or lies below the mark of another owner, is left out.

    Parameters
    ----------
    tasks : mapping of str to doit.task.Task
        The graph.
    claims : iterable of Claim
        The folders that it writes.
    state : Journal
        Only read.
    """
    used = {_whole(path) for task in tasks.values() for path in _used_by(task)}
    recorded = dict(_recorded(tasks, state))
    seen: set[str] = set()
    for claim in claims:
        marked = dict(claim.bearing())
        known = {path: path for path in recorded if _is_below(path, claim.folder)}
        for path, maker in sorted({**known, **marked}.items()):
            if _whole(path) in seen or not used.isdisjoint((_whole(path), _whole(maker))):
                continue
            seen.add(_whole(path))
            if _is_own(path, claim.folder):
                task, made = recorded.get(path, (recorded.get(maker, ("",))[0], None))
                yield Orphan(path, task, path in marked or _holds(path, made, state))


def gone(tasks: Mapping[str, Any], state: Journal) -> list[str]:
    """The names of the tasks of which anything is recorded, and that there are no longer."""
    return [name for name, _ in state.rows() if name not in tasks]


def _recorded(tasks: Mapping[str, Any], state: Journal) -> Iterator[tuple[str, tuple[str, Any]]]:
    """Yield each file that such a task has made, with the task, and its size and MD5 then."""
    for name in gone(tasks, state):
        for path, made in (state.row(name).get(TARGETS) or {}).items():
            yield path, (name, made)


def _used_by(task: Any) -> Iterator[str]:
    yield from task.targets
    yield from task.file_dep
    if log := (task.meta or {}).get("log"):
        yield log


def _whole(path: str) -> str:
    return os.path.abspath(path)  # noqa: PTH100


def _is_below(path: str, folder: str) -> bool:
    return Path(_whole(folder)) in Path(_whole(path)).parents


def _is_own(path: str, folder: str) -> bool:
    """Whether it is a file that lies in the folder itself, and not in that of another owner."""
    if not Path(path).is_file() or os.path.realpath(path) != os.path.join(  # noqa: PTH118
        os.path.realpath(folder), os.path.relpath(path, folder)
    ):
        return False
    between = list(Path(os.path.relpath(path, folder)).parents)[:-1]
    return not any(Path(folder, parent, MARK).exists() for parent in between)


def _holds(path: str, made: Any, state: Journal) -> bool:
    """Whether a file holds what was recorded of it: its size and MD5."""
    if made is None:
        return False
    size, md5 = made
    found = status(path)
    return bool(found[0] == size and state.digests.md5(path, found, store=False) == md5)
