"""What of pty-chi is replaced by ours, for a while, and only in versions that ours was held against.

docs/decisions/0013-fourier-shift.md says why, and what each brings.
"""

from __future__ import annotations

import contextlib
import functools
import importlib.metadata
from collections.abc import Collection, Iterator
from typing import Any

_ABSENT = object()


def is_checked(versions: Collection[str]) -> bool:
    """Return whether the installed pty-chi is one of the versions."""
    return version() in versions


@functools.cache
def version() -> str:
    """Return pty-chi's version; its metadata take a millisecond to read."""
    return importlib.metadata.version("ptychi")


@contextlib.contextmanager
def replaced(owner: Any, name: str, ours: Any) -> Iterator[None]:
    """Have an attribute of a module or class be ours within the context."""
    before = vars(owner).get(name, _ABSENT)  # a class may have it of another
    setattr(owner, name, ours)
    try:
        yield
    finally:
        delattr(owner, name) if before is _ABSENT else setattr(owner, name, before)
