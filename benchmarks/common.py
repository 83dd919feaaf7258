"""What the benchmarks share: machine, project folders, errors, and the old settings."""

from __future__ import annotations

import contextlib
import fnmatch
import importlib.metadata
import os
import platform
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from ptychi.api.task import PtychographyTask

from fly64tasks.data.dataset import PtychoDataset
from fly64tasks.physics import alignment, image_quality
from fly64tasks.recon.ptychi import fourier_shift, memory
from fly64tasks.recon.ptychi.device import hardware_name
from fly64tasks.recon.ptychi.options import ptychi_options
from fly64tasks.recon.ptychi.task import arrays_of, has_converged, new_task, run_epoch
from fly64tasks.recon.start import Start, read_start
from fly64tasks.study.cases import Case
from fly64tasks.study.paths import Layout
from fly64tasks.study.recon_settings import ReconSpec
from fly64tasks.study.study import Study, read_study

PROJECT = Path(__file__).parent.parent
OLD = ReconSpec(
    algorithm="LSQML",
    num_epochs=100,
    batch_size=96,
    batching="RANDOM",
    momentum=0.0,
    damping=0.1,
    warmup_epochs=0,
    update_probe=True,
    fast_fourier_shift=False,
)
"""Of the scripts that this project replaces, but for their start from the truth."""


def machine(device: str = "cpu") -> str:
    """Return a line that names the machine and the versions."""
    versions = [f"{name} {importlib.metadata.version(name)}" for name in ("ptychi", "torch")]
    hardware = _processor() if device == "cpu" else hardware_name(device)
    return f"{hardware}, {os.cpu_count()} cores, Python {platform.python_version()}, " + ", ".join(
        versions
    )


def _processor() -> str:
    with contextlib.suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def doit(folder: Path, *arguments: str) -> tuple[float, float]:
    """Run doit in a project folder; return its wall and CPU seconds, workers included."""
    command = [sys.executable, "-m", "doit", *arguments]
    return timed(command, folder)


def timed(
    command: Sequence[str], folder: Path | None = None, environment: dict[str, str] | None = None
) -> tuple[float, float]:
    """Run a command with one thread; return its wall and CPU seconds, children included."""
    before, began = os.times(), time.perf_counter()
    environment = {**(os.environ if environment is None else environment), "OMP_NUM_THREADS": "1"}
    subprocess.run(command, cwd=folder, check=True, stdout=sys.stderr, env=environment)
    after = os.times()
    cpu = after.children_user + after.children_system
    return time.perf_counter() - began, cpu - before.children_user - before.children_system


def project(folder: Path, of: Path = PROJECT) -> Path:
    """Make a project folder with the default study ``of`` a checkout; return it."""
    folder.mkdir(parents=True)
    for name in ("dodo.py", "study.toml"):
        shutil.copy(of / name, folder)
    return folder


def opened(folder: Path) -> tuple[Study, Layout]:
    """Return the study of a project folder, and where its files lie."""
    study = read_study(folder / "study.toml")
    return study, Layout.of(study, study_folder=folder, project=folder)


def cases_of(study: Study, patterns: str) -> list[Case]:
    """Return the jobs whose name fits one of the patterns, which commas separate."""
    return [
        case
        for case in study.cases()
        if any(fnmatch.fnmatch(case.name, pattern) for pattern in patterns.split(","))
    ]


def error_of(dataset: PtychoDataset, obj: NDArray[np.complexfloating]) -> float:
    """Return the complex NRMSE of an object, where the set's own probe lights it."""
    truth = dataset.object_guess.astype(complex)
    region = alignment.illuminated_region(dataset.probe_guess, dataset.positions_px, truth.shape)
    aligned = alignment.align(obj.astype(complex), truth, region)
    return image_quality.complex_nrmse(aligned.obj, truth, region)


def task_of(start: Start, spec: ReconSpec, device: str, obj: Any, probe: Any) -> PtychographyTask:
    """Return pty-chi's task for one stage, as in `reconstruct`; or the old scripts' for `OLD`."""
    options = ptychi_options(start, spec, device)
    if spec == OLD:
        options.reconstructor_options.batch_size = min(96, len(start.frames))
        options.reconstructor_options.solve_step_sizes_only_using_first_probe_mode = True
        options.object_options.remove_object_probe_ambiguity.enabled = True
        options.probe_options.power_constraint.enabled = True
        options.probe_options.power_constraint.probe_power = float((np.abs(probe) ** 2).sum())
    return new_task(options, start, obj, probe)


def objects_of(
    npz: Path, spec: ReconSpec, device: str, every: int = 1
) -> Iterator[tuple[int, float, NDArray[np.complexfloating]]]:
    """Yield epoch, seconds so far and object, every so many epochs and at the end.

    Seconds are CPU time on the CPU and wall time on a GPU; what the caller does in between is not
    in them.
    """
    torch.set_num_threads(1)
    if spec != OLD:
        memory.keep_freed()
    clock = time.process_time if device == "cpu" else time.perf_counter
    start = read_start(npz, spec)
    obj, probe = start.obj, start.scale.to_ptychi(start.probe)
    epoch, seconds = 0, 0.0
    for stage in spec.resolved().stages() if spec != OLD else (OLD,):
        began = clock()
        if stage.algorithm == "MAP":
            obj, probe, _ = start.scale.to_known(obj, probe)
        task = task_of(start, stage, device, obj, probe)
        for left in reversed(range(stage.most_epochs)):
            with fourier_shift.installed() if spec.fast_fourier_shift else contextlib.nullcontext():
                run_epoch(task, epoch + 1) if spec != OLD else task.run(1)
            epoch += 1
            ended = left == 0 or has_converged(task)
            if ended or epoch % every == 0:
                (obj,), probe = arrays_of(task)
                seconds += clock() - began
                yield epoch, seconds, obj
                began = clock()
            if ended:
                break
        seconds += clock() - began
