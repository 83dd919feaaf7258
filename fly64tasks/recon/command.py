"""Reconstruct one set with pty-chi: the `recon` action; `fly64tasks.runner` is its command line.

Checks come first and cost no import of torch; results are written last, each whole or absent.
"""

from __future__ import annotations

import contextlib
import resource
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from fly64tasks.data import lineage
from fly64tasks.data.lineage import AskedSet
from fly64tasks.errors import ReconstructionError, failure_of
from fly64tasks.recon import files, fit, record
from fly64tasks.recon.epochs import EpochCallback
from fly64tasks.recon.runlog import logging_to
from fly64tasks.recon.start import read_start
from fly64tasks.study.recon_settings import CheckpointSpec, ReconSpec

if TYPE_CHECKING:
    from fly64tasks.recon.checkpoint import Checkpoints


def run(
    input_npz: Path,
    output_dir: Path,
    spec: ReconSpec,
    *,
    device: str = "auto",
    on_epoch: EpochCallback = lambda epoch, num_epochs, loss: None,
    checkpoint: CheckpointSpec | None = None,
    other_checkpoint: Literal["refuse", "discard"] = "refuse",
    fresh: bool = False,
    why_stop: Callable[[], str | None] = lambda: None,
    asked: AskedSet | None = None,
) -> dict[str, Any]:
    """Reconstruct one set and write its results; return the run's record.

    Writes `files.TARGETS` and ``ptychi.log``. An input that breaks the contract leaves nothing; a
    failed reconstruction leaves the log, the losses and a ``run.json`` that says why, and no
    result. A run that is cut off, or that the machine fails, goes on from its ``checkpoint.pt``, to
    the same bytes.

    Parameters
    ----------
    device : str
        ``auto``, ``cpu``, ``cuda`` or ``cuda:i``; never part of what makes a result stale.
    on_epoch : callable
        Called after each epoch with its number, their total and the loss.
    checkpoint : CheckpointSpec, optional
        How often to write a checkpoint; its defaults unless given.
    other_checkpoint : str
        ``refuse`` or ``discard`` a checkpoint of another run.
    fresh : bool
        Start anew, whatever checkpoint there is.
    why_stop : callable
        Asked after each epoch; words end the run there, with a checkpoint.
    asked : AskedSet, optional
        What the set is to be made from.

    Raises
    ------
    DatasetError
        The input breaks the contract or was made from anything else, or a file in the folder is
        not ours; before anything is written.
    StudyError
        There is no such device.
    ReconstructionError
        The result is not finite or diverged.
    CheckpointError
        The checkpoint is damaged or of another run.
    StoppedEarly
        ``why_stop`` said so; the next run goes on.
    MachineError
        The disk or the memory failed it; the next run goes on.
    """
    spec = spec.resolved()
    with lineage.unchanged(input_npz):
        start = read_start(input_npz, spec, asked)
        sha256 = lineage.digest(input_npz)
    files.refuse_foreign_files(output_dir)

    # These cost seconds: only for inputs that can be reconstructed.
    from fly64tasks.recon import stages
    from fly64tasks.recon.checkpoint import Checkpoints
    from fly64tasks.recon.ptychi import device as devices

    files.load_writers()
    where = devices.resolve(device)
    of_run = record.begun(input_npz, sha256, start, spec, where, devices.hardware_name(where))
    checkpoints = Checkpoints.of_run(
        of_run, output_dir / files.CHECKPOINT, checkpoint or CheckpointSpec(), why_stop
    )
    checkpoints.take_up(other_checkpoint, fresh=fresh)
    of_run["resumed_after_epoch"] = len(checkpoints.losses) if checkpoints.reached else None
    losses = list(checkpoints.losses)

    def keep(epoch: int, loss: float) -> None:
        losses[epoch - 1 :] = [loss]
        on_epoch(epoch, spec.most_epochs, loss)

    with stages.ONE_AT_A_TIME, _recorded(input_npz, output_dir, of_run, losses, checkpoints):
        with logging_to(output_dir / files.LOG, append=checkpoints.reached is not None):
            result = stages.reconstruct(
                start, spec, device=where, on_epoch=keep, checkpoints=checkpoints
            )
        of_run["scale"] = start.scale.said(result.factor)
        of_run["converged"] = result.converged
        of_run["ptychi_options"] = result.options
        of_run["fit"] = fit.said_of_fit(
            np.sqrt(start.intensity),
            fit.predicted_amplitude(result.probe, result.obj, start.positions_px),
            start.frames,
            counts=start.scale.counts,
        )
        files.write_results(output_dir, files.Finished(input_npz, start, result, of_run))
    return of_run


@contextlib.contextmanager
def _recorded(
    input_npz: Path,
    output_dir: Path,
    of_run: dict[str, Any],
    losses: Sequence[float],
    checkpoints: Checkpoints,
) -> Iterator[None]:
    """Make the folder for a run, and say there how the run ended, however it did."""
    from fly64tasks.recon.ptychi import memory

    began = time.perf_counter()

    def note(**outcome: Any) -> None:
        of_run.update(outcome)
        of_run["seconds"] = round(time.perf_counter() - began, 3)
        of_run["peak_memory_bytes"] = {
            "process": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
            "device": memory.peak_device_bytes(of_run["device"]["name"]),
        }
        if losses:
            of_run["loss"] = {"first": losses[0], "last": losses[-1], "epochs": len(losses)}
        files.write_records(output_dir, losses, of_run)

    try:
        output_dir.mkdir(parents=True, exist_ok=True)
        files.remove_results(output_dir)
        yield
        note(state="done", exit_code=0)
        checkpoints.remove()
    except BaseException as error:
        failure = failure_of(error, input_npz, output_dir / files.LOG)
        with contextlib.suppress(OSError):  # where it fails, `failure` says why
            files.remove_results(output_dir)
            if isinstance(failure, ReconstructionError):  # it would only fail again
                checkpoints.remove()
            note(**record.ended(failure))
        if failure is error:
            raise
        raise failure from None
