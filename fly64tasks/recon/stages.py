"""From a start to a reconstruction: the stages of a run, one after the other, and their result."""

from __future__ import annotations

import contextlib
import logging
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import msgspec
import numpy as np

from fly64tasks.errors import MachineError, failed_reconstruction
from fly64tasks.recon.checkpoint import Checkpoints
from fly64tasks.recon.diverged import refuse_diverged
from fly64tasks.recon.found import Reconstruction
from fly64tasks.recon.ptychi import device as devices
from fly64tasks.recon.ptychi import fourier_shift, memory, modulus, state
from fly64tasks.recon.ptychi.options import ptychi_options
from fly64tasks.recon.ptychi.task import (
    arrays_of,
    doubts_of,
    has_converged,
    new_task,
    positions_of,
    relaxation_of,
    run_epoch,
)
from fly64tasks.recon.start import Start
from fly64tasks.study.recon_settings import ReconSpec

logger = logging.getLogger(__name__)

_TRIAL_EPOCHS = 5
"""Momentum's buffers grow over the first epochs."""

EpochCallback = Callable[[int, float], None]

ONE_AT_A_TIME = threading.RLock()
"""Held while pty-chi runs: it uses the process's global random generators and default device."""


def refuse_options(start: Start, spec: ReconSpec, device: str) -> None:
    """Refuse options that pty-chi refuses, before anything is written.

    Raises
    ------
    StudyError
        Names the option, and what pty-chi says of it.
    """
    if spec.ptychi:
        for stage in spec.stages():
            ptychi_options(start, stage, device)


def reconstruct(
    start: Start,
    spec: ReconSpec,
    *,
    device: str = "cpu",
    on_epoch: EpochCallback = lambda epoch, loss: None,
    checkpoints: Checkpoints | None = None,
) -> Reconstruction:
    """Run pty-chi from a start.

    Parameters
    ----------
    device : str
        As `ptychi.device.resolve` returns.
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
    MachineError
        The memory does not hold the batches; says which would fit.
    """
    spec = spec.resolved()
    with ONE_AT_A_TIME, contextlib.ExitStack() as replaced:
        if spec.fast_fourier_shift:
            replaced.enter_context(fourier_shift.installed(device))
        if spec.fast_modulus and device == "cpu":
            replaced.enter_context(modulus.installed())
        devices.prepare(device)
        result = _in_memory(
            spec,
            len(start.frames),
            device,
            run=lambda spec: _run_stages(start, spec, device, on_epoch, checkpoints),
            fits=lambda stage: _fits(start, stage, device),
        )
    refuse_diverged(result, start, spec)
    return result


def _in_memory(
    spec: ReconSpec,
    n_frames: int,
    device: str,
    run: Callable[[ReconSpec], Reconstruction],
    fits: Callable[[ReconSpec], bool],
) -> Reconstruction:
    """Run all stages; where the memory does not hold a batch, say which it would hold.

    DM's batches only divide the work: there a smaller one is used.

    Parameters
    ----------
    run : callable
        Runs the stages of a spec, from where the checkpoint is.
    fits : callable
        Says whether the memory holds a stage.
    """
    while True:
        try:
            return run(spec)
        except _OutOfMemory as error:
            # The error itself would keep the arrays of the run alive.
            index, epoch = error.stage, error.epoch
        stage = spec.stages()[index]
        key = "warmup_batch_size" if stage.batch_size != spec.batch_size else "batch_size"
        size = min(stage.batch_size or 1, n_frames)
        problem = f"{device} ran out of memory in epoch {epoch} with {key} {size}"
        if spec.algorithm != "DM" or size == 1:
            break
        logger.warning("%s; going on with half of it, which changes no result", problem)
        spec = msgspec.structs.replace(spec, batch_size=size // 2)
    while size > 1:
        size //= 2
        if fits(msgspec.structs.replace(stage, batch_size=size)):
            raise MachineError(
                f"{problem}; {size} fits: set {key} = {size}, or use a device with more memory"
            )
    raise MachineError(f"{problem}; not even 1 fits: use a device with more memory")


def _fits(start: Start, stage: ReconSpec, device: str) -> bool:
    """Return whether the memory holds a stage, by running its first epochs."""
    memory.release(device)
    options = ptychi_options(start, stage, device)
    try:
        parts = (start.layers, start.scale.to_ptychi(start.probe), None, start.relaxation)
        with new_task(options, start, *parts) as task:
            task.run(_TRIAL_EPOCHS)
    except Exception as error:
        return not memory.is_short(error)
    return True


def _run_stages(
    start: Start,
    spec: ReconSpec,
    device: str,
    on_epoch: EpochCallback,
    checkpoints: Checkpoints | None,
) -> Reconstruction:
    reached = checkpoints.take() if checkpoints else None
    obj, probe = start.layers, start.scale.to_ptychi(start.probe)
    positions_px, relaxation = start.positions_px, start.relaxation
    losses = list(reached.losses) if reached else []
    used: list[dict[str, Any]] = []
    doubts: list[str] = []
    comparable_from, converged = 0, None
    for index, stage in enumerate(spec.stages()):
        options = ptychi_options(start, stage, device)
        used.append(options.get_dict())
        if reached and index < reached.stage:
            continue
        before = len(losses)
        if stage.algorithm == "MAP":  # its prior and its probe's guess are in the known scale
            obj, probe, _ = start.scale.to_known(obj, probe)
        if reached and index == reached.stage and spec.correct_positions:
            positions_px = state.positions_of_stage(reached.task)
        parts = (obj, probe, positions_px, relaxation)
        with _within_memory(index, losses), new_task(options, start, *parts) as task:
            del parts, obj  # pty-chi has its own
            if reached and index == reached.stage:
                state.restore(task, reached.task)
                before = reached.losses_before_stage
                reached = None  # the task has its arrays
            if stage.algorithm != spec.algorithm:
                comparable_from = before
            while len(losses) - before < stage.most_epochs:
                if has_converged(task) or _at_plateau(losses[before:], stage):
                    break
                losses.append(run_epoch(task, len(losses) + 1))
                on_epoch(len(losses), losses[-1])
                if not np.isfinite(losses[-1]):
                    raise failed_reconstruction(
                        f"the loss is not finite after epoch {len(losses)}", stage.algorithm
                    )
                if checkpoints:
                    capture = partial(state.capture, task, positions_px)
                    checkpoints.after_epoch(index, losses, before, capture)
            obj, probe = arrays_of(task)
            relaxation = relaxation_of(task)
            if stage.correct_positions:
                positions_px = positions_of(task)
            converged = has_converged(task)
            doubts += doubts_of(task)
            del task  # its frames go before the next stage's come
    obj, known, factor = start.scale.to_known(obj, probe, relaxation)
    if relaxation is not None:
        relaxation = relaxation.scaled(factor).relative_to(known)
        relaxation = replace(relaxation, modes=start.scale.from_ptychi(relaxation.modes))
    return Reconstruction(
        obj=np.prod(obj, axis=0).astype(np.complex64),
        probe=start.scale.from_ptychi(known),
        relaxation=relaxation,
        slices=obj.astype(np.complex64) if len(obj) > 1 else None,
        positions_px=positions_px,
        factor=factor,
        loss=tuple(losses),
        comparable_from=comparable_from,
        converged=converged,
        options=tuple(used),
        doubts=tuple(doubts),
    )


class _OutOfMemory(Exception):
    """The memory did not hold a stage."""

    def __init__(self, stage: int, epoch: int) -> None:
        super().__init__(stage, epoch)
        self.stage, self.epoch = stage, epoch


@contextlib.contextmanager
def _within_memory(stage: int, losses: Sequence[float]) -> Iterator[None]:
    try:
        yield
    except Exception as error:
        if memory.is_short(error):
            raise _OutOfMemory(stage, len(losses) + 1) from None
        raise


def _at_plateau(losses: Sequence[float], stage: ReconSpec) -> bool:
    """Return whether the last ``plateau_epochs`` epochs of a stage brought no lower loss."""
    n = stage.plateau_epochs
    if n is None or len(losses) <= n:
        return False
    return min(losses[-n:]) > (1 - stage.plateau_tolerance) * min(losses[:-n])
