"""``doit manifest``: write the manifest and the skip summary without running anything."""

from __future__ import annotations

from doit.exceptions import InvalidCommand

from ..errors import printable
from ..graph.manifest import Manifest as Content
from ..graph.manifest import refuse_foreign, write
from ..graph.plan import Planner
from ..graph.selection import Control
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
        folder = self.manifest_folder()
        if folder is None:
            raise InvalidCommand("no folder for the manifest: set DOIT_CONFIG['manifest_dir']")
        skipped = self.prepare(pos_args, Control(self.task_list))
        self.claims().refuse_marked()
        refuse_foreign(folder, self.manifest_names)
        verdicts = Planner(self.control, self.dep_manager, broken=self.broken).verdicts()
        content = Content(self.control, self.state, self.filters, self.params["describe"])
        manifest, skips = content.build(self.wanted, verdicts, skipped)
        write(folder, self.manifest_names, manifest, skips)
        counts = [f"{count} {status}" for status, count in manifest["counts"].items()]
        jobs = f"{len(manifest['jobs'])} jobs ({', '.join(counts)})" if counts else "0 jobs"
        path = folder / self.manifest_names.manifest
        self.outstream.write(f"{printable(path)}: {jobs}, {len(skips['skipped'])} skipped\n")
        return 0
