"""One reconstruction by cdtools (cdtools-py on PyPI), with its own Python: see ../peers.py.

    PYTHON cdtools_run.py INPUT_NPZ OUTPUT_NPZ --loss "amplitude mse"

Its FancyPtycho model by Adam, in two stages: 75 epochs in batches
of 10 with a step of 0.02, 25 in batches of 50 with 0.005. It starts from the set's probe and an
object of ones. cdtools has no regulariser of the object; its loss stands in its
place: ``amplitude mse`` or ``poisson nll``. Positions and frames' weights are exact here and are
not refined, and the background stays at nothing.

cdtools takes intensities with the zero frequency centred, and cuts a patch where its translation
less `min_translation` rounds down to, then shifts the probe by the rest: a set's positions less
``N // 2``, and the object comes back on the set's own pixels. The object's basis of 1 m in place of
a detector's lets translations be pixels.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import time
from pathlib import Path

import numpy as np
import torch
from cdtools.datasets import Ptycho2DDataset
from cdtools.models import FancyPtycho
from cdtools.reconstructors import AdamReconstructor

BASIS = [[0.0, -1.0], [-1.0, 0.0], [0.0, 0.0]]
"""What a step down the rows and one along the columns are in x, y, z, as cdtools has them."""
STAGES = ((75, 0.02, 10), (25, 0.005, 50))
"""Epochs, Adam's step and frames in a batch."""


def model_and_data(set_: np.lib.npyio.NpzFile, loss: str) -> tuple[FancyPtycho, Ptycho2DDataset]:
    """Return cdtools' model, started, and its dataset for a set."""
    amplitude = set_["diffraction"].astype(np.float32)
    n = amplitude.shape[-1]
    corners = np.column_stack([set_["ycoords"], set_["xcoords"]]) - n // 2
    translations = (corners @ np.array(BASIS).T).astype(np.float32)
    data = Ptycho2DDataset(translations, amplitude**2)
    probe = set_["probeGuess"].astype(np.complex64).reshape(-1, n, n)
    model = FancyPtycho(
        wavelength=1.0,
        detector_geometry={"distance": 1.0, "basis": torch.tensor(BASIS) / n, "corner": None},
        obj_basis=BASIS,
        probe_guess=probe,
        obj_guess=np.ones(set_["objectGuess"].shape, np.complex64),
        background=1e-6 * np.ones((n, n), np.float32),
        loss=loss,
    )
    model.background.requires_grad = False
    return model, data


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("input_npz", type=Path)
    parser.add_argument("output_npz", type=Path)
    parser.add_argument("--loss", choices=["amplitude mse", "poisson nll"], required=True)
    options = parser.parse_args()
    torch.set_num_threads(1)
    with np.load(options.input_npz) as set_:
        model, data = model_and_data(set_, options.loss)
    began = time.process_time()
    reconstructor = AdamReconstructor(model, data)
    for epochs, step, batch in STAGES:
        for _ in reconstructor.optimize(
            epochs, lr=step, batch_size=batch, calculation_width=batch, thread=False
        ):
            pass
    seconds = time.process_time() - began
    np.savez(
        options.output_npz,
        object=model.obj.detach().numpy(),
        probe=(model.probe_norm * model.probe).detach().numpy(),
        cpu_seconds=seconds,
        version=importlib.metadata.version("cdtools-py"),
    )


if __name__ == "__main__":
    main()
