"""doit's commands that change records alone: refused where the records are another's."""

from __future__ import annotations

from typing import Any

from doit import cmd_forget, cmd_ignore, cmd_resetdep
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


class Forget(_Records, cmd_forget.Forget):
    """Forget that tasks succeeded."""

    def _execute(
        self, forget_sub: bool, forget_disable_default: bool, forget_all: bool
    ) -> int | None:
        self.refuse_others()
        result: int | None = super()._execute(forget_sub, forget_disable_default, forget_all)
        return result


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
