"""What a worker process does with a job: settle in, once, then call."""

from __future__ import annotations

import functools
import os
import tempfile
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

from fly64tasks.doitext.errors import exited
from fly64tasks.doitext.processes import die_with_parent
from fly64tasks.doitext.running.signals import asked_elsewhere
from fly64tasks.engine.events import said_in, telling
from fly64tasks.engine.keeper import busy_mark
from fly64tasks.engine.machine import visible_gpus
from fly64tasks.errors import EngineError

T = TypeVar("T")


def call(
    fn: Callable[..., T],
    args: Sequence[Any],
    kwargs: Mapping[str, Any],
    events: str,
    told: bool,
    stop: str,
) -> T:
    """Call ``fn`` in a worker.

    Parameters
    ----------
    events : str
        Path of the file for what it tells.
    told : bool
        Whether ``fn`` takes ``on_event``.
    stop : str
        Path of the file that says why to stop, once it is there.
    """
    settle()
    busy = busy_mark(tempfile.gettempdir(), os.getpid())
    busy.touch()
    try:
        with telling(events) as tell, asked_elsewhere(lambda: said_in(stop)):
            return fn(*args, **kwargs, **({"on_event": tell} if told else {}))
    except SystemExit as error:  # would end the worker
        raise EngineError(exited(error)) from None
    finally:
        busy.unlink()


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
