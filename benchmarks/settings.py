"""Error against the truth for reconstruction settings: the tables of docs/settings.md.

    python benchmarks/settings.py prior [--base-npz PATH] [--views baseline] [--figure PATH.png]
    python benchmarks/settings.py noise [--base-npz PATH] [--views baseline,dense,sparse]
    python benchmarks/settings.py algorithms [--dose 1e4]

Each row is one set of the default study (or of the study on another base), each column a setting.
A cell is the complex NRMSE, or why there is none: for ``prior`` of MAP, and where the Fourier ring
correlation with the truth falls below the half-bit curve, as a full period in nm (1 px is 10 nm);
for ``noise`` of LSQML's two stages; for ``algorithms`` after 100 epochs (LSQML: 50, MAP: once it
has converged). ``--figure`` draws the phase at the lowest dose with the priors of `PICTURED`, and
the truth. Prints Markdown.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

import msgspec
import numpy as np
from common import error_of, machine
from numpy.typing import NDArray

from fly64tasks.data.dataset import PtychoDataset
from fly64tasks.data.readers.npz import read_dataset
from fly64tasks.errors import ReconstructionError
from fly64tasks.physics import alignment
from fly64tasks.physics.frc import ring_correlation, soft_window
from fly64tasks.recon.stages import reconstruct
from fly64tasks.recon.start import start_of
from fly64tasks.simulation.simulate import make_base, simulate
from fly64tasks.simulation.views import make_view
from fly64tasks.study.algorithms import ALGORITHMS
from fly64tasks.study.cases import BASELINE, SPLITS
from fly64tasks.study.recon_settings import ReconSpec
from fly64tasks.study.study import Study

PRIORS = (0.0, 10.0, 30.0, 70.0, 150.0)
PICTURED = (0.0, 70.0)


def train_set(
    study: Study, folder: Path, dose: float, view: str, base: Path | None
) -> PtychoDataset:
    """Return the train set of a dose and view, made on the spot."""
    if base is None:
        base = folder / "base.npz"
        make_base(base, spec=study.base, geometry=study.geometry)
    sets = {split: folder / f"{dose:g}_{split}.npz" for split in SPLITS}
    simulate(base, sets, dose=dose, spec=study.simulation, geometry=study.geometry)
    if view != BASELINE:
        thinned = {split: folder / f"{dose:g}_{view}_{split}.npz" for split in SPLITS}
        make_view(sets, thinned, spec=study.view_spec(view))
        sets = thinned
    return read_dataset(sets["train"])


def found(dataset: PtychoDataset, spec: ReconSpec) -> NDArray[np.complexfloating] | str:
    """Return the object of a reconstruction, or why there is none."""
    try:
        return reconstruct(start_of(dataset, spec, "set"), spec).obj
    except ReconstructionError as failure:
        return str(failure).partition(":")[0].partition(";")[0]


def error(dataset: PtychoDataset, spec: ReconSpec) -> str:
    """Return the complex NRMSE of a reconstruction, or why there is none."""
    obj = found(dataset, spec)
    return obj if isinstance(obj, str) else f"{error_of(dataset, obj):.3f}"


def period_nm(
    dataset: PtychoDataset, obj: NDArray[np.complexfloating], study: Study, bits: float = 0.5
) -> str:
    """Return the full period that is resolved, as the scores have it; Nyquist's at best."""
    truth = dataset.object_guess.astype(complex)
    region = alignment.illuminated_region(dataset.probe_guess, dataset.positions_px, truth.shape)
    aligned, box = alignment.align(obj, truth, region).obj, alignment.bounding_box(region)
    window = soft_window(region, study.score.frc_taper_px)
    rings = ring_correlation(aligned[box], truth[box], window)
    frequency = rings.crossing(rings.bit_threshold(bits))
    if frequency == 0:
        return "none"
    return f"{study.geometry.pixel_size_m * 1e9 / (frequency or 0.5):.1f}"


def draw(path: Path, dataset: PtychoDataset, study: Study) -> None:
    """Write a picture of the phase with each prior of `PICTURED`, and of the truth."""
    from matplotlib.figure import Figure

    truth = dataset.object_guess.astype(complex)
    region = alignment.illuminated_region(dataset.probe_guess, dataset.positions_px, truth.shape)
    rows, columns = alignment.bounding_box(region)
    images = {}
    for prior in PICTURED:
        obj = found(dataset, msgspec.structs.replace(study.recon, prior=prior))
        assert not isinstance(obj, str), obj
        images[f"prior = {prior:g}"] = alignment.align(obj.astype(complex), truth, region).obj
    images["truth"] = truth
    mean = np.exp(1j * np.angle(truth[region].mean()))
    low, high = np.percentile(np.angle(truth[region] / mean), (0.5, 99.5))
    height = 8 / 3 * (rows.stop - rows.start) / (columns.stop - columns.start)
    figure = Figure(figsize=(8, height + 0.3))  # the titles' part
    for axes, (title, image) in zip(figure.subplots(1, len(images)), images.items(), strict=True):
        phase = np.where(region, np.angle(image / mean), np.nan)[rows, columns]
        axes.imshow(phase, cmap="gray", vmin=low, vmax=high, interpolation="nearest")
        axes.set_title(title, fontsize=9)
        axes.axis("off")
    figure.tight_layout(pad=0.3)
    figure.savefig(path, dpi=110, bbox_inches="tight", pad_inches=0.05)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("table", choices=["prior", "noise", "algorithms"])
    parser.add_argument("--base-npz", type=Path)
    parser.add_argument("--views", help="by commas; all for noise, else the baseline")
    parser.add_argument("--dose", type=float, default=1e4)
    parser.add_argument("--figure", type=Path)
    options = parser.parse_args()
    study = Study()
    lsqml = ReconSpec(algorithm="LSQML")
    doses, views = study.sorted_doses, BASELINE
    if options.table == "prior":
        columns = [
            (f"prior = {prior:g}", msgspec.structs.replace(study.recon, prior=prior))
            for prior in PRIORS
        ]
    elif options.table == "noise":
        views = ",".join((BASELINE, *study.thinned_views))
        columns = [
            (model, msgspec.structs.replace(lsqml, noise_model=model))
            for model in ("GAUSSIAN", "POISSON")
        ]
    else:
        doses = (options.dose,)
        own = {"MAP": study.recon, "LSQML": lsqml}
        columns = [
            (name, own.get(name) or ReconSpec(algorithm=name, num_epochs=100))
            for name in ALGORITHMS
        ]
    print(f"{machine()}\n")
    print("| dose | view | " + " | ".join(name for name, _ in columns) + " |")
    print("|---" * (len(columns) + 2) + "|")
    for view in (options.views or views).split(","):
        for dose in doses:
            with tempfile.TemporaryDirectory() as folder:
                dataset = train_set(study, Path(folder), dose, view, options.base_npz)
            if options.table == "prior":
                cells = []
                for _, spec in columns:
                    obj = found(dataset, spec)
                    assert not isinstance(obj, str), obj
                    period = period_nm(dataset, obj, study)
                    cells.append(f"{error_of(dataset, obj):.3f}, {period}")
            else:
                cells = [error(dataset, spec) for _, spec in columns]
            print(f"| {dose:g} | {view} | " + " | ".join(cells) + " |", flush=True)
            if options.figure and dose == doses[0]:
                draw(options.figure, dataset, study)


if __name__ == "__main__":
    main()
