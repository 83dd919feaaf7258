"""One reconstruction by phaser (phaserEM on PyPI), with phaser's own Python: see ../peers.py.

    PYTHON phaser_run.py INPUT_NPZ OUTPUT_NPZ --weight 3

Its gradient engine: Poisson noise model, total variation of the object with a weight (nats per unit
of gradient, summed over pixels), Adam on object and probe, started from the set's probe and an
object of ones, in groups of 100 frames: 300 updates, but at least 150 passes over all frames. The
steps fall with a cosine from `OBJECT_STEP`, and from `PROBE_STEP` times the probe's peak. With jax:
phaser 0.3.1 has a second backend, torch, that does not run where jax is not installed, and is the
slower of the two here. jax's compilation is in the seconds.

phaser wants intensities with the zero frequency in the corner. It cuts the patch of a position p at
``p - (N - 1) / 2``, rounded, and shifts the probe by the rest; in a set, pixel ``N // 2`` of the
patch lies at the position. So positions are handed over less 1/2 for even N, with the object's
first pixel at 0, and the object comes back on the set's own pixels once phaser's padding is off.
Lengths are in pixels.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import math
import time
from pathlib import Path

import numpy as np
import pane
from phaser.execute import execute_engine
from phaser.hooks import EngineHook
from phaser.observer import ObserverSet
from phaser.state import (
    IterState,
    Patterns,
    PixelatedObjectState,
    PixelatedProbeState,
    PreparedRecons,
    ReconsState,
    ScanState,
)
from phaser.utils.num import Sampling, get_backend_module
from phaser.utils.object import ObjectSampling

OBJECT_STEP = 0.2
PROBE_STEP = 0.06
FRAMES_A_GROUP = 100
UPDATES, PASSES = 300, 150


def engine_of(weight: float, frames: int, probe_peak: float) -> EngineHook:
    """Return phaser's gradient engine, as its plan files would say it."""
    groups = math.ceil(frames / FRAMES_A_GROUP)

    def adam(step: float) -> dict[str, object]:
        falling = f"{step} * 0.5 * (1 + np.cos(np.pi * (i - 1) / niter))"
        return {"type": "adam", "learning_rate": {"type": "expr", "expr": falling}}

    return pane.from_data(
        {
            "type": "gradient",
            "niter": max(PASSES, UPDATES // groups),
            "grouping": FRAMES_A_GROUP,
            "obj_pad_px": 0.0,
            "bwlim_frac": None,
            "buffer_n_groups": None,
            "noise_model": {"type": "poisson"},
            "solvers": {"object": adam(OBJECT_STEP), "probe": adam(PROBE_STEP * probe_peak)},
            "regularizers": [{"type": "obj_tv", "cost": weight}],
            "group_constraints": [],
            "iter_constraints": [],
        },
        EngineHook,
    )


def start_of(set_: np.lib.npyio.NpzFile) -> PreparedRecons:
    """Return phaser's state and patterns for a set."""
    amplitude = set_["diffraction"]
    n, shape = amplitude.shape[-1], set_["objectGuess"].shape
    positions = np.column_stack([set_["ycoords"], set_["xcoords"]]) - (0.5 if n % 2 == 0 else 0.0)
    probe = set_["probeGuess"].astype(np.complex64).reshape(-1, n, n)
    state = ReconsState(
        iter=IterState.empty(),
        wavelength=1.0,
        probe=PixelatedProbeState(Sampling((n, n), sampling=(1.0, 1.0)), probe),
        object=PixelatedObjectState(
            ObjectSampling(shape, (1.0, 1.0), (0.0, 0.0)),
            np.ones((1, *shape), np.complex64),
            np.array([], np.float32),
        ),
        scan=ScanState(positions.astype(np.float32), positions.astype(np.float32)),
    )
    patterns = Patterns(
        np.fft.ifftshift(amplitude.astype(np.float32) ** 2, axes=(-2, -1)),
        np.ones((n, n), np.float32),
    )
    return PreparedRecons(patterns, state.to_xp(get_backend_module("jax")), "peer", ObserverSet(()))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("input_npz", type=Path)
    parser.add_argument("output_npz", type=Path)
    parser.add_argument("--weight", type=float, required=True, help="of the total variation")
    options = parser.parse_args()
    with np.load(options.input_npz) as set_:
        shape = set_["objectGuess"].shape
        frames = len(set_["ycoords"])
        recons = start_of(set_)
        peak = float(np.abs(set_["probeGuess"]).max())
    began = time.process_time()
    state = execute_engine(recons, engine_of(options.weight, frames, peak)).state
    seconds = time.process_time() - began
    state = state.to_numpy()
    top, left = np.round(-state.object.sampling.corner).astype(int)
    np.savez(
        options.output_npz,
        object=state.object.data[0, top : top + shape[0], left : left + shape[1]],
        probe=state.probe.data,
        cpu_seconds=seconds,
        version=importlib.metadata.version("phaserEM"),
    )


if __name__ == "__main__":
    main()
