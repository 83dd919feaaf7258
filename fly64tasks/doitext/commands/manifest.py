"""``doit manifest``: write the manifest and the skip summary without running anything."""

from __future__ import annotations

from doit.exceptions import InvalidCommand

from ..errors import printable
from ..graph import inputs
from ..graph.control import Control
from ..graph.plan import Planner
from ..graph.sealed import refuse_foreign, write
from ..state.record import attempt_of
from .base import GraphCommand


class Manifest(GraphCommand):
    """Write what is known of each job of the graph."""

    doc_purpose = "write the manifest of all jobs and what was skipped"
    doc_usage = "[TASK ...]"
    doc_description = (
        "Takes the same task names, patterns and filters as `run`; the folder is "
        "DOIT_CONFIG['manifest_dir']."
    )

    def _execute(self, pos_args: list[str]) -> int:
        files = self.manifest_files()
        if files is None:
            raise InvalidCommand("no folder for the manifest: set DOIT_CONFIG['manifest_dir']")
        skipped = self.prepare(pos_args, Control(self.task_list))
        self.claims().refuse_marked()
        refuse_foreign(files)
        skipped |= inputs.skip(self.control, self._skipped_last_time())
        verdicts = Planner(self.control, self.dep_manager, broken=self.broken).verdicts()
        manifest, skips = self.manifest().build(self.wanted, verdicts, skipped)
        write(zip(files, (manifest, skips), strict=True))
        counts = [f"{count} {status}" for status, count in manifest["counts"].items()]
        jobs = f"{len(manifest['jobs'])} jobs ({', '.join(counts)})" if counts else "0 jobs"
        totals = manifest["totals"]
        left_out = totals["filtered"] + totals["skipped"]
        self.outstream.write(f"{printable(files[0])}: {jobs}, {left_out} skipped\n")
        return 0

    def _skipped_last_time(self) -> dict[str, list[str]]:
        """The tasks whose last failure is a skip by the options that are given."""
        attempts = {name: attempt_of(self.state.row(name)) for name in self.control.closure()}
        return {
            name: [attempt["message"]]
            for name, attempt in attempts.items()
            if attempt.get("optional") in self.allowed
        }
