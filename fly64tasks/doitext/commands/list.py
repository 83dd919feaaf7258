"""``doit list``: the tasks in the order of the graph, with filters and true statuses."""

from __future__ import annotations

from typing import Any

from doit import cmd_list

from ..errors import printable
from ..graph.control import Control
from ..graph.plan import Planner
from .base import GraphCommand

_LETTERS = {
    "error": "E",
    "run": "R",
    "may run": "M",
    "ignored": "I",
    "skipped": "I",
    "up to date": "U",
}
_CHANGED: dict[str, dict[str, Any]] = {
    "sort": {"default": "definition"},
    "subtasks": {"default": True, "inverse": "no-subtasks"},
    "status": {
        "help": "print task status (R)un, (M)ay run, (U)p-to-date, (I)gnored, (E)rror; "
        "a group has that of its first member to run"
    },
}


class List(GraphCommand, cmd_list.List):
    """List tasks and sub-tasks."""

    cmd_options = tuple(
        {**option, **_CHANGED.get(option["name"], {})} for option in cmd_list.List.cmd_options
    )

    def _execute(
        self,
        subtasks: bool,
        quiet: bool,
        status: bool,
        private: bool,
        list_deps: bool,
        template: str | None,
        sort: str,
        pos_args: list[str],
    ) -> int:
        control = Control(self.task_list)
        if status:
            self.prepare(pos_args, control)
        else:
            if control.delayed:
                self.connect(control)
            control.choose(list(pos_args), None, self.wanted)
        names = self._listed(control, pos_args, subtasks)
        tasks = [control.tasks[name] for name in names if private or not name.startswith("_")]
        if sort == "name":
            tasks.sort()
        letters = self._letters(control) if status else {}
        line = template or self._template(tasks, quiet, status)
        for task in tasks:
            data = {
                "name": printable(task.name),
                "doc": printable(task.doc),
                "status": letters.get(task.name, ""),
            }
            self.outstream.write(f"{line.format(**data).rstrip()}\n")
            if list_deps:
                self.outstream.writelines(
                    f" -  {printable(path)}\n" for path in sorted(task.file_dep)
                )
        return 0

    def _listed(self, control: Control, named: list[str], subtasks: bool) -> list[str]:
        if named or self.wanted:
            names = dict.fromkeys(
                item
                for name in control.selected_tasks
                for item in ([name, *_members(control, name)] if subtasks else [name])
            )
            return list(names)
        return [name for name, task in control.tasks.items() if subtasks or not task.subtask_of]

    @staticmethod
    def _template(tasks: list[Any], quiet: bool, status: bool) -> str:
        width = max((len(printable(task.name)) for task in tasks), default=0) + 3
        doc = "" if quiet else "{doc}"
        return f"{'{status} ' if status else ''}{{name:<{width}}}{doc}"

    def _letters(self, control: Control) -> dict[str, str]:
        verdicts = Planner(control, self.dep_manager, broken=self.broken).verdicts()
        letters = {item.task: _LETTERS[item.word] for item in verdicts}
        order = list(_LETTERS.values())

        def of_group(name: str) -> str:
            if name not in letters:
                letters[name] = "U"  # of one that holds nothing
                found = [of_group(dep) for dep in control.tasks[name].task_dep]
                letters[name] = min(found, key=order.index, default="U")
            return letters[name]

        for name in control.closure():
            of_group(name)
        return letters


def _members(control: Control, name: str) -> list[str]:
    task = control.tasks[name]
    return [dep for dep in task.task_dep if control.tasks[dep].subtask_of == name]
