"""Epochs of py4DSTEM, with its own Python: see ../others.py.

    PYTHON py4dstem_epoch.py INPUT_NPZ --batch 64 --epochs 2

Single-slice gradient descent from the set's own probe, in random batches, with its own defaults: of
its constraints on the object those that are on without being asked for. Its GPU is cupy's.
"""

from __future__ import annotations

import numpy as np
import py4DSTEM
from epochs import Epochs, asked
from py4DSTEM.process.phase import SingleslicePtychography

PIXEL_A = 0.125


def main() -> None:
    options = asked("py4dstem")
    epochs = Epochs(options)
    with np.load(options.input_npz) as set_:
        amplitude, probe = set_["diffraction"], set_["probeGuess"]
        positions = np.stack([set_["ycoords"], set_["xcoords"]], axis=1)
        rows, columns = set_["raster"].tolist()
    n = amplitude.shape[-1]
    cube = py4DSTEM.DataCube((amplitude**2).reshape(rows, columns, n, n))
    cube.calibration.set_R_pixel_size(8 * PIXEL_A)
    cube.calibration.set_R_pixel_units("A")
    cube.calibration.set_Q_pixel_size(1 / (n * PIXEL_A))
    cube.calibration.set_Q_pixel_units("A^-1")
    ptycho = SingleslicePtychography(
        energy=80e3,
        datacube=cube,
        initial_probe_guess=probe.astype(np.complex64),
        initial_scan_positions=PIXEL_A * (positions - positions.min(0)),
        device="cpu" if options.device == "cpu" else "gpu",
        storage="cpu" if options.device == "cpu" else "gpu",
        verbose=False,
    ).preprocess(
        plot_center_of_mass=False,
        plot_rotation=False,
        plot_probe_overlaps=False,
        force_com_rotation=0,
        force_com_transpose=False,
    )
    # Its progress bar is asked for by the batch, and its epochs are one call: each epoch a call.
    reconstruct = epochs.timed(ptycho.reconstruct)
    for _ in range(options.epochs + 1):
        reconstruct(num_iter=1, max_batch_size=options.batch, progress_bar=False, reset=False)
    epochs.say()


if __name__ == "__main__":
    main()
