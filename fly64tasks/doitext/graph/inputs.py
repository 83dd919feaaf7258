"""Inputs that are missing or broken, found before anything runs."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any

from doit.exceptions import InvalidCommand

from .control import Control


def problems(control: Control, is_ignored: Callable[[Any], bool]) -> dict[str, list[str]]:
    """What is wrong with the inputs of the selected tasks and of all that feeds them.

    A ``file_dep`` must exist unless a task makes it (or may make it: where a task names others
    in ``task_dep``, ``setup`` or ``calc_dep``, the check is left to the moment it runs). Then
    ``meta["check_inputs"]``, a callable without arguments or a list of them, is asked for a list
    of problems. Tasks that doit ignores, and those that need them, have no problems.

    Returns
    -------
    dict of str to list of str
        The problems in words, by task, in the order of definition.
    """
    found = {}
    for name in control.closure():
        task = control.tasks[name]
        missing = missing_inputs(control, task)
        if missing and _waits_for_others(control, task):
            missing = []
        words = [f"input missing: {path}" for path in missing] or _checked(task)
        if words:
            found[name] = words
    if found:
        ignored = [name for name in control.closure() if is_ignored(control.tasks[name])]
        for name in _with_dependents(control, ignored):
            found.pop(name, None)
    return found


def _with_dependents(control: Control, names: list[str]) -> set[str]:
    """`names` and all that needs one of them."""
    found, todo, needing = set(names), list(names), _needing(control)
    while todo:
        for task in needing.get(todo.pop(), ()):
            if task.name not in found:
                found.add(task.name)
                todo.append(task.name)
    return found


def _needing(control: Control) -> dict[str, list[Any]]:
    """The tasks that need a task, by its name."""
    found: dict[str, list[Any]] = {}
    for task in control.tasks.values():
        for name in dict.fromkeys((*task.task_dep, *task.setup_tasks, *task.calc_dep)):
            found.setdefault(name, []).append(task)
    return found


def missing_inputs(control: Control, task: Any) -> list[str]:
    """The inputs of `task` that do not exist and that no task makes."""
    if task.name not in control.given:
        return []
    given = task.file_dep.difference(control.targets)
    return sorted(path for path in given if not Path(path).exists())


def _waits_for_others(control: Control, task: Any) -> bool:
    implied = {control.targets.get(path) for path in task.file_dep}
    explicit = set(task.task_dep) - implied
    return bool(explicit or task.setup_tasks or task.calc_dep or task.loader)


def _checked(task: Any) -> list[str]:
    checks = (task.meta or {}).get("check_inputs")
    if not checks:
        return []
    return [problem for check in ([checks] if callable(checks) else checks) for problem in check()]


def may_be_missing(
    control: Control, found: dict[str, list[str]], allowed: Collection[str]
) -> dict[str, list[str]]:
    """Of the tasks with problems, those with ``meta["optional"]`` in `allowed`."""
    return {
        name: words
        for name, words in found.items()
        if (control.tasks[name].meta or {}).get("optional") in allowed
    }


def skip(control: Control, first: dict[str, list[str]]) -> dict[str, list[str]]:
    """Take tasks out of the graph, and all that needs them.

    A task with ``meta["partial"]`` stays, with the inputs that are left, and a group with the
    members that are left.

    Parameters
    ----------
    control : Control
        With tasks selected.
    first : dict of str to list of str
        The reasons, by task.

    Returns
    -------
    dict of str to list of str
        The reasons, by skipped task, in the order of definition.
    """
    if not first:
        return {}
    skipped, origin = dict(first), {name: name for name in first}
    todo, needing = list(skipped), _needing(control)
    left = {}
    while todo:
        gone = control.tasks[todo.pop()]
        for task in needing.get(gone.name, ()):
            if task.has_subtask or is_partial(task):
                left[task.name] = task
                if is_partial(task):
                    do_without(task, gone, "; ".join(skipped[gone.name]))
            elif task.name not in skipped:
                origin[task.name] = origin[gone.name]
                skipped[task.name] = [for_want_of(origin[gone.name], first[origin[gone.name]])]
                todo.append(task.name)
    for task in left.values():
        task.task_dep = [dep for dep in task.task_dep if dep not in skipped]
    control.selected_tasks = [name for name in control.selected_tasks if name not in skipped]
    return {name: skipped[name] for name in control.tasks if name in skipped}


def for_want_of(origin: str, reasons: Collection[str]) -> str:
    """Why a task is skipped that needs another, which is skipped itself for some reasons."""
    return f"needs {origin}, which is skipped: {'; '.join(reasons)}"


def does_something(task: Any) -> bool:
    """Whether the task has actions, which doit makes of what was given when they are asked for."""
    return bool(task._actions)


def is_partial(task: Any) -> bool:
    """Whether the task runs with whatever inputs there are: ``meta["partial"]``."""
    return bool((task.meta or {}).get("partial"))


def do_without(task: Any, gone: Any, reason: str) -> None:
    """Take from a partial task what `gone` should have made, whatever lies there from before.

    ``meta["without"]`` tells its action: the reasons, by task.
    """
    task.file_dep -= set(gone.targets)
    task.meta.setdefault("without", {})[gone.name] = reason


def drop_missing(
    task: Any,
    made: Callable[[str], bool] = lambda path: False,
    exists: Callable[[str], bool] = os.path.exists,
) -> None:
    """Take from a partial task the inputs that do not exist.

    ``made(path)`` tells of one that an earlier task is going to make.
    """
    task.file_dep -= {path for path in task.file_dep if not exists(path) and not made(path)}


def refuse(found: dict[str, list[str]], options: Collection[str]) -> None:
    """Raise the error that lists every problem, if there is one.

    Raises
    ------
    InvalidCommand
        There are problems. `options` are the options that would skip some of the tasks.
    """
    if not found:
        return
    lines = [f"  {name}: {problem}" for name, words in found.items() for problem in words]
    hint = f"; {' or '.join(options)} skips what may be missing" if options else ""
    count = f"{len(found)} task{'s' if len(found) > 1 else ''}"
    raise InvalidCommand(f"nothing was run: {count} cannot start{hint}\n" + "\n".join(lines))
