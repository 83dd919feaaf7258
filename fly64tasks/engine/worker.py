"""What a worker process does with a job: settle in, once, then call, telling of events."""

from __future__ import annotations

import contextlib
import functools
import json
import logging
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, TypeVar

from fly64tasks.doitext.processes import die_with_parent
from fly64tasks.engine.machine import visible_gpus

T = TypeVar("T")
Tell = Callable[..., None]


def call(
    fn: Callable[..., T],
    args: Sequence[Any],
    kwargs: Mapping[str, Any],
    events: str,
    told: bool,
) -> T:
    """Call ``fn`` in a worker; its events and warnings go to a file that doit reads.

    Parameters
    ----------
    events : str
        Path of a JSON-lines file: ``{"event": [...]}`` or ``{"log": [name, level, message]}``.
    told : bool
        Whether ``fn`` takes ``on_event``, which writes its arguments to the file.
    """
    settle()
    with _telling(events) as tell:
        on_event = {"on_event": lambda *said: tell(event=said)} if told else {}
        return fn(*args, **kwargs, **on_event)


@functools.cache
def settle() -> None:
    """Tie this process to its parent, and to one GPU where there are some.

    Parsl could pin too, but overwrites what the batch system chose: the devices are those that
    ``CUDA_VISIBLE_DEVICES`` of the node names, in turn.
    """
    die_with_parent(os.getppid())
    gpus = visible_gpus()
    if gpus:
        rank = int(os.environ["PARSL_WORKER_RANK"])
        os.environ["CUDA_VISIBLE_DEVICES"] = gpus[rank % len(gpus)]


@contextlib.contextmanager
def _telling(path: str) -> Iterator[Tell]:
    with open(path, "a", encoding="utf-8") as file:  # noqa: PTH123

        def tell(**event: Any) -> None:
            print(json.dumps(event), file=file, flush=True)

        handler = _Forwarding(tell)
        logger = logging.getLogger("fly64tasks")
        logger.addHandler(handler)
        try:
            yield tell
        finally:
            logger.removeHandler(handler)


class _Forwarding(logging.Handler):
    """Tells of warnings, which would otherwise end in a log of Parsl's."""

    def __init__(self, tell: Tell) -> None:
        super().__init__(logging.WARNING)
        self._tell = tell

    def emit(self, record: logging.LogRecord) -> None:
        """Tell."""
        self._tell(log=[record.name, record.levelno, record.getMessage()])
