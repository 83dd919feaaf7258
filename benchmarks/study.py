"""The default study: `doit` now, `doit` of another version, and the old scripts, side by side.

    python benchmarks/study.py [--before PYTHON] [--jobs 2] [--quick] [--without-old]
        [--study FILE] [--device cpu]

*now* is the real `doit` command in a fresh project folder, from the simulation to the report, one
task after another; *-j N* the same with workers. *before* is the same command of the environment
whose python ``--before`` names, with its own dodo.py and study:

    git worktree add /tmp/before COMMIT && python -m venv /tmp/before-env
    /tmp/before-env/bin/pip install -e /tmp/before

*old scripts* is one fresh process for each reconstruction alone, with the old settings (100 epochs,
random batches of 96, from ones), of the same NPZs, which are made first and are in no time of
theirs; half of them run before the others and half after. ``--quick`` takes the dose of 1e4 alone,
6 jobs; ``--study`` has *now* run another study of the same sets. On two cores with nothing else
running all of it takes some 10 minutes, without the old scripts 4. Prints Markdown.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
from common import PROJECT, doit, error_of, machine, project, timed

from fly64tasks.data.readers.npz import read_dataset
from fly64tasks.recon.files import RECONSTRUCTION
from fly64tasks.study.paths import Layout
from fly64tasks.study.study import Study

Times = tuple[float, float]
WHERE = "import fly64tasks, pathlib; print(pathlib.Path(fly64tasks.__file__).parent.parent)"
LARGEST_SHARE = 0.7
"""Of the old error, that ours is to have at most."""


def doit_of(python: str, folder: Path, arguments: list[str]) -> Times:
    """Run doit of another environment in a project folder of its version."""
    # Ours may be where PYTHONPATH points.
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    ended = subprocess.run(
        [python, "-c", WHERE], env=environment, stdout=subprocess.PIPE, text=True
    )
    ended.check_returncode()
    project(folder, Path(ended.stdout.strip()))
    return timed([python, "-m", "doit", *arguments], folder, environment)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--before", metavar="PYTHON", help="of an environment with another version")
    parser.add_argument("--jobs", type=int, default=2, help="passed to doit as -j; 0 for none")
    parser.add_argument("--quick", action="store_true", help="the dose of 1e4 alone")
    parser.add_argument("--without-old", action="store_true", help="leave the old scripts out")
    parser.add_argument("--study", type=Path, default=PROJECT / "study.toml", metavar="FILE")
    parser.add_argument("--device", default="cpu")
    options = parser.parse_args()
    study = Study()
    cases = [case for case in study.cases() if not options.quick or case.dose == 1e4]
    run = ["run", *(["--dose", "1e4"] if options.quick else []), f"device={options.device}"]
    runs: dict[str, Times] = {}

    def done(said: str, took: Times) -> None:
        runs[said] = took
        print(f"{said}: wall {took[0]:.1f} s, CPU {took[1]:.1f} s", file=sys.stderr)

    print(f"{machine(options.device)}; load {os.getloadavg()[0]:.1f}\n", flush=True)
    with tempfile.TemporaryDirectory() as name:
        sets, ours = project(Path(name, "sets")), Path(name, "now")
        doit(sets, "simulate", "views")
        layout = Layout.of(study, study_folder=sets, project=sets)
        results = Layout.of(study, study_folder=ours, project=ours)

        def old(case) -> Times:
            command = [sys.executable, str(PROJECT / "benchmarks" / "old_settings.py")]
            files = [str(layout.dataset(case)), str(Path(name, f"{case.name}.npz"))]
            return timed([*command, *files, "--device", options.device])

        half = 0 if options.without_old else len(cases) // 2
        theirs = [old(case) for case in cases[:half]]
        if options.before:
            done("before", doit_of(options.before, Path(name, "before"), run))
        for folder in (ours, Path(name, "parallel")):
            shutil.copy(options.study, project(folder) / "study.toml")
        done("now", doit(ours, *run))
        if options.jobs:
            jobs = ["run", "-j", str(options.jobs), *run[1:]]
            done(f"now, -j {options.jobs}", doit(Path(name, "parallel"), *jobs))
        if not options.without_old:
            theirs += [old(case) for case in cases[half:]]
            wall, cpu = (sum(column) for column in zip(*theirs, strict=True))
            done("old scripts, reconstructions alone", (wall, cpu))
            print("| job | old error | our error | of it |\n|---|---:|---:|---:|")
            shares = []
            for case in cases:
                dataset = read_dataset(layout.dataset(case))
                if layout.dataset(case).read_bytes() != results.dataset(case).read_bytes():
                    raise SystemExit(f"{case.name}: the sets are not the same")
                with np.load(Path(name, f"{case.name}.npz")) as file:
                    was = error_of(dataset, file["object"])
                with np.load(results.recon_dir(case) / RECONSTRUCTION) as file:
                    now = error_of(dataset, file["object"])
                shares.append(now / was)
                print(f"| {case.name} | {was:.4f} | {now:.4f} | {shares[-1]:.2f} |")
            good = sum(share <= LARGEST_SHARE for share in shares)
            print(f"\n{good} of {len(cases)} have at most {LARGEST_SHARE} of the old error.")
    print("\n| | wall s | CPU s | now / it, wall | now / it, CPU |\n|---|---:|---:|---:|---:|")
    for said, (wall, cpu) in runs.items():
        by_wall, by_cpu = runs["now"][0] / wall, runs["now"][1] / cpu
        print(f"| {said} | {wall:.1f} | {cpu:.1f} | {by_wall:.2f} | {by_cpu:.2f} |")


if __name__ == "__main__":
    main()
