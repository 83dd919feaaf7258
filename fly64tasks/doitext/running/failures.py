"""Why a task failed, in one line."""

from __future__ import annotations

import functools
import re
from collections.abc import Callable
from typing import Any

from doit.action import CmdAction
from doit.exceptions import BaseFail, TaskError, TaskFailed

from ..errors import exited, in_one_line, is_task_error, machine_fault, printable
from ..state.journal import Journal
from ..state.record import attempt_of

_RETURNED = re.compile(r"returned (-?\d+)$")


def reason_of(task: Any, fail: BaseFail) -> str:
    """Why a task failed, in one line that steers no terminal."""
    return printable(_reason_of(task, fail))


def _reason_of(task: Any, fail: BaseFail) -> str:
    returned = _RETURNED.search(fail.message.strip())
    if returned and task.actions and isinstance(task.actions[-1], CmdAction):
        said = [line for action in task.actions for line in (action.err or "").splitlines()]
        last = [line.strip() for line in said if line.strip()][-1:]
        return ": ".join([f"exit code {returned[1]}", *last])
    words = " ".join(fail.message.split())
    if fail.traceback and not isinstance(fail, _Raised):  # doit's own, such as of a bad command
        return f"{words}: {fail.traceback[-1].strip().splitlines()[0]}"
    return words


class _Raised(TaskError):
    """What an action raised; its message is one line of it."""


def why_failed(node: Any, state: Journal) -> str:
    """Why the task of a node failed, or what it needs did."""
    if node.bad_deps:
        first = node.bad_deps[0]
        return f"{first.task.name}: {why_failed(first, state)}"
    return attempt_of(state.row(node.task.name)).get("message") or "an input is missing"


def failing_in_words(action: Callable[..., Any]) -> Callable[..., Any]:
    """An action for which what it raises is a failure that one line says."""

    @functools.wraps(action)
    def run(*args: Any, **kwargs: Any) -> Any:
        try:
            return action(*args, **kwargs)
        except SystemExit as error:  # would end doit, with whatever is not yet run
            return TaskFailed(exited(error))
        except Exception as error:
            said = str(error) if is_task_error(error) else machine_fault(error)
            if said is None:
                return _Raised(in_one_line(error), error)
            failed = TaskFailed(" ".join(said.split()))
            failed.optional = getattr(error, "optional", None)
            return failed

    return run
