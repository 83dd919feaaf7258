"""The draws of a cell by one method, and how a method differs from main in each cell."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from fly64tasks.report.results import Job
from fly64tasks.report.spread import Difference, Spread, paired, spread_of
from fly64tasks.report.wording import score_text
from fly64tasks.score.metric import Metric
from fly64tasks.study.cases import MAIN, Case

Verdict = Literal["better", "worse", "same", "within the spread", "one draw", "not known"]


@dataclass(frozen=True)
class Draws:
    """The jobs of one dose, view and split by one method: one for each draw of the noise."""

    jobs: tuple[Job, ...]

    @property
    def case(self) -> Case:
        """Return the case of the first draw."""
        return self.jobs[0].case

    def values(self, metric: Metric) -> dict[int, float]:
        """Return the score of each draw that has it."""
        found = ((job.case.repeat, job.value(metric)) for job in self.jobs)
        return {repeat: value for repeat, value in found if value is not None}

    def spread(self, metric: Metric) -> Spread | None:
        """Return mean and standard deviation of a score, None where no draw has it."""
        values = self.values(metric)
        return spread_of(list(values.values())) if values else None

    def is_bound(self, metric: Metric) -> bool:
        """Return whether a draw that has the score has only a bound of it."""
        return any(job.is_bound(metric) and job.value(metric) is not None for job in self.jobs)

    def text(self, metric: Metric) -> str:
        """Return the score as tables show it: of one job its own, else mean ± deviation.

        Where draws have none, as those without a resolution, it is said of how many the mean is.
        """
        spread = self.spread(metric)
        if len(self.jobs) == 1 or spread is None:
            return self.jobs[0].text(metric)
        text = score_text(metric, spread.mean, is_bound=self.is_bound(metric))
        if spread.sd is not None:
            text += f" ± {score_text(metric, spread.sd)}"
        return text if spread.n == len(self.jobs) else f"{text} ({spread.n} of {len(self.jobs)})"


def draws_of(jobs: Iterable[Job]) -> list[Draws]:
    """Return the draws of each cell and method, in the order of the jobs."""
    found: dict[Case, list[Job]] = {}
    for job in jobs:
        case = job.case
        first = Case(case.dose, case.view, case.split, case.gridsize, case.method)
        found.setdefault(first, []).append(job)
    return [Draws(tuple(members)) for members in found.values()]


def plain_of(jobs: Iterable[Job]) -> list[Job]:
    """Return the jobs that a study without methods and draws has: main's, in the first draw."""
    return [job for job in jobs if not job.case.variant]


def difference_of(draws: Draws, reference: Draws, metric: Metric) -> Difference | None:
    """Return by how much a score differs, of the draws that both have; None without any.

    Where a value is a bound nothing is known of the difference.
    """
    pairs = _pairs(draws, reference, metric)
    if not pairs or draws.is_bound(metric) or reference.is_bound(metric):
        return None
    return paired(*zip(*pairs, strict=True))


def _pairs(draws: Draws, reference: Draws, metric: Metric) -> list[tuple[float, float]]:
    values, others = draws.values(metric), reference.values(metric)
    return [(values[repeat], others[repeat]) for repeat in values if repeat in others]


@dataclass(frozen=True)
class Compared:
    """A method beside main in one cell: same sets, the same draws of the noise."""

    draws: Draws
    main: Draws
    metric: Metric

    @property
    def difference(self) -> Difference | None:
        """Return the method's score less that of main, paired over the draws."""
        return difference_of(self.draws, self.main, self.metric)

    @property
    def verdict(self) -> Verdict:
        """Return what the difference says; nothing is better or worse within the spread."""
        found = self.difference
        if found is None:
            return "not known"
        if found.is_none:
            return "same"
        if found.n == 1:
            return "one draw"
        if not found.is_beyond_spread:
            return "within the spread"
        pairs = _pairs(self.draws, self.main, self.metric)
        mine, of_main = (spread_of(values).mean for values in zip(*pairs, strict=True))
        return "better" if self.metric.badness(mine) < self.metric.badness(of_main) else "worse"


def compared_with_main(jobs: Sequence[Job], metric: Metric) -> list[Compared]:
    """Return every other method beside main, cell by cell, method after method."""
    every = draws_of(jobs)
    main = {_cell(draws.case): draws for draws in every if draws.case.method == MAIN}
    return [
        Compared(draws, main[_cell(draws.case)], metric)
        for draws in every
        if draws.case.method != MAIN
    ]


def _cell(case: Case) -> tuple[float, str, str]:
    return case.dose, case.view, case.split
