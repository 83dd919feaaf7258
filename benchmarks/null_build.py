"""Null builds of a generated graph: doit with our commands, make, ninja, snakemake, side by side.

``python benchmarks/null_build.py [--tasks 10000 ...] [--only doit,make,ninja,snakemake]``

The graph has as many tasks as asked for: one in ten makes a file from a source, the others each
make a file from one of those. All files exist and are up to date, so that only the tool itself is
measured. doit's state is written by one real run. CPU is user + system of the process
and its children, memory the largest resident set; the best of three.
"""

from __future__ import annotations

import argparse
import os
import resource
import shutil
import subprocess
import sys
import sysconfig
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

DODO = """
from pathlib import Path
from fly64tasks.doitext.spec import SpecUnchanged

DOIT_CONFIG = {{"backend": "journal", "dep_file": "state/doit.db", "manifest_dir": "reports",
               "verbosity": 0}}
SPEC = {{"algorithm": "LSQML", "num_epochs": 100, "batch": {{"size": 96, "mode": "compact"}}}}


def make(dependencies, targets):
    Path(targets[0]).write_text(Path(dependencies[0]).read_text() + targets[0])


def task_graph():
    for target, source in [line.split() for line in Path("graph.txt").read_text().splitlines()]:
        name = Path(target).stem
        meta = {{"dose": int(name[1:]) % 100, "view": name[0]}}
        if {records}:
            meta["record"] = f"out/{{name}}.json"
        yield {{"name": name, "actions": [make], "file_dep": [source], "targets": [target],
               "uptodate": [SpecUnchanged(SPEC)], "meta": meta}}
"""


def edges(count: int) -> Iterator[tuple[str, str]]:
    """Each target with its only input."""
    for number in range(count // 10):
        yield f"out/a{number}.txt", "source.txt"
        for child in range(9):
            yield f"out/b{number * 9 + child}.txt", f"out/a{number}.txt"


def generate(folder: Path, count: int, records: bool) -> None:
    """Write the graph for each tool."""
    graph = list(edges(count))
    (folder / "out").mkdir()
    (folder / "source.txt").write_text("source\n")
    (folder / "graph.txt").write_text("".join(f"{to} {of}\n" for to, of in graph))
    (folder / "dodo.py").write_text(DODO.format(records=records))
    targets = " ".join(to for to, _ in graph)
    rules = "".join(f"{to}: {of}\n\tcp {of} {to}\n" for to, of in graph)
    (folder / "Makefile").write_text(f"all: {targets}\n{rules}.PHONY: all\n")
    builds = "".join(f"build {to}: cp {of}\n" for to, of in graph)
    (folder / "build.ninja").write_text(f"rule cp\n  command = cp $in $out\n{builds}")
    (folder / "Snakefile").write_text(
        "graph = dict(line.split() for line in open('graph.txt'))\n"
        "rule all:\n    input: list(graph)\n"
        "rule copy:\n    output: 'out/{name}.txt'\n"
        "    input: lambda wildcards: graph[f'out/{wildcards.name}.txt']\n"
        "    shell: 'cp {input} {output}'\n"
    )


def measure(command: Sequence[str], folder: Path) -> tuple[float, float, float]:
    """CPU seconds, wall seconds and MiB of a command; the best of three."""
    results = []
    for _ in range(3):
        begun = time.perf_counter()
        with tempfile.TemporaryFile() as log:
            process = subprocess.Popen(command, cwd=folder, stdout=log, stderr=log)
            _, status, usage = os.wait4(process.pid, 0)
            process.returncode = os.waitstatus_to_exitcode(status)
            if process.returncode:
                log.seek(0)
                sys.exit(f"{' '.join(command)}: exit {process.returncode}\n{log.read().decode()}")
        wall = time.perf_counter() - begun
        results.append((usage.ru_utime + usage.ru_stime, wall, usage.ru_maxrss / 1024))
    return min(results)


def commands(only: Sequence[str]) -> dict[str, list[str]]:
    """The null build of each tool that is installed."""
    path = f"{sysconfig.get_path('scripts')}{os.pathsep}{os.environ['PATH']}"
    doit = [sys.executable, "-m", "doit"]
    known = {
        "doit (null build)": ("doit", [*doit]),
        "doit -n": ("doit", [*doit, "-n"]),
        "doit list": ("doit", [*doit, "list"]),
        "doit list -s": ("doit", [*doit, "list", "-s"]),
        "doit manifest": ("doit", [*doit, "manifest"]),
        "doit verify": ("doit", [*doit, "verify"]),
        "GNU make": ("make", ["make"]),
        "ninja": ("ninja", ["ninja"]),
        "snakemake": ("snakemake", ["snakemake", "--cores", "1", "--rerun-triggers", "mtime"]),
    }
    found = {}
    for label, (tool, command) in known.items():
        program = shutil.which(command[0], path=path)
        if tool in only and program:
            found[label] = [program, *command[1:]]
    return found


def build(command: Sequence[str], folder: Path) -> None:
    """Make what is out of date."""
    subprocess.run(command, cwd=folder, check=True, stdout=subprocess.DEVNULL)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tasks", type=int, nargs="+", default=[1000, 10000])
    parser.add_argument("--only", default="doit,make,ninja,snakemake")
    parser.add_argument("--records", action="store_true", help="every task is a manifest job")
    arguments = parser.parse_args()
    print("| tasks | command | CPU s | wall s | memory MiB |")
    print("|---:|---|---:|---:|---:|")
    for count in arguments.tasks:
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            generate(folder, count, arguments.records)
            subprocess.run([sys.executable, "-m", "doit", "-r", "zero"], cwd=folder, check=True)
            if "ninja" in commands(arguments.only):  # it trusts its own log only
                build(commands(arguments.only)["ninja"], folder)
                build([sys.executable, "-m", "doit", "-r", "zero"], folder)
            for label, command in commands(arguments.only).items():
                cpu, wall, memory = measure(command, folder)
                print(f"| {count} | {label} | {cpu:.2f} | {wall:.2f} | {memory:.0f} |", flush=True)


if __name__ == "__main__":
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    main()
