"""``doit dumpdb``: all that the journal holds, as JSON."""

from __future__ import annotations

from doit import cmd_dumpdb

from ..state.journal import Journal
from .base import GraphCommand
from .dry import write_json


class DumpDB(GraphCommand):
    """Print what is recorded of each task."""

    name = "dumpdb"
    doc_purpose = "print what is recorded of each task, as JSON"
    doc_usage = ""
    doc_description = "One object a task, also of tasks that the graph has no more. Writes nothing."

    def _execute(self) -> int:
        state = self.dep_manager.backend
        if not isinstance(state, Journal):
            return int(cmd_dumpdb.DumpDB().execute(self.params, []) or 0)
        write_json(self.outstream, dict(state.rows()))
        return 0
