"""How long each task took, as doit's state has it: of a job, and of all of a kind."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from fly64tasks.report.wording import counted, duration_text
from fly64tasks.study.cases import BASELINE, MAIN, Case, set_name

Times = Mapping[str, float]
"""Seconds by the name of a task; of those that are not known there is none."""


def of_case(case: Case, took: Times) -> list[tuple[str, str]]:
    """Return what is known of the tasks that a case came from, in the order in which they ran."""
    return [(kind, duration_text(took[task])) for kind, task, _ in _tasks_of(case) if task in took]


def of_study(cases: Iterable[Case], took: Times) -> list[tuple[str, str]]:
    """Return the sum over the tasks of each kind; of methods, each by itself.

    >>> cases = [Case(1e3, "dense", split, 2) for split in ("train", "test")]
    >>> of_study(cases, {"recon:dose_1000_dense_train": 3.0, "recon:dose_1000_dense_test": 2.0})
    [('reconstructing', '2 tasks, 5.0 s')]
    """
    cases = [*cases]
    named = any(case.method != MAIN for case in cases)
    found: dict[str, dict[str, float]] = {}
    for case in cases:
        for kind, task, method in _tasks_of(case):
            label = f"{kind}, {method}" if method and named else kind
            if task in took:
                found.setdefault(label, {})[task] = took[task]
    return [
        (label, f"{counted(len(each), 'task')}, {duration_text(sum(each.values()))}")
        for label, each in sorted(found.items(), key=lambda pair: _KINDS.index(_kind(pair[0])))
    ]


_KINDS = ("base", "simulating", "thinning", "training", "reconstructing", "scoring")


def _kind(label: str) -> str:
    return label.partition(",")[0]


def _tasks_of(case: Case) -> Iterator[tuple[str, str, str]]:
    """Yield the kind, the name and the method, if any, of each task that a case came from."""
    yield "base", "base", ""
    yield "simulating", f"simulate:{set_name(case.dose, repeat=case.repeat)}", ""
    if case.view != BASELINE:
        yield "thinning", f"views:{set_name(case.dose, case.view, case.repeat)}", ""
    yield "training", f"train:{case.model_name}", case.method
    yield "reconstructing", f"recon:{case.name}", case.method
    yield "scoring", f"score:{case.name}", case.method
