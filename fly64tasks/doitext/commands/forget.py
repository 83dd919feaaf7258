"""``doit forget``: with filters, and never by mistake everything."""

from __future__ import annotations

from doit import cmd_forget
from doit.exceptions import InvalidCommand

from ..errors import printable
from ..graph.control import Control
from .base import GraphCommand


class Forget(GraphCommand, cmd_forget.Forget):
    """Forget that tasks have run, so that they run again."""

    doc_description = (
        "Takes the same task names, patterns and filters as `run`. Of a group all members are "
        "forgotten, with -s also what feeds them."
    )

    def _execute(
        self,
        forget_sub: bool,
        forget_disable_default: bool,
        forget_all: bool,
        pos_args: list[str],
    ) -> int:
        control = Control(self.task_list)
        self.connect(control)
        self.claims().refuse_marked()
        default = None if forget_disable_default else self.params.get("default_tasks")
        if not (forget_all or pos_args or self.wanted or default):
            raise InvalidCommand(
                "nothing was forgotten: name tasks, use a filter, or say "
                f"`{self.bin_name} forget --all`"
            )
        control.choose(list(pos_args), None if forget_all else default, self.wanted)
        chosen = [*control.selected_tasks, *control.members(control.selected_tasks)]
        if forget_all and not (pos_args or self.wanted):
            self.dep_manager.remove_all()
        for name in control.closure(chosen) if forget_sub else dict.fromkeys(chosen):
            self.dep_manager.remove(name)
            self.outstream.write(f"forgetting {printable(name)}\n")
        self.dep_manager.close()
        return 0
