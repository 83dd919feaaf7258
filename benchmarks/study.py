"""The study's reconstructions: `doit` with the defaults, and the old scripts' way, side by side.

    python benchmarks/study.py [--quick] [--jobs N] [--device cpu]

Ours is the real `doit` command on a project folder of its own; theirs is one fresh process per job
with the old settings (100 epochs, random batches of 96, from ones). Both read the same NPZs, which
are made first and are in no time. The old jobs are run half before ours and half after.
``--quick`` takes the dose of 1e4 alone, 6 jobs; ``--jobs N`` is passed to doit as ``-j N``.
Prints Markdown.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

import numpy as np
from common import PROJECT, doit, error_of, machine, project, timed

from fly64tasks.data.readers.npz import read_dataset
from fly64tasks.recon.files import RECONSTRUCTION
from fly64tasks.study.paths import Layout
from fly64tasks.study.study import Study

Times = list[tuple[float, float]]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="the dose of 1e4 alone")
    parser.add_argument("--jobs", type=int, help="passed to doit as -j")
    parser.add_argument("--device", default="cpu")
    options = parser.parse_args()
    study = Study()
    cases = [case for case in study.cases() if not options.quick or case.dose == 1e4]
    with tempfile.TemporaryDirectory() as name:
        sets = project(Path(name, "sets"))
        doit(sets, "simulate", "views")
        ours = project(Path(name, "ours"))
        layout = Layout.of(study, study_folder=sets, project=sets)
        results = Layout.of(study, study_folder=ours, project=ours)

        def old(case) -> tuple[float, float]:
            command = [sys.executable, str(PROJECT / "benchmarks" / "old_settings.py")]
            files = [str(layout.dataset(case)), str(Path(name, f"{case.name}.npz"))]
            return timed([*command, *files, "--device", options.device])

        half = len(cases) // 2
        theirs: Times = [old(case) for case in cases[:half]]
        data = sets / study.paths.data_root
        wall, cpu = doit(
            ours,
            "run",
            "recon",
            *(["--dose", "1e4"] if options.quick else []),
            *(["-j", str(options.jobs)] if options.jobs else []),
            f"phase_c_root={data / 'phase_c'}",
            f"phase_d_root={data / 'phase_d'}",
            f"device={options.device}",
        )
        theirs += [old(case) for case in cases[half:]]

        print(f"{machine(options.device)}\n")
        print("| job | old error | our error |\n|---|---:|---:|")
        no_worse = 0
        for case in cases:
            dataset = read_dataset(layout.dataset(case))
            with np.load(Path(name, f"{case.name}.npz")) as file:
                was = error_of(dataset, file["object"])
            with np.load(results.recon_dir(case) / RECONSTRUCTION) as file:
                now = error_of(dataset, file["object"])
            no_worse += now <= was
            print(f"| {case.name} | {was:.4f} | {now:.4f} |")
    old_wall, old_cpu = (sum(column) for column in zip(*theirs, strict=True))
    print("\n| | old, a process per job | ours, one `doit` | ratio |\n|---|---:|---:|---:|")
    print(f"| wall s | {old_wall:.0f} | {wall:.0f} | {old_wall / wall:.1f} |")
    print(f"| CPU s | {old_cpu:.0f} | {cpu:.0f} | {old_cpu / cpu:.1f} |")
    print(f"| jobs with an error no higher | | {no_worse} of {len(cases)} | |")


if __name__ == "__main__":
    main()
