"""How far numbers scatter from draw to draw, and whether a difference is larger than that."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import stdtr, stdtrit

LEVEL = 0.95
"""How sure a difference has to be of not being zero, each by itself."""


@dataclass(frozen=True)
class Spread:
    """The mean of ``n`` numbers and their standard deviation (n - 1), None for one."""

    mean: float
    sd: float | None
    n: int


def spread_of(values: Sequence[float]) -> Spread:
    """Return mean and standard deviation of at least one number.

    >>> spread_of([1.0, 2.0, 3.0]), spread_of([4.0])
    (Spread(mean=2.0, sd=1.0, n=3), Spread(mean=4.0, sd=None, n=1))
    """
    sd = float(np.std(values, ddof=1)) if len(values) > 1 else None
    return Spread(float(np.mean(values)), sd, len(values))


@dataclass(frozen=True)
class Difference(Spread):
    """A difference, paired over draws: its mean, its standard deviation, and what that says.

    Attributes
    ----------
    low, high : float or None
        The interval that holds the true mean at `LEVEL` (Student's t); None of one draw.
    p : float or None
        Of no difference, two-sided (paired t-test); None of one draw, and where all pairs differ
        by the same.
    """

    low: float | None
    high: float | None
    p: float | None

    @property
    def is_beyond_spread(self) -> bool:
        """Return whether the interval leaves out zero; never of one draw."""
        return self.low is not None and self.high is not None and not self.low <= 0 <= self.high

    @property
    def is_none(self) -> bool:
        """Return whether every pair is the same, to the last digit."""
        return self.mean == 0 and self.sd in (0, None)


def paired(values: Sequence[float], reference: Sequence[float]) -> Difference:
    """Return by how much values differ from reference ones, pair by pair.

    Student, "The probable error of a mean", Biometrika 6 (1908), of the differences.

    >>> found = paired([2.0, 4.0, 6.0], [1.0, 2.0, 3.0])
    >>> found.mean, found.sd, round(found.low, 3), round(found.high, 3), round(found.p, 4)
    (2.0, 1.0, -0.484, 4.484, 0.0742)
    """
    found = spread_of([value - other for value, other in zip(values, reference, strict=True)])
    if found.sd is None:
        return Difference(found.mean, None, 1, None, None, None)
    freedom, error = found.n - 1, found.sd / math.sqrt(found.n)
    reach = float(stdtrit(freedom, (1 + LEVEL) / 2)) * error
    p = 2 * float(stdtr(freedom, -abs(found.mean) / error)) if error else None
    return Difference(found.mean, found.sd, found.n, found.mean - reach, found.mean + reach, p)
