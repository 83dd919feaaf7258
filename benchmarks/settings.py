"""Error against the truth for reconstruction settings: the tables of docs/settings.md.

    python benchmarks/settings.py noise [--base-npz PATH] [--views baseline,dense,sparse]
    python benchmarks/settings.py algorithms [--dose 1e4]

Each row is one set of the default study (or of the study on another base), each column a setting;
a cell is the complex NRMSE after the epochs that suit MAP and LSQML, 100 of the others, or why
there is none. Prints Markdown.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

from fly64tasks.data.dataset import PtychoDataset
from fly64tasks.data.readers.npz import read_dataset
from fly64tasks.errors import ReconstructionError
from fly64tasks.physics import alignment, image_quality
from fly64tasks.recon.stages import reconstruct
from fly64tasks.recon.start import start_of
from fly64tasks.simulation.simulate import make_base, simulate
from fly64tasks.simulation.views import make_view
from fly64tasks.study.cases import BASELINE, SPLITS
from fly64tasks.study.recon_settings import ReconSpec, algorithms
from fly64tasks.study.study import Study

_OWN_EPOCHS = ("MAP", "LSQML")


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


def error(dataset: PtychoDataset, spec: ReconSpec) -> str:
    """Return the complex NRMSE of a reconstruction, or why there is none."""
    start = start_of(dataset, spec, "set")
    try:
        result = reconstruct(start, spec)
    except ReconstructionError as failure:
        return str(failure).partition(":")[0].partition(";")[0]
    truth = dataset.object_guess.astype(complex)
    region = alignment.illuminated_region(start.probe, start.positions_px, truth.shape)
    aligned = alignment.align(result.obj.astype(complex), truth, region)
    return f"{image_quality.complex_nrmse(aligned.obj, truth, region):.3f}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("table", choices=["noise", "algorithms"])
    parser.add_argument("--base-npz", type=Path)
    parser.add_argument("--views", default="baseline,dense,sparse")
    parser.add_argument("--dose", type=float, default=1e4)
    options = parser.parse_args()
    study = Study()
    if options.table == "noise":
        columns = [
            (model, ReconSpec(algorithm="LSQML", noise_model=model))
            for model in ("GAUSSIAN", "POISSON")
        ]
        doses, views = study.sorted_doses, options.views.split(",")
    else:
        columns = [
            (name, ReconSpec(algorithm=name, num_epochs=None if name in _OWN_EPOCHS else 100))
            for name in algorithms()
        ]
        doses, views = (options.dose,), [BASELINE]
    print("| dose | view | " + " | ".join(name for name, _ in columns) + " |")
    print("|---" * (len(columns) + 2) + "|")
    for view in views:
        for dose in doses:
            with tempfile.TemporaryDirectory() as folder:
                dataset = train_set(study, Path(folder), dose, view, options.base_npz)
            cells = [error(dataset, spec) for _, spec in columns]
            print(f"| {dose:g} | {view} | " + " | ".join(cells) + " |", flush=True)


if __name__ == "__main__":
    main()
