"""Beams and scans that are not as the set says: the table of docs/settings.md.

    python benchmarks/disturbed.py [--algorithm LSQML] [--only modes] [--dose 1e5]

The built-in base with one fault of measured data each, reconstructed without and with what is made
for it: object error (complex NRMSE against the truth) and chi2. Prints Markdown.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from common import machine

from fly64tasks.data.dataset import PtychoDataset
from fly64tasks.data.readers import read_dataset
from fly64tasks.data.writers.npz import write_dataset
from fly64tasks.physics.image_quality import complex_nrmse
from fly64tasks.physics.multislice import transfer_function
from fly64tasks.recon.command import run
from fly64tasks.recon.files import RECONSTRUCTION
from fly64tasks.recon.result import read_reconstruction
from fly64tasks.score.command import assess
from fly64tasks.simulation.simulate import make_base, simulate, simulate_amplitude
from fly64tasks.study.recon_settings import ReconSpec
from fly64tasks.study.stages import BaseSpec, Geometry, ScoreSpec, SimulationSpec

POSITION_ERROR_PX = 2.0
"""Root mean square of the distance between where a frame was and where the set says."""
SOURCE_PX = 1.5
"""Standard deviation of the source, as the detector sees it: its far field is blurred by that."""
HOT_BLOCK = (slice(10, 14), slice(40, 44))
HOT_COUNTS = 200.0
FOCUS_DRIFT_M = 10e-6
"""How far the focus goes to either side, twice along the scan: the depth of focus is 18 um."""
STOP_RADIUS_PX, WIRE_PX = 7.0, 2
"""Of a beam stop before the middle of the detector, and of the wire that holds it."""


@dataclass(frozen=True)
class Fault:
    """A fault of measured data, and the settings or the set that are made for it."""

    words: str
    spoil: Callable[[PtychoDataset, np.random.Generator], PtychoDataset]
    settings: dict[str, Any]
    mend: Callable[[PtychoDataset], PtychoDataset] = lambda dataset: dataset


def misplaced(dataset: PtychoDataset, rng: np.random.Generator) -> PtychoDataset:
    """Return a set whose positions are off."""
    off = rng.normal(scale=POSITION_ERROR_PX / np.sqrt(2), size=dataset.positions_px.shape)
    height, width = dataset.object_guess.shape
    half = dataset.frame_size_px // 2 + 2
    inside = np.clip(dataset.positions_px + off, half, np.array([height, width]) - half)
    return replace(dataset, positions_px=inside)


def partly_coherent(dataset: PtychoDataset, rng: np.random.Generator) -> PtychoDataset:
    """Return a set of a beam from a source that has a size; its probe says one mode."""
    probe = dataset.probe_guess[0].astype(complex)
    y, x = np.indices(probe.shape) - probe.shape[0] // 2
    directions = np.arange(-2, 3)
    tilts = [(i, j) for i in directions for j in directions]
    weights = np.array([np.exp(-(i**2 + j**2) / 2) for i, j in tilts])
    turn = 2j * np.pi * SOURCE_PX / len(probe)
    tilted = np.stack([probe * np.exp(turn * (i * y + j * x)) for i, j in tilts])
    beam = tilted * np.sqrt(weights / weights.sum())[:, None, None]
    _, values, modes = np.linalg.svd(beam.reshape(len(beam), -1), full_matrices=False)
    kept = values**2 > 1e-4 * (values**2).sum()
    beam = (values[kept, None] * modes[kept]).reshape(-1, *probe.shape)
    share = values[:3] ** 2 / (values**2).sum()
    print(f"shares of its first modes: {', '.join(f'{s:.2f}' for s in share)}\n")
    obj = dataset.object_guess.astype(complex)
    amplitude = simulate_amplitude(beam, obj, dataset.positions_px, rng)
    return replace(dataset, diffraction_amplitude=amplitude)


def hot(dataset: PtychoDataset, rng: np.random.Generator) -> PtychoDataset:
    """Return a set with a block of the detector that counts what is not there."""
    amplitude = dataset.diffraction_amplitude.copy()
    counts = amplitude[:, *HOT_BLOCK] ** 2
    amplitude[:, *HOT_BLOCK] = np.sqrt(counts + rng.poisson(HOT_COUNTS, counts.shape))
    return replace(dataset, diffraction_amplitude=amplitude)


def drifting(dataset: PtychoDataset, rng: np.random.Generator) -> PtychoDataset:
    """Return a set of a beam whose focus drifts to and fro; its probe is that in the middle."""
    probe, obj = dataset.probe_guess.astype(complex), dataset.object_guess.astype(complex)
    phases = 4 * np.pi * np.linspace(0, 1, len(dataset.positions_px))
    beams = []
    for distance in FOCUS_DRIFT_M * np.sin(phases):
        transfer = transfer_function(probe.shape[-1], distance, Geometry())
        beams.append(np.fft.ifft2(np.fft.fft2(probe) * transfer))
    flat = np.stack(beams).reshape(len(beams), -1)
    values = np.linalg.svd(flat, compute_uv=False) ** 2
    share = values / values.sum()
    print(f"shares of its first modes: {', '.join(f'{s:.3f}' for s in share[:5])}\n")
    amplitude = np.concatenate(
        [
            simulate_amplitude(beam, obj, position[None], rng)
            for beam, position in zip(beams, dataset.positions_px, strict=True)
        ]
    )
    return replace(dataset, diffraction_amplitude=amplitude)


def without_block(dataset: PtychoDataset) -> PtychoDataset:
    """Return the set with the hot block masked."""
    mask = np.ones(dataset.diffraction_amplitude.shape[1:], bool)
    mask[HOT_BLOCK] = False
    return replace(dataset, mask=mask)


def unstopped(n: int) -> np.ndarray[tuple[int, ...], np.dtype[np.bool_]]:
    """Return the pixels, (N, N), that a beam stop and its wire leave free."""
    y, x = np.indices((n, n)) - n // 2
    return (np.hypot(y, x) > STOP_RADIUS_PX) & ~((np.abs(x) < WIRE_PX) & (y > 0))


def stopped(dataset: PtychoDataset, rng: np.random.Generator) -> PtychoDataset:
    """Return a set behind a beam stop."""
    amplitude = dataset.diffraction_amplitude
    free = unstopped(dataset.frame_size_px)
    seen = (amplitude[:, free] ** 2).sum() / (amplitude**2).sum()
    print(f"it stops {1 - seen:.0%} of the photons\n")
    return replace(dataset, diffraction_amplitude=np.where(free, amplitude, 0).astype(np.float32))


def without_stop(dataset: PtychoDataset) -> PtychoDataset:
    """Return the set with the beam stop masked."""
    return replace(dataset, mask=unstopped(dataset.frame_size_px))


RELAXED = {"algorithm": "LSQML", "opr_modes": 2, "warmup_epochs": 150, "num_epochs": 176}
"""OPR modes are found slowly: with the default's epochs they hold a tenth of what they should."""
FAULTS = {
    "none": Fault("nothing", lambda dataset, rng: dataset, {}),
    "positions": Fault("positions 2 px off", misplaced, {"correct_positions": True}),
    "modes": Fault("a partly coherent beam", partly_coherent, {"probe_modes": 5}),
    "mask": Fault("a hot block of 4 x 4 px", hot, {}, without_block),
    "drift": Fault("a drifting focus", drifting, RELAXED),
    "stop": Fault("a beam stop", stopped, {}, without_stop),
}


def outcome(dataset: PtychoDataset, spec: ReconSpec, folder: Path) -> str:
    """Reconstruct a set as the runner does; return its object's error and chi2."""
    write_dataset(folder / "set.npz", dataset)
    record = run(folder / "set.npz", folder / "out", spec, device="cpu")
    found = read_reconstruction(folder / "out" / RECONSTRUCTION)
    comparison = assess(found, read_dataset(folder / "set.npz"), ScoreSpec())[1]
    error = complex_nrmse(comparison.aligned.obj, comparison.truth, comparison.region)
    return f"{error:.3f}, {record['fit']['chi2']:.2f}"


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--algorithm", default="MAP")
    parser.add_argument("--only", choices=FAULTS, action="append")
    parser.add_argument("--dose", type=float, default=1e4)
    options = parser.parse_args()
    print(f"{machine()}; {options.algorithm}, {options.dose:g} photons a frame\n")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        make_base(folder / "base.npz", spec=BaseSpec(), geometry=Geometry())
        targets = {split: folder / f"{split}.npz" for split in ("train", "test")}
        simulate(
            folder / "base.npz",
            targets,
            dose=options.dose,
            spec=SimulationSpec(),
            geometry=Geometry(),
        )
        dataset = read_dataset(targets["train"])
        print("| fault | as it is | made for it |\n|---|---|---|")
        for key in options.only or FAULTS:
            fault = FAULTS[key]
            spoilt = fault.spoil(dataset, np.random.default_rng(0))
            plain = ReconSpec(algorithm=options.algorithm)
            cells = [outcome(spoilt, plain, folder)]
            if key != "none":
                given = {"algorithm": options.algorithm, **fault.settings}
                if fault.settings.get("opr_modes"):  # what the other settings alone bring
                    without = outcome(spoilt, ReconSpec(**{**given, "opr_modes": 0}), folder)
                    cells[0] += f"; {given['algorithm']}: {without}"
                if key == "positions" and options.algorithm == "MAP":  # which holds them
                    given |= {"algorithm": "LSQML", "refine": "MAP"}
                spec = ReconSpec(**given)
                cells.append(outcome(fault.mend(spoilt), spec, folder))
            print(f"| {fault.words} | {' | '.join([*cells, ''][:2])} |", flush=True)


if __name__ == "__main__":
    main()
