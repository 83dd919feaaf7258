"""The commands of `fly64tasks.doitext`, with the filters and file names of this project."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec
from doit import get_initial_workdir, get_var
from doit.cmdparse import CmdOption
from doit.dependency import JSONCodec
from doit.exceptions import InvalidCommand

from .doitext.commands import records
from .doitext.commands.base import AllowMissing, GraphCommand
from .doitext.commands.clean import Clean as PlainClean
from .doitext.commands.dumpdb import DumpDB as PlainDumpDB
from .doitext.commands.forget import Forget as PlainForget
from .doitext.commands.info import Info as PlainInfo
from .doitext.commands.list import List as PlainList
from .doitext.commands.manifest import Manifest as PlainManifest
from .doitext.commands.run import Run as PlainRun
from .doitext.commands.stock import StandsAside
from .doitext.commands.verify import Verify as PlainVerify
from .doitext.graph.manifest import FileNames, is_job
from .doitext.graph.selection import MetaFilter
from .engine.spec import FILE, EngineSpec, read_engine
from .errors import StudyError

_ENGINE = {
    "name": "engine",
    "long": "engine",
    "type": str,
    "default": "",
    "help": f"the workers' settings, see docs/engine.md (default: {FILE} where there is one)",
}

_ASK_TORCH = """
import sys
from fly64tasks.commandline import exit_code_of
from fly64tasks.recon.ptychi import device
sys.exit(exit_code_of(lambda: 0 if device.resolve(sys.argv[1]) else 1))
"""


class _JSONCodec(JSONCodec):
    """doit's own, which reads 25,000 rows in a third of the time."""

    _decode = msgspec.json.Decoder().decode

    def decode(self, data: str) -> Any:
        """What doit's own says: it is asked where JSON is none, or more than the standard has."""
        try:
            return type(self)._decode(data)
        except (msgspec.DecodeError, UnicodeError):
            return super().decode(data)


class _Study(GraphCommand):
    filters = (
        MetaFilter("dose", "doses, in photons per frame (1000 and 1e3 are the same)", float),
        MetaFilter("view", "views: baseline, dense, sparse"),
        MetaFilter("split", "splits: train, test"),
        MetaFilter("gridsize", "group sizes", int),
        MetaFilter("method", "methods: main, and those that the study names"),
        MetaFilter("repeat", "draws of the noise, from 1", int),
        MetaFilter("scan", "measured scans, by name"),
        MetaFilter("half", "of which of their frames: whole, even, odd"),
    )
    allow_missing = (
        AllowMissing(
            "allow-missing-phase-d",
            "phase_d",
            "skip jobs whose Phase D dataset is missing or invalid",
        ),
    )
    manifest_names = FileNames(manifest="reconstruction_manifest.json")

    def get_codec_cls(self, codec: Any) -> Any:
        """Doit's codec of the state; for JSON, the one that reads it with msgspec."""
        return _JSONCodec if codec == "json" else super().get_codec_cls(codec)

    def variables(self) -> Sequence[str]:
        """What ``tasks.load_study`` takes."""
        from .tasks.variables import VARIABLES

        return VARIABLES


class Run(_Study, PlainRun):
    """``doit run``."""

    own_options = (*PlainRun.own_options, CmdOption(_ENGINE))

    def jobs(self, asked: int) -> int:
        """What ``-j`` says; with ``--engine`` alone, as many as there are workers."""
        named = self.params["engine"]
        if not (asked or named):
            return 0
        spec = self.params["engine"] = _engine(named)
        return asked or spec.workers

    def check(self, jobs: int) -> None:
        """Refuse ``device=cuda`` where reconstructions run here, and there is none."""
        device = get_var("device", "auto")
        here = not jobs or self.params["engine"].provider == "local"
        if here and device.startswith("cuda") and self._has_jobs():
            # torch knows, and is not to be loaded here: who forks later could not use CUDA.
            asked = subprocess.run(
                [sys.executable, "-c", _ASK_TORCH, device], capture_output=True, text=True
            )
            if asked.returncode:
                said = asked.stderr.strip().splitlines() or ["torch could not be asked"]
                raise InvalidCommand(f"nothing was run: {said[-1].removeprefix('error: ')}")

    def _has_jobs(self) -> bool:
        return any(is_job(self.control.tasks[name]) for name in self.control.closure())


class List(_Study, PlainList):
    """``doit list``."""


class Manifest(_Study, PlainManifest):
    """``doit manifest``."""


class Verify(_Study, PlainVerify):
    """``doit verify``."""


class Clean(_Study, PlainClean):
    """``doit clean``."""


class Info(_Study, PlainInfo):
    """``doit info``."""


class Ignore(_Study, records.Ignore):
    """``doit ignore``."""


class ResetDep(_Study, records.ResetDep):
    """``doit reset-dep``."""


class Forget(_Study, PlainForget):
    """``doit forget``."""


class DumpDB(_Study, PlainDumpDB):
    """``doit dumpdb``."""


class Engine(StandsAside):
    """``doit engine``."""

    name = "engine"
    doc_purpose = "show where tasks would run, and which -j to use"
    doc_usage = ""
    doc_description = (
        "Says what this machine has, what the engine file asks for, and what `doit -j N` starts."
    )
    cmd_options = (_ENGINE,)

    def parse_execute(self, in_args: list[str]) -> Any:
        """Print it, or what the command takes."""
        if {"-h", "--help"} & set(in_args):
            print(self.help())
            return 0
        return super().parse_execute(in_args)

    def execute(self, opt_values: Any, pos_args: list[str]) -> int:
        """Print it."""
        from .engine.describe import describe

        if pos_args:
            raise InvalidCommand(f"engine takes no argument, found {' '.join(pos_args)}")
        print(describe(_engine(opt_values["engine"])))
        return 0


def _engine(named: str) -> EngineSpec:
    path = Path(get_initial_workdir() or ".", Path(named).expanduser()) if named else None
    try:
        return read_engine(path)
    except StudyError as error:
        raise InvalidCommand(str(error)) from None
