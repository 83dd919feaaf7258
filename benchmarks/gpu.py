"""What a GPU brings, and whether what holds on a CPU holds on it: ten minutes on a bare machine.

    python benchmarks/gpu.py [--device cuda] [--only study] [--quick]

*study*: the 18 reconstructions of the default study: one process per job, then one `doit` with 1 to
8 workers that share the GPU, and the CPU beside it. *same*: two runs, and one that is cut off and
goes on, end in the same bytes; how far the GPU's errors are from the CPU's. *memory*: what a run
says when the device's memory is taken. *map* and *epoch*: time of an iteration, by
`benchmarks/map_inner.py` and `benchmarks/epoch_time.py`, the latter with the 16,384 frames of
128 x 128 that other packages publish figures for. Wall seconds. Prints Markdown; a step that fails
says so, and the others go on.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch
from common import machine, opened, project

from fly64tasks.recon.files import RECONSTRUCTION, RUN_RECORD
from fly64tasks.score.command import score
from fly64tasks.study.stages import ScoreSpec

HERE = Path(__file__).parent
ALGORITHMS = ("MAP", "LSQML")
STOPS = 2
"""Of the run that is cut off, before it is left to end."""
JOB = "dose_10000_baseline_train"


def ran(*words: str | Path, folder: Path | None = None, code: int | None = 0) -> tuple[float, str]:
    """Run a python module or script; return its wall seconds and what it said.

    Raises
    ------
    RuntimeError
        It ended with another code; None takes any.
    """
    began = time.perf_counter()
    done = subprocess.run(
        [sys.executable, *map(str, words)],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    if code is not None and done.returncode != code:
        last = (done.stderr or done.stdout).strip().splitlines()[-3:]
        raise RuntimeError(f"{' '.join(map(str, words))}: exit code {done.returncode}: {last}")
    return time.perf_counter() - began, done.stdout + done.stderr


def sets(folder: Path) -> Path:
    """Return a project with the sets of the default study, and no reconstruction."""
    made = project(folder)
    ran("-m", "doit", "run", "-j", "8", "simulate", "views", folder=made)
    return made


def study(made: Path, device: str, quick: bool) -> None:
    """Print the seconds of the 18 reconstructions in several ways."""
    jobs = [(case, paths) for case, paths in _jobs(made)][: 2 if quick else None]
    names = [f"recon:{case}" for case, _ in jobs]
    print(
        f"\n{len(jobs)} reconstructions of the default study\n\n| how | s |\n|---|---:|", flush=True
    )
    began = time.perf_counter()
    for case, source in jobs:
        ran("-m", "fly64tasks.runner", "--input-npz", source, "--output-dir", made / "one" / case,
            "--device", device)  # fmt: skip
    print(f"| one process per job, {device} | {time.perf_counter() - began:.1f} |", flush=True)
    rows = [(device, workers) for workers in (None, 2, 4, 8)]
    for where, workers in [*rows, ("cpu", None), ("cpu", 8)]:
        folder = made.parent / f"{where}_{workers}"
        shutil.copytree(made, folder, ignore=shutil.ignore_patterns("one", "reports"))
        words = ["-m", "doit", "run", *(["-j", str(workers)] if workers else [])]
        seconds, _ = ran(*words, f"device={where}", *names, folder=folder)
        how = f"`doit -j {workers}`" if workers else "`doit`"
        print(f"| {how}, {where} | {seconds:.1f} |", flush=True)
        shutil.rmtree(folder)


def same(made: Path, device: str, quick: bool) -> None:
    """Print whether runs end in the same bytes, and how far the CPU's error is."""
    source = dict(_jobs(made))[JOB]
    print("\n| algorithm | again | cut off and resumed | object error | on the CPU |")
    print("|---|---|---|---:|---:|", flush=True)
    for algorithm in ALGORITHMS[: 1 if quick else None]:
        given = ("-m", "fly64tasks.runner", "--input-npz", source, "--algorithm", algorithm)
        given = (*given, "--num-epochs", "30")
        folders = {name: made / "same" / algorithm / name for name in ("a", "b", "cut", "cpu")}
        for name in ("a", "b", "cpu"):
            ran(*given, "--device", "cpu" if name == "cpu" else device,
                "--output-dir", folders[name], code=None)  # fmt: skip
        cut = (*given, "--device", device, "--output-dir", folders["cut"])
        for _ in range(STOPS):
            ran(*cut, "--max-seconds", "0.2", code=75)
        ran(*cut)
        digests = {name: _digest(folder) for name, folder in folders.items()}
        words = [
            {True: "same bytes", False: "**other bytes**"}[digests["a"] == digests[name]]
            for name in ("b", "cut")
        ]
        cells = [algorithm, words[0], f"{words[1]}"]
        cells += [_error(source, folders[name]) for name in ("a", "cpu")]
        print(f"| {' | '.join(cells)} |", flush=True)


def memory(made: Path, device: str, quick: bool) -> None:
    """Print what a run says when somebody else holds the device's memory."""
    if device == "cpu":
        return
    source = dict(_jobs(made))[JOB]
    free, _ = torch.cuda.mem_get_info()
    held = torch.empty(max(free - 700 * 2**20, 0), dtype=torch.uint8, device=device)
    _, said = ran("-m", "fly64tasks.runner", "--input-npz", source, "--output-dir", made / "full",
                  "--device", device, code=None)  # fmt: skip
    record = made / "full" / RUN_RECORD
    code = json.loads(record.read_text("utf-8"))["exit_code"] if record.exists() else None
    print(f"\nmemory taken: exit code {code}; {said.strip().splitlines()[-1][:300]}", flush=True)
    del held
    torch.cuda.empty_cache()
    ran("-m", "fly64tasks.runner", "--input-npz", source, "--output-dir", made / "full",
        "--device", device)  # fmt: skip
    print("once it is free again: done", flush=True)


def speed(script: str, *options: str) -> Callable[[Path, str, bool], None]:
    """Return a step that prints another benchmark."""

    def step(made: Path, device: str, quick: bool) -> None:
        _, said = ran(HERE / script, "--device", device, *(() if quick else options), folder=HERE)
        print(f"\n`{script} {' '.join(options)}`: {said}", flush=True)

    return step


STEPS: dict[str, Callable[[Path, str, bool], None]] = {
    "map": speed("map_inner.py", "--sizes", "64,128,256", "--repeats", "9"),
    "same": same,
    "study": study,
    "memory": memory,
    "epoch": speed("epoch_time.py", "--frames", "500", "--sizes", "64,128,256", "--batches", "96"),
    "large": speed("epoch_time.py", "--frames", "16384", "--sizes", "128", "--batches", "64,512"),
}


def _jobs(made: Path) -> list[tuple[str, Path]]:
    of_study, layout = opened(made)
    return [(case.name, layout.dataset(case)) for case in of_study.cases()]


def _digest(folder: Path) -> str:
    path = folder / RECONSTRUCTION
    if not path.exists():
        return f"none in {folder}"
    with np.load(path) as found:
        parts = [found[name].tobytes() for name in ("object", "probe", "positions_px", "loss")]
    return hashlib.sha256(b"".join(parts)).hexdigest()


def _error(source: Path, folder: Path) -> str:
    if not (folder / RECONSTRUCTION).exists():
        return "failed"
    return f"{score(source, folder, ScoreSpec())['metrics']['complex_nrmse']:.4f}"


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--only", choices=STEPS, action="append")
    parser.add_argument("--quick", action="store_true", help="a few of each, to try the script")
    options = parser.parse_args(arguments)
    print(machine("cpu" if options.device == "cpu" else "cuda:0"), flush=True)
    with tempfile.TemporaryDirectory() as name:
        made = sets(Path(name, "sets"))
        for key in options.only or STEPS:
            began = time.perf_counter()
            try:
                STEPS[key](made, options.device, options.quick)
            except Exception as error:  # the machine is lent for minutes: the other steps go on
                print(f"\n**{key} failed**: {error}", flush=True)
            print(f"\n({key}: {time.perf_counter() - began:.0f} s)", flush=True)


if __name__ == "__main__":
    sys.exit(main())
