"""The floor of each job of a finished study, and how far above it the study's reconstruction is.

    python benchmarks/floor.py [PROJECT] [--jobs 'dose_1000_*,*_train'] [--csv PATH]

The floor is the lowest of the errors of optima that L-BFGS reaches *from the truth* with the true
probe held, of several priors: MAP's own, the plain squares sum |grad o|^2, and total variation, sum
|grad o| (squared below a gradient of `EDGE`), at the weight of `WEIGHTS` in nats that is best with
the truth in view. It is an achieved number and no proven bound: a prior that knows more about the
object goes lower. The truth is used here and nowhere else. *flat* is the error of an object of
ones, aligned in the same way in the same region. Errors are complex NRMSE. Prints Markdown.
"""

from __future__ import annotations

import argparse
import csv
import dataclasses
from pathlib import Path

import msgspec
import numpy as np
import torch
from common import cases_of, error_of, machine, opened
from numpy.typing import NDArray

from fly64tasks.data.dataset import PtychoDataset
from fly64tasks.data.readers.npz import read_dataset
from fly64tasks.recon.files import RECONSTRUCTION
from fly64tasks.recon.ptychi import fourier_shift, memory
from fly64tasks.recon.ptychi.options import ptychi_options
from fly64tasks.recon.ptychi.task import arrays_of, has_converged, new_task, run_epoch
from fly64tasks.recon.start import start_of
from fly64tasks.study.recon_settings import ReconSpec

SPEC = ReconSpec(
    algorithm="MAP",
    num_epochs=1000,
    object_init="guess",
    update_probe=False,
    tolerance_nats=1e-4,
)
"""MAP from the truth, with the probe held, and a fiftieth of the study's tolerance."""
SQUARES = 25.0
"""Weight of the plain squares, in nats: what suited them best at every dose."""
WEIGHTS = (2.0, 5.0, 10.0)
"""Of total variation, in nats."""
EDGE = 0.02
"""The gradient, per pixel of an object of about 1, from which total variation grows linearly."""
PRIORS = {
    "MAP's prior": {},
    "squares": {"prior": SQUARES, "edge": 1e3},
    **{f"TV {weight:g}": {"prior": weight / (2 * EDGE), "edge": EDGE} for weight in WEIGHTS},
}
"""The settings of MAP that each column of the table changes."""


def optimum(dataset: PtychoDataset, prior: dict[str, float]) -> NDArray[np.complexfloating]:
    """Return the object that L-BFGS reaches from the truth with the true probe held.

    Parameters
    ----------
    prior : dict
        A value of `PRIORS`.
    """
    spec = msgspec.structs.replace(SPEC, **prior).resolved()
    start = start_of(dataset, spec, "set")
    probe = dataset.probe_guess * np.float32(np.sqrt(start.scale.intensity))
    start = dataclasses.replace(start, probe=probe)
    options = ptychi_options(start, spec, "cpu")
    task = new_task(options, start, start.obj, start.scale.to_ptychi(probe))
    with fourier_shift.installed(), task:
        for epoch in range(spec.most_epochs):
            if has_converged(task):
                break
            run_epoch(task, epoch)
        return arrays_of(task)[0][0]


def flat_error(dataset: PtychoDataset) -> float:
    """Return the error of an object of ones."""
    return error_of(dataset, np.ones(dataset.object_guess.shape, complex))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("project", type=Path, nargs="?", default=Path())
    parser.add_argument("--jobs", default="*", help="patterns of their names, by commas")
    parser.add_argument("--csv", type=Path, help="write job, flat and floor there too")
    options = parser.parse_args()
    torch.set_num_threads(1)
    memory.keep_freed()
    study, layout = opened(options.project)
    print(f"{machine()}\n")
    print("| job | flat |", *(f"{name} |" for name in PRIORS), "floor | error | error / floor |")
    print("|---" + "|---:" * (len(PRIORS) + 4) + "|", flush=True)
    rows, ratios = [], []
    for case in cases_of(study, options.jobs):
        dataset = read_dataset(layout.dataset(case))
        flat = flat_error(dataset)
        found = [error_of(dataset, optimum(dataset, prior)) for prior in PRIORS.values()]
        with np.load(layout.recon_dir(case) / RECONSTRUCTION) as file:
            error = error_of(dataset, file["object"])
        floor = min(found)
        rows.append({"job": case.name, "flat": flat, "floor": floor})
        ratios.append(error / floor)
        cells = " | ".join(f"{value:.4f}" for value in (flat, *found, floor, error))
        print(f"| {case.name} | {cells} | {ratios[-1]:.2f} |", flush=True)
    print(f"\nError over floor: {min(ratios):.2f} to {max(ratios):.2f}.")
    if options.csv:
        with options.csv.open("w", newline="") as file:
            writer = csv.DictWriter(file, list(rows[0]))
            writer.writeheader()
            writer.writerows(rows)


if __name__ == "__main__":
    main()
