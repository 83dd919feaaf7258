"""One trial on one set: reconstruct it, and say how well; in memory, nothing is written.

Without a truth, some frames are held out: the others are reconstructed, and what was found is asked
to predict those at their positions. Settings that follow the noise, or smooth away what is there,
predict them worse.
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from fly64tasks.data import lineage
from fly64tasks.data.dataset import PtychoDataset
from fly64tasks.data.readers import read_dataset
from fly64tasks.doitext.running import signals
from fly64tasks.errors import DatasetError, StoppedEarly
from fly64tasks.physics.fit import excess_nats
from fly64tasks.physics.held_out import held_out_frames
from fly64tasks.physics.image_quality import complex_nrmse
from fly64tasks.recon import record
from fly64tasks.recon.epochs import EpochCallback
from fly64tasks.recon.fit import predicted_by
from fly64tasks.recon.found import Reconstruction
from fly64tasks.recon.result import Reconstructed
from fly64tasks.recon.runlog import logging_to
from fly64tasks.recon.start import Start, start_of
from fly64tasks.score.compare import compare, why_no_truth, why_set_has_no_truth
from fly64tasks.study.recon_settings import ReconSpec
from fly64tasks.study.stages import said_of_reading
from fly64tasks.study.tuning import Score
from fly64tasks.tune.targets import Target

FEWEST_HELD_OUT = 3
_LEAST = 1e-300
"""Scores are held against each other by their logarithm."""


@dataclass(frozen=True)
class Task:
    """What is done for each trial on one set.

    Attributes
    ----------
    target : Target
    score : str
    sha256 : str
        Of the set.
    held_out : tuple of int
        Of the frames that a reconstruction uses, the positions of those that it does not.
    """

    target: Target
    score: Score
    sha256: str
    held_out: tuple[int, ...] = ()


@dataclass(frozen=True)
class Scored:
    """The score, above 0 and small where it is good, and that of each frame held out."""

    value: float
    by_frame: tuple[float, ...] = ()


def prepare(target: Target, score: Score, share: float, seed: int) -> Task:
    """Return what is to be done for each trial on a set, once it can be done.

    Parameters
    ----------
    share : float
        Of the frames, at most, that is held out where the score is no comparison with the truth.

    Raises
    ------
    DatasetError
        The set is not there, breaks its contract or was made from anything else; it has no truth,
        no counts, or no frames that lie within what the others cover.
    """
    dataset, start, sha256 = _read(target, target.recon.resolved(), score)
    if score == "complex_nrmse":
        if absent := why_set_has_no_truth(dataset, target.data.truth):
            raise DatasetError(f"{target.path}: {absent}; score by likelihood")
        return Task(target, score, sha256)
    if not start.scale.counts:
        raise DatasetError(
            f"{target.path}: holds no photon counts, expected counts for a score of {score}"
        )
    shape = (start.obj.shape[0], start.obj.shape[1])
    held = held_out_frames(
        start.positions_px, start.probe, shape, share, seed, target.score.region_threshold
    )
    if len(held) < FEWEST_HELD_OUT:
        raise DatasetError(
            f"{target.path}: {len(held)} of {len(start.frames)} frames lie within what the others "
            f"cover, expected {FEWEST_HELD_OUT} to hold out: name a case with more overlap, or "
            "score by complex_nrmse where there is a truth"
        )
    return Task(target, score, sha256, tuple(int(frame) for frame in held))


def run(task: Task, spec: ReconSpec, device: str, on_event: EpochCallback) -> Scored:
    """Return the score of settings on a set, every choice of them made.

    Raises
    ------
    ReconstructionError
        The result is not finite or diverged.
    DatasetError
        The set is not what it was when the search began.
    StoppedEarly
        The run was to stop.
    """
    from fly64tasks.recon import stages
    from fly64tasks.recon.ptychi import device as devices

    dataset, start, sha256 = _read(task.target, spec, task.score)
    if sha256 != task.sha256:
        raise DatasetError(
            f"{task.target.path}: changed while it was searched for settings; search under "
            "another --name"
        )
    seen = np.setdiff1d(np.arange(len(start.frames)), task.held_out)

    def on_epoch(epoch: int, loss: float) -> None:
        on_event(epoch, spec.most_epochs, loss)
        if why := signals.why_stop():
            raise StoppedEarly(f"{why}; the same command goes on")

    where = devices.resolve(device)
    stages.refuse_options(start, spec, where)
    with tempfile.TemporaryDirectory() as folder, logging_to(Path(folder, "log"), append=False):
        found = stages.reconstruct(_only(start, seen), spec, device=where, on_epoch=on_epoch)
    if task.score == "complex_nrmse":
        return Scored(max(_error(dataset, start, found, task, spec, where), _LEAST))
    return _prediction(start, found, task, spec)


def _read(target: Target, spec: ReconSpec, score: Score) -> tuple[PtychoDataset, Start, str]:
    if not target.path.exists():
        hint = f"run `doit {target.made_by}` first" if target.made_by else "expected the set there"
        raise DatasetError(f"{target.path}: is not there; {hint}")
    with lineage.unchanged(target.path):
        dataset = read_dataset(
            target.path,
            diffraction=target.data.diffraction,
            orientation=target.data,
            obj=spec.object_init == "guess" or target.data.truth is not None,
            extras=False,
        )
        sha256 = lineage.digest(target.path)
    if target.asked is not None:
        target.asked.refuse_other(dataset.metadata, target.path)
    return dataset, start_of(dataset, spec, str(target.path), target.geometry), sha256


def _only(start: Start, frames: NDArray[np.integer]) -> Start:
    """Return the start of some of its frames, on the same canvas and in the same scale."""
    mask = start.mask
    return replace(
        start,
        intensity=start.intensity[frames],
        positions_px=start.positions_px[frames],
        frames=start.frames[frames],
        mask=mask[frames] if mask is not None and mask.ndim == 3 else mask,
    )


def _prediction(start: Start, found: Reconstruction, task: Task, spec: ReconSpec) -> Scored:
    held = _only(start, np.array(task.held_out))
    predicted = predicted_by(replace(found, positions_px=held.positions_px), spec, start.geometry)
    measured = [np.sqrt(frame) for frame in held.centred()]
    masks: Sequence[NDArray[np.bool_] | None] = [None] * len(measured)
    if held.mask is not None:
        masks = list(np.broadcast_to(held.mask, held.intensity.shape))
    nats = [excess_nats(*frame) for frame in zip(measured, predicted, masks, strict=True)]
    return Scored(max(float(np.mean(nats)), _LEAST), tuple(max(one, _LEAST) for one in nats))


def _error(
    dataset: PtychoDataset,
    start: Start,
    found: Reconstruction,
    task: Task,
    spec: ReconSpec,
    device: str,
) -> float:
    """Return the complex NRMSE, as ``scores.json`` has it."""
    target = task.target
    read_as = said_of_reading(target.data.diffraction, target.data)
    result = Reconstructed(
        path=None,
        obj=found.obj.astype(complex),
        probe=found.probe.astype(complex),
        positions_px=found.positions_px,
        given_positions_px=start.positions_px,
        loss=np.array(found.loss),
        metadata=record.begun(target.path, task.sha256, start, spec, device, None, read_as),
    )
    if absent := why_no_truth(dataset, result, target.data.truth):
        raise DatasetError(f"{target.path}: {absent}; score by likelihood")
    laid = compare(dataset, result, target.score)
    return complex_nrmse(laid.aligned.obj, laid.truth, laid.region)
