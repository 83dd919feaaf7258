"""How far each running task is: said by actions, shown by the reporter."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Progress:
    """The latest word of a running task.

    Attributes
    ----------
    done, total : float
        Steps, such as epochs.
    numbers : dict of str to float
        What else to show, such as ``{"loss": 0.046}``.
    at : float
        When it was said, `time.monotonic`.
    """

    done: float
    total: float
    numbers: dict[str, float] = field(default_factory=dict)
    at: float = 0.0

    def words(self) -> str:
        """``loss 0.046``: the numbers, to three digits."""
        return "  ".join(f"{name} {value:.3g}" for name, value in self.numbers.items())


Listener = Callable[[str, Progress], None]

_latest: dict[str, Progress] = {}
_listener: Listener | None = None
_guard = threading.Lock()


def tell(listener: Listener | None) -> None:
    """Have `listener` told of each report, in the thread that reports; None ends that."""
    global _listener
    _listener = listener


def report(task_name: str, done: float, total: float, **numbers: float) -> None:
    """Say how far a task is; may be called from any thread of the doit process."""
    said = Progress(done, total, numbers, time.monotonic())
    with _guard:
        _latest[task_name] = said
    listener = _listener
    if listener:
        listener(task_name, said)


def latest(task_name: str) -> Progress | None:
    """The last report of a task, if there is one."""
    with _guard:
        return _latest.get(task_name)


def forget(task_name: str) -> None:
    """Drop the report of a task, when it begins anew."""
    with _guard:
        _latest.pop(task_name, None)
