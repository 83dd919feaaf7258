"""Epochs of phaser (phaserEM on PyPI), with its own Python: see ../others.py.

    PYTHON phaser_epoch.py INPUT_NPZ --batch 64 --epochs 2

As ``phaser_run.py`` reconstructs: gradient engine, Poisson noise model, Adam, with jax. An epoch is
what one more costs, of calls of two lengths, for jax compiles in each.
"""

from __future__ import annotations

import numpy as np
import pane
import phaser_run
from epochs import Epochs, asked
from phaser.execute import execute_engine
from phaser.hooks import EngineHook


def engine(passes: int, batch: int) -> EngineHook:
    """Return phaser's gradient engine for so many passes over all frames."""
    adam = {"type": "adam", "learning_rate": 0.01}
    return pane.from_data(
        {
            "type": "gradient",
            "niter": passes,
            "grouping": batch,
            "obj_pad_px": 0.0,
            "bwlim_frac": None,
            "buffer_n_groups": None,
            "noise_model": {"type": "poisson"},
            "solvers": {"object": adam, "probe": adam},
            "regularizers": [],
            "group_constraints": [],
            "iter_constraints": [],
        },
        EngineHook,
    )


def main() -> None:
    options = asked("phaserEM")
    epochs = Epochs(options)
    with np.load(options.input_npz) as set_:
        run = epochs.timed(
            lambda n: execute_engine(phaser_run.start_of(set_), engine(n, options.batch))
        )
        for passes in (1, 1, 1 + options.epochs):
            run(passes)
    epochs.say_longer_by(options.epochs)


if __name__ == "__main__":
    main()
