"""Error and CPU seconds of what could be the default of `[recon]`, on a finished study's sets.

    python benchmarks/defaults.py [PROJECT] [--jobs '*_train'] [--only NAME,NAME]
        [--total '*'] [--total-of former,MAP] [--floors PATH.csv]

The columns are the old scripts' settings (100 epochs of random batches of 96), the former default
(LSQML, 50 epochs in two stages), LSQML's warm-up of 8 or 24 epochs followed by MAP, and MAP alone;
the last is the floor, from what ``benchmarks/floor.py --csv`` wrote. A cell is the complex NRMSE
and, in brackets, the CPU seconds of the reconstruction, in one process and one thread (a process of
its own for the old settings, whose memory settings are theirs); imports are not in them. A job's
cells are measured one right after the other. ``--total-of`` names the columns that run on all jobs
of ``--total``, the others only on those of ``--jobs``. Prints Markdown.
"""

from __future__ import annotations

import argparse
import csv
import multiprocessing
import time
from collections import defaultdict
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import msgspec
import numpy as np
from common import OLD, cases_of, error_of, machine, objects_of, opened

from fly64tasks.data.readers.npz import read_dataset
from fly64tasks.errors import ReconstructionError
from fly64tasks.recon.ptychi import device, memory
from fly64tasks.recon.stages import reconstruct
from fly64tasks.recon.start import start_of
from fly64tasks.study.recon_settings import ReconSpec

CANDIDATES = {
    "old": OLD,
    "former": ReconSpec(algorithm="LSQML"),
    "warm-up 8": ReconSpec(algorithm="LSQML", refine="MAP", warmup_epochs=8),
    "warm-up 24": ReconSpec(algorithm="LSQML", refine="MAP", warmup_epochs=24),
    "MAP": ReconSpec(algorithm="MAP"),
}


def measured(npz: Path, spec: ReconSpec) -> tuple[float | str, float]:
    """Return error, or why there is none, and CPU seconds of a reconstruction."""
    dataset = read_dataset(npz)
    if spec == OLD:
        *_, (_, seconds, obj) = objects_of(npz, OLD, "cpu", every=OLD.most_epochs)
        return error_of(dataset, obj), seconds
    began = time.process_time()
    try:
        obj = reconstruct(start_of(dataset, spec, "set"), spec).obj
    except ReconstructionError as failure:
        return str(failure).partition(":")[0].partition(";")[0], time.process_time() - began
    return error_of(dataset, obj), time.process_time() - began


def ready(npz: Path, spec: ReconSpec) -> None:
    """Run an epoch, so that what a process does once is in no time."""
    if spec != OLD:
        device.prepare("cpu")
        memory.keep_freed()
        reconstruct(start_of(read_dataset(npz), spec, "set"), spec)
        return
    next(objects_of(npz, spec, "cpu"))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("project", type=Path, nargs="?", default=Path())
    parser.add_argument("--jobs", default="*", help="patterns of their names, by commas")
    parser.add_argument("--only", default=",".join(CANDIDATES), help="columns")
    parser.add_argument("--total", default="", help="jobs of the columns of --total-of")
    parser.add_argument("--total-of", default="former,MAP")
    parser.add_argument("--floors", type=Path)
    options = parser.parse_args()
    study, layout = opened(options.project)
    chosen = {name: CANDIDATES[name] for name in options.only.split(",")}
    few = cases_of(study, options.jobs)
    cases = [c for c in study.cases() if c in few or c in cases_of(study, options.total)]
    floors: dict[str, str] = {}
    if options.floors:
        with options.floors.open(newline="") as file:
            floors = {row["job"]: f"{float(row['floor']):.3f}" for row in csv.DictReader(file)}
    print(f"{machine()}\n")
    print("| job |", " | ".join(chosen), "| floor |\n|---" + "|---:" * (len(chosen) + 1) + "|")
    spent: defaultdict[tuple[str, bool], float] = defaultdict(float)
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, spawn) as ours, ProcessPoolExecutor(1, spawn) as theirs:
        small = min((layout.dataset(case) for case in cases), key=lambda path: path.stat().st_size)
        one = msgspec.structs.replace(CANDIDATES["MAP"], num_epochs=1)
        ours.submit(ready, small, one).result()
        if "old" in chosen:
            theirs.submit(ready, small, OLD).result()
        for case in cases:
            cells = []
            for name, spec in chosen.items():
                if case not in few and name not in options.total_of.split(","):
                    cells.append("")
                    continue
                pool = theirs if spec == OLD else ours
                error, seconds = pool.submit(measured, layout.dataset(case), spec).result()
                spent[name, case in few] += seconds
                said = error if isinstance(error, str) else f"{error:.3f}"
                cells.append(f"{said} ({seconds:.1f})")
            print(
                f"| {case.name} |",
                " | ".join(cells),
                f"| {floors.get(case.name, '')} |",
                flush=True,
            )
    print("\n| CPU s |", " | ".join(chosen), "|\n|---" + "|---:" * len(chosen) + "|")
    totals = {name: np.array([spent[name, True], spent[name, False]]) for name in chosen}
    print(f"| {len(few)} jobs |", " | ".join(f"{totals[n][0]:.0f}" for n in chosen), "|")
    if len(cases) > len(few):
        all_ran = options.total_of.split(",")
        cells = [f"{totals[n].sum():.0f}" if n in all_ran else "" for n in chosen]
        print(f"| all {len(cases)} jobs |", " | ".join(cells), "|")


if __name__ == "__main__":
    main()
