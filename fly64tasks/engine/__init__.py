"""Where the study's actions run: in the doit process, or with `doit -j N` on warm workers.

`run` is all that actions know of it. Without ``-j`` it calls the function. With ``-j N`` it sends
the call to a worker process, waits, and returns or raises what the function did. Results are the
same bytes either way, and nothing here is part of what makes a task stale.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, TypeVar

from fly64tasks.doitext import parallel

T = TypeVar("T")


def run(
    fn: Callable[..., T],
    /,
    *args: Any,
    writes: Iterable[object] = (),
    on_event: Callable[..., None] | None = None,
    **kwargs: Any,
) -> T:
    """Return ``fn(*args, **kwargs)``, called here or on a worker.

    Parameters
    ----------
    fn : callable
        A function of a module; it, its arguments and what it returns or raises can be pickled.
    writes : iterable of path
        The files that it writes: what a lost worker leaves beside them is removed.
    on_event : callable, optional
        Given to ``fn`` as ``on_event``. On a worker its arguments are numbers and strings, and it
        is called here with some delay, by the thread that waits.

    Raises
    ------
    EngineError
        The workers could not be started, or were lost more often than they are retried.
    """
    under_way = parallel.current()
    if under_way is None:
        return fn(*args, **kwargs, **({"on_event": on_event} if on_event else {}))
    from fly64tasks.engine import pool  # imports Parsl

    workers = under_way.shared(pool.workers)
    return workers.run(fn, args, kwargs, [str(path) for path in writes], on_event)
