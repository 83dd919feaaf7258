"""What the scores say, in sentences that are computed from them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence

from fly64tasks.report.draws import Draws, draws_of
from fly64tasks.report.outcome import NRMSE
from fly64tasks.report.results import Job, main_metric
from fly64tasks.report.trends import against_main, dose_steps, trend, view_steps
from fly64tasks.report.wording import (
    NAMED,
    counted,
    dose_text,
    first_of,
    in_sentence,
    listed,
    score_text,
    with_unit,
)
from fly64tasks.score import scorecard
from fly64tasks.score.metric import Metric
from fly64tasks.study.cases import MAIN, SPLITS

RESOLUTION = scorecard.metric("frc_halfbit_period_nm")
"""The resolution that curves and sentences show."""

SAY_THE_TRUTH = (
    "Where the sets' own objectGuess is the truth, as in sets that were simulated elsewhere, say "
    'so in the study, [data] truth = "objectGuess", and run doit again: that scores, and '
    "reconstructs nothing."
)


def headline(jobs: Sequence[Job]) -> list[str]:
    """Return the summary's sentences.

    Parameters
    ----------
    jobs : sequence of Job
        In the order of the study's cases, of every method and draw. Trends are those of main.
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
    main = draws_of(job for job in jobs if job.case.method == MAIN)
    by = " of main" if len(_methods(jobs)) > 1 else ""
    of_dose, subject = dose_steps(main, metric), name + by
    sentences.append(trend(of_dose, metric, "dose", subject))
    of_view = trend(view_steps(main, metric), metric, "view", "It" if of_dose else subject)
    sentences.append(of_view)
    sentences += against_main(jobs, metric)
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
    named = _named(warned, _where)
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
            f"{_named(without, _where)}."
        )
    return sentences


def _worse_than_flat(scored: Sequence[Job]) -> list[str]:
    """Return a sentence on an object of ones, which needs no data, where its error is known."""
    known = [job for job in scored if job.flat_error is not None]
    worse = [job for job in known if job.is_worse_than_flat]
    if not worse:
        return ["No job is worse than a flat object."] if known else []
    verb = "is" if len(worse) == 1 else "are"
    return [
        f"{len(worse)} of {counted(len(known), 'job')} {verb} worse than a flat object: "
        f"{_named(worse, _with_flat)}."
    ]


def _misfits(scored: Sequence[Job]) -> list[str]:
    """Return a sentence on the jobs that do not fit their counts, none where all do."""
    misfits = [job for job in scored if job.does_not_fit and job.fit and job.fit.chi2 is not None]
    if not misfits:
        return []
    verb = "does" if len(misfits) == 1 else "do"
    named = _named(misfits, _with_fit)
    return [f"{counted(len(misfits), 'job')} {verb} not fit the data: {named}."]


def _named(jobs: Sequence[Job], said: Callable[[Job], str]) -> str:
    """Return what is said of each job; of many and of several methods, how many are of which."""
    of_method = Counter(job.case.method for job in jobs)
    if len(jobs) > NAMED and set(of_method) != {MAIN}:
        return listed([f"{count} by {method}" for method, count in of_method.items()])
    return first_of([said(job) for job in jobs])


def _with_flat(job: Job) -> str:
    errors = (score_text(NRMSE, error) for error in (job.value(NRMSE), job.flat_error))
    return f"{_where(job)} ({' against '.join(errors)})"


def _with_fit(job: Job) -> str:
    return f"{_where(job)} (χ² {job.fit.chi2:.3g})" if job.fit else _where(job)


def _where(job: Job) -> str:
    case = job.case
    by = [] if case.method == MAIN else [case.method]
    drawn = [] if case.repeat == 1 else [f"draw {case.repeat}"]
    return ", ".join([f"{dose_text(case.dose)} photons", case.view, case.split, *by, *drawn])


def _methods(jobs: Sequence[Job]) -> list[str]:
    return list(dict.fromkeys(job.case.method for job in jobs))


def _draws(jobs: Sequence[Job]) -> int:
    return len({job.case.repeat for job in jobs})


def _coverage(jobs: Sequence[Job], scored: Sequence[Job]) -> str:
    doses, views = (len({getattr(job.case, key) for job in jobs}) for key in ("dose", "view"))
    text = f"{len(scored)} of {counted(len(jobs), 'job')}"
    if len(scored) == len(jobs):
        text = f"All {counted(len(jobs), 'job')}" if len(jobs) > 1 else "The only job"
    verb = "is" if len(jobs) == 1 else "are"
    methods, draws = len(_methods(jobs)), _draws(jobs)
    parts = [counted(doses, "dose"), counted(views, "view"), listed(SPLITS)]
    parts += [counted(methods, "method")] if methods > 1 else []
    parts += [counted(draws, "draw")] if methods > 1 or draws > 1 else []
    return f"{text} ({', '.join(parts)}) {verb} reconstructed and scored."


def _span(jobs: Sequence[Job], metric: Metric) -> str:
    """Return best and worst value of a score, and where; of several draws their mean."""
    found = [(spread.mean, each) for each in draws_of(jobs) if (spread := each.spread(metric))]
    ordered = sorted(found, key=lambda pair: metric.badness(pair[0]))

    def said(each: Draws) -> str:
        first = each.jobs[0]
        return f"{with_unit(each.text(metric), first.unit(metric))} ({_where(first)})"

    if len(ordered) == 1:
        return f"in the one job that has it to {said(ordered[0][1])}"
    return f"from {said(ordered[0][1])} to {said(ordered[-1][1])}"
