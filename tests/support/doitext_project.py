"""A project in a temporary folder, driven through doit's own entry point."""

from __future__ import annotations

import io
import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from unittest import mock

from doit.cmd_base import ModuleTaskLoader
from doit.doit_cmd import DoitMain

from fly64tasks.doitext.commands.base import AllowMissing
from fly64tasks.doitext.commands.manifest import Manifest
from fly64tasks.doitext.commands.run import Run

COMMANDS = {
    "run": "fly64tasks.doitext.commands.run:Run",
    "list": "fly64tasks.doitext.commands.list:List",
    "info": "fly64tasks.doitext.commands.info:Info",
    "manifest": "fly64tasks.doitext.commands.manifest:Manifest",
    "verify": "fly64tasks.doitext.commands.verify:Verify",
    "clean": "fly64tasks.doitext.commands.clean:Clean",
    "ignore": "fly64tasks.doitext.commands.records:Ignore",
    "reset-dep": "fly64tasks.doitext.commands.records:ResetDep",
    "forget": "fly64tasks.doitext.commands.forget:Forget",
    "dumpdb": "fly64tasks.doitext.commands.dumpdb:DumpDB",
}
FILTERS = {"dose": "float", "view": "str", "split": "str", "gridsize": "int"}
CONFIG = {
    "COMMAND": COMMANDS,
    "BACKEND": {"journal": "fly64tasks.doitext.state.journal:Journal"},
    "GLOBAL": {"filters": FILTERS},
}
"""What a project's pyproject.toml would say."""


_EXTRA = (AllowMissing("allow-missing-extra", "extra", "skip jobs without extra data"),)


class Forgiving(Run):
    """``doit run`` as a project may have it: some of its tasks may be skipped."""

    name = "run"
    allow_missing = _EXTRA


class ForgivingManifest(Manifest):
    """Its ``doit manifest``."""

    name = "manifest"
    allow_missing = _EXTRA


_WITHOUT_ENTRY_POINTS = mock.patch("doit.plugin.entry_points_impl", return_value=lambda group: ())
"""They go before what a project says, and those of fly64tasks are installed here."""

MAIN = (
    "import sys, doit.plugin; from doit.doit_cmd import DoitMain; "
    "doit.plugin.entry_points_impl = lambda: lambda group: (); "
    f"sys.exit(DoitMain(config_filenames=(), extra_config={CONFIG!r}).run(sys.argv[1:]))"
)
DOIT = [sys.executable, "-c", MAIN]
"""The command doit, for a process of its own."""

LONG = """
import time
from pathlib import Path

DOIT_CONFIG = {"backend": "journal", "dep_file": "s.db", "verbosity": 0}


def wait():
    Path("up").touch()
    time.sleep(600)


def task_long():
    return {"actions": [wait]}


def task_then():
    return {"actions": [lambda: None], "task_dep": ["long"]}
"""
"""A dodo.py whose first task says that it is up, and waits to be stopped; another needs it."""


def wait_until_up(folder: Path, process: subprocess.Popen[Any]) -> None:
    """Return once the first task of `LONG` runs."""
    while not (folder / "up").exists():
        assert process.poll() is None, process.communicate()
        time.sleep(0.01)


@dataclass
class Result:
    """What a call of doit gave."""

    code: int
    out: str
    err: str

    @property
    def verdicts(self) -> dict[str, str]:
        """The verdicts of a dry run with ``--json``, in order."""
        return {item["task"]: item["verdict"] for item in json.loads(self.out)["tasks"]}

    @property
    def reasons(self) -> dict[str, list[str]]:
        """The reasons of a dry run with ``--json``."""
        return {item["task"]: item["reasons"] for item in json.loads(self.out)["tasks"]}


@dataclass
class Project:
    """A folder, the tasks in it, and what was executed."""

    folder: Path
    tasks: Callable[[], list[dict[str, Any]]] = list
    config: dict[str, Any] = field(default_factory=dict)
    executed: list[str] = field(default_factory=list)
    commands: dict[str, str] = field(default_factory=COMMANDS.copy)
    filters: dict[str, str] = field(default_factory=FILTERS.copy)

    def doit(self, *args: str) -> Result:
        """Call doit in this process."""
        tasks = self.tasks

        def task_graph() -> Iterator[dict[str, Any]]:
            """All tasks."""
            yield from tasks()

        config = {"backend": "journal", "dep_file": "state/doit.db", "verbosity": 0}
        namespace = {"DOIT_CONFIG": config | self.config, "task_graph": task_graph}
        out, err = io.StringIO(), io.StringIO()
        settings = CONFIG | {"COMMAND": self.commands, "GLOBAL": {"filters": self.filters}}
        main = DoitMain(ModuleTaskLoader(namespace), config_filenames=(), extra_config=settings)
        self.executed.clear()
        path = list(sys.path)
        with redirect_stdout(out), redirect_stderr(err), _WITHOUT_ENTRY_POINTS:
            code = main.run(list(args))
        sys.path[:] = path
        return Result(code or 0, out.getvalue(), err.getvalue())

    def task(self, basename: str, /, content: str = "", **more: Any) -> dict[str, Any]:
        """A task that writes `content` and its inputs into each of its targets."""

        def write(task: Any, dependencies: list[str], targets: list[str]) -> None:
            self.executed.append(task.name)
            text = content + "".join(Path(path).read_text() for path in sorted(dependencies))
            for target in targets:
                Path(target).parent.mkdir(parents=True, exist_ok=True)
                Path(target).write_text(text)

        return {"basename": basename, "actions": [write], **more}

    def write(self, name: str, text: str) -> None:
        """Write a file of the project."""
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    def snapshot(self) -> dict[str, tuple[int, bytes]]:
        """Everything on disk: names, time stamps and bytes."""
        return {
            str(path): (path.stat().st_mtime_ns, path.read_bytes() if path.is_file() else b"")
            for path in sorted(self.folder.rglob("*"))
        }


def session_members(session: int) -> list[int]:
    """The living processes of a session."""
    members = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[3]) == session and fields[0] != "Z":
            members.append(int(stat.parent.name))
    return members
