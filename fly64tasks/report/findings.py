"""What the scores say, in sentences: whether the error falls with dose and rises with less overlap.

Each sentence is computed from the scores and names every step that breaks it.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from fly64tasks.report.results import NRMSE, Job, main_metric
from fly64tasks.report.wording import counted, dose_text, in_sentence, listed, score_text, with_unit
from fly64tasks.score import scorecard
from fly64tasks.score.scorecard import Metric
from fly64tasks.study.cases import SPLITS

RESOLUTION = scorecard.metric("frc_halfbit_period_nm")
"""The resolution that curves and sentences show."""

SAY_THE_TRUTH = (
    "Where the sets' own objectGuess is the truth, as in sets that were simulated elsewhere, say "
    'so in the study, [data] truth = "objectGuess", and run doit again: that scores, and '
    "reconstructs nothing."
)

_NAMED = 6

RULES = ("share", "every")
"""Ways to choose frames that do not look at where they lie."""


@dataclass(frozen=True)
class Step:
    """Two neighbours of a series and whether the error goes the expected way between them."""

    before: Job
    after: Job
    holds: bool


def dose_steps(jobs: Iterable[Job], metric: Metric) -> list[Step]:
    """Return the steps from each dose to the next, within a view and split: the error falls."""
    return _steps(jobs, metric, lambda job: (job.case.view, job.case.split), better_after=True)


def view_steps(jobs: Iterable[Job], metric: Metric) -> list[Step]:
    """Return the steps from each view to the next, within a dose and split: the error rises.

    Views whose frames were not chosen by their distance are no step in overlap.
    """
    by_distance = [job for job in jobs if not _is_by_other_rule(job)]
    return _steps(
        by_distance, metric, lambda job: (job.case.dose, job.case.split), better_after=False
    )


def _is_by_other_rule(job: Job) -> bool:
    return job.scores is not None and job.scores.set.get("selection_strategy") in RULES


def _steps(
    jobs: Iterable[Job], metric: Metric, series: Callable[[Job], Hashable], *, better_after: bool
) -> list[Step]:
    """Return the steps of all series, in order; jobs without the score are passed over."""
    scored = [job for job in jobs if job.value(metric) is not None]
    steps = []
    for key in dict.fromkeys(map(series, scored)):
        for before, after in itertools.pairwise(job for job in scored if series(job) == key):
            first, second = before.value(metric), after.value(metric)
            assert first is not None
            assert second is not None
            improves = metric.badness(second) < metric.badness(first)
            worsens = metric.badness(second) > metric.badness(first)
            steps.append(Step(before, after, improves if better_after else worsens))
    return steps


def headline(jobs: Sequence[Job]) -> list[str]:
    """Return the summary's sentences.

    Parameters
    ----------
    jobs : sequence of Job
        In the order of the study's cases.
    """
    scored = [job for job in jobs if job.scores is not None]
    sentences = [_coverage(jobs, scored), *_warned(jobs)]
    metric = main_metric(jobs)
    if all(job.value(metric) is None for job in scored):
        return sentences
    if not metric.needs_truth:
        sentences += _misfits(scored)
        sentences.append(
            f"No set has a truth to compare with, so that only the {in_sentence(metric.label)}, "
            f"a score of the data alone, is known: {_span(scored, metric)}. {SAY_THE_TRUTH}"
        )
        return sentences
    name = f"The {in_sentence(metric.label)}"
    sentences.append(_trend(dose_steps(scored, metric), metric, "dose", name))
    sentences.append(_trend(view_steps(scored, metric), metric, "view", "It"))
    sentences.append(f"{name} goes {_span(scored, metric)}.")
    sentences += [*_worse_than_flat(scored), *_misfits(scored)]
    without = sum(job.value(metric) is None for job in scored)
    if without:
        sentences.append(f"{counted(without, 'job')} can not be compared with a truth.")
    sentences += _resolution(scored)
    return sentences


def _warned(jobs: Sequence[Job]) -> list[str]:
    """Return a sentence on the jobs with warnings, none where there is none."""
    warned = [job for job in jobs if job.warnings]
    if not warned:
        return []
    have, them = ("has", "it") if len(warned) == 1 else ("have", "them")
    named = _first_of([_where(job) for job in warned])
    return [f"{counted(len(warned), 'job')} {have} warnings, which stand beside {them}: {named}."]


def _resolution(jobs: Sequence[Job]) -> list[str]:
    """Return what is said of the resolution: its span, and how many jobs have none."""
    name = "(FRC, ½-bit, full period)"
    some = any(job.value(RESOLUTION) is not None for job in jobs)
    sentences = [f"The resolution {name} goes {_span(jobs, RESOLUTION)}."] if some else []
    without = [job for job in jobs if job.is_unresolved(RESOLUTION)]
    if without:
        have = "has" if len(without) == 1 else "have"
        sentences.append(
            f"{counted(len(without), 'job')} {have} no resolution {'' if some else f'{name} '}at "
            "all, for the correlation never rises above the threshold: "
            f"{_first_of([_where(job) for job in without])}."
        )
    return sentences


def _worse_than_flat(scored: Sequence[Job]) -> list[str]:
    """Return a sentence on an object of ones, which needs no data, where its error is known."""
    known = [job for job in scored if job.flat_error is not None]
    worse = [
        f"{_where(job)} ({score_text(NRMSE, job.value(NRMSE))} against "
        f"{score_text(NRMSE, job.flat_error)})"
        for job in known
        if job.is_worse_than_flat
    ]
    if not worse:
        return ["No job is worse than a flat object."] if known else []
    verb = "is" if len(worse) == 1 else "are"
    return [
        f"{len(worse)} of {counted(len(known), 'job')} {verb} worse than a flat object: "
        f"{_first_of(worse)}."
    ]


def _misfits(scored: Sequence[Job]) -> list[str]:
    """Return a sentence on the jobs that do not fit their counts, none where all do."""
    named = [
        f"{_where(job)} (χ² {job.fit.chi2:.3g})"
        for job in scored
        if job.fit is not None and job.fit.chi2 is not None and job.does_not_fit
    ]
    if not named:
        return []
    verb = "does" if len(named) == 1 else "do"
    return [f"{counted(len(named), 'job')} {verb} not fit the data: {_first_of(named)}."]


def _first_of(named: Sequence[str]) -> str:
    """Return the first few of what is named, and how many more there are."""
    more = [f"{len(named) - _NAMED} more"] if len(named) > _NAMED else []
    return "; ".join([*named[:_NAMED], *more])


def _where(job: Job) -> str:
    return f"{dose_text(job.case.dose)} photons, {job.case.view}, {job.case.split}"


def _coverage(jobs: Sequence[Job], scored: Sequence[Job]) -> str:
    doses, views = (len({getattr(job.case, key) for job in jobs}) for key in ("dose", "view"))
    text = f"{len(scored)} of {counted(len(jobs), 'job')}"
    if len(scored) == len(jobs):
        text = f"All {counted(len(jobs), 'job')}" if len(jobs) > 1 else "The only job"
    verb = "is" if len(jobs) == 1 else "are"
    return (
        f"{text} ({counted(doses, 'dose')}, {counted(views, 'view')}, "
        f"{listed(SPLITS)}) {verb} reconstructed and scored."
    )


def _trend(
    steps: Sequence[Step], metric: Metric, over: Literal["dose", "view"], subject: str
) -> str:
    """Return one sentence on one direction of the grid, naming each step that breaks it."""
    if not steps:
        return f"No two {over}s are scored alike, so that nothing can be said of the {over}."
    broken = [step for step in steps if not step.holds]
    falls, rises = ("falls", "rises") if metric.better == "lower" else ("rises", "falls")
    if over == "dose":
        verb, where = f"{falls} with every step in dose", "in every view"
    else:
        views = dict.fromkeys(job.case.view for step in steps for job in (step.before, step.after))
        verb, where = f"{rises} from {' to '.join(views)}", "at every dose"
    splits = listed([s for s in SPLITS if any(step.before.case.split == s for step in steps)])
    claim = f"{subject} {verb}, {where}, for {splits}"
    if not broken:
        return f"{claim}."
    named = _first_of([_broken(step, metric, over) for step in broken])
    return f"{claim}, except in {len(broken)} of {counted(len(steps), 'step')}: {named}."


def _broken(step: Step, metric: Metric, over: Literal["dose", "view"]) -> str:
    before, after = step.before.case, step.after.case
    values = " → ".join(job.text(metric) for job in (step.before, step.after))
    if over == "dose":
        doses = f"{dose_text(before.dose)} → {dose_text(after.dose)}"
        return f"{before.view}, {before.split}, {doses} photons ({values})"
    return (
        f"{dose_text(before.dose)} photons, {before.split}, {before.view} → {after.view} ({values})"
    )


def _span(jobs: Sequence[Job], metric: Metric) -> str:
    """Return best and worst value of a score, and where."""
    found = [(value, job) for job in jobs if (value := job.value(metric)) is not None]
    ordered = sorted(found, key=lambda pair: metric.badness(pair[0]))

    def said(job: Job) -> str:
        return f"{with_unit(job.text(metric), job.unit(metric))} ({_where(job)})"

    if len(ordered) == 1:
        return f"in the one job that has it to {said(ordered[0][1])}"
    return f"from {said(ordered[0][1])} to {said(ordered[-1][1])}"
