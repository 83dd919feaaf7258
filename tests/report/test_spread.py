"""Means, deviations and paired differences, held to scipy's."""

from __future__ import annotations

import pytest
from scipy import stats

from fly64tasks.report.spread import paired, spread_of

PAIRS = [
    ([0.1212, 0.1198, 0.1230], [0.1105, 0.1093, 0.1127]),
    ([0.5, 0.4], [0.1, 0.3]),
    ([20.1, 19.7, 22.4, 18.2, 20.0], [19.9, 20.3, 21.8, 18.6, 20.1]),
    ([1.02, 0.98, 1.01, 1.00], [3.2, 2.9, 4.1, 3.3]),
    ([1e-7, 3e-7, 2e-7], [2e-7, 2e-7, 5e-7]),
    ([-3.0, 12.0, 5.0, 7.0, 1.0, 2.0], [4.0, -2.0, 5.0, 6.0, 0.0, 9.0]),
]


@pytest.mark.parametrize(("values", "reference"), PAIRS)
def test_paired_differences_are_scipys(values: list[float], reference: list[float]):
    found, expected = paired(values, reference), stats.ttest_rel(values, reference)
    interval = expected.confidence_interval(0.95)
    assert found.p == pytest.approx(expected.pvalue, rel=1e-9)
    assert (found.low, found.high) == pytest.approx((interval.low, interval.high), rel=1e-9)
    assert found.is_beyond_spread == (expected.pvalue < 0.05)
    differences = [value - other for value, other in zip(values, reference, strict=True)]
    assert found.sd == pytest.approx(stats.tstd(differences))
    assert found.n == len(values)


def test_equal_numbers_differ_by_exactly_zero():
    found = paired([0.1, 0.2, 0.3], [0.1, 0.2, 0.3])
    assert (found.mean, found.sd, found.low, found.high, found.p) == (0.0, 0.0, 0.0, 0.0, None)
    assert found.is_none
    assert not found.is_beyond_spread


def test_difference_that_never_varies_is_beyond_the_spread():
    found = paired([1.5, 2.5], [1.0, 2.0])
    assert (found.mean, found.sd, found.p) == (0.5, 0.0, None)
    assert found.is_beyond_spread


def test_one_draw_has_no_deviation_and_says_nothing():
    assert spread_of([0.25]).sd is None
    found = paired([9.0], [1.0])
    assert (found.mean, found.sd, found.low, found.p) == (8.0, None, None, None)
    assert not found.is_beyond_spread
    assert not found.is_none
