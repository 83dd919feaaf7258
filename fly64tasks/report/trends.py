"""Which way the error goes from dose to dose and view to view, how methods stand against main.

Each sentence is computed from the scores, names every step that breaks it, and says which steps
and differences are larger than the draws of the noise scatter.
"""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from fly64tasks.report.draws import Draws, Verdict, compared_with_main, difference_of
from fly64tasks.report.results import Job
from fly64tasks.report.wording import counted, dose_text, first_of, listed
from fly64tasks.score.metric import Metric
from fly64tasks.study.cases import SPLITS, Case

RULES = ("share", "every")
"""Ways to choose frames that do not look at where they lie."""


@dataclass(frozen=True)
class Step:
    """Two neighbours of a series, and whether the error goes the expected way between them.

    Of several draws: whether their mean does, and whether by more than it scatters (`LEVEL`).
    """

    before: Draws
    after: Draws
    holds: bool
    is_beyond_spread: bool


def dose_steps(cells: Iterable[Draws], metric: Metric) -> list[Step]:
    """Return the steps from each dose to the next, within a view and split: the error falls."""
    return _steps(cells, metric, lambda case: (case.view, case.split), better_after=True)


def view_steps(cells: Iterable[Draws], metric: Metric) -> list[Step]:
    """Return the steps from each view to the next, within a dose and split: the error rises.

    Views whose frames were not chosen by their distance are no step in overlap.
    """
    by_distance = [cell for cell in cells if not _is_by_other_rule(cell)]
    return _steps(by_distance, metric, lambda case: (case.dose, case.split), better_after=False)


def _is_by_other_rule(cell: Draws) -> bool:
    return any(
        job.scores is not None and job.scores.set.get("selection_strategy") in RULES
        for job in cell.jobs
    )


def _steps(
    cells: Iterable[Draws],
    metric: Metric,
    series: Callable[[Case], Hashable],
    *,
    better_after: bool,
) -> list[Step]:
    """Return the steps of all series, in order; cells without the score are passed over."""
    scored = [(cell, found) for cell in cells if (found := cell.spread(metric)) is not None]
    steps = []
    for key in dict.fromkeys(series(cell.case) for cell, _ in scored):
        alike = (pair for pair in scored if series(pair[0].case) == key)
        for (before, first), (after, second) in itertools.pairwise(alike):
            badness = metric.badness(first.mean), metric.badness(second.mean)
            holds = badness[1] < badness[0] if better_after else badness[1] > badness[0]
            found = difference_of(after, before, metric)
            steps.append(Step(before, after, holds, found is not None and found.is_beyond_spread))
    return steps


def trend(
    steps: Sequence[Step], metric: Metric, over: Literal["dose", "view"], subject: str
) -> str:
    """Return what is said of one direction of the grid, naming each step that breaks it."""
    if not steps:
        return f"No two {over}s are scored alike, so that nothing can be said of the {over}."
    broken = [step for step in steps if not step.holds]
    fall, rise = ("fall", "rise") if metric.better == "lower" else ("rise", "fall")
    never = len(broken) == len(steps)
    does, every = ("does not {}", "any") if never else ("{}s", "every")
    if over == "dose":
        verb, where = f"{does.format(fall)} with {every} step in dose", f"in {every} view"
    else:
        views = dict.fromkeys(
            cell.case.view for step in steps for cell in (step.before, step.after)
        )
        verb, where = f"{does.format(rise)} from {' to '.join(views)}", f"at {every} dose"
    splits = listed([s for s in SPLITS if any(step.before.case.split == s for step in steps)])
    claim = f"{subject} {verb}, {where}, for {splits}"
    if broken:
        named = first_of([_named(step, metric, over) for step in broken])
        claim += "" if never else f", except in {len(broken)} of {counted(len(steps), 'step')}"
        claim += f": {named}"
    return f"{claim}.{_spread(steps, metric, over)}"


def _spread(steps: Sequence[Step], metric: Metric, over: Literal["dose", "view"]) -> str:
    """Return which steps are larger than draws scatter, nothing where there is one draw."""
    draws = max(len(cell.jobs) for step in steps for cell in (step.before, step.after))
    if draws == 1:
        return ""
    within = [step for step in steps if not step.is_beyond_spread]
    scatter = f"larger than the spread of {draws} draws"
    if not within:
        return f" Every step is {scatter}."
    named = first_of([_named(step, metric, over) for step in within])
    if len(within) == len(steps):
        return f" No step is {scatter}: {named}."
    beyond = len(steps) - len(within)
    verb = "is" if beyond == 1 else "are"
    return f" {beyond} of {counted(len(steps), 'step')} {verb} {scatter}; not so: {named}."


def _named(step: Step, metric: Metric, over: Literal["dose", "view"]) -> str:
    before, after = step.before.case, step.after.case
    values = " → ".join(cell.text(metric) for cell in (step.before, step.after))
    if over == "dose":
        doses = f"{dose_text(before.dose)} → {dose_text(after.dose)}"
        return f"{before.view}, {before.split}, {doses} photons ({values})"
    return (
        f"{dose_text(before.dose)} photons, {before.split}, {before.view} → {after.view} ({values})"
    )


def against_main(jobs: Sequence[Job], metric: Metric) -> list[str]:
    """Return how each method stands against main, and of how many draws; nothing without others."""
    compared = compared_with_main(jobs, metric)
    if not compared:
        return []
    found: dict[str, Counter[Verdict]] = {}
    for each in compared:
        found.setdefault(each.draws.case.method, Counter())[each.verdict] += 1
    said = [f"{method} is {_verdicts(counts)}" for method, counts in found.items()]
    draws = len({job.case.repeat for job in jobs})
    if draws == 1:
        how = "in one draw of the noise, so that nothing can be called better or worse"
    else:
        how = f"cell by cell, paired over {draws} draws of the noise"
    return [f"Against main, {how}: {'; '.join(said)}."]


def _verdicts(counts: Counter[Verdict]) -> str:
    words: dict[Verdict, str] = {
        "worse": "worse beyond the spread",
        "better": "better beyond the spread",
        "within the spread": "within the spread",
        "same": "the same to the last digit",
        "one draw": "different in the one draw",
        "not known": "not to be compared",
    }
    total = counts.total()
    return listed([f"{text} in {counts[v]} of {total}" for v, text in words.items() if counts[v]])
