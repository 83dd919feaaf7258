"""``doit info``: what a task is, and why it would run, in words."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from doit import cmd_info
from doit.exceptions import InvalidCommand

from ..errors import printable
from ..graph.control import Control
from ..graph.plan import Planner
from ..state.journal import Journal
from .base import GraphCommand


class Info(GraphCommand, cmd_info.Info):
    """Say what a task is, and why it would run; as stock doit does where there is no journal."""

    doc_description = (
        "Exit codes: 0 the task is up to date; 1 it is not, or not known to be; 3 no such task."
    )

    def _execute(self, pos_args: list[str], hide_status: bool = False) -> int:
        if not isinstance(self.dep_manager.backend, Journal):
            return int(super()._execute(pos_args, hide_status))
        if len(pos_args) != 1:
            found = f"found {len(pos_args)}" if pos_args else "found none"
            raise InvalidCommand(f"info takes the name of one task, {found}")
        control = Control(self.task_list)
        self.prepare(pos_args, control)
        task = control.tasks[control.selected_tasks[0]]
        self._write("", [f"{task.name}", *([task.doc] if task.doc else [])])
        code = 0 if hide_status else self._status(task)
        self._list("inputs", sorted(task.file_dep))
        self._list("targets", task.targets)
        self._list("after", [*task.task_dep, *task.setup_tasks, *task.calc_dep])
        return code

    def _status(self, task: Any) -> int:
        """Say what a run would do with the task, and why; a group has its members'."""
        verdicts = Planner(self.control, self.dep_manager, broken=self.broken).verdicts()
        names = set(self.control.members([task.name]))
        found = [verdict for verdict in verdicts if verdict.task in names]
        if task.has_subtask:
            self._list("status", [f"{each.task}: {each.word}" for each in found])
        for each in [] if task.has_subtask else found:
            self._list(f"status: {each.word}", each.reasons, empty=True)
        return 0 if all(each.word == "up to date" for each in found) else 1

    def _list(self, title: str, lines: Iterable[str], empty: bool = False) -> None:
        found = list(lines)
        if found or empty:
            self._write(title, [f"  {line}" for line in found])

    def _write(self, title: str, lines: Iterable[str]) -> None:
        text = "\n".join(map(printable, [*([title] if title else []), *lines]))
        self.outstream.write(f"{text}\n\n")
