"""doit's commands that change records alone: with filters, refused where they are another's."""

from __future__ import annotations

from typing import Any

from doit import cmd_ignore, cmd_resetdep
from doit.exceptions import InvalidCommand

from ..errors import printable
from ..graph.control import Control
from .base import GraphCommand


class _Records(GraphCommand):
    def chosen(self, named: list[str]) -> list[str]:
        """The names of the selected tasks, and of the members of groups.

        Raises
        ------
        InvalidCommand
            The records, or the folders that they speak of, are another's.
        """
        control = Control(self.task_list)
        self.connect(control)
        self.claims().refuse_marked()
        control.choose(list(named), None, self.wanted)
        selected = control.selected_tasks
        return list(dict.fromkeys([*selected, *control.members(selected)]))


class Ignore(_Records, cmd_ignore.Ignore):
    """Have tasks ignored."""

    doc_description = (
        "Takes the same task names, patterns and filters as `run`. Of a group all members are "
        "ignored; `forget` ends it."
    )

    def _execute(self, pos_args: list[str]) -> int:
        if not (pos_args or self.wanted):
            raise InvalidCommand(
                "nothing is ignored: name tasks or use a filter, as in "
                f"`{self.bin_name} ignore TASK`"
            )
        for name in self.chosen(pos_args):
            self.dep_manager.ignore(self.control.tasks[name])
            self.outstream.write(f"ignoring {printable(name)}\n")
        self.dep_manager.close()
        return 0


class ResetDep(_Records, cmd_resetdep.ResetDep):
    """Take files as they are now for those that tasks have read."""

    name = "reset-dep"

    def _execute(self, pos_args: list[str]) -> Any:
        chosen = self.chosen(pos_args)
        return super()._execute(chosen if pos_args or self.wanted else [])
