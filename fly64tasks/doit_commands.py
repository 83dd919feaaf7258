"""The commands of `fly64tasks.doitext`, with the filters and file names of this project."""

from __future__ import annotations

from .doitext import cmd_list, cmd_manifest, cmd_run, cmd_verify
from .doitext.command import AllowMissing, GraphCommand
from .doitext.manifest import FileNames
from .doitext.selection import MetaFilter


class _Study(GraphCommand):
    filters = (
        MetaFilter("dose", "doses, in photons per frame (1000 and 1e3 are the same)", float),
        MetaFilter("view", "views: baseline, dense, sparse"),
        MetaFilter("split", "splits: train, test"),
        MetaFilter("gridsize", "group sizes", int),
    )
    allow_missing = (
        AllowMissing(
            "allow-missing-phase-d",
            "phase_d",
            "skip jobs whose Phase D dataset is missing or invalid",
        ),
    )
    manifest_names = FileNames(manifest="reconstruction_manifest.json")


class Run(_Study, cmd_run.Run):
    """``doit run``."""


class List(_Study, cmd_list.List):
    """``doit list``."""


class Manifest(_Study, cmd_manifest.Manifest):
    """``doit manifest``."""


class Verify(_Study, cmd_verify.Verify):
    """``doit verify``."""
