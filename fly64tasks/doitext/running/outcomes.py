"""What became of the tasks of a run, in the words of a plan."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from typing import Any

from ..graph.control import Control
from ..graph.judgement import Verdict
from ..state.journal import Journal
from ..state.record import ATTEMPT, CHECKER, FAILED
from .failures import why_failed


def outcomes(control: Control, nodes: dict[str, Any], state: Journal) -> Iterator[Verdict]:
    """Yield what became of each selected task, and of all that feeds them.

    Parameters
    ----------
    control : Control
        With tasks selected.
    nodes : dict
        Those of doit's dispatcher, by task, as far as it got.
    state : Journal
        What was recorded; only read.
    """

    @functools.cache
    def failed(name: str) -> dict[str, str]:
        """Why a task can not run: what failed of all that it waits for."""
        found = {}
        for dep in control.tasks[name].task_dep:
            status = nodes[dep].run_status if dep in nodes else None
            if status == "failure":
                found[dep] = why_failed(nodes[dep], state)
            elif status in (None, "run"):
                found |= failed(dep)
        return found

    for name in control.closure():
        status = nodes[name].run_status if name in nodes else None
        if status in ("successful", "up-to-date"):
            yield Verdict(name, "up to date")
        elif status == "ignore":
            yield Verdict(name, "ignored")
        elif (row := state.row(name)).get(CHECKER) == FAILED:
            yield Verdict(name, "run", (row[ATTEMPT]["message"],))
        elif why := failed(name):
            yield Verdict(name, "error", (*(f"after {by}: {said}" for by, said in why.items()),))
        elif status == "failure":
            yield Verdict(name, "error", ("input missing",))
        else:
            yield Verdict(name, "run", ("not reached",))
