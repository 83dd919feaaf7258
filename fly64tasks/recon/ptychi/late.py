"""pty-chi without what it imports and may never call: most of what MAP takes to start.

pty-chi imports torchvision for a blur, scikit-learn for its compact batches, and pyplot for plots
of timings; each brings many more. While it is imported, stand-ins take their place: what is taken
from one is a function that imports the real one when it is called. Python's own
`importlib.util.LazyLoader` does not reach far enough: to find a module it imports its package,
which is what takes long, and ``from ... import`` imports the module. Only in versions of pty-chi
that were looked through (docs/decisions/0013-fourier-shift.md); no result depends on it.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Iterable
from types import ModuleType
from typing import Any

from fly64tasks.recon.ptychi import overrides

CHECKED_VERSIONS = ("2.2.0",)
"""pty-chi's versions that call what they take from `LATE`, and only in functions."""
LATE = {
    "torchvision": ("transforms",),
    "sklearn": ("cluster",),
    "matplotlib": ("pyplot", "animation"),
}
"""Modules by their package."""


def import_ptychi() -> None:
    """Import pty-chi where it is not yet, and what is `LATE` only where that is here anyway."""
    made: dict[str, ModuleType] = {}
    if "ptychi" not in sys.modules and overrides.is_checked(CHECKED_VERSIONS):
        for package, names in LATE.items():
            if package not in sys.modules:
                made |= _stand_ins(package, names)
    sys.modules.update(made)
    try:
        importlib.import_module("ptychi.api")  # before its parts, which import each other
    finally:
        for name in made:
            del sys.modules[name]


class _StandIn(ModuleType):
    """A module of functions that import the real one when they are called."""

    def __getattr__(self, name: str) -> Callable[..., Any]:
        if name.startswith("__"):  # Python asks
            raise AttributeError(name)

        def late(*args: Any, **kwargs: Any) -> Any:
            return getattr(importlib.import_module(self.__name__), name)(*args, **kwargs)

        return late


def _stand_ins(package: str, names: Iterable[str]) -> dict[str, ModuleType]:
    modules: dict[str, ModuleType] = {package: _StandIn(package)}
    for name in names:
        made = modules[f"{package}.{name}"] = _StandIn(f"{package}.{name}")
        setattr(modules[package], name, made)
    return modules
