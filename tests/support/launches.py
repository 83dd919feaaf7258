"""What epochs of MAP ask of a device, counted without one: launches, transforms and waits."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode, _disable_current_modes
from torch.utils._pytree import tree_leaves

from fly64tasks.data.dataset import PtychoDataset
from fly64tasks.recon.ptychi import lbfgs
from fly64tasks.recon.ptychi.capture import Function
from fly64tasks.recon.ptychi.options import ptychi_options
from fly64tasks.recon.ptychi.task import new_task
from fly64tasks.recon.ptychi.windows import Windows
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


def _sorting(windows: Callable[[], Windows]) -> Windows:
    made = windows()
    made.sorts = True
    return made


@contextmanager
def running(
    dataset: PtychoDataset, epochs: int = lbfgs.PAIRS + 2, **settings: Any
) -> Iterator[Any]:
    """Yield a task of MAP whose sums go as on a device, by default with all its pairs."""
    spec = ReconSpec(algorithm="MAP", tolerance_nats=0.0, **settings).resolved()
    start = start_of(dataset, spec, "set")
    options = ptychi_options(start, spec, "cpu")
    with new_task(options, start, start.obj, start.scale.to_ptychi(start.probe)) as task:
        task.reconstructor._likelihood.windows.sorts = True
        task.reconstructor._scan.windows = partial(_sorting, task.reconstructor._scan.windows)
        task.run(epochs)
        assert task.reconstructor.pairs["seen"] > lbfgs.PAIRS or not epochs
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


class Tape(TorchDispatchMode):
    """Records operations as a CUDA graph does: by the memory that they read and write.

    What the host asks meanwhile is refused, as by CUDA.
    """

    def __init__(self) -> None:
        super().__init__()
        self.operations: list[tuple[Any, Any, Any, Any]] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func.overloadpacket.__name__ in {"_local_scalar_dense", "nonzero", "equal"}:
            raise RuntimeError("operation not permitted when stream is capturing")
        result = func(*args, **(kwargs or {}))
        self.operations.append((func, args, kwargs or {}, result))
        return result

    def replay(self) -> None:
        """Do the same again, into the same memory."""
        with _disable_current_modes():  # the host launches none of it
            for func, args, kwargs, results in self.operations:
                pairs = zip(tree_leaves(results), tree_leaves(func(*args, **kwargs)), strict=True)
                for there, again in pairs:
                    if there.data_ptr() != again.data_ptr():  # neither a view nor in place
                        there.copy_(again)

    @classmethod
    def of(cls, function: Function, inputs: Sequence[Tensor]) -> Function:
        """Record a function, as `capture.cuda_graph` would."""
        held = [each.clone() for each in inputs]
        with cls() as tape:
            outputs = function(*held)

        def replay(*inputs: Tensor) -> tuple[Tensor, ...]:
            for there, each in zip(held, inputs, strict=True):
                there.copy_(each)
            tape.replay()
            return tuple(each.clone() for each in outputs)

        return replay
