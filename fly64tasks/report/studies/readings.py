"""A score in two studies, in one job or over the draws of a cell, and what became of it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

from fly64tasks.report.spread import Difference, Spread, paired, spread_of
from fly64tasks.score.halves import HALVES_METRICS
from fly64tasks.score.metric import Metric
from fly64tasks.score.scorecard import METRICS

EQUAL = 1e-5
"""Of a score: another number of threads or another machine makes of the same settings no more."""
KNOWN = {metric.key: metric for metric in (*METRICS, *HALVES_METRICS)}

Verdict = Literal["better", "worse", "differs", "equal", "not known", "only in one"]
Over = Literal["better", "worse", "differs", "within the spread", "equal"]


class Reading(NamedTuple):
    """A score as a job has it.

    Attributes
    ----------
    value : float
        Where there is a ``side``, a limit.
    side : str
        Where the true score lies, ``better`` or ``worse`` than the value; empty where that is it.
    """

    value: float
    side: Literal["", "better", "worse"] = ""


@dataclass(frozen=True)
class Score:
    """A score of a job in the first study and in another; None where it has none."""

    job: str
    metric: Metric
    old: Reading | None
    new: Reading | None

    @property
    def pair(self) -> tuple[float, float] | None:
        """Return both values, None unless both are the scores themselves."""
        if self.old is None or self.new is None or self.old.side or self.new.side:
            return None
        return self.old.value, self.new.value

    @property
    def difference(self) -> float | None:
        """Return new - old, None where that is not known."""
        return self.pair and self.pair[1] - self.pair[0]

    @property
    def verdict(self) -> Verdict:
        """Return what became of it; the same limit twice is no difference.

        A score that does not rank what it is of differs, and is neither better nor worse.
        """
        old, new = self.old, self.new
        if old is None or new is None:
            return "equal" if old is new else "only in one"
        if old.side == new.side and _are_equal(old.value, new.value):
            return "equal"
        if not self.metric.ranks:
            return "differs"
        badness = self.metric.badness
        if badness(new.value) <= badness(old.value):
            return "better" if new.side != "worse" and old.side != "better" else "not known"
        return "worse" if new.side != "better" and old.side != "worse" else "not known"


@dataclass(frozen=True)
class Cell:
    """A score over the draws that both studies have of it: two at least, paired by their numbers.

    ``name`` is that of the first draw's job.
    """

    name: str
    metric: Metric
    pairs: tuple[tuple[float, float], ...]

    @property
    def old(self) -> Spread:
        """Return the mean in the first study, and how far it scatters."""
        return spread_of([old for old, _ in self.pairs])

    @property
    def new(self) -> Spread:
        """Return the mean in the other."""
        return spread_of([new for _, new in self.pairs])

    @property
    def difference(self) -> Difference:
        """Return new - old, paired over the draws."""
        old, new = zip(*self.pairs, strict=True)
        return paired(new, old)

    @property
    def verdict(self) -> Over:
        """Return what the difference says; nothing is better or worse within the spread."""
        if all(_are_equal(old, new) for old, new in self.pairs):
            return "equal"
        if not self.difference.is_beyond_spread:
            return "within the spread"
        if not self.metric.ranks:
            return "differs"
        badness = self.metric.badness
        return "better" if badness(self.new.mean) < badness(self.old.mean) else "worse"


def cells_of(scores: Sequence[Score]) -> list[Cell]:
    """Return each score of each cell that has several draws in both studies.

    A draw that has no score in one of them is left out. Where one has only a limit nothing is known
    of the mean, and without it the others would be chosen by what they say: there is no cell.
    """
    found: dict[tuple[str, str], list[tuple[float, float] | None]] = {}
    for score in scores:
        if score.old and score.new:
            found.setdefault((first_draw(score.job), score.metric.key), []).append(score.pair)
    return [
        Cell(name, KNOWN[key], tuple(known))
        for (name, key), pairs in found.items()
        if len(known := [pair for pair in pairs if pair]) == len(pairs) > 1
    ]


def first_draw(job: str) -> str:
    """Return the name of the first draw's job.

    >>> first_draw("dose_1000_dense_train@epie@3"), first_draw("dose_1000_dense_train@epie")
    ('dose_1000_dense_train@epie', 'dose_1000_dense_train@epie')
    """
    return re.sub(r"@\d+$", "", job)


def _are_equal(value: float, other: float) -> bool:
    return abs(other - value) <= EQUAL * max(abs(value), abs(other))
