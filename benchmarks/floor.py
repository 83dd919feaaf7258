"""The floor of each job of a finished study, and how far above it the study's reconstruction is.

    python benchmarks/floor.py [PROJECT] [--jobs 'dose_1000_*,*_train'] [--csv PATH]

The floor is the lower of two errors, both of an optimum that L-BFGS reaches *from the truth* with
the true probe held: that of MAP's own smoothness, and that of total variation, sum |grad o| (Huber:
squared below a gradient of `EDGE`) in nats, at the weight of `WEIGHTS` that is best with the truth
in view. It is an achieved number and no proven bound: a prior that knows more about the object goes
lower. The truth is used here and nowhere else. *flat* is the error of an object of ones, aligned in
the same way in the same region. Errors are complex NRMSE. Prints Markdown.
"""

from __future__ import annotations

import argparse
import csv
import dataclasses
from pathlib import Path

import numpy as np
import torch
from common import cases_of, error_of, machine, opened
from numpy.typing import NDArray
from torch import Tensor

from fly64tasks.data.dataset import PtychoDataset
from fly64tasks.data.readers.npz import read_dataset
from fly64tasks.recon.files import RECONSTRUCTION
from fly64tasks.recon.ptychi import fourier_shift, memory
from fly64tasks.recon.ptychi.options import ptychi_options
from fly64tasks.recon.ptychi.posterior import Posterior
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
WEIGHTS = (2.0, 5.0, 10.0)
"""Of total variation, in nats."""
EDGE = 0.02
"""The gradient, per pixel of an object of about 1, from which total variation grows linearly."""


class TotalVariation(Posterior):
    """The counts' nats and ``weight`` sum h(|grad o|), h(m) = m^2 / (2 EDGE) or m - EDGE / 2.

    Its metric is that of the squares, at the weight that they have at twice `EDGE`.
    """

    def __init__(self, counts: Posterior, probe: Tensor, weight: float) -> None:
        squares = weight / (4 * EDGE)
        settings = {"prior": squares, "probe_trust": None, "low_frequency": SPEC.low_frequency}
        super().__init__(counts._likelihood, probe, **settings)
        self._weight = weight

    def __call__(self, vector: Tensor) -> tuple[float, Tensor]:
        """Return the objective and its gradient."""
        obj, probe = self.split(vector)
        nats, gradient, _ = self._likelihood(obj, probe)
        variation, rough = total_variation(obj)
        gradient += self._weight * rough
        return nats + self._weight * variation, self.join(gradient, probe).mul_(2)


def total_variation(obj: Tensor) -> tuple[float, Tensor]:
    """Return sum h(|grad o|) by forward differences, edges free, and its gradient in o*."""
    down, right = torch.zeros_like(obj), torch.zeros_like(obj)
    down[:-1], right[:, :-1] = obj[1:] - obj[:-1], obj[:, 1:] - obj[:, :-1]
    size = torch.sqrt((down * down.conj() + right * right.conj()).real)
    huber = torch.where(size < EDGE, size**2 / (2 * EDGE), size - EDGE / 2)
    down, right = (part / (2 * size.clamp(min=EDGE)) for part in (down, right))
    gradient = -down - right
    gradient[1:] += down[:-1]
    gradient[:, 1:] += right[:, :-1]
    return float(huber.sum(dtype=torch.float64)), gradient


def optimum(dataset: PtychoDataset, weight: float | None = None) -> NDArray[np.complexfloating]:
    """Return the object that L-BFGS reaches from the truth with the true probe held.

    Parameters
    ----------
    weight : float, optional
        Of total variation; MAP's own smoothness unless given.
    """
    spec = SPEC.resolved()
    start = start_of(dataset, spec, "set")
    probe = dataset.probe_guess * np.float32(np.sqrt(start.scale.intensity))
    start = dataclasses.replace(start, probe=probe)
    options = ptychi_options(start, spec, "cpu")
    task = new_task(options, start, start.obj, start.scale.to_ptychi(probe))
    with fourier_shift.installed(), task:
        if weight is not None:
            counts, held = task.reconstructor.posterior, task.get_data("probe")[0].detach()
            task.reconstructor.posterior = TotalVariation(counts, held, weight)
        for epoch in range(spec.most_epochs):
            if has_converged(task):
                break
            run_epoch(task, epoch)
        return arrays_of(task)[0]


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
    weights = [f"{weight:g}" for weight in WEIGHTS]
    print(f"{machine()}\n")
    print("| job | flat | MAP's prior |", *(f"TV {w} |" for w in weights), end="")
    print(" floor | error | error / floor |\n|---" + "|---:" * (len(weights) + 5) + "|", flush=True)
    rows, ratios = [], []
    for case in cases_of(study, options.jobs):
        dataset = read_dataset(layout.dataset(case))
        flat = flat_error(dataset)
        found = [error_of(dataset, optimum(dataset, weight)) for weight in (None, *WEIGHTS)]
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
