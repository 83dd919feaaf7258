"""Tasks that are created once others have run: doit's ``create_after``."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable
from typing import Any

from .control import Control
from .judgement import Verdict


class StandIns:
    """Where what delayed tasks wait for runs, a task in their place of which nothing is known.

    The creators of `control` make it, from then on.

    Parameters
    ----------
    control : Control
        With tasks selected.
    is_settled : callable
        ``is_settled(name)`` tells of a task that it stays as it is, and all before it.
    """

    def __init__(self, control: Control, is_settled: Callable[[str], bool]) -> None:
        self._is_settled = is_settled
        self._causes: dict[str, str] = {}
        feeding = control.closure() if control.delayed else ()
        loaders = {
            task.loader.basename or task.name: task.loader
            for task in (control.tasks[name] for name in feeding)
            if task.loader
        }
        for name, loader in loaders.items():
            loader.creator = self._creator(name, loader)

    def cause(self, name: str) -> str | None:
        """The task for whose end a task waits to be known; None of one that is."""
        if not self._causes:
            return None
        return self._causes.get(name) or self._causes.get(name.partition(":")[0])

    def _creator(self, name: str, loader: Any) -> Callable[..., Any]:
        """A creator that makes one task of which nothing is known, if what it waits for runs."""
        create, cause = loader.creator, loader.task_dep

        @functools.wraps(create)
        def ask(**options: Any) -> Any:
            if self._is_settled(cause):
                return create(**options)
            self._causes[name] = cause
            return {
                "actions": [_nothing],
                "targets": [group.target for group in loader.regex_groups.values()],
            }

        return ask


def create_known(control: Control, plan: Callable[[], Iterable[Verdict]]) -> None:
    """Create the tasks of ``create_after`` whose cause is up to date, for patterns and filters.

    Parameters
    ----------
    control : Control
        What it selects does not matter, and is lost.
    plan : callable
        Gives the verdicts on what `control` selects.
    """
    known: dict[str, bool] = {}
    todo = control.delayed
    while todo:
        task = todo.pop()
        cause = task.loader and task.loader.task_dep
        if cause and cause not in known and not _waits(control, cause):
            control.process([cause])
            known[cause] = all(verdict.word == "up to date" for verdict in plan())
        if task.loader and (known.get(cause, False) if cause else True):
            control.create(task.name)
            todo = control.delayed


def _waits(control: Control, name: str) -> bool:
    """Whether a task is, or needs, one that is not created yet."""
    return any(control.tasks[needed].loader for needed in control.closure([name]))


def _nothing() -> None:
    """What a task does of which nothing is known yet."""
