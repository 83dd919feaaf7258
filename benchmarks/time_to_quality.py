"""Error against time: the old scripts' settings and the study's default, epoch by epoch.

    python benchmarks/time_to_quality.py [--views baseline] [--splits train,test] [--every 2]
        [--base-npz PATH | --seed N] [--figure PATH.svg] [--device cpu]

Each runs in a process of its own, one after the other. Seconds are CPU time (wall time on a GPU),
and scoring is not in them. ``--seed`` is another built-in base. Prints Markdown: how long each took
to the old settings' 100-epoch error.
"""

from __future__ import annotations

import argparse
import math
import multiprocessing
import tempfile
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

from common import OLD, doit, error_of, machine, objects_of, project

from fly64tasks.data.readers.npz import read_dataset
from fly64tasks.study.cases import Case
from fly64tasks.study.paths import Layout
from fly64tasks.study.recon_settings import ReconSpec
from fly64tasks.study.study import Study

Curve = list[tuple[int, float, float]]


def curve_of(npz: Path, spec: ReconSpec, device: str, every: int) -> Curve:
    """Return (epoch, seconds, error) of a run."""
    dataset = read_dataset(npz)
    steps = objects_of(npz, spec, device, every)
    return [(epoch, seconds, error_of(dataset, obj)) for epoch, seconds, obj in steps]


def in_fresh_process(npz: Path, spec: ReconSpec, device: str, every: int) -> Curve:
    """Return the curve of a run that shares no memory or settings with another."""
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
        return pool.submit(curve_of, npz, spec, device, every).result()


def reached(curve: Curve, error: float) -> tuple[int, float]:
    """Return the epoch and seconds from which a curve is at or below an error; NaN if never."""
    return next(((n, s) for n, s, e in curve if e <= error), (0, math.nan))


def draw(path: Path, found: dict[Case, tuple[Curve, Curve]]) -> None:
    """Write a figure of every case's two curves."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(4 * min(len(found), 3), 3 * math.ceil(len(found) / 3)))
    axes = figure.subplots(math.ceil(len(found) / 3), min(len(found), 3), squeeze=False).flat
    for panel, (case, pair) in zip(axes, found.items(), strict=False):
        for curve, label in zip(pair, ("old settings", "default"), strict=True):
            panel.plot([s for _, s, _ in curve], [e for _, _, e in curve], label=label)
        panel.set(title=case.name, xlabel="seconds", ylabel="complex NRMSE", ylim=(0, None))
    figure.axes[0].legend()
    figure.tight_layout()
    figure.savefig(path)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--views", default="baseline")
    parser.add_argument("--splits", default="train,test")
    parser.add_argument("--every", type=int, default=2, help="epochs between scores")
    parser.add_argument("--base-npz", type=Path)
    parser.add_argument("--seed", type=int, help="of the built-in base")
    parser.add_argument("--figure", type=Path)
    parser.add_argument("--device", default="cpu")
    options = parser.parse_args()
    study, found = Study(), {}
    print(f"{machine(options.device)}\n")
    print("| job | old: error | s | default: epochs to it | s | ratio | default: error | s |")
    print("|---" + "|---:" * 7 + "|", flush=True)
    with tempfile.TemporaryDirectory() as name:
        folder = project(Path(name, "sets"))
        if options.seed is not None:
            table = Path(folder, "study.toml")
            text = table.read_text("utf-8").replace("\nseed = 1\n", f"\nseed = {options.seed}\n")
            table.write_text(text, "utf-8")
        base = [f"base_npz={options.base_npz.resolve()}"] if options.base_npz else []
        doit(folder, "run", *base, "simulate", "views")
        layout = Layout.of(study, study_folder=folder, project=folder)
        for case in study.cases():
            if case.view not in options.views.split(",") or case.split not in options.splits:
                continue
            old, ours = found[case] = tuple(
                in_fresh_process(layout.dataset(case), spec, options.device, options.every)
                for spec in (OLD, study.recon)
            )
            (_, old_s, target), (_, our_s, final) = old[-1], ours[-1]
            epoch, seconds = reached(ours, target)
            print(
                f"| {case.name} | {target:.4f} | {old_s:.1f} | {epoch or 'not reached'} | "
                f"{seconds:.1f} | {old_s / seconds:.1f} | {final:.4f} | {our_s:.1f} |",
                flush=True,
            )
    if options.figure:
        draw(options.figure, found)


if __name__ == "__main__":
    main()
