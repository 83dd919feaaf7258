"""chi2 of right and of wrong answers: the tables of docs/scores.md.

    python benchmarks/fit.py spoilt [--algorithm MAP]
    python benchmarks/fit.py study [--algorithm MAP] [--views baseline,dense,sparse]

`spoilt` reconstructs sets of 32 px frames at each dose, as they are and spoilt in one way each;
`study` the default study's train sets. A cell is chi2 (largest of a frame, of a pixel) of a
reconstruction with the algorithm's own defaults, or why there is none. Prints Markdown.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
from settings import train_set

from fly64tasks import make_set
from fly64tasks.data.dataset import PtychoDataset
from fly64tasks.errors import ReconstructionError
from fly64tasks.physics import optics
from fly64tasks.physics.fit import fit_to_counts
from fly64tasks.physics.scan import raster_positions
from fly64tasks.recon.fit import predicted_amplitude
from fly64tasks.recon.stages import reconstruct
from fly64tasks.recon.start import start_of
from fly64tasks.simulation.simulate import simulate_amplitude
from fly64tasks.study.recon_settings import ReconSpec
from fly64tasks.study.stages import BaseSpec, Geometry
from fly64tasks.study.study import Study

BASE = BaseSpec(
    probe_size_px=32, object_size_px=112, scan_step_px=5.0, scan_jitter_px=0.8, defocus_m=18e-6
)
DOSES = (1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8)
SIZE_PX = BASE.object_size_px

Array = np.ndarray


def small_set(dose: float) -> PtychoDataset:
    """Return a set of 256 frames of 32 px: a mean pixel has a thousandth of the dose."""
    probe = optics.zone_plate_probe(BASE, Geometry())[None] * np.sqrt(dose)
    obj, positions = optics.synthetic_object(BASE), raster_positions(BASE)
    rng = np.random.default_rng(0)
    return make_set(
        diffraction_amplitude=simulate_amplitude(probe, obj, positions, rng),
        obj=obj,
        probe=probe,
        positions_px=positions,
        simulated=True,
    )


def other_defocus(probe: Array) -> Array:
    """Return the probe, (modes, N, N), as far on the other side of its focus."""
    return np.roll(probe.conj()[:, ::-1, ::-1], 1, axis=(1, 2))


def jittered(positions: Array) -> Array:
    """Return positions, (n, 2), 1 px rms off on each axis, inside the object."""
    off = positions + np.random.default_rng(1).normal(0, 1, positions.shape)
    half = BASE.probe_size_px // 2
    return np.clip(off, half, SIZE_PX - half)


def some_from_elsewhere(amplitude: Array) -> Array:
    """Return frames, (n, N, N), of which every tenth is that of another position."""
    tenth = np.arange(len(amplitude))[:, None, None] % 10 == 0
    return np.where(tenth, amplitude[::-1], amplitude)


def hot(amplitude: Array) -> Array:
    """Return frames, (n, N, N), with a pixel that has a tenth of the mean frame, always."""
    spoilt = amplitude.copy()
    spoilt[:, 4, 4] = np.round(0.1 * (amplitude**2).sum(axis=(1, 2)).mean()) ** 0.5
    return spoilt


POSITIONS: dict[str, Callable[[Array], Array]] = {
    "y flipped": lambda p: np.column_stack([SIZE_PX - p[:, 0], p[:, 1]]),
    "x and y swapped": lambda p: p[:, ::-1].copy(),
    "positions 0.7 x as far apart": lambda p: (p - SIZE_PX / 2) * 0.7 + SIZE_PX / 2,
    "positions 1 px rms off": jittered,
}
FRAMES: dict[str, Callable[[Array], Array]] = {
    "detector transposed": lambda a: a.transpose(0, 2, 1).copy(),
    "zero frequency in a corner": lambda a: np.fft.ifftshift(a, axes=(1, 2)),
    "zero frequency 2 px off": lambda a: np.roll(a, 2, axis=2),
    "every tenth frame from elsewhere": some_from_elsewhere,
    "a hot pixel": hot,
}
PROBES: dict[str, Callable[[Array], Array]] = {"defocus of the other sign": other_defocus}


WAYS = ("as it is", *PROBES, *POSITIONS, *FRAMES)


def spoilt(dataset: PtychoDataset, name: str) -> PtychoDataset:
    """Return the set, spoilt in one way; as it is where the name is of none."""
    if name in POSITIONS:
        return replace(dataset, positions_px=POSITIONS[name](dataset.positions_px))
    if name in FRAMES:
        amplitude = FRAMES[name](dataset.diffraction_amplitude)
        return replace(dataset, diffraction_amplitude=amplitude)
    if name in PROBES:
        return replace(dataset, probe_guess=PROBES[name](dataset.probe_guess))
    return dataset


def cell(dataset: PtychoDataset, spec: ReconSpec) -> str:
    """Return the chi2 of a reconstruction, or why there is none."""
    start = start_of(dataset, spec, "set")
    try:
        result = reconstruct(start, spec)
    except ReconstructionError as failure:
        return str(failure).partition(":")[0].partition(";")[0]
    predicted = predicted_amplitude(result.probe, result.obj, start.positions_px)
    fit = fit_to_counts(map(np.sqrt, start.centred()), predicted)
    return f"{fit.chi2:.3g} ({fit.of_frames.max():.3g}, {fit.of_pixels.max():.3g})"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("table", choices=["spoilt", "study"])
    parser.add_argument("--views", default="baseline,dense,sparse")
    parser.add_argument("--algorithm", default=ReconSpec().algorithm)
    parser.add_argument("--way", choices=WAYS, help="one row of `spoilt`; all unless given")
    options = parser.parse_args()
    study, spec = Study(), ReconSpec(algorithm=options.algorithm)
    doses = DOSES if options.table == "spoilt" else study.sorted_doses
    print("| | " + " | ".join(f"{dose:g}" for dose in doses) + " |")
    print("|---" * (len(doses) + 1) + "|")
    if options.table == "spoilt":
        for name in WAYS if options.way is None else (options.way,):
            cells = (cell(spoilt(small_set(dose), name), spec) for dose in doses)
            print(f"| {name} | " + " | ".join(cells) + " |", flush=True)
        return
    for view in options.views.split(","):
        cells = []
        for dose in doses:
            with tempfile.TemporaryDirectory() as folder:
                dataset = train_set(study, Path(folder), dose, view, None)
            cells.append(cell(dataset, spec))
        print(f"| {view} | " + " | ".join(cells) + " |", flush=True)


if __name__ == "__main__":
    main()
