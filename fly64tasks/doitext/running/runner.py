"""doit's runners, with each task's beginning and end written to the state file."""

from __future__ import annotations

import functools
import heapq
import itertools
import os
import re
from collections.abc import Callable, Generator
from pathlib import Path
from typing import Any

from doit.action import CmdAction, PythonAction
from doit.exceptions import BaseFail, DependencyError, TaskFailed, UnmetDependency
from doit.runner import ERROR, FAILURE, MRunner, MThreadRunner, Runner

from ..errors import is_task_error, machine_fault, printable
from ..graph.inputs import do_without, drop_missing, is_partial
from ..graph.targets import watch
from ..processes import die_with_parent
from ..state.journal import Journal
from ..state.record import ATTEMPT

MADE = "made"
"""Key of ``task.meta``: what the task has made before, whatever was done to these files since."""
_RETURNED = re.compile(r"returned (-?\d+)$")


def reason_of(task: Any, fail: BaseFail) -> str:
    """Why a task failed, in one line that steers no terminal."""
    return printable(_reason_of(task, fail))


def _reason_of(task: Any, fail: BaseFail) -> str:
    if fail.traceback:
        lines = "".join(fail.traceback).strip().splitlines()
        return lines[-1].strip()
    returned = _RETURNED.search(fail.message.strip())
    if returned and task.actions and isinstance(task.actions[-1], CmdAction):
        said = [line for action in task.actions for line in (action.err or "").splitlines()]
        last = [line.strip() for line in said if line.strip()][-1:]
        return ": ".join([f"exit code {returned[1]}", *last])
    return " ".join(fail.message.split())


class _Journaled(Runner):
    """What the serial and the parallel runner have in common."""

    final_result: int
    _stop_running: bool

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._inputs: dict[str, dict[str, object]] = {}
        self._made: dict[str, list[str]] = {}

    @property
    def _state(self) -> Journal:
        state: Journal = self.dep_manager.backend
        return state

    def select_task(self, node: Any, tasks_dict: Any) -> bool:
        """Whether to execute the task now; then it is marked as running."""
        if node.run_status is None:
            self._made[node.task.name] = self._state.made(node.task.name)  # doit may drop its row
            if is_partial(node.task):
                self._go_on_without(node)
            watch(node.task, self._state)
        try:
            if not super().select_task(node, tasks_dict):
                return False
        except OSError as error:  # of an input that is there and can not be read
            said = machine_fault(error)
            if said is None:
                raise
            self._handle_task_error(node, TaskFailed(said))
            return False
        task = node.task
        missing = sorted(path for path in task.file_dep if not Path(path).exists())
        if missing:
            # doit looks at targets first, and would run the action all the same
            self._handle_task_error(node, DependencyError(f"input missing: {', '.join(missing)}"))
            return False
        if task.actions:
            self._inputs[task.name] = {path: _marks(path) for path in task.file_dep}
            made = self._made.pop(task.name)
            task.meta = {**(task.meta or {}), MADE: made}
            self._state.begin(task.name, task.targets, made)
        return True

    def _go_on_without(self, node: Any) -> None:
        """Let a partial task run with the inputs that are left, and again as long as some fail."""
        for bad in node.bad_deps:
            do_without(node.task, bad.task, self._why_failed(bad))
        if node.bad_deps:
            node.task.uptodate.append((False, (), {}))
        node.bad_deps = []
        drop_missing(node.task)

    def _why_failed(self, node: Any) -> str:
        if node.bad_deps:
            first = node.bad_deps[0]
            return f"{first.task.name}: {self._why_failed(first)}"
        attempt = self._state.row(node.task.name).get(ATTEMPT) or {}
        return attempt.get("message") or "an input is missing"

    def execute_task(self, task: Any) -> BaseFail | None:
        """Run the actions; an error that is not the program's becomes a plain failure."""
        for action in task.actions:
            if isinstance(action, PythonAction):
                action.py_callable = _plainly_failing(action.py_callable)
        return super().execute_task(task)

    def process_task_result(self, node: Any, base_fail: BaseFail | None) -> None:
        """Record how the task ended."""
        task = node.task
        base_fail = base_fail or self._saved(task)
        if base_fail is not None:
            self._handle_task_error(node, base_fail)
            return
        node.run_status = "successful"
        self.reporter.add_success(task)

    def _saved(self, task: Any) -> BaseFail | None:
        """Record the success of a task; what forbids it is returned instead."""
        absent = [target for target in task.targets if not Path(target).exists()]
        if absent:
            return TaskFailed(f"ended without making {', '.join(absent)}")
        task.save_extra_values()
        try:
            self.dep_manager.save_success(task)
            if task.actions:
                log = (task.meta or {}).get("log")
                logs = [log] if log and Path(log).exists() else []
                self._state.record_targets(task.name, [*task.targets, *logs])
        except FileNotFoundError as error:
            return DependencyError(f"gone after the task has run: {error.filename}")
        except OSError as error:
            said = machine_fault(error)
            if said is None:
                raise
            return TaskFailed(said)
        if task.actions:
            for path, marks in self._inputs.pop(task.name).items():
                if marks != _marks(path):
                    # changed behind the task's back: what it has read is not known
                    self._state.set(task.name, path, None)
            self._state.end(task.name)
        return None

    def finish(self) -> int:
        """Close the state and say how the run ended, also where the state cannot be written."""
        try:
            self.dep_manager.close()
        finally:
            self.teardown()
            self.reporter.complete_run()
        return self.final_result

    def _handle_task_error(self, node: Any, fail: BaseFail) -> None:
        """Report a failure; a task that did not start keeps the record it has."""
        task = node.task
        node.run_status = "failure"
        if self._state.is_running(task.name):
            self._state.end(task.name, reason_of(task, fail))
        self.reporter.add_failure(task, fail)
        if isinstance(fail, (TaskFailed, UnmetDependency)):
            self.final_result = self.final_result or FAILURE
        else:
            self.final_result = ERROR
        self._stop_running = self._stop_running or not self.continue_


class SerialRunner(_Journaled, Runner):
    """One task after the other."""


class _LargestFirst(MRunner):
    """What runs several tasks at once starts with the long ones, lest one is left at the end."""

    def _run_tasks_init(self, task_dispatcher: Any) -> None:
        super()._run_tasks_init(task_dispatcher)
        task_dispatcher.generator = largest_first(task_dispatcher.generator)


class ThreadRunner(_Journaled, _LargestFirst, MThreadRunner):
    """Tasks in threads of this process."""


class ProcessRunner(_Journaled, _LargestFirst, MRunner):
    """Tasks in forked processes, which end with this one."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._pid = os.getpid()

    def execute_task_subprocess(self, *args: Any, **kwargs: Any) -> None:
        """Run tasks as they come; called in a forked process."""
        die_with_parent(self._pid)
        super().execute_task_subprocess(*args, **kwargs)


def largest_first(dispatched: Generator[Any, Any, None]) -> Generator[Any, Any, None]:
    """Yield what doit's dispatcher has ready, the task with the most bytes to read first.

    Tasks with as many bytes keep the order of their definition.
    """
    ready: list[tuple[int, int, Any]] = []
    number = itertools.count()
    completed, more = None, True
    while True:
        while more:
            try:
                node = dispatched.send(completed)
            except StopIteration:
                more = False
                break
            completed = None
            if node == "hold on":
                break
            heapq.heappush(ready, (-_bytes_to_read(node.task), next(number), node))
        if not (ready or more):
            return
        completed = yield heapq.heappop(ready)[-1] if ready else "hold on"


def _bytes_to_read(task: Any) -> int:
    paths = [Path(path) for path in task.file_dep]
    return sum(path.stat().st_size for path in paths if path.exists())


def _marks(path: str) -> object:
    stat = Path(path).stat()
    return stat.st_size, stat.st_mtime_ns, stat.st_ino


def _plainly_failing(action: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(action)
    def run(*args: Any, **kwargs: Any) -> Any:
        try:
            return action(*args, **kwargs)
        except Exception as error:
            said = str(error) if is_task_error(error) else machine_fault(error)
            if said is None:
                raise
            return TaskFailed(" ".join(said.split()))

    return run
