"""A study small enough to run for real in seconds."""

import os
import shutil
import sys
from pathlib import Path

import warm
from doit.doit_cmd import DoitMain

from fly64tasks.study.stages import BaseSpec

PROJECT = Path(__file__).parents[2]

SMALL_BASE = BaseSpec(
    probe_size_px=32, object_size_px=112, scan_step_px=5.0, scan_jitter_px=0.8, defocus_m=18e-6
)

SMALL_STUDY = """
doses = [1e3, 1e4]

[base]
probe_size_px = 32
object_size_px = 112
scan_step_px = 5.0
scan_jitter_px = 0.8
defocus_m = 18e-6

[recon]
num_epochs = 3
"""

ONE_DOSE = SMALL_STUDY.replace("[1e3, 1e4]", "[1e3]")


def new_project(folder: Path, study: str) -> Path:
    """Make a folder with our dodo.py and a study; return it."""
    folder.mkdir()
    shutil.copy(PROJECT / "dodo.py", folder)
    (folder / "study.toml").write_text(study, "utf-8")
    return folder


def results(folder: Path) -> dict[str, bytes]:
    """Return everything that must come out the same: no records of time, logs, scratch folders."""
    paths = [*folder.glob("data/**/*"), *folder.glob("reports/*/**/*")]
    kept = [
        path
        for path in paths
        if path.is_file()
        and path.name not in ("run.json", "ptychi.log")
        and ".engine" not in path.parts
    ]
    return {str(path.relative_to(folder)): path.read_bytes() for path in kept}


def doit(folder: Path, *arguments: str, code: int = 0) -> str:
    """Run doit in a folder; return what it printed, once it exited with ``code``."""
    running = begin_doit(folder, *arguments)
    out, err = running.communicate(timeout=300)
    assert running.returncode == code, out + err
    return out + err


def begin_doit(folder: Path, *arguments: str) -> warm.Called:
    """Start doit in a folder."""
    return warm.Called(_doit, folder, arguments)


def _doit(folder: Path, arguments: tuple[str, ...]) -> None:
    os.chdir(folder)
    sys.argv = ["doit", *arguments]
    sys.exit(DoitMain().run(list(arguments)))
