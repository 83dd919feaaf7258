"""doit's runners, with each task's beginning and end written to the state file."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import Any

from doit.action import PythonAction
from doit.exceptions import BaseFail, DependencyError, TaskFailed, UnmetDependency
from doit.runner import ERROR, FAILURE, MThreadRunner, Runner

from ..errors import machine_fault
from ..garbage import collect_garbage
from ..graph.current import calculated, is_current
from ..graph.inputs import do_without, drop_missing, for_want_of, is_partial
from ..graph.targets import watch
from ..state.journal import Journal
from ..state.notes import used
from .failures import failing_in_words, reason_of, why_failed
from .order import LargestFirst

MADE = "made"
"""Key of ``task.meta``: what the task has made before, whatever was done to these files since."""
TOOK = "took"
"""Key of ``task.meta``, where that has ``times``: the seconds of each task that succeeded."""


class Journaled(Runner):
    """What all runners have in common."""

    final_result: int
    _stop_running: bool

    may_skip: Collection[str] = ()
    """What failures may lack, in words of ``meta["optional"]``, to be skips."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._inputs: dict[str, dict[str, object]] = {}
        self._made: dict[str, list[str]] = {}
        self.skipped: dict[str, list[str]] = {}
        self._origin: dict[str, str] = {}

    @property
    def _state(self) -> Journal:
        state: Journal = self.dep_manager.backend
        return state

    def select_task(self, node: Any, tasks_dict: Any) -> bool:
        """Whether to execute the task now; then it is marked as running."""
        if node.run_status is None:
            gone = [other for other in node.ignored_deps if other.task.name in self.skipped]
            if is_partial(node.task):
                self._go_on_without(node, gone)
            if is_partial(node.task) or node.task.has_subtask:
                node.ignored_deps = [other for other in node.ignored_deps if other not in gone]
            elif gone:
                self._skip(node, self._origin[gone[0].task.name])
                return False
        try:
            with used(self._state.notes):
                if node.run_status is None:
                    if self._is_current(node):
                        self._leave_as_it_is(node)
                        return False
                    if is_partial(node.task):
                        drop_missing(node.task, exists=self._state.statuses.exists)
                    name = node.task.name
                    self._made[name] = self._state.made(name)  # doit may drop its row
                    watch(node.task, self._state)
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
            if task.meta.get("times"):
                task.meta[TOOK] = self._state.took()
            self._state.begin(task.name, task.targets, made)
            collect_garbage()
        return True

    def _is_current(self, node: Any) -> bool:
        """Whether nothing speaks for running the task, and doit need not be asked."""
        return not (
            self.always_execute
            or node.ignored_deps
            or node.bad_deps
            or self.dep_manager.status_is_ignore(node.task)
        ) and is_current(node.task, self.dep_manager)

    def _leave_as_it_is(self, node: Any) -> None:
        """What doit does with a task that is up to date."""
        task = node.task
        self.reporter.get_status(task)
        task.overwrite_verbosity(self.stream)
        task.dep_changed = []
        node.run_status = "up-to-date"
        self.reporter.skip_uptodate(task)
        task.values = calculated(self.dep_manager.get_values(task.name))

    def _skip(self, node: Any, origin: str, reason: str | None = None) -> None:
        """Leave a task out: for a reason, or as it needs `origin`, which is."""
        name = node.task.name
        node.run_status = "ignore"
        self._origin[name] = origin
        self.skipped[name] = [reason or for_want_of(origin, self.skipped[origin])]
        if hasattr(self.reporter, "skip_missing"):
            self.reporter.skip_missing(node.task, reason or f"after {origin}")
        else:
            self.reporter.skip_ignore(node.task)

    def _go_on_without(self, node: Any, gone: list[Any]) -> None:
        """Let a partial task run with the inputs that are left, and again as long as some fail."""
        for other in gone:
            do_without(node.task, other.task, "; ".join(self.skipped[other.task.name]))
        for bad in node.bad_deps:
            do_without(node.task, bad.task, why_failed(bad, self._state))
        if node.bad_deps:
            node.task.uptodate.append((False, (), {}))
        node.bad_deps = []

    def execute_task(self, task: Any) -> BaseFail | None:
        """Run the actions."""
        self._prepare(task)
        return super().execute_task(task)

    def _prepare(self, task: Any) -> None:
        """Have what its actions raise become a failure that one line says."""
        for action in task.actions:
            if isinstance(action, PythonAction):
                action.py_callable = failing_in_words(action.py_callable)

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
            try:
                self.teardown()
            finally:
                self.reporter.complete_run()
        return self.final_result

    def _handle_task_error(self, node: Any, fail: BaseFail) -> None:
        """Report a failure or skip; a task that did not start keeps the record it has."""
        task, reason = node.task, reason_of(node.task, fail)
        optional = getattr(fail, "optional", None)
        if self._state.is_running(task.name):
            self._state.end(task.name, reason, optional)
        if optional in self.may_skip:
            self._skip(node, task.name, reason)
            return
        node.run_status = "failure"
        self.reporter.add_failure(task, fail)
        if isinstance(fail, (TaskFailed, UnmetDependency)):
            self.final_result = self.final_result or FAILURE
        else:
            self.final_result = ERROR
        self._stop_running = self._stop_running or not self.continue_


class SerialRunner(Journaled, Runner):
    """One task after the other."""


class ThreadRunner(Journaled, LargestFirst, MThreadRunner):
    """Tasks in threads of this process."""


def _marks(path: str) -> object:
    stat = Path(path).stat()
    return stat.st_size, stat.st_mtime_ns, stat.st_ino
