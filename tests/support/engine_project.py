"""A project of slow steps that run through the engine, and a look at its processes."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

STEPS = """
import os
import time
from pathlib import Path

from fly64tasks.doitext.atomic import replaced


def write(target, seconds):
    with replaced(target) as temporary:
        temporary.write_text("half")
        with open("log.txt", "a") as log:
            log.write(f"{Path(target).stem} {os.getpid()}\\n")
        time.sleep(seconds)
        temporary.write_text(f"whole {target}")
"""

DODO = """
import steps
from fly64tasks import engine

DOIT_CONFIG = {"backend": "journal", "dep_file": "state/doit.db", "verbosity": 1}


def task_step():
    for number in range(6):
        target = f"out/{number}.txt"
        arguments = {"target": target, "seconds": 0.5, "writes": [target]}
        yield {"name": str(number), "actions": [(engine.run, [steps.write], arguments)],
               "targets": [target], "uptodate": [True]}
"""

WAITING = """
import steps
from fly64tasks import engine

DOIT_CONFIG = {"backend": "journal", "dep_file": "state/doit.db", "verbosity": 1}


def task_step():
    for name, seconds, before in (("0", 4, []), ("1", 0.1, []), ("2", 0.1, ["step:0"])):
        target = f"out/{name}.txt"
        arguments = {"target": target, "seconds": seconds, "writes": [target]}
        yield {"name": name, "actions": [(engine.run, [steps.write], arguments)],
               "targets": [target], "task_dep": before, "uptodate": [True]}
"""

ONE_BY_ONE = """
import time
from pathlib import Path

import steps
from fly64tasks import engine

DOIT_CONFIG = {"backend": "journal", "dep_file": "state/doit.db", "verbosity": 1}


def wait():
    while not Path("go").exists():
        time.sleep(0.05)


def task_step():
    for number in range(2):
        target = f"out/{number}.txt"
        arguments = {"target": target, "seconds": 0.1, "writes": [target]}
        yield {"name": str(number),
               "actions": [wait] * number + [(engine.run, [steps.write], arguments)],
               "targets": [target], "task_dep": ["step:0"] * number, "uptodate": [True]}
"""

EXPECTED = {f"{number}.txt": f"whole out/{number}.txt" for number in range(6)}


def new_project(folder: Path, engine: str = "heartbeat_s = 4\n", dodo: str = DODO) -> Path:
    """Write the project."""
    folder.mkdir()
    (folder / "dodo.py").write_text(dodo)
    (folder / "steps.py").write_text(STEPS)
    (folder / "engine.toml").write_text(engine)
    return folder


def start(folder: Path, *arguments: str, temporary: Path | None = None) -> subprocess.Popen[str]:
    """Start doit in a session of its own; with a folder for its temporary files."""
    return subprocess.Popen(
        [sys.executable, "-m", "doit", *arguments],
        cwd=folder,
        env={**os.environ, **({"TMPDIR": str(temporary)} if temporary else {})},
        start_new_session=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def under_way(
    folder: Path, *arguments: str, steps: int = 3, temporary: Path | None = None
) -> subprocess.Popen[str]:
    """Start doit; return it once so many steps have begun."""
    process = start(folder, *arguments, temporary=temporary)
    wait_for(lambda: len(begun(folder)) >= steps, 40, lambda: (begun(folder), living_in(folder)))
    return process


def begun(folder: Path) -> list[tuple[str, int]]:
    """Return each beginning of a step, with the process that ran it."""
    log = folder / "log.txt"
    lines = log.read_text().splitlines() if log.exists() else []
    return [(line.split()[0], int(line.split()[1])) for line in lines]


def outputs(folder: Path) -> dict[str, str]:
    """Return all there is in the folder of outputs, temporary files too."""
    return {path.name: path.read_text() for path in (folder / "out").glob("*")} | {
        path.name: path.read_text() for path in (folder / "out").glob(".*")
    }


def living_in(folder: Path) -> dict[int, str]:
    """Return the processes that work in a folder, in whatever session, with their titles."""
    found = {}
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            if (entry / "cwd").readlink() == folder.resolve():
                title = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode()
                if (entry / "stat").read_text().rpartition(")")[2].split()[0] != "Z":
                    found[int(entry.name)] = title
        except OSError:  # gone meanwhile, or not ours to look at
            continue
    return found


def wait_for(condition: Callable[[], object], seconds: float, what: Callable[[], object]) -> None:
    """Wait until a condition holds; fail with what there is instead."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, what()
        time.sleep(0.02)


def assert_nothing_left(folder: Path) -> None:
    """Fail unless no process works in the folder any more."""
    wait_for(lambda: not living_in(folder), 6, lambda: f"left: {living_in(folder)}")


def assert_all_done(folder: Path) -> None:
    """Fail unless every step of `DODO` left its output whole, and nothing else is left."""
    assert outputs(folder) == EXPECTED
    assert_nothing_left(folder)


TITLES = {
    "manager": "python -m parsl.executors.high_throughput.process_worker_pool",
    "interchange": "parsl: HTEX interchange",
    "server of the manager": "multiprocessing.spawn",
    "keeper of the pool": "keeper --folder=",
    "keeper of the interchange": "keeper --parent ",
}


def victim(folder: Path, who: str) -> int:
    """Return the process id of a part of the engine."""
    if who == "worker":
        return begun(folder)[-1][1]
    kept = "keeper" in who  # whose title has the command that it keeps
    found = [
        pid
        for pid, title in living_in(folder).items()
        if TITLES[who] in title and kept == ("engine.keeper" in title)
    ]
    assert found, living_in(folder)
    return min(found)
