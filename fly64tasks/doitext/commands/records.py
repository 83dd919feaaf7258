"""doit's commands that change records alone: refused where the records are another's."""

from __future__ import annotations

from typing import Any

from doit import cmd_ignore, cmd_resetdep
from doit.cmdparse import CmdOption

from ..graph.selection import Control
from .base import GraphCommand


class _Records(GraphCommand):
    def _ours(self) -> list[CmdOption]:
        return list(self.own_options)  # filters would be taken and mean nothing

    def refuse_others(self) -> None:
        """Refuse the records, and the folders that they speak of, if they are another's."""
        self.connect(Control(self.task_list))
        self.claims().refuse_marked()


class Ignore(_Records, cmd_ignore.Ignore):
    """Have tasks ignored."""

    def _execute(self, pos_args: list[str]) -> Any:
        self.refuse_others()
        return super()._execute(pos_args)


class ResetDep(_Records, cmd_resetdep.ResetDep):
    """Take files as they are now for those that tasks have read."""

    name = "reset-dep"

    def _execute(self, pos_args: list[str]) -> Any:
        self.refuse_others()
        return super()._execute(pos_args)
