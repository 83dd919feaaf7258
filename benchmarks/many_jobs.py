"""A study of many small jobs with workers: time, and memory as it goes on.

    python benchmarks/many_jobs.py [--cases 1000] [--jobs 2] [--tenths 10]

So many cases of frames of 16 px, 6 for each dose, simulated, reconstructed and scored by one
`doit -j N`. Every second all its processes are looked at: a row of the table is each tenth of the
way, with the seconds that it took, the memory of doit's own process, and that of the largest
worker. Exits with 1 where, past the first third, the largest worker grew by more than a tenth:
something is kept. 1,000 cases take two cores some 4 minutes. Prints Markdown.
"""

from __future__ import annotations

import argparse
import math
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from common import machine, project

JOBS_A_DOSE = 6
MOST_GROWTH = 1.1
STUDY = """
doses = [{doses}]
[base]
probe_size_px = 16
object_size_px = 64
[recon]
num_epochs = 3
"""


def resident_bytes(pid: int) -> int:
    """Return what a process has in memory, 0 once it is gone."""
    try:
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, IndexError):
        return 0


def descendants(pid: int) -> list[int]:
    """Return the processes that one has started, and those that they have."""
    parents: dict[int, list[int]] = {}
    for status in Path("/proc").glob("[0-9]*/stat"):
        try:
            after_name = status.read_text().rpartition(")")[2].split()
        except OSError:  # gone
            continue
        parents.setdefault(int(after_name[1]), []).append(int(status.parent.name))
    found = [pid]
    for each in found:
        found += parents.get(each, [])
    return found[1:]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cases", type=int, default=1000)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--tenths", type=int, default=10, help="rows of the table")
    options = parser.parse_args()
    doses = math.ceil(options.cases / JOBS_A_DOSE)
    print(f"{machine()}; load {os.getloadavg()[0]:.1f}\n")
    print("| cases done | s | doit GB | largest worker GB |\n|---:|---:|---:|---:|", flush=True)
    with tempfile.TemporaryDirectory() as name:
        folder = project(Path(name, "study"))
        listed = ", ".join(f"{1000 + dose}.0" for dose in range(doses))
        (folder / "study.toml").write_text(STUDY.format(doses=listed), "utf-8")
        command = [sys.executable, "-m", "doit", "run", "-j", str(options.jobs), "score"]
        began, rows, most = time.perf_counter(), 0, doses * JOBS_A_DOSE
        before, workers = os.times(), []
        with Path(name, "log").open("w") as log:
            environment = {**os.environ, "OMP_NUM_THREADS": "1"}
            running = subprocess.Popen(
                command, cwd=folder, stdout=log, stderr=subprocess.STDOUT, env=environment
            )
            largest = 0
            while True:
                ended = running.poll() is not None
                of_doit = resident_bytes(running.pid)
                largest = max([largest, *map(resident_bytes, descendants(running.pid))])
                done = sum(1 for _ in folder.glob("reports/dose_*/*/*/scores.json"))
                if done * options.tenths >= (rows + 1) * most or ended:
                    seconds, rows = time.perf_counter() - began, rows + 1
                    print(
                        f"| {done:,} | {seconds:.0f} | {of_doit / 1e9:.2f} | {largest / 1e9:.2f} |",
                        flush=True,
                    )
                    workers.append(largest)
                    largest = 0
                if ended:
                    break
                time.sleep(1)
        after = os.times()
        if running.returncode:
            sys.stderr.write(Path(name, "log").read_text()[-2000:])
            return 1
    cpu = after.children_user + after.children_system - before.children_user
    print(f"\n{cpu - before.children_system:.0f} CPU s, {seconds:.0f} s.")
    steady = [each for each in workers if each][len(workers) // 3 :]
    return int(bool(steady) and max(steady) > MOST_GROWTH * steady[0])


if __name__ == "__main__":
    sys.exit(main())
