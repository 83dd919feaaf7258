"""``doit verify``: which artifacts are the bytes that their tasks made, from what is there now."""

from __future__ import annotations

from typing import Any, ClassVar

from doit.cmdparse import CmdOption
from doit.exceptions import InvalidCommand

from ..graph.control import Control
from ..graph.verify import Verifier, summary
from .base import GraphCommand, flag
from .dry import no_caches, write_json, write_lines


class Verify(GraphCommand):
    """Read every artifact again and hold it against what was recorded when it was made."""

    doc_purpose = "say which artifacts are whole, and what is wrong with the others"
    doc_usage = "[TASK ...]"
    doc_description = (
        "Takes the same task names, patterns and filters as `run`. Reads every byte, writes "
        "nothing. Exit codes: 0 all is whole; 1 there is a problem; 3 nothing matches."
    )
    own_options: ClassVar[tuple[CmdOption, ...]] = (
        flag("as_json", "json", "print what was found as JSON"),
    )

    def execute(self, params: Any, args: list[str]) -> int:
        """Verify; not even Python's bytecode caches are written."""
        with no_caches():
            return super().execute(params, args)

    def _execute(self, as_json: bool, pos_args: list[str]) -> int:
        control = Control(self.task_list)
        self.connect(control)
        control.choose(list(pos_args), self.params.get("default_tasks"), self.wanted)
        verifier = Verifier(control, self.state)
        found = list(verifier.findings())
        files = self.manifest_files()
        if files and not (pos_args or self.wanted):
            found += verifier.manifest(files)
        counts = summary(found)
        if not counts:
            raise InvalidCommand("nothing to verify: no selected task makes a file")
        named = [item for item in found if item.word != "whole"]
        if as_json:
            keys = ("task", "word", "detail", "paths")
            content = {
                "found": [{key: getattr(item, key) for key in keys} for item in found],
                "summary": counts,
            }
            write_json(self.outstream, content)
        else:
            lines = [(item.word, item.task, [item.detail]) for item in named]
            write_lines(self.outstream, lines, 16)
            others = "".join(f", {n} {word}" for word, n in counts.items() if word != "whole")
            total = sum(counts.values())
            self.outstream.write(f"{counts.get('whole', 0)} of {total} artifacts whole{others}.\n")
        return 1 if any(item.word != "not verified" for item in named) else 0
