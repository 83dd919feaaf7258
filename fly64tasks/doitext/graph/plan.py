"""What a run would do, found by driving doit's own dispatcher without running anything."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from ..state.journal import Journal
from ..state.notes import used
from .control import Control
from .current import calculated
from .delayed import StandIns
from .inputs import does_something
from .judgement import Before, Judge, Verdict

_RUN_STATUS = {"up to date": "up-to-date", "error": "failure", "ignored": "ignore"}


class Planner:
    """Verdicts for the selected tasks and all that feeds them.

    Parameters
    ----------
    control : Control
        With tasks selected.
    dependencies
        doit's dependency manager, on a `Journal`.
    always : bool
        Run tasks that are up to date too.
    broken : mapping of str to list of str
        Tasks that cannot start, with the reasons.
    """

    def __init__(
        self,
        control: Control,
        dependencies: Any,
        always: bool = False,
        broken: Mapping[str, list[str]] | None = None,
    ) -> None:
        self._tasks = control.tasks
        self._counted = len(self._tasks)
        self._dispatcher = control.task_dispatcher()
        self._selected = set(control.selected_tasks)
        self._firm: set[str] | None = None
        self._dependencies = dependencies
        self._state: Journal = dependencies.backend
        self._broken = broken or {}
        self._verdicts: dict[str, Verdict] = {}
        self._before = Before(control.targets)
        self._judge = Judge(control.tasks, dependencies, always, self._before)
        self._stand_ins = StandIns(control, self._is_settled)

    def verdicts(self) -> list[Verdict]:
        """The verdicts, in the order of execution; groups, which do nothing, have none."""
        with used(self._state.notes):
            return self._in_order()

    def _in_order(self) -> list[Verdict]:
        node, order = None, []
        while True:
            try:
                node = self._dispatcher.generator.send(node)
            except StopIteration:
                break
            task = node.task
            verdict = self._verdicts.get(task.name)
            if verdict is None:
                verdict = self._verdicts[task.name] = self._verdict(task, node)
                if verdict.word in ("run", "may run"):
                    self._before.running.add(task.name)
                    if task.setup_tasks:
                        if verdict.word == "run" and self._is_firm(task.name):
                            self._selected |= set(task.setup_tasks)
                            self._firm = None
                        node.run_status = "run"  # doit sends the task again, after its setup tasks
                        continue
            if verdict.word == "up to date":
                task.values = calculated(self._dependencies.get_values(task.name))
            node.run_status = _RUN_STATUS.get(verdict.word, "successful")
            if does_something(task) or self._stand_ins.cause(task.name):
                order.append(verdict)
        return order

    def _is_settled(self, name: str) -> bool:
        """Whether a task stays as it is, as far as the plan knows it, and all before it does."""
        found = self._verdicts.get(name)
        return found is None or (found.word == "up to date" and name not in self._before.stirred)

    def _needed(self, names: Iterable[str]) -> set[str]:
        todo, found = list(names), set(names)
        while todo:
            for dep in self._tasks[todo.pop()].task_dep:
                if dep not in found:
                    found.add(dep)
                    todo.append(dep)
        return found

    def _is_firm(self, name: str) -> bool:
        """Whether the task is asked for, and not only where one before it runs."""
        if self._firm is None or len(self._tasks) != self._counted:  # some are created now
            self._counted, self._firm = len(self._tasks), self._needed(self._selected)
        return name in self._firm

    def _verdict(self, task: Any, node: Any) -> Verdict:
        if node.ignored_deps:
            return Verdict(task.name, "ignored", (f"after {node.ignored_deps[0].task.name}",))
        if self._dependencies.status_is_ignore(task):
            return Verdict(task.name, "ignored", ("by doit ignore",))
        if task.name in self._broken:
            return Verdict(task.name, "error", tuple(self._broken[task.name]))
        if node.bad_deps:
            names = ", ".join(bad.task.name for bad in node.bad_deps)
            return Verdict(task.name, "error", (f"after {names}, which is in error",))
        if cause := self._stand_ins.cause(task.name):
            return Verdict(task.name, "may run", (f"what it is, is known after {cause}",))
        if self._before.stirs(task):
            self._before.stirred.add(task.name)
        if not does_something(task):
            return Verdict(task.name, "up to date")
        verdict = self._judge.verdict(task)
        if verdict.word == "run" and not self._is_firm(task.name):
            return Verdict(task.name, "may run", (*verdict.reasons, "if a task asks for its setup"))
        return verdict


def merged(
    planned: Iterable[Verdict], left_out: Iterable[Verdict], control: Control
) -> list[Verdict]:
    """Verdicts in the order of execution, those left out where they are defined among them."""
    others = {verdict.task: verdict for verdict in left_out}
    placed = {verdict.task: [verdict] for verdict in planned}
    before: list[Verdict] = []
    last = before
    for name in control.tasks:
        if name in placed:
            last = placed[name]
        elif name in others:
            last.append(others[name])
    return [*before, *(verdict for found in placed.values() for verdict in found)]
