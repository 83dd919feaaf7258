"""Epochs of PtyRAD, with its own Python: see ../others.py.

    PYTHON ptyrad_epoch.py INPUT_NPZ --batch 64 --epochs 2 [--device cpu]

One probe mode, one layer, random groups; losses, constraints and steps are its own defaults.
torch.compile is off, as by default.
"""

from __future__ import annotations

import numpy as np
from epochs import Epochs, asked
from ptyrad.params.ptyrad_params import PtyRADParams
from ptyrad.solver import ptyrad_solver, reconstruction


def main() -> None:
    options = asked("ptyrad")
    epochs = Epochs(options)
    with np.load(options.input_npz) as set_:
        amplitude, probe = set_["diffraction"], set_["probeGuess"]
        corners = np.stack([set_["ycoords"], set_["xcoords"]], axis=1) - amplitude.shape[-1] / 2
        rows, columns = set_["raster"].tolist()
    params = PtyRADParams(
        init_params={
            "probe_kv": 80.0,
            "probe_conv_angle": 24.9,
            "meas_Npix": amplitude.shape[-1],
            "pos_N_scans": len(amplitude),
            "pos_N_scan_slow": rows,
            "pos_N_scan_fast": columns,
            "pos_scan_step_size": 1.0,
            "meas_calibration": {"mode": "dx", "value": 0.125},
            "probe_pmode_max": 1,
            "obj_Nlayer": 1,
            "obj_slice_thickness": 1.0,
            "meas_source": "custom",
            "meas_params": amplitude.astype(np.float32) ** 2,
            "probe_source": "custom",
            "probe_params": probe.astype(np.complex64)[None],
            "pos_source": "custom",
            "pos_params": corners,
        },
        recon_params={
            "NITER": options.epochs + 1,
            "BATCH_SIZE": {"size": options.batch, "grad_accumulation": 1},
            "GROUP_MODE": "random",
            "SAVE_ITERS": None,
        },
    ).model_dump()
    reconstruction.recon_step = epochs.timed(reconstruction.recon_step)
    ptyrad_solver.PtyRADSolver(params, device=options.device).reconstruct()
    epochs.say()


if __name__ == "__main__":
    main()
