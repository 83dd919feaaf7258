"""pty-chi: from a start to a reconstruction. The only module that imports torch and pty-chi."""

from __future__ import annotations

import contextlib
import ctypes
import math
import os
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import ptychi.api as api
import torch
from numpy.typing import NDArray
from ptychi.api.task import PtychographyTask

from fly64tasks import fourier_shift, task_state
from fly64tasks.checkpoint import Checkpoints
from fly64tasks.errors import ReconstructionError, StudyError
from fly64tasks.start import Start
from fly64tasks.study import Geometry, ReconSpec

DIVERGED_LOSS_RATIO = 1.1
COLLAPSED_MAGNITUDE_RATIO = 10.0

EpochCallback = Callable[[int, float], None]

_OPTIONS: dict[str, Any] = {
    "LSQML": api.LSQMLOptions,
    "PIE": api.PIEOptions,
    "EPIE": api.EPIEOptions,
    "RPIE": api.RPIEOptions,
    "DM": api.DMOptions,
    "BH": api.BHOptions,
    "AD": api.AutodiffPtychographyOptions,
}
ONE_AT_A_TIME = threading.RLock()
"""Held while pty-chi runs: it uses the process's global random generators and default device."""


@dataclass(frozen=True)
class Reconstruction:
    """What pty-chi found.

    Attributes
    ----------
    obj : (H, W) complex64
        On the start's canvas.
    probe : (modes, N, N) complex64
        In sqrt(photons) per pixel, in the scale of the set.
    loss : tuple of float
        pty-chi's displayed loss of each epoch.
    options : tuple of dict
        Every option that pty-chi ran with, in each stage.
    """

    obj: NDArray[np.complex64]
    probe: NDArray[np.complex64]
    loss: tuple[float, ...]
    options: tuple[dict[str, Any], ...]


def resolve_device(name: str) -> str:
    """Return ``cpu`` or ``cuda:i`` for ``auto``, ``cpu``, ``cuda`` or ``cuda:i``.

    Raises
    ------
    StudyError
        Not one of these, or there is no such device.
    """
    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if name == "cpu" or (name == "auto" and count == 0):
        return "cpu"
    kind, _, index = name.partition(":")
    if name != "auto" and (kind != "cuda" or (":" in name and not index.isdecimal())):
        raise StudyError(f"device {name!r} is unknown, expected auto, cpu, cuda or cuda:0, ...")
    if int(index or 0) >= count:
        raise StudyError(f"device {name!r} asked for, found {count} CUDA devices; use auto or cpu")
    return f"cuda:{index or 0}"


def device_name(device: str) -> str:
    """Return the hardware's name of a resolved device."""
    return torch.cuda.get_device_name(device) if device.startswith("cuda") else "CPU"


def peak_device_memory_bytes(device: str) -> int | None:
    """Return the most memory that torch held on a CUDA device, None for the CPU."""
    return torch.cuda.max_memory_allocated(device) if device.startswith("cuda") else None


def reconstruct(
    start: Start,
    spec: ReconSpec,
    geometry: Geometry,
    *,
    device: str = "cpu",
    on_epoch: EpochCallback = lambda epoch, loss: None,
    checkpoints: Checkpoints | None = None,
) -> Reconstruction:
    """Run pty-chi from a start.

    Parameters
    ----------
    device : str
        As `resolve_device` returns.
    on_epoch : callable
        Called after each epoch with its number, from 1, and its loss.
    checkpoints : Checkpoints, optional
        Where the run goes on from, and what it writes as it goes; the result is the same.

    Raises
    ------
    ReconstructionError
        The result is not finite, or finite and diverged.
    StoppedEarly
        The run was to stop, and left a checkpoint.
    """
    spec = spec.resolved()
    reached = checkpoints.reached if checkpoints else None
    shifting = fourier_shift.installed if spec.fast_fourier_shift else contextlib.nullcontext
    with ONE_AT_A_TIME, shifting():
        # Batches are small: a second thread gains little, and loses much on a busy machine.
        torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS") or 1))
        keep_freed_memory()
        if device.startswith("cuda"):
            torch.cuda.set_device(device)
            torch.cuda.reset_peak_memory_stats(device)
        n = start.probe.shape[-1]
        # pty-chi's transform is not normalised: its probe is 1/N of the unitary one.
        obj, probe = start.obj, start.probe / n
        losses: list[float] = [] if reached is None else list(reached.losses)
        used: list[dict[str, Any]] = []
        for index, stage in enumerate(spec.stages()):
            options = ptychi_options(start, stage, geometry, device)
            used.append(options.get_dict())
            if reached and index < reached.stage:
                continue
            task = PtychographyTask(
                options,
                # Corner-centred by us: pty-chi's own fft_shift is off by a pixel for odd N.
                diffraction_data=np.fft.ifftshift(start.intensity, axes=(-2, -1)),
                object_data=obj[None],
                probe_data=probe[None],
                probe_position_y_px=start.positions_px[:, 0].astype(np.float32),
                probe_position_x_px=start.positions_px[:, 1].astype(np.float32),
            )
            before = len(losses)
            with task:
                if reached and index == reached.stage:
                    task_state.restore(task, reached.task)
                    before = reached.losses_before_stage
                while len(losses) - before < stage.num_epochs:
                    if _at_plateau(losses[before:], stage):
                        break
                    losses.append(_epoch(task, stage, device, losses))
                    on_epoch(len(losses), losses[-1])
                    if not np.isfinite(losses[-1]):
                        raise _failure(f"the loss is not finite after epoch {len(losses)}", losses)
                    if checkpoints:
                        state = partial(task_state.capture, task)
                        checkpoints.after_epoch(index, losses, before, state)
                obj = task.get_data("object")[0].cpu().numpy()
                probe = task.get_data("probe")[0].cpu().numpy()
    result = Reconstruction(
        obj=obj.astype(np.complex64),
        probe=(probe * (n / np.sqrt(start.intensity_scale))).astype(np.complex64),
        loss=tuple(losses),
        options=tuple(used),
    )
    _check(result, start, spec)
    return result


def keep_freed_memory() -> None:
    """Have glibc reuse what a batch frees, where it would give it back and fault it in again.

    Sets M_TRIM_THRESHOLD (-1) and M_MMAP_THRESHOLD (-3, 32 MiB at most), see mallopt(3). What is
    kept is bounded by the most that was in use.
    """
    with contextlib.suppress(AttributeError, OSError, TypeError):  # another C library
        mallopt = ctypes.CDLL(None).mallopt
        mallopt(-1, 2**31 - 1)
        mallopt(-3, 2**25)


def _epoch(task: PtychographyTask, stage: ReconSpec, device: str, losses: Sequence[float]) -> float:
    """Run an epoch of a stage and return its loss; ``losses`` are those of all epochs so far."""
    try:
        task.run(1)
    except torch.linalg.LinAlgError as error:  # type: ignore[attr-defined]
        raise _failure(f"pty-chi failed in epoch {len(losses) + 1}: {error}", losses) from None
    except torch.OutOfMemoryError:
        raise ReconstructionError(
            f"{device} ran out of memory in epoch {len(losses) + 1} with batch_size "
            f"{stage.batch_size}; lower batch_size or use another device",
            losses,
        ) from None
    reconstructor: Any = task.reconstructor
    return float(reconstructor.loss_tracker.table["loss"].iloc[-1])


def _at_plateau(losses: Sequence[float], stage: ReconSpec) -> bool:
    """Return whether the last ``plateau_epochs`` epochs of a stage brought no lower loss."""
    n = stage.plateau_epochs
    if n is None or len(losses) <= n:
        return False
    return min(losses[-n:]) > (1 - stage.plateau_tolerance) * min(losses[:-n])


def ptychi_options(start: Start, spec: ReconSpec, geometry: Geometry, device: str) -> Any:
    """Return pty-chi's options for a start and a resolved spec.

    With the position origin at -1/2 px for even N (0 for odd N), pixel ``N // 2`` of a frame's
    patch lies at its position in the object array, which is the frame that the set's coordinates
    are given in (docs/decisions/0004-one-pixel-frame.md).
    """
    options = _OPTIONS[spec.algorithm]()
    n = start.probe.shape[-1]
    frames = len(start.frames)
    # Even batches: a last one of a frame or two would be one noisy, maybe singular, update.
    batch_size = math.ceil(frames / math.ceil(frames / (spec.batch_size or 1)))

    reconstructor = options.reconstructor_options
    reconstructor.num_epochs = spec.num_epochs
    reconstructor.batch_size = batch_size
    reconstructor.batching_mode = api.BatchingModes[spec.batching or "RANDOM"]
    reconstructor.random_seed = spec.seed
    reconstructor.default_device = api.Devices.GPU if device.startswith("cuda") else api.Devices.CPU

    options.data_options.wavelength_m = geometry.wavelength_m
    options.data_options.fft_shift = False
    obj, probe = options.object_options, options.probe_options
    obj.pixel_size_m = geometry.pixel_size_m
    obj.determine_position_origin_coords_by = api.ObjectPosOriginCoordsMethods.SPECIFIED
    obj.position_origin_coords = [-0.5, -0.5] if n % 2 == 0 else [0.0, 0.0]
    # Scaled to the mean frame already; on a scan within one pixel it turns everything NaN.
    obj.remove_object_probe_ambiguity.enabled = False
    probe.optimizable = bool(spec.update_probe)

    if spec.algorithm == "LSQML":
        reconstructor.noise_model = api.NoiseModels[spec.noise_model]
        reconstructor.momentum_acceleration_gain = spec.momentum
        reconstructor.preconditioning_damping_factor = spec.damping
        reconstructor.rescale_probe_intensity_in_first_epoch = False
        reconstructor.solve_step_sizes_only_using_first_probe_mode = False
    elif spec.algorithm == "DM":
        reconstructor.chunk_length = batch_size
        obj.amplitude_clamp_limit = 2.0
    elif spec.algorithm == "BH":
        reconstructor.method = "CG" if batch_size == frames else "GD"
        probe.rho = 0.1
    elif spec.algorithm == "AD":
        obj.optimizer = probe.optimizer = api.Optimizers.ADAM
        obj.step_size = 0.01
        probe.step_size = 0.1 * float(np.sqrt(np.mean(np.abs(start.probe) ** 2))) / n
    return options


def _check(result: Reconstruction, start: Start, spec: ReconSpec) -> None:
    """Refuse a result that is not finite, or that is finite but no reconstruction."""
    for name, array in (("object", result.obj), ("probe", result.probe)):
        bad = array.size - int(np.count_nonzero(np.isfinite(array)))
        if bad:
            raise _failure(f"the {name} holds {bad} values that are not finite", result.loss)
    first, last = result.loss[0], result.loss[-1]
    # DM's loss is the change of the exit waves, which need not be largest at first.
    if spec.algorithm != "DM" and last > DIVERGED_LOSS_RATIO * first:
        raise _failure(
            f"diverged: the loss ended at {last:.3g}, above its start of {first:.3g}", result.loss
        )
    seen = _illuminated(start)
    ratio = float(np.abs(result.obj[seen]).mean() / np.abs(start.obj[seen]).mean())
    if not 1 / COLLAPSED_MAGNITUDE_RATIO < ratio < COLLAPSED_MAGNITUDE_RATIO:
        raise _failure(
            f"diverged: the object's mean magnitude went to {ratio:.3g} of its start", result.loss
        )


def _failure(reason: str, losses: Sequence[float]) -> ReconstructionError:
    hint = "try fewer epochs, another noise_model or batching, or update_probe = false"
    return ReconstructionError(f"{reason}; {hint}", losses)


def _illuminated(start: Start) -> NDArray[np.bool_]:
    """Return where on the canvas the middle half of any frame's patch lies."""
    seen = np.zeros(start.obj.shape, dtype=bool)
    half = max(start.probe.shape[-1] // 4, 1)
    for y, x in np.round(start.positions_px).astype(int):
        seen[y - half : y + half, x - half : x + half] = True
    return seen
