"""Beams and scans that are not as the set says: the table of docs/settings.md.

    python benchmarks/disturbed.py [--algorithm LSQML] [--only modes] [--dose 1e5]
    python benchmarks/disturbed.py --only none --only positions --dose 1e5 --spacing-px 19.2

The built-in base with one fault of measured data each, reconstructed without and with what is made
for it: object error (complex NRMSE against the truth) and chi2. Prints Markdown.
"""

from __future__ import annotations

import argparse
import logging
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from common import machine
from numpy.typing import NDArray

from fly64tasks.data.dataset import PtychoDataset
from fly64tasks.data.readers import read_dataset
from fly64tasks.data.writers.npz import write_dataset
from fly64tasks.physics.image_quality import complex_nrmse
from fly64tasks.physics.multislice import transfer_function
from fly64tasks.physics.thinning import thin
from fly64tasks.recon.command import run
from fly64tasks.recon.files import RECONSTRUCTION
from fly64tasks.recon.result import read_reconstruction
from fly64tasks.score.record import assess
from fly64tasks.simulation.simulate import make_base, simulate, simulate_amplitude
from fly64tasks.study.recon_settings import ReconSpec
from fly64tasks.study.stages import BaseSpec, Geometry, ScoreSpec, SimulationSpec

logger = logging.getLogger(__name__)

POSITION_ERROR_PX = 2.0
"""Root mean square of the distance between where a frame was and where the set says."""
SOURCE_PX = 0.7
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


def misplaced(dataset: PtychoDataset, rng: np.random.Generator, *, off_px: float) -> PtychoDataset:
    """Return a set whose positions are off."""
    off = rng.normal(scale=off_px / np.sqrt(2), size=dataset.positions_px.shape)
    height, width = dataset.object_guess.shape
    half = dataset.frame_size_px // 2 + 2
    inside = np.clip(dataset.positions_px + off, half, np.array([height, width]) - half)
    return replace(dataset, positions_px=inside)


def beam_of_source(dataset: PtychoDataset, px: float) -> NDArray[np.complex128]:
    """Return the modes, (modes, N, N), of the set's beam where its source has a size."""
    probe = dataset.probe_guess[0].astype(complex)
    y, x = np.indices(probe.shape) - probe.shape[0] // 2
    directions = np.arange(-2, 3)
    tilts = [(i, j) for i in directions for j in directions]
    weights = np.array([np.exp(-(i**2 + j**2) / 2) for i, j in tilts])
    turn = 2j * np.pi * px / len(probe)
    tilted = np.stack([probe * np.exp(turn * (i * y + j * x)) for i, j in tilts])
    beam = tilted * np.sqrt(weights / weights.sum())[:, None, None]
    _, values, modes = np.linalg.svd(beam.reshape(len(beam), -1), full_matrices=False)
    kept = values**2 > 1e-4 * (values**2).sum()
    beam: NDArray[np.complex128] = (values[kept, None] * modes[kept]).reshape(-1, *probe.shape)
    share = values[:3] ** 2 / (values**2).sum()
    logger.warning("shares of its first modes: %s", ", ".join(f"{s:.2f}" for s in share))
    return beam


def partly_coherent(
    dataset: PtychoDataset, rng: np.random.Generator, *, px: float
) -> PtychoDataset:
    """Return a set of such a beam; its probe says one mode."""
    beam = beam_of_source(dataset, px)
    obj = dataset.object_guess.astype(complex)
    amplitude = simulate_amplitude(beam, obj, dataset.positions_px, rng)
    return replace(dataset, diffraction_amplitude=amplitude)


def all_modes(dataset: PtychoDataset, rng: np.random.Generator, *, px: float) -> PtychoDataset:
    """Return the same set with all modes of its beam: as good as it can be had."""
    modes = beam_of_source(dataset, px).astype(np.complex64)
    return replace(partly_coherent(dataset, rng, px=px), probe_guess=modes)


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


def faults_of(off_px: float = POSITION_ERROR_PX, source_px: float = SOURCE_PX) -> dict[str, Fault]:
    """Return the faults by name, in the order of the table."""
    moved, coherent = partial(misplaced, off_px=off_px), partial(partly_coherent, px=source_px)
    return {
        "none": Fault("nothing", lambda dataset, rng: dataset, {"correct_positions": True}),
        "positions": Fault(f"positions {off_px:g} px off", moved, {"correct_positions": True}),
        "modes": Fault(f"a source of {source_px:g} px", coherent, {"probe_modes": 5}),
        "all modes": Fault("the same, its modes in the set", partial(all_modes, px=source_px), {}),
        "mask": Fault("a hot block of 4 x 4 px", hot, {}, without_block),
        "drift": Fault("a drifting focus", drifting, RELAXED),
        "stop": Fault("a beam stop", stopped, {}, without_stop),
    }


def outcome(
    dataset: PtychoDataset, spec: ReconSpec, folder: Path, true_positions_px: NDArray[np.float64]
) -> str:
    """Reconstruct a set as the runner does; return its object's error and chi2.

    And where positions were corrected, by how much they are off on average (rms, px).
    """
    write_dataset(folder / "set.npz", dataset)
    record = run(folder / "set.npz", folder / "out", spec, device="cpu")
    found = read_reconstruction(folder / "out" / RECONSTRUCTION)
    comparison = assess(found, read_dataset(folder / "set.npz"), ScoreSpec())[1]
    error = complex_nrmse(comparison.aligned.obj, comparison.truth, comparison.region)
    said = f"{error:.3f}, {record['fit']['chi2']:.2f}"
    if spec.correct_positions:
        off = [p - true_positions_px for p in (found.given_positions_px, found.positions_px)]
        before, after = (np.sqrt(np.square(d - d.mean(axis=0)).sum(axis=1).mean()) for d in off)
        said += f", {before:.2f} -> {after:.2f} px"
    return said


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--algorithm", default="MAP")
    parser.add_argument("--only", choices=faults_of(), action="append")
    parser.add_argument("--dose", type=float, default=1e4)
    parser.add_argument("--base-seed", type=int, default=BaseSpec().seed)
    parser.add_argument("--spacing-px", type=float, default=0.0, help="of a view: 19.2 is dense")
    parser.add_argument("--off-px", type=float, default=POSITION_ERROR_PX)
    parser.add_argument("--source-px", type=float, default=SOURCE_PX)
    options = parser.parse_args()
    faults = faults_of(options.off_px, options.source_px)
    print(f"{machine()}; {options.algorithm}, {options.dose:g} photons a frame\n")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        make_base(folder / "base.npz", spec=BaseSpec(seed=options.base_seed), geometry=Geometry())
        targets = {split: folder / f"{split}.npz" for split in ("train", "test")}
        simulate(
            folder / "base.npz",
            targets,
            dose=options.dose,
            spec=SimulationSpec(),
            geometry=Geometry(),
        )
        dataset = read_dataset(targets["train"])
        dataset = dataset.select(thin(dataset.positions_px, options.spacing_px).kept)
        print("| fault | as it is | made for it |\n|---|---|---|")
        for key in options.only or faults:
            fault = faults[key]
            spoilt = fault.spoil(dataset, np.random.default_rng(0))
            plain = ReconSpec(algorithm=options.algorithm)
            place = dataset.positions_px
            cells = [outcome(spoilt, plain, folder, place)]
            if key != "all modes":
                given = {"algorithm": options.algorithm, **fault.settings}
                if fault.settings.get("opr_modes"):  # what the other settings alone bring
                    alone = ReconSpec(**{**given, "opr_modes": 0})
                    without = outcome(spoilt, alone, folder, place)
                    cells[0] += f"; {given['algorithm']}: {without}"
                spec = ReconSpec(**given)
                cells.append(outcome(fault.mend(spoilt), spec, folder, place))
            print(f"| {fault.words} | {' | '.join([*cells, ''][:2])} |", flush=True)


if __name__ == "__main__":
    main()
