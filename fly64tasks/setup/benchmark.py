"""How fast pty-chi runs here, said as JSON: `python -m fly64tasks.setup.benchmark SECONDS`.

A process of its own, for `fly64tasks doctor`: a torch that ends the process that imports it, or
hangs on a GPU, must not end the one that is to say so.
"""

from __future__ import annotations

import contextlib
import importlib
import json
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from fly64tasks.doitext.errors import in_one_line
from fly64tasks.errors import Fly64Error, StoppedEarly
from fly64tasks.study.cases import BASELINE, SPLITS
from fly64tasks.study.stages import BaseSpec, Geometry, SimulationSpec
from fly64tasks.study.study import Study

BENCHMARK_BASE = BaseSpec(object_size_px=200)
"""The default study's probe on a smaller object: about as many frames as its dense view."""

EPOCHS_OF_A_JOB = 20
"""What the default study's jobs take in the mean over its frames: MAP ends where it converges."""


def main(seconds: float) -> int:
    """Print what was found as one line of JSON; return 0 where pty-chi ran."""
    return answer(lambda: measure(seconds), "the benchmark")


def answer(find: Callable[[], dict[str, Any]], what: str, *others: type[Exception]) -> int:
    """Print what a function finds, or what is ``broken`` and the reason, as one line of JSON.

    Returns
    -------
    int
        0, or 1 where torch or pty-chi does not load, an error of ours, of the system or of the
        ``others`` is raised, or something is ``missing`` of what was found.
    """
    for name in ("torch", "ptychi"):
        try:
            importlib.import_module(name)
        except Exception as error:  # whatever it is, it is what there is to say
            print(json.dumps({"broken": name, "reason": in_one_line(error)}))
            return 1
    try:
        found = find()
    except (Fly64Error, OSError) as error:
        print(json.dumps({"broken": what, "reason": str(error)}))
        return 1
    except others as error:
        print(json.dumps({"broken": what, "reason": in_one_line(error)}))
        return 1
    print(json.dumps(found))
    return 1 if "missing" in found else 0


def measure(seconds: float) -> dict[str, Any]:
    """Return the device, and how many frames a second pty-chi does there with our settings.

    Runs of the default settings on a small simulated set, one after the other, without their
    first epochs, in which libraries settle. With 0 ``seconds`` nothing is run.

    Returns
    -------
    found : dict
        ``device`` and ``hardware``; where something ran, ``frames`` of the set, and
        ``frames_per_second``, in which a frame counts once for each epoch, and ``study_frames``,
        how many the default study's reconstructions have, counted so.
    """
    from fly64tasks.recon import command
    from fly64tasks.recon.ptychi import device as devices
    from fly64tasks.simulation.simulate import make_base, simulate

    device = devices.resolve("auto")
    found: dict[str, Any] = {"device": device, "hardware": devices.hardware_name(device)}
    if not seconds:
        return found
    study = Study(base=BENCHMARK_BASE)
    epochs, spent = 0, 0.0
    with tempfile.TemporaryDirectory() as folder:
        base, output = Path(folder, "base.npz"), Path(folder, "out")
        sets = {split: Path(folder, f"{split}.npz") for split in SPLITS}
        make_base(base, spec=study.base, geometry=Geometry())
        simulate(base, sets, dose=1e4, spec=SimulationSpec(), geometry=Geometry())
        deadline = time.perf_counter() + seconds
        while not epochs or time.perf_counter() < deadline:
            ends: list[float] = []

            def why_stop(ends: list[float] = ends) -> str | None:
                over = len(ends) > 1 and ends[-1] >= deadline
                return "measured" if over else None

            with contextlib.suppress(StoppedEarly):
                command.run(
                    sets["train"],
                    output,
                    study.recon,
                    device=device,
                    on_epoch=lambda *_, ends=ends: ends.append(time.perf_counter()),
                    why_stop=why_stop,
                    fresh=True,
                )
            epochs, spent = epochs + len(ends) - 1, spent + ends[-1] - ends[0]
    frames = study_frames(study)[BASELINE] // len(SPLITS)
    default = Study()
    each_dose = sum(study_frames(default).values()) * EPOCHS_OF_A_JOB
    return {
        **found,
        "frames": frames,
        "frames_per_second": epochs * frames / spent,
        "study_frames": each_dose * len(default.doses),
    }


def study_frames(study: Study) -> dict[str, int]:
    """Return the frames of each view, both splits together, that a study with our base has.

    >>> study_frames(Study())
    {'baseline': 900, 'dense': 197, 'sparse': 37}
    """
    from fly64tasks.physics import scan, thinning

    positions = scan.raster_positions(study.base)
    found = {BASELINE: len(positions)}
    for frames in scan.split_at_median(positions, study.simulation.split_axis).values():
        for view in study.thinned_views:
            size, spec = study.base.probe_size_px, study.view_spec(view)
            kept = thinning.select_view(positions[frames], spec, size, study.name).kept
            found[view] = found.get(view, 0) + len(kept)
    return found


if __name__ == "__main__":
    sys.exit(main(float(sys.argv[1])))
