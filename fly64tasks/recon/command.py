"""Reconstruct one set with pty-chi: the `recon` action; `fly64tasks.runner` is its command line.

Checks come first and cost no import of torch; results are written last, each whole or absent.
"""

from __future__ import annotations

import contextlib
import csv
import importlib.metadata
import json
import logging
import platform
import resource
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from fly64tasks.data import lineage
from fly64tasks.data.dataset import PtychoDataset, read_dataset
from fly64tasks.data.npz import write_npz
from fly64tasks.data.ownership import WRITER, refuse_foreign
from fly64tasks.data.writers.product import write_product
from fly64tasks.doitext.atomic import replaced
from fly64tasks.errors import (
    CheckpointError,
    DatasetError,
    Fly64Error,
    MachineError,
    ReconstructionError,
    StoppedEarly,
    StudyError,
    machine_error,
)
from fly64tasks.recon.epochs import EpochCallback
from fly64tasks.recon.runlog import logging_to
from fly64tasks.recon.start import Start, start_of
from fly64tasks.study import paths
from fly64tasks.study.spec import parse_spec
from fly64tasks.study.study import CheckpointSpec, Geometry, ReconSpec

if TYPE_CHECKING:
    from fly64tasks.recon.stages import Reconstruction

logger = logging.getLogger(__name__)

PACKAGES = ("fly64tasks", "ptychi", "torch", "numpy")


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
) -> dict[str, Any]:
    """Reconstruct one set and write its results; return the run's record.

    Writes ``reconstruction.npz``, ``product.h5``, ``losses.csv``, ``run.json`` and ``ptychi.log``.
    An input that breaks the contract leaves nothing; a failed reconstruction leaves the log, the
    losses and a ``run.json`` that says why, and no result. A run that is cut off, or that the
    machine fails, goes on from its ``checkpoint.pt``, to the same bytes.

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

    Raises
    ------
    DatasetError
        The input breaks the contract, before anything is written.
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
    dataset = read_dataset(input_npz)
    start = start_of(dataset, spec, str(input_npz))
    geometry = geometry_of(dataset, str(input_npz))
    record = _record(input_npz, dataset, start, spec, geometry)
    for name in (paths.RECONSTRUCTION, paths.PRODUCT, paths.RUN_RECORD):
        refuse_foreign(output_dir / name)
    refuse_foreign(output_dir / paths.LOSSES, b"epoch,loss")

    # These cost seconds: only for inputs that can be reconstructed.
    from fly64tasks.recon import stages
    from fly64tasks.recon.checkpoint import Checkpoints
    from fly64tasks.recon.ptychi import memory

    resolved = stages.resolve_device(device)
    record["device"] = {"name": resolved, "hardware": stages.device_name(resolved)}
    this_run = {
        "input_sha256": record["input"]["sha256"],
        "spec": record["spec"],
        "versions": record["versions"],
        "device": resolved.partition(":")[0],
    }
    checkpoints = Checkpoints(
        output_dir / paths.CHECKPOINT, this_run, checkpoint or CheckpointSpec(), why_stop
    )
    if fresh:
        checkpoints.remove()
    try:
        checkpoints.load()
    except CheckpointError as error:
        if other_checkpoint == "refuse":
            raise
        logger.warning("%s", error)
    reached = checkpoints.reached
    record["resumed_after_epoch"] = len(reached.losses) if reached else None
    losses = list(reached.losses) if reached else []
    began = time.perf_counter()

    def keep(epoch: int, loss: float) -> None:
        losses[epoch - 1 :] = [loss]
        on_epoch(epoch, spec.most_epochs, loss)

    def note(**outcome: Any) -> None:
        record.update(outcome)
        record["seconds"] = round(time.perf_counter() - began, 3)
        record["peak_memory_bytes"] = {
            "process": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
            "device": memory.peak_device_bytes(resolved),
        }
        if losses:
            record["loss"] = {"first": losses[0], "last": losses[-1], "epochs": len(losses)}
        _write_losses(output_dir / paths.LOSSES, losses)
        _write_json(output_dir / paths.RUN_RECORD, record)

    try:
        output_dir.mkdir(parents=True, exist_ok=True)
        _remove_results(output_dir)
        with (
            stages.ONE_AT_A_TIME,
            logging_to(output_dir / paths.LOG, append=reached is not None),
        ):
            began = time.perf_counter()
            result = stages.reconstruct(
                start, spec, geometry, device=resolved, on_epoch=keep, checkpoints=checkpoints
            )
        _write_results(output_dir, input_npz, start, geometry, result, record)
        scale = {
            "known_from": start.scale.known_from,
            "probe_photons_per_frame": start.scale.photons / start.intensity_scale,
            "object_multiplied_by": 1 / result.factor,
            "probe_multiplied_by": result.factor,
        }
        note(state="done", exit_code=0, scale=scale, ptychi_options=result.options)
        checkpoints.remove()
    except BaseException as error:
        failure = _named(error, input_npz, output_dir)
        with contextlib.suppress(OSError):  # where it fails, `failure` says why
            _remove_results(output_dir)
            if isinstance(failure, ReconstructionError):  # it would only fail again
                checkpoints.remove()
            note(**_outcome(failure))
        if failure is error:
            raise
        raise failure from None
    return record


def _write_results(
    output_dir: Path,
    input_npz: Path,
    start: Start,
    geometry: Geometry,
    result: Reconstruction,
    record: dict[str, Any],
) -> None:
    loss = np.array(result.loss)
    write_npz(
        output_dir / paths.RECONSTRUCTION,
        {
            "object": result.obj,
            "probe": result.probe,
            "positions_px": start.positions_px,
            "loss": loss,
        },
        {key: record[key] for key in ("stage", "spec", "versions", "input", "start", "set")},
    )
    write_product(
        output_dir / paths.PRODUCT,
        name=input_npz.stem,
        comments=_comments(record, geometry),
        obj=result.obj,
        probe=result.probe,
        positions_px=start.positions_px,
        loss=loss,
        geometry=geometry,
    )


def _remove_results(output_dir: Path) -> None:
    for name in (paths.RECONSTRUCTION, paths.PRODUCT):
        (output_dir / name).unlink(missing_ok=True)


def _named(error: BaseException, input_npz: Path, output_dir: Path) -> BaseException:
    """Return what to raise for an error: one that says which files it is about."""
    log = f"(log: {output_dir / paths.LOG})"
    if isinstance(error, (OSError, MemoryError)):
        return machine_error(error)
    if isinstance(error, (ReconstructionError, MachineError)):
        return type(error)(f"{input_npz}: {error} {log}")
    return error


def _outcome(failure: BaseException) -> dict[str, Any]:
    """Return what the record says of a run that did not end well."""
    if isinstance(failure, KeyboardInterrupt):
        return {"state": "interrupted", "exit_code": 130, "reason": "interrupted"}
    return {
        "state": "interrupted" if isinstance(failure, StoppedEarly) else "failed",
        "exit_code": failure.exit_code if isinstance(failure, Fly64Error) else 1,
        "reason": str(failure) or type(failure).__name__,
    }


def geometry_of(dataset: PtychoDataset, name: str) -> Geometry:
    """Return the set's geometry as its metadata has it, else the assumed one.

    Raises
    ------
    DatasetError
        The metadata hold a geometry that is not one.
    """
    table = dataset.metadata.get("geometry", {})
    try:
        return parse_spec(Geometry, table, f"{name}: _metadata.geometry")
    except StudyError as error:
        raise DatasetError(str(error)) from None


def _record(
    input_npz: Path, dataset: PtychoDataset, start: Start, spec: ReconSpec, geometry: Geometry
) -> dict[str, Any]:
    """Return what is known of a run before it starts."""
    keys = (
        "dose_photons_per_frame",
        "overlap_view",
        "split",
        "selection_strategy",
        "acceptance_rate",
    )
    return {
        "writer": WRITER,
        "stage": "recon",
        "state": "failed",
        "exit_code": 1,
        "reason": None,
        "started": datetime.now(UTC).isoformat(timespec="seconds"),
        "spec": spec.to_dict(),
        "versions": {
            "python": platform.python_version(),
            **{name: importlib.metadata.version(name) for name in PACKAGES},
        },
        "input": {"path": str(input_npz), "sha256": lineage.digest(input_npz)},
        "start": {
            "n_frames": len(start.frames),
            "n_frames_in_set": len(dataset.positions_px),
            "frame_size_px": dataset.frame_size_px,
            "holds_counts": start.counts,
            "intensity_scale": start.intensity_scale,
            "canvas_shape": list(start.canvas.shape),
            "canvas_origin_px": list(start.canvas.origin_px),
            "frame_of_reference": start.canvas.frame,
            "comparable_truth": dataset.is_simulated and start.canvas.frame == "object",
            "truth_seeded": start.truth_seeded,
        },
        "set": {
            "simulated": dataset.is_simulated,
            "geometry": geometry.to_dict(),
            **{key: dataset.metadata[key] for key in keys if key in dataset.metadata},
        },
    }


def _comments(record: dict[str, Any], geometry: Geometry) -> str:
    """Return what a product says of itself in words."""
    spec, versions = record["spec"], record["versions"]
    sizes = "assumed" if geometry.assumed else "as given"
    return (
        f"{spec['algorithm']}, {spec['num_epochs']} epochs, by fly64tasks {versions['fly64tasks']} "
        f"with pty-chi {versions['ptychi']}, from {record['input']['path']} "
        f"(SHA-256 {record['input']['sha256']}). Pixel size, energy and distance are {sizes}."
    )


def _write_losses(path: Path, losses: Sequence[float]) -> None:
    with replaced(path) as temporary, temporary.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["epoch", "loss"])
        writer.writerows((epoch, repr(loss)) for epoch, loss in enumerate(losses, start=1))


def _write_json(path: Path, value: dict[str, Any]) -> None:
    with replaced(path) as temporary:
        temporary.write_text(json.dumps(value, indent=2, ensure_ascii=False) + "\n", "utf-8")
