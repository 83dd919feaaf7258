"""What the engine costs for each job, and what it gains on the small study.

``python benchmarks/engine.py [--jobs 1000] [--at-once 8] [--sleep 0.1] [--workers 1 2 4]``

The first table: jobs that sleep, given to the engine by plain threads; by `doit -j N`; and, to tell
the engine's share, by a `doit -j N` whose jobs sleep in its own threads. Overhead per job is the
wall time, less that of jobs and workers that lose no time, divided by the number of jobs.

The second table: the small study of the tests, all of it, by `doit` and by `doit -j N`; jobs are
its reconstructions. Memory is the largest resident set of a process.

Overhead and the "warm" rate count from when as many jobs have ended as run at once, which leaves
out what each worker does once.
"""

from __future__ import annotations

import argparse
import os
import platform
import subprocess
import sys
import tempfile
import threading
import time
from importlib.metadata import version
from pathlib import Path

PROJECT = Path(__file__).resolve().parent.parent

SLEEPING = """
import time

from fly64tasks import engine

DOIT_CONFIG = {{"backend": "journal", "dep_file": "state/doit.db", "verbosity": 0}}


def task_nap():
    for number in range({jobs}):
        yield {{"name": str(number), "actions": [(nap, [])]}}


def nap():
    {call}
    with open("times.txt", "a") as file:
        file.write(f"{{time.time()}}\\n")
"""

ALONE = """
import time
from concurrent.futures import ThreadPoolExecutor

from fly64tasks import engine
from fly64tasks.doitext import parallel


def nap(_):
    {call}
    with open("times.txt", "a") as file:
        file.write(f"{{time.time()}}\\n")


with parallel.running({at_once}, {{"dep_file": "state/doit.db"}}):
    with ThreadPoolExecutor({at_once}) as threads:
        list(threads.map(nap, range({jobs})))
"""

STUDY = """
doses = [1e3, 1e4]

[base]
probe_size_px = 32
object_size_px = 112
scan_step_px = 5.0
scan_jitter_px = 0.8
defocus_m = 18e-6

[recon]
num_epochs = {epochs}
"""


def timed(folder: Path, *arguments: str) -> tuple[float, int]:
    """Run Python in a folder; return the seconds and the largest resident set there, in bytes."""
    began = time.perf_counter()
    command = [sys.executable, *arguments]
    with (folder / "printed.txt").open("wb") as out:
        process = subprocess.Popen(command, cwd=folder, stdout=out, stderr=out)
    watch = _Memory(folder)
    code = process.wait()
    seconds = time.perf_counter() - began
    if code:
        sys.exit(f"{' '.join(command)}: exit {code}\n{(folder / 'printed.txt').read_text()}")
    return seconds, watch.stop()


class _Memory:
    """Looks for the largest process that works in a folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder.resolve()
        self._largest = 0
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()

    def stop(self) -> int:
        """Return the largest resident set that was seen."""
        self._ended.set()
        self._thread.join()
        return self._largest

    def _watch(self) -> None:
        page = os.sysconf("SC_PAGE_SIZE")
        while not self._ended.wait(0.5):
            for entry in Path("/proc").glob("[0-9]*"):
                try:
                    if (entry / "cwd").readlink() == self._folder:
                        pages = int((entry / "statm").read_text().split()[1])
                        self._largest = max(self._largest, pages * page)
                except OSError:  # gone meanwhile, or another's
                    continue


def overhead(how: str, jobs: int, at_once: int, sleep: float) -> str:
    """Return a row: what each job costs besides its sleep."""
    call = f"engine.run(time.sleep, {sleep})" if "engine" in how else f"time.sleep({sleep})"
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        script = ALONE if "alone" in how else SLEEPING
        (folder / "dodo.py").write_text(script.format(jobs=jobs, at_once=at_once, call=call))
        command = ["dodo.py"] if "alone" in how else ["-m", "doit", "-j", str(at_once)]
        total, _ = timed(folder, *command)
        ends = sorted(map(float, (folder / "times.txt").read_text().split()))
    wall = ends[-1] - ends[at_once - 1]
    done = len(ends) - at_once
    ideal = done * sleep / at_once
    cost_ms = (wall - ideal) / done * 1e3
    return f"| {how} | {wall:.1f} | {ideal:.1f} | {cost_ms:.1f} | {total - wall:.1f} |"


def study(workers: int, epochs: int) -> str:
    """Return a row: the small study with some workers, 0 for in process."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "dodo.py").write_text((PROJECT / "dodo.py").read_text())
        (folder / "study.toml").write_text(STUDY.format(epochs=epochs))
        parallel = ["-j", str(workers)] if workers else []
        seconds, memory = timed(folder, "-m", "doit", *parallel)
        ends = sorted(path.stat().st_mtime for path in folder.glob("reports/**/run.json"))
    first = max(workers, 1)
    warm = (len(ends) - first) / (ends[-1] - ends[first - 1]) * 60
    return (
        f"| {f'-j {workers}' if workers else 'none'} | {seconds:.1f} "
        f"| {len(ends) / seconds * 60:.1f} | {warm:.1f} | {memory / 2**30:.2f} |"
    )


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--jobs", type=int, default=1000)
    parser.add_argument("--at-once", type=int, default=8)
    parser.add_argument("--sleep", type=float, default=0.1, help="seconds of each job")
    parser.add_argument("--workers", type=int, nargs="*", default=[0, 1, 2, 4])
    parser.add_argument("--epochs", type=int, default=30)
    options = parser.parse_args()
    packages = ", ".join(f"{name} {version(name)}" for name in ("parsl", "doit", "torch", "ptychi"))
    cores = len(os.sched_getaffinity(0))
    load = os.getloadavg()[0]
    print(f"{cores} cores ({platform.machine()}), load {load:.1f} at the start; {packages}\n")
    print(f"{options.jobs} jobs of {options.sleep:g} s, {options.at_once} at once:\n")
    print("| how | wall, s | ideal, s | overhead per job, ms | start and end, s |")
    print("|---|---:|---:|---:|---:|")
    for how in ("engine alone", "doit and engine", "doit, its own threads"):
        print(overhead(how, options.jobs, options.at_once, options.sleep), flush=True)
    print(f"\nThe small study, {options.epochs} epochs a reconstruction:\n")
    print("| workers | wall, s | jobs per minute | the same, warm | largest process, GiB |")
    print("|---|---:|---:|---:|---:|")
    for workers in options.workers:
        print(study(workers, options.epochs), flush=True)


if __name__ == "__main__":
    main()
