"""Error and magnitude against dose, of the reconstructions of a study.

    python benchmarks/doses.py [PROJECT]

A row for each dose, a column for each view and split: the complex NRMSE and, in brackets, the mean
magnitude of the object as it came out, nothing fitted, over that of the truth, where the set's own
probe lights it. Says which errors do not fall with the dose. Prints Markdown.
"""

from __future__ import annotations

import argparse
import itertools
from collections import defaultdict
from pathlib import Path

import numpy as np
from common import error_of, machine, opened

from fly64tasks.data.readers.npz import read_dataset
from fly64tasks.physics import alignment
from fly64tasks.recon.files import RECONSTRUCTION


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("project", type=Path, nargs="?", default=Path())
    study, layout = opened(parser.parse_args().project)
    cells: defaultdict[float, list[str]] = defaultdict(list)
    errors: defaultdict[str, list[float]] = defaultdict(list)
    for case in study.cases():
        dataset = read_dataset(layout.dataset(case))
        with np.load(layout.recon_dir(case) / RECONSTRUCTION) as file:
            obj = file["object"]
        truth = dataset.object_guess
        region = alignment.illuminated_region(
            dataset.probe_guess, dataset.positions_px, truth.shape
        )
        ratio = np.abs(obj[region]).mean() / np.abs(truth[region]).mean()
        errors[f"{case.view} {case.split}"].append(error_of(dataset, obj))
        cells[case.dose].append(f"{errors[f'{case.view} {case.split}'][-1]:.3f} ({ratio:.3f})")
    print(f"{machine()}\n")
    print("| dose |", " | ".join(errors), "|\n|---:" + "|---:" * len(errors) + "|")
    for dose, row in cells.items():
        print(f"| {dose:g} |", " | ".join(row), "|")
    rising = [
        name
        for name, column in errors.items()
        if any(after >= before for before, after in itertools.pairwise(column))
    ]
    print(f"\nErrors that do not fall with every step in dose: {', '.join(rising) or 'none'}.")


if __name__ == "__main__":
    main()
