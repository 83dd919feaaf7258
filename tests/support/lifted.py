"""doitext lifted out: copied under a name of its own to where nothing of fly64tasks is imported."""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from small_study import PROJECT

SOURCE = PROJECT / "fly64tasks" / "doitext"
_NEEDED = ("doit", "cloudpickle")  # doit needs cloudpickle


@dataclass
class Lifted:
    """A Python that has doit and the copy, and a folder for a project.

    Attributes
    ----------
    site : Path
        From where it imports.
    project : Path
        The folder, empty.
    """

    site: Path
    project: Path

    def popen(self, *command: str) -> subprocess.Popen[str]:
        """Start a command in the project; ``doit`` and ``python`` are those of this Python."""
        path = f"{self.site / 'bin'}{os.pathsep}{os.environ['PATH']}"
        environment = {
            "PATH": path,
            "PYTHONPATH": str(self.site),
            "PYTHONDONTWRITEBYTECODE": "1",  # a dodo.py of the same size and second is not read
            "LC_ALL": "C.UTF-8",
        }
        return subprocess.Popen(
            command,
            cwd=self.project,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def run(self, *command: str) -> tuple[int, str]:
        """Run a command in the project; its exit code, and what it printed."""
        with self.popen(*command) as process:
            said, _ = process.communicate(timeout=60)
        return process.returncode, said


def lift(folder: Path, package: str) -> Lifted:
    """Copy doitext to `folder` as `package`, beside doit and nothing else."""
    site, project = folder / "site", folder / "project"
    (site / "bin").mkdir(parents=True)
    project.mkdir()
    shutil.copytree(SOURCE, site / package)
    for name in _NEEDED:
        spec = importlib.util.find_spec(name)
        assert spec is not None
        (site / name).symlink_to(Path(str(spec.origin)).parent)
    python = f"{sys.executable} -S"  # without site-packages, and what is installed in it
    main = "import sys; from doit.__main__ import main; sys.argv[0] = 'doit'; sys.exit(main())"
    for name, text in {
        "doit": f"#!{python}\n{main}\n",
        "python": f'#!/bin/sh\nexec {python} "$@"\n',
    }.items():
        (site / "bin" / name).write_text(text)
        (site / "bin" / name).chmod(0o755)
    return Lifted(site, project)


def give_entry_points(lifted: Lifted, groups: dict[str, dict[str, str]]) -> None:
    """Have a distribution with these entry points installed."""
    info = lifted.site / "lifted-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: lifted\nVersion: 1.0\n")
    lines = [
        line
        for group, points in groups.items()
        for line in (f"[{group}]", *(f"{name} = {place}" for name, place in points.items()))
    ]
    (info / "entry_points.txt").write_text("\n".join(lines) + "\n")
