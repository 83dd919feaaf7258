"""Which way a scan lies to its detector: all eight ways tried on a few frames, ranked by loss."""

from __future__ import annotations

import itertools
import math
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from fly64tasks.data.dataset import PtychoDataset
from fly64tasks.data.edits import turned_set
from fly64tasks.errors import ReconstructionError
from fly64tasks.recon.runlog import logging_to
from fly64tasks.recon.start import start_of
from fly64tasks.study.recon_settings import ReconSpec
from fly64tasks.study.stages import Geometry, Orientation

MOST_FRAMES = 200
EPOCHS = 8
SPEC = ReconSpec(algorithm="LSQML", num_epochs=EPOCHS, warmup_epochs=EPOCHS)
TELLING_FACTOR = 1.3
TELLING_GAP = 1.5
"""The best loss tells where the next is so many times it, or where it lies so many times farther
below the next than that below the last: noise adds the same to all. Right ones had a gap of 2.1 to
3.7, sets that can not tell at most 0.2 (docs/inspect.md)."""


@dataclass(frozen=True)
class Tried:
    """An orientation, and the loss that it came to; infinite where it failed."""

    orientation: Orientation
    loss: float


@dataclass(frozen=True)
class Ranking:
    """The eight orientations, best first, and what to say of them.

    Attributes
    ----------
    tried : tuple of Tried
    n_frames : int
        That they were tried on.
    """

    tried: tuple[Tried, ...]
    n_frames: int

    @property
    def best(self) -> Orientation:
        return self.tried[0].orientation

    @property
    def factor(self) -> float:
        """Return how many times the best loss the next one is; infinite where none came to one."""
        best, following = self.tried[0].loss, self.tried[1].loss
        return following / best if 0 < best < math.inf else 1.0

    @property
    def tells(self) -> bool:
        """Return whether the best one is clearly so."""
        return _stands_apart([one.loss for one in self.tried])

    @property
    def has_twin(self) -> bool:
        """Return whether the best two are each other's half turn, and fit alike.

        A half turn of the scan gives the same frames with object and probe conjugated and turned
        too: where the probe is its own twin, as one guessed in focus is, frames can not tell.
        """
        first, second = (one.orientation for one in self.tried[:2])
        return (
            not self.tells
            and _half_turned(first) == second
            and _stands_apart([one.loss for one in self.tried[1:]])
        )

    def words(self) -> str:
        """Return what to do."""
        best = flags_of(self.best)
        if self.tells:
            best_loss, next_loss = (one.loss for one in self.tried[:2])
            how = f"with a loss of {best_loss:.4g}, the next {next_loss:.4g}"
            if not math.isfinite(next_loss):
                how = "the others fail"
            elif self.factor >= TELLING_FACTOR:
                how = f"{self.factor:.3g} times better than the next"
            found = f"{best or 'as stored'} fits best, {how}"
            if not best:
                return f"{found}: keep it"
            keys = ", ".join(f"{name} = true" for name in self.best.turns)
            return f"{found}: give it to recon, or {keys} to a study's [data] or a key map"
        if self.has_twin:
            other = flags_of(self.tried[1].orientation)
            return (
                f"{best or 'as stored'} and {other or 'as stored'} fit alike: the frames do not "
                "tell them apart without a probe of known defocus; one gives the object turned by "
                "180 degrees with its phase reversed"
            )
        return (
            f"no orientation stands out, the best by {self.factor:.4g} times: frames that overlap "
            "little do not tell; else look at the probe, the positions and the centre of the frames"
        )

    def said(self) -> dict[str, object]:
        """Return it, JSON-ready."""
        return {
            "frames": self.n_frames,
            "epochs": EPOCHS,
            "tried": [
                {
                    "turns": list(tried.orientation.turns),
                    "loss": tried.loss if math.isfinite(tried.loss) else None,
                }
                for tried in self.tried
            ],
            "factor": self.factor if math.isfinite(self.factor) else None,
            "tells": self.tells,
            "words": self.words(),
        }


def search(
    dataset: PtychoDataset,
    geometry: Geometry,
    name: str,
    *,
    device: str = "auto",
    on_tried: Callable[[int], None] = lambda count: None,
) -> Ranking:
    """Try the eight orientations of a scan against its detector, by LSQML's warm-up.

    Parameters
    ----------
    dataset : PtychoDataset
        Its `MOST_FRAMES` nearest to its middle are used.
    name : str
        Of the set, in errors.
    device : str
        ``auto``, ``cpu``, ``cuda`` or ``cuda:i``.
    on_tried : callable
        Called with how many were tried.

    Raises
    ------
    DatasetError
        Those frames can not be used.
    StudyError
        There is no such device.
    """
    from fly64tasks.recon.ptychi import device as devices

    where = devices.resolve(device)
    few = _middle(dataset)
    tried = []
    with tempfile.TemporaryDirectory() as folder, logging_to(Path(folder, "log"), append=False):
        for swap_xy, flip_y, flip_x in itertools.product((False, True), repeat=3):
            orientation = Orientation(swap_xy=swap_xy, flip_y=flip_y, flip_x=flip_x)
            loss = _loss_of(turned_set(few, orientation), geometry, name, where)
            tried.append(Tried(orientation, loss))
            on_tried(len(tried))
    return Ranking(tuple(sorted(tried, key=lambda one: one.loss)), n_frames=len(few.positions_px))


def _middle(dataset: PtychoDataset) -> PtychoDataset:
    """Return the frames nearest to the middle, which overlap as all do, and no object."""
    positions = dataset.positions_px
    distance = np.hypot(*(positions - np.median(positions, axis=0)).T)
    kept = np.sort(np.argsort(distance, kind="stable")[:MOST_FRAMES])
    return replace(dataset.select(kept), object_guess=None, object_patches=None, metadata={})


def _loss_of(dataset: PtychoDataset, geometry: Geometry, name: str, device: str) -> float:
    from fly64tasks.recon import stages

    losses: list[float] = []
    spec = SPEC.resolved()
    start = start_of(dataset, spec, name, geometry)
    try:
        stages.reconstruct(
            start, spec, device=device, on_epoch=lambda epoch, loss: losses.append(loss)
        )
    except ReconstructionError:  # as wrong ones may; a loss tells how far it came
        if len(losses) < EPOCHS:
            return math.inf
    return losses[-1] if losses[-1] > 0 else math.inf


def _stands_apart(losses: Sequence[float]) -> bool:
    """Return whether the first of ascending losses is clearly below the others."""
    best, others = losses[0], [loss for loss in losses[1:] if math.isfinite(loss)]
    if not math.isfinite(best):
        return False
    if not others or others[0] >= TELLING_FACTOR * best:
        return True
    return len(others) > 2 and others[0] - best >= TELLING_GAP * (others[-1] - others[0]) > 0


def _half_turned(orientation: Orientation) -> Orientation:
    return Orientation(
        swap_xy=orientation.swap_xy,
        flip_y=not orientation.flip_y,
        flip_x=not orientation.flip_x,
    )


def flags_of(orientation: Orientation) -> str:
    """Return the runner's options for an orientation.

    >>> flags_of(Orientation(swap_xy=True, flip_x=True))
    '--swap-xy --flip-x'
    """
    return " ".join("--" + name.replace("_", "-") for name in orientation.turns)
