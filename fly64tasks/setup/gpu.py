"""What the CUDA devices are and do, said as JSON: `python -m fly64tasks.setup.gpu`.

A process of its own, for `fly64tasks doctor --gpu`, as `benchmark` is.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path
from typing import Any

from fly64tasks.setup.benchmark import answer
from fly64tasks.study.cases import SPLITS
from fly64tasks.study.recon_settings import ReconSpec
from fly64tasks.study.stages import Geometry, SimulationSpec
from fly64tasks.study.study import Study

EPOCHS = 40
DOSE = 1e4


def main() -> int:
    """Print what was found as one line of JSON; return 0 where there is a device."""
    return answer(examine, "the GPU", RuntimeError)  # what CUDA fails with


def examine() -> dict[str, Any]:
    """Return what there is and what it does, beside the CPU.

    Returns
    -------
    found : dict
        ``torch`` and ``cuda``, the versions; ``missing``, why there is no device, or else
        ``accepted``, what ``device = "cuda"`` is here; ``frames`` and ``cpu``, of epochs of MAP as
        `trial.epochs` says; and ``devices``, each as `trial.cuda_devices` says, with ``transform``,
        how far its transforms are from the CPU's, and ``runs``, two of the same.
    """
    from fly64tasks.recon.ptychi import device, trial
    from fly64tasks.recon.start import read_start
    from fly64tasks.simulation.simulate import make_base, simulate

    found: dict[str, Any] = trial.build()
    missing = trial.why_no_cuda()
    if missing:
        return {**found, "missing": missing}
    found["accepted"] = device.resolve("cuda")
    devices = trial.cuda_devices()
    study, spec = Study(), ReconSpec(algorithm="MAP", tolerance_nats=0.0)
    with tempfile.TemporaryDirectory() as folder:
        base = Path(folder, "base.npz")
        sets = {split: Path(folder, f"{split}.npz") for split in SPLITS}
        make_base(base, spec=study.base, geometry=Geometry())
        simulate(base, sets, dose=DOSE, spec=SimulationSpec(), geometry=Geometry())
        start = read_start(sets["train"], spec)
    for each in devices:
        where = each["device"]
        each["transform"] = trial.transform_difference(where)
        each["runs"] = [trial.epochs(start, spec, where, EPOCHS) for _ in range(2)]
    cpu = trial.epochs(start, spec, "cpu", EPOCHS // 4)
    return {**found, "devices": devices, "frames": len(start.frames), "cpu": cpu}


if __name__ == "__main__":
    sys.exit(main())
