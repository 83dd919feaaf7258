"""The whole state of a pty-chi task between two epochs: taken out, and put into a fresh one.

pty-chi has no checkpoints. What its next epoch depends on is spread over parameters, optimisers,
momentum buffers, preconditioners, random generators and counters that each algorithm keeps in
places of its own. So all of the reconstructor's object graph is walked rather than a list of
names: what a new version of pty-chi adds is found as well. What the run was built from (options,
diffraction data) is left out, as is what each minibatch makes anew.

The state is nothing but tensors, numbers, text, lists and dicts, so that `torch.load` reads it with
``weights_only`` and executes nothing.
"""

from __future__ import annotations

import io
import pickle
import random
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import DataLoader

from fly64tasks.errors import CheckpointError

_LEFT_OUT = frozenset(
    {
        *("options", "dataset", "pbar", "table"),  # what it was built from; what is only shown
        "intermediate_variables",  # of the last minibatch
        *("optimization_plan", "optimizer_class"),
    }
)
_PLAIN = (bool, int, float, complex, str, type(None))


def capture(task: Any, positions_px: NDArray[np.float64]) -> dict[str, Any]:
    """Return what the next epoch of a task depends on, and the positions that it was built with.

    Its tensors are the task's own, to be written before that epoch: a copy would be as large as all
    that a reconstruction has in memory beside its frames.
    """
    return {
        "reconstructor": _Capture().encode(task.reconstructor),
        "random": _random_state(),
        "positions_px": torch.from_numpy(positions_px.copy()),
    }


def positions_of_stage(state: dict[str, Any]) -> NDArray[np.float64]:
    """Return the positions that a captured task was built with."""
    positions: NDArray[np.float64] = state["positions_px"].numpy()
    return positions


def restore(task: Any, state: dict[str, Any]) -> None:
    """Put a captured state into a task that was built in the same way and has not run.

    Its tensors are the task's afterwards.

    Raises
    ------
    CheckpointError
        The state is not of such a task.
    """
    _Restore().decode(state["reconstructor"], task.reconstructor, "reconstructor")
    _set_random_state(state["random"])


def write(content: dict[str, Any], path: Path) -> None:
    """Write plain values and tensors to a file, for which no copy of them is made.

    Raises
    ------
    OSError
        The disk does not take it.
    """
    with path.open("wb") as file:
        try:
            torch.save(content, file)
        except RuntimeError as error:  # torch's words name neither the disk nor the file
            if isinstance(error.__context__, OSError):
                raise error.__context__ from None
            raise


def from_bytes(encoded: bytes) -> Any:
    """Return what `write` was given, on the CPU; nothing that the bytes hold is executed.

    Raises
    ------
    ValueError
        They are damaged, or nobody's.
    """
    if not zipfile.is_zipfile(io.BytesIO(encoded)):  # torch would try older formats
        raise ValueError("not an archive of torch")
    try:
        return torch.load(io.BytesIO(encoded), map_location="cpu", weights_only=True)
    except (RuntimeError, EOFError, pickle.UnpicklingError) as error:
        first = (str(error).splitlines() or [type(error).__name__])[0]
        raise ValueError(first) from None


class _Capture:
    """Encodes each object once; a second way to it becomes a reference to the first."""

    def __init__(self) -> None:
        self._seen: dict[int, int] = {}
        self._kept: list[Any] = []  # so that no id is used twice

    def encode(self, value: Any) -> Any:
        if type(value) in _PLAIN:
            return [-1, "plain", value]
        if isinstance(value, np.generic):
            return [-1, "plain", value.item()]
        if not _is_state(value):
            return [-1, "left"]
        if id(value) in self._seen:
            return [self._seen[id(value)], "same"]
        number = self._seen[id(value)] = len(self._seen)
        self._kept.append(value)
        return [number, *self._encoded(value)]

    def _encoded(self, value: Any) -> list[Any]:
        if isinstance(value, Tensor):
            return ["tensor", value.detach(), value.device.type]
        if isinstance(value, np.ndarray):
            return ["array", torch.from_numpy(value.copy())]
        if isinstance(value, torch.Generator):
            return ["generator", value.get_state()]
        if isinstance(value, torch.optim.Optimizer):
            return ["optimizer", value.state_dict()]
        if isinstance(value, dict):
            return ["dict", {key: self.encode(item) for key, item in value.items()}]
        if isinstance(value, (list, tuple)):
            return [type(value).__name__, [self.encode(item) for item in value]]
        return ["object", {key: self.encode(item) for key, item in _attributes(value).items()}]


class _Restore:
    """Decodes into what is there, in place wherever it can: others may refer to it."""

    def __init__(self) -> None:
        self._made: dict[int, Any] = {}

    def decode(self, code: list[Any], there: Any, where: str) -> Any:
        number, kind, *content = code
        if kind == "plain":
            return content[0]
        if kind == "left":
            return there
        if kind == "same":
            return self._made[number]
        decoded = self._made[number] = self._decoded(kind, content[0], content[1:], there, where)
        return decoded

    def _decoded(self, kind: str, content: Any, device: list[str], there: Any, where: str) -> Any:
        if kind == "tensor":
            if isinstance(there, Tensor) and there.shape == content.shape:
                with torch.no_grad():
                    there.copy_(content)
                return there
            return content.to(*device)
        if kind == "array":
            return content.numpy().copy()
        if kind == "generator":
            there.set_state(content)
            return there
        if kind == "optimizer":
            there.load_state_dict(content)
            return there
        if kind == "dict":
            found = there if isinstance(there, dict) else {}
            for key, item in content.items():
                found[key] = self.decode(item, found.get(key), f"{where}[{key!r}]")
            return found
        if kind in ("list", "tuple"):
            old = list(there) if isinstance(there, (list, tuple)) else []
            old += [None] * (len(content) - len(old))
            items = [self.decode(item, old[i], f"{where}[{i}]") for i, item in enumerate(content)]
            return items if kind == "list" else tuple(items)
        if there is None:
            raise CheckpointError(f"the checkpoint has a {where}, which pty-chi does not have")
        for key, item in content.items():
            before = vars(there).get(key)
            after = self.decode(item, before, f"{where}.{key}")
            if after is not before:
                vars(there)[key] = after
        return there


def _is_state(value: Any) -> bool:
    """Return whether a value is, or may hold, something that an epoch changes."""
    if isinstance(value, (Tensor, np.ndarray, torch.Generator, torch.optim.Optimizer)):
        return True
    if isinstance(value, (dict, list, tuple)):
        return True
    if isinstance(value, (DataLoader, torch.nn.Module)):
        return True
    # Of pty-chi's classes, or derived from them, as a reconstructor of ours is.
    kinds = (kind.__module__.partition(".")[0] for kind in type(value).__mro__)
    return "ptychi" in kinds and hasattr(value, "__dict__")


def _attributes(value: Any) -> dict[str, Any]:
    found = {key: item for key, item in vars(value).items() if key not in _LEFT_OUT}
    if isinstance(value, DataLoader):
        return {key: found[key] for key in ("generator", "batch_sampler") if key in found}
    return found


def _random_state() -> dict[str, Any]:
    numpy: Any = np.random.get_state()  # noqa: NPY002
    kind, keys, position, has_gauss, gauss = numpy
    version, words, normal = random.getstate()
    return {
        "torch": torch.get_rng_state(),
        "cuda": torch.cuda.get_rng_state_all() if torch.cuda.is_available() else [],
        "numpy": [kind, torch.from_numpy(keys.astype(np.int64)), position, has_gauss, gauss],
        "python": [version, list(words), normal],
    }


def _set_random_state(state: dict[str, Any]) -> None:
    torch.set_rng_state(state["torch"])
    if state["cuda"]:
        torch.cuda.set_rng_state_all(state["cuda"])
    kind, keys, *rest = state["numpy"]
    np.random.set_state((kind, keys.numpy().astype(np.uint32), *rest))  # noqa: NPY002
    version, words, normal = state["python"]
    random.setstate((version, tuple(words), normal))
