"""What an epoch of MAP asks of a device, counted without one: launches, transforms and waits."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest
import torch
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode

from fly64tasks.data.dataset import PtychoDataset
from fly64tasks.recon.ptychi import lbfgs
from fly64tasks.recon.ptychi.options import ptychi_options
from fly64tasks.recon.ptychi.task import new_task
from fly64tasks.recon.start import start_of
from fly64tasks.study.recon_settings import ReconSpec

WAITS = {"item", "tolist", "__bool__", "__float__", "__int__", "equal", "nonzero", "cpu", "numpy"}
SIZE = 16


class Launches(TorchDispatchMode):
    """Keeps each operation that is no view, and the shape of its result."""

    def __init__(self) -> None:
        super().__init__()
        self.operations: list[tuple[str, Any]] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        if not func.is_view:
            shape = tuple(result.shape) if isinstance(result, torch.Tensor) else None
            self.operations.append((func.overloadpacket.__name__, shape))
        return result

    @property
    def transformed(self) -> int:
        """Return how many frames' worth of modes complex transforms took."""
        shapes = [shape for name, shape in self.operations if name == "_fft_c2c"]
        return sum(int(np.prod(shape[:-2])) for shape in shapes)


class Waits(TorchFunctionMode):
    """Counts calls that make the host wait for a device."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: Counter[str] = Counter()

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        name = getattr(func, "__name__", "")
        if name in WAITS:
            self.seen[name] += 1
        return func(*args, **(kwargs or {}))


def raster(frames_y: int, *, modes: int = 1, jitter_px: float = 0.3) -> PtychoDataset:
    """Return frames of 16 px on a raster of 4 px, ``frames_y`` by 6."""
    rng = np.random.default_rng(0)
    y, x = np.mgrid[0:frames_y, 0:6] * 4.0 + SIZE / 2 + 1
    positions = np.stack([y.ravel(), x.ravel()], axis=1)
    positions += jitter_px * rng.uniform(-1, 1, positions.shape)
    square = np.indices((SIZE, SIZE)) - SIZE / 2
    probe = 3 * np.exp(-(square**2).sum(0) / 20) * np.array([1, 0.3, 0.2])[:modes, None, None]
    return PtychoDataset(
        diffraction_amplitude=np.sqrt(rng.poisson(3.0, (len(positions), SIZE, SIZE))).astype("f4"),
        object_guess=np.ones((4 * frames_y + SIZE + 2, 24 + SIZE + 2), np.complex64),
        probe_guess=probe.astype(np.complex64),
        positions_px=positions,
    )


@contextmanager
def running(dataset: PtychoDataset, **settings: Any) -> Iterator[Any]:
    """Yield a task of MAP whose sums go as on a device, with all its pairs."""
    spec = ReconSpec(algorithm="MAP", tolerance_nats=0.0, **settings).resolved()
    start = start_of(dataset, spec, "set")
    options = ptychi_options(start, spec, "cpu")
    with new_task(options, start, start.obj, start.scale.to_ptychi(start.probe)) as task:
        task.reconstructor._likelihood.windows.sorts = True
        task.run(lbfgs.PAIRS + 2)
        assert task.reconstructor.pairs["seen"] > lbfgs.PAIRS
        yield task


def epoch_of(task: Any) -> Launches:
    """Return the launches of one epoch that tries one step."""
    for _ in range(5):
        with Launches() as launches:
            task.run(1)
        tried = [name for name, _ in launches.operations].count("segment_reduce")
        if tried == 1:
            return launches
    raise AssertionError("no epoch took its first step")


def test_host_waits_once_for_a_step_that_is_tried():
    with running(raster(8)) as task, Waits() as waits, Launches() as launches:
        task.run(6)
    tried = [name for name, _ in launches.operations].count("segment_reduce")
    assert sum(waits.seen.values()) == waits.seen["tolist"] == tried >= 6


def test_host_waits_once_more_an_epoch_where_positions_may_change():
    with running(raster(8), correct_positions=True) as task, Waits() as waits:
        task.run(1)
    waits.seen.pop("numpy", None)  # of new windows, on this CPU
    assert waits.seen == {"tolist": 2}


def test_launches_do_not_grow_with_frames_and_modes():
    counts = []
    for frames_y, modes in [(4, 1), (16, 1), (16, 3)]:
        with running(raster(frames_y, modes=modes)) as task:
            counts.append(len(epoch_of(task).operations))
    assert counts[0] == counts[1]
    assert abs(counts[2] - counts[1]) <= 4  # sums over modes
    assert max(counts) < 160, counts


def test_epochs_are_alike_so_that_a_graph_could_hold_them():
    with running(raster(8)) as task:
        assert epoch_of(task).operations == epoch_of(task).operations


@pytest.mark.parametrize("modes", [1, 3])
def test_four_transforms_a_frame_and_two_where_frames_share_their_shift(modes: int):
    """And those of the probe itself, of the one shift, and back."""
    n = 8 * 6
    with running(raster(8, modes=modes)) as task:
        assert epoch_of(task).transformed == (4 * n + 2) * modes
    with running(raster(8, modes=modes, jitter_px=0)) as task:
        assert epoch_of(task).transformed == (2 * n + 4) * modes


def test_frames_that_share_their_shift_reconstruct_as_others():
    shared, own = (raster(8, jitter_px=jitter) for jitter in (0.0, 1e-3))
    losses = []
    for dataset in (shared, own):
        with running(dataset) as task:
            losses.append(task.reconstructor.nats)
    assert losses[0] == pytest.approx(losses[1], rel=0.03)
