"""When Python looks for garbage: not among the objects of a graph, which are many and none."""

from __future__ import annotations

import contextlib
import gc
from collections.abc import Iterator

_put_aside = False


@contextlib.contextmanager
def collected_later() -> Iterator[None]:
    """Turn garbage collection off until a task runs.

    Looking for garbage among the objects of a graph takes 40 % of a null build. Nor is it looked
    for among them afterwards, as most processes end then; another command of the same process takes
    up what was put aside. What tasks made is none of it: compiled modules complain where their
    objects outlive the interpreter.
    """
    global _put_aside  # to ask gc would count all of it, 30 ms where torch is loaded
    gc.unfreeze()
    gc.disable()
    try:
        yield
    finally:
        if _put_aside:
            gc.unfreeze()
        elif not gc.isenabled():
            gc.freeze()
        _put_aside = not _put_aside
        gc.enable()


def collect_garbage() -> None:
    """Turn it on again, but for what is there already: a task is about to run."""
    if not gc.isenabled():
        gc.freeze()
        gc.enable()
