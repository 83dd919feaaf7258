"""Null builds of a study, by our own ``dodo.py``, and of its graph by other tools, side by side.

``python benchmarks/null_build.py [--cases 18 1000 ...] [--only ours,doit,make,ninja,...]``

The study is finished (`finished`): all files exist and are up to date, so that only the tool itself
is measured. *ours* is `doit` with the study's own ``dodo.py``, its report and its manifest. The
others get the same tasks, with the same inputs and targets, in the same folder; what they do there
is nothing, and they know none of the settings: stock doit, make, ninja and, where they are on the
path, snakemake, pytask and DVC, which may live in an environment of their own::

    python -m venv tools && tools/bin/pip install snakemake pytask dvc
    PATH=$PWD/tools/bin:$PATH python benchmarks/null_build.py --cases 10000 --limit 300 --times 1

What takes longer than ``--limit`` is said to, and not waited for. CPU is user + system of the
process and its children; the best of ``--times``. Making the project takes a minute for 10,000
cases, and its first `doit` half of one.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import shutil
import subprocess
import sys
import sysconfig
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import finished

OURS = {
    "doit list": ["list"],
    "doit -n": ["-n"],
    "doit (null build)": [],
    "doit list -s": ["list", "-s"],
    "doit manifest": ["manifest"],
    "doit verify": ["verify"],
}
STOCK = """
import json

DOIT_CONFIG = {"verbosity": 0}


def nothing():
    pass


def task_graph():
    for number, (inputs, targets) in enumerate(json.load(open("graph.json"))):
        yield {"name": str(number), "actions": [nothing], "uptodate": [True],
               "file_dep": inputs, "targets": targets}
"""
PYTASK = """
import json
from pathlib import Path
from pytask import task

for number, (inputs, targets) in enumerate(json.load(open("graph.json"))):

    @task(id=str(number))
    def task_one(inputs=[Path(path) for path in inputs], produces=[Path(path) for path in targets]):
        pass
"""


def write_for_others(folder: Path) -> None:
    """Write the graph of a project for each tool, beside its ``dodo.py``."""
    graph = finished.graph_of(folder)
    (folder / "graph.json").write_text(json.dumps(graph))
    (folder / "stock.py").write_text(STOCK)
    (folder / "task_graph.py").write_text(PYTASK)
    rules = "".join(f"{' '.join(to)} &: {' '.join(of)}\n\ttouch $@\n" for of, to in graph)
    everything = " ".join(path for _, to in graph for path in to)
    (folder / "Makefile").write_text(f"all: {everything}\n{rules}.PHONY: all\n")
    builds = "".join(f"build {' '.join(to)}: t {' '.join(of)}\n" for of, to in graph)
    (folder / "build.ninja").write_text(f"rule t\n  command = touch $out\n{builds}")
    rules = "".join(
        f"rule r{number}:\n    input: {of}\n    output: {to}\n    shell: 'touch {{output}}'\n"
        for number, (of, to) in enumerate(graph)
    )
    (folder / "Snakefile").write_text(
        f"rule all:\n    input: {[p for _, to in graph for p in to]}\n{rules}"
    )
    stages = {
        f"s{number}": {"cmd": f"touch {' '.join(to)}", "deps": of, "outs": to}
        for number, (of, to) in enumerate(graph)
    }
    (folder / "dvc.yaml").write_text(json.dumps({"stages": stages}))


def others(folder: Path) -> dict[str, tuple[list[str], list[str] | None]]:
    """For each tool its null build, and what makes it know the files that are there."""
    doit = [sys.executable, "-c", STOCK_MAIN, "-f", "stock.py"]
    return {
        "stock doit": (doit, doit),
        "stock doit list": ([*doit[:3], "list", "--all", *doit[3:]], None),
        "make": (["make"], None),
        "ninja": (["ninja"], ["ninja"]),
        "snakemake": (["snakemake", "--cores", "1", "--rerun-triggers", "mtime"], None),
        "pytask": (["pytask", "--verbose", "0", "task_graph.py"], ["pytask", "task_graph.py"]),
        "dvc": (["dvc", "status", "--quiet"], DVC),
    }


STOCK_MAIN = (
    "import sys, doit.plugin; from doit.doit_cmd import DoitMain; "
    "doit.plugin.entry_points_impl = lambda: lambda group: (); "
    "sys.exit(DoitMain(config_filenames=()).run(sys.argv[1:]))"
)
DVC = ["sh", "-c", "git init -q && dvc init -q && dvc commit -q -f"]


def measure(
    command: Sequence[str], folder: Path, limit_s: float, times: int
) -> tuple[float, float] | None:
    """CPU and wall seconds of a command, the best of several; None past the limit."""
    results = []
    for _ in range(times):
        begun = time.perf_counter()
        with tempfile.TemporaryFile() as log:
            process = subprocess.Popen(
                ["timeout", f"{limit_s:g}", *command], cwd=folder, stdout=log, stderr=log
            )
            _, status, usage = os.wait4(process.pid, 0)
            process.returncode = os.waitstatus_to_exitcode(status)
            if process.returncode == 124:
                return None
            if process.returncode:
                log.seek(0)
                sys.exit(f"{' '.join(command)}: exit {process.returncode}\n{log.read().decode()}")
        wall = time.perf_counter() - begun
        results.append((usage.ru_utime + usage.ru_stime, wall))
    return min(results)


def row(n_cases: int, label: str, found: tuple[float, float] | None, limit_s: float) -> None:
    """Print a row of the table."""
    said = "{:.2f} | {:.2f}".format(*found) if found else f" | over {limit_s:g}"
    print(f"| {n_cases:,} | {label} | {said} |", flush=True)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cases", type=int, nargs="+", default=[18, 1000, 10000, 30000])
    parser.add_argument("--only", default="ours,doit,make,ninja,snakemake,pytask,dvc")
    parser.add_argument("--limit", type=float, default=600, help="seconds a command may take")
    parser.add_argument("--times", type=int, default=3, help="how often each is measured")
    arguments = parser.parse_args()
    only = arguments.only.split(",")
    path = os.pathsep.join([sysconfig.get_path("scripts"), os.environ["PATH"]])
    print(f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}\n")
    print("| cases | command | CPU s | wall s |\n|---:|---|---:|---:|")
    for n_cases in arguments.cases:
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name, "study")
            finished.make(folder, n_cases)
            doit = [sys.executable, "-m", "doit"]
            measure(doit, folder, 3600, 2)  # marks the folders, then keeps what it read
            for label, command in OURS.items() if "ours" in only else ():
                found = measure([*doit, *command], folder, arguments.limit, arguments.times)
                row(n_cases, label, found, arguments.limit)
            write_for_others(folder)
            for label, (command, first) in others(folder).items():
                tool = label.split()[-1] if "stock" not in label else "doit"
                program = shutil.which(command[0], path=path)
                if tool not in only or not program:
                    continue
                if first and measure(first, folder, arguments.limit, 1) is None:
                    row(n_cases, f"{label} (its first run)", None, arguments.limit)
                    continue
                found = measure([program, *command[1:]], folder, arguments.limit, arguments.times)
                row(n_cases, label, found, arguments.limit)


if __name__ == "__main__":
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    main()
