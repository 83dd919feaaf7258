"""What a score is: its name, its unit, which way is better, and what may be known of a value."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np

from fly64tasks.score.compare import Comparison


@dataclass(frozen=True)
class Noted:
    """A score and what is to be known of it."""

    value: float
    note: str


@dataclass(frozen=True)
class Bound(Noted):
    """A score of which only a bound is known, and why.

    Attributes
    ----------
    side : str
        Where the true score lies: ``better`` than the value, or ``worse``: then there is none, and
        the value is the limit of what could have been seen.
    """

    side: Literal["better", "worse"] = "better"


@dataclass(frozen=True)
class Metric:
    """One score.

    Attributes
    ----------
    key : str
        Its name in ``scores.json`` and ``summary.csv``; units end it.
    label : str
        Its name in tables and on axes.
    unit : str
        Empty for a pure number.
    better : str
        ``lower``, ``higher`` or ``near 1``.
    meaning : str
        One sentence, for a reader of the report.
    of : callable
        Returns its value for an `Overlay` (for a `Fitted` where it needs no truth), or `Noted`;
        raises `Undefined` where a number would say nothing.
    decimals : int
        Shown in tables.
    needs_truth : bool
        Whether it compares with the truth; the others are of the data alone.
    ranks : bool
        Whether of two values one is of the better object: a closer fit may be one to noise.
    """

    key: str
    label: str
    unit: str
    better: Literal["lower", "higher", "near 1"]
    meaning: str
    of: Callable[[Comparison], float | Noted]
    decimals: int = 4
    needs_truth: bool = True
    ranks: bool = True

    @property
    def is_length(self) -> bool:
        """Return whether it rests on the pixel size."""
        return self.unit == "nm"

    def badness(self, value: float) -> float:
        """Return a number that is the lower the better: what scores are compared by.

        Where 1 is best a half is as far from it as two, because both are ratios of powers.

        >>> chi2 = Metric("chi2", "Fit", "", "near 1", "", lambda fitted: 1.0)
        >>> chi2.badness(0.5) == chi2.badness(2.0) > chi2.badness(1.1)
        True
        """
        if self.better == "near 1":
            return abs(float(np.log(max(value, np.finfo(float).tiny))))
        return value if self.better == "lower" else -value
