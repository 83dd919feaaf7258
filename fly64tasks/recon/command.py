"""Reconstruct one set with pty-chi: the `recon` action; `fly64tasks.runner` is its command line.

Checks come first and cost no import of torch; results are written last, each whole or absent.
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable, Collection, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from fly64tasks.data import lineage
from fly64tasks.data.frames import Kind
from fly64tasks.data.lineage import AskedSet
from fly64tasks.errors import ReconstructionError
from fly64tasks.recon import files, record, recording
from fly64tasks.recon.doubts.result import of_result
from fly64tasks.recon.epochs import EpochCallback
from fly64tasks.recon.start import Start, read_start
from fly64tasks.study.recon_settings import ReconSpec
from fly64tasks.study.run_settings import CheckpointSpec, runner_command
from fly64tasks.study.stages import AS_STORED, ASSUMED, Geometry, Orientation, said_of_reading

if TYPE_CHECKING:
    from fly64tasks.recon.checkpoint import Checkpoints

logger = logging.getLogger(__name__)


def run(
    input_npz: Path,
    output_dir: Path,
    spec: ReconSpec,
    *,
    diffraction: Kind = "auto",
    orientation: Orientation = AS_STORED,
    device: str = "auto",
    geometry: Geometry = ASSUMED,
    given: Collection[str] = (),
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

    What is to be doubted of the set or the result is a warning: in ``run.json``, in the log, and on
    stderr where nobody else listens to our log.

    Parameters
    ----------
    diffraction : str
        Whether the set holds ``amplitude`` or ``intensity``; ``auto`` finds out.
    orientation : Orientation
        How the set is turned first.
    device : str
        ``auto``, ``cpu``, ``cuda`` or ``cuda:i``; never part of what makes a result stale.
    geometry : Geometry
        Physical sizes where the set says none; no pixel of a result depends on them, but of an
        object of several slices.
    given : collection of str
        Which of them were asked for: a set that says other ones is refused.
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
        not ours, or part of the input; before anything is written.
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
        start = read_start(input_npz, spec, geometry, given, diffraction, orientation, asked)
        sha256 = lineage.digest(input_npz)
    files.refuse_foreign_files(output_dir, (input_npz, *start.files))

    # These cost seconds: only for inputs that can be reconstructed.
    from fly64tasks.recon import stages
    from fly64tasks.recon.checkpoint import Checkpoints
    from fly64tasks.recon.ptychi import device as devices

    files.load_writers()
    where = devices.resolve(device)
    stages.refuse_options(start, spec, where)
    hardware = devices.hardware_name(where)
    read_as = said_of_reading(diffraction, orientation)
    of_run = record.begun(input_npz, sha256, start, spec, where, hardware, read_as)
    checkpoints = Checkpoints.of_run(
        of_run, output_dir / files.CHECKPOINT, checkpoint or CheckpointSpec(), why_stop
    )
    checkpoints.take_up(other_checkpoint, fresh=fresh)
    of_run["resumed_after_epoch"] = len(checkpoints.losses) if checkpoints.reached else None
    losses = list(checkpoints.losses)

    def keep(epoch: int, loss: float) -> None:
        losses[epoch - 1 :] = [loss]
        on_epoch(epoch, spec.most_epochs, loss)

    needed = geometry if start.geometry == geometry else ASSUMED  # a set's own goes before
    command = runner_command(input_npz, output_dir, spec, device, read_as=read_as, geometry=needed)
    recorded = recording.recorded(
        of_run,
        command,
        about=input_npz,
        log=output_dir / files.LOG,
        append=checkpoints.reached is not None,
        remove=partial(files.remove_results, output_dir),
        write=partial(files.write_records, output_dir, losses, of_run),
        took=partial(_took, where, losses),
    )
    with stages.ONE_AT_A_TIME, _cleared(checkpoints), recorded:
        _log_of_set(start, input_npz)
        result = stages.reconstruct(
            start, spec, device=where, on_epoch=keep, checkpoints=checkpoints
        )
        of_run["scale"] = start.scale.said(result.factor)
        of_run["converged"] = result.converged
        of_run["ptychi_options"] = result.options
        of_run |= record.found(result, result.positions_px - start.positions_px)
        of_run["fit"] = record.fit_of(start, result, spec)
        thinned = "overlap_view" in start.said_of_the_set
        ended = (start.scale, result.converged, len(result.loss))
        found = of_result(of_run["fit"], *ended, thinned=thinned)
        for doubt in (*result.doubts, *found):
            logger.warning("%s: %s", input_npz, doubt)
            of_run["warnings"].append(doubt)
        files.write_results(output_dir, files.Finished(input_npz, start, result, of_run))
    return of_run


def _log_of_set(start: Start, input_npz: Path) -> None:
    """Log what the set's amplitudes were taken from, and what is to be doubted of it."""
    taken_from = start.said_of_the_set.get("diffraction_from")
    if taken_from:
        logger.info("%s: %s", input_npz, taken_from)
    for doubt in start.warnings:
        logger.warning("%s: %s", input_npz, doubt)


@contextlib.contextmanager
def _cleared(checkpoints: Checkpoints) -> Iterator[None]:
    """Remove the checkpoint of a run that is done, or would only fail again."""
    try:
        yield
    except ReconstructionError:
        with contextlib.suppress(OSError):
            checkpoints.remove()
        raise
    checkpoints.remove()


def _took(device: str, losses: Sequence[float]) -> dict[str, Any]:
    """Return what a run has taken, and its losses in short."""
    from fly64tasks.recon.ptychi import memory

    said: dict[str, Any] = {
        "peak_memory_bytes": {
            "process": memory.peak_process_bytes(),
            "device": memory.peak_device_bytes(device),
        }
    }
    if losses:
        said["loss"] = {"first": losses[0], "last": losses[-1], "epochs": len(losses)}
    return said
