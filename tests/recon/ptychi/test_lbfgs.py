"""L-BFGS on functions whose minimum is known."""

from __future__ import annotations

import itertools
import sys
from collections.abc import Callable

import pytest
import torch
from resident import resident_bytes
from torch import Tensor

from fly64tasks.recon.ptychi import lbfgs

SCALES = torch.logspace(0, 3, 30, dtype=torch.float64)


def quadratic(x: Tensor) -> tuple[Tensor, Tensor]:
    return (SCALES * x**2).sum() / 2, SCALES * x


def descend(metric, iterations: int) -> list[float]:
    x = torch.ones(30, dtype=torch.float64)
    first, gradient = quadratic(x)
    values = [float(first)]
    pairs = lbfgs.no_pairs(x)
    for _ in range(iterations):
        direction = lbfgs.descent(gradient, pairs, metric)
        found = lbfgs.step(quadratic, x, values[-1], gradient, direction, pairs)
        if found is None:
            break
        x, value, gradient = found
        values.append(value)
    return values


def test_objective_never_rises_and_ends_at_the_minimum():
    values = descend(lambda g: g / 1000, 120)
    assert all(b < a for a, b in itertools.pairwise(values))
    assert values[-1] < 1e-6 * values[0]


def test_the_right_metric_is_newtons_method():
    values = descend(lambda g: g / SCALES, 2)
    assert values[2] < 1e-20 * values[0]


@pytest.mark.parametrize("n", [3, lbfgs.PAIRS, lbfgs.PAIRS + 4])
def test_direction_is_that_of_the_whole_inverse_hessian(n: int):
    """The two systems against the product that they stand for [NW 7.19], of the latest pairs."""
    generator = torch.Generator().manual_seed(0)
    make = lambda: torch.randn(20, dtype=torch.float64, generator=generator)  # noqa: E731
    hessian = torch.diag(torch.linspace(1, 3, 20, dtype=torch.float64))
    pairs, x = lbfgs.no_pairs(make()), make()
    steps = [0.1 * make() for _ in range(n)]
    for s in steps:  # each lowers an objective that is as steep as it likes
        lbfgs.step(bent_along(s, hessian), x, 0.0, -s, s, pairs)
    latest = steps[-lbfgs.PAIRS :]
    inverse = torch.eye(20, dtype=torch.float64)
    inverse *= latest[-1] @ hessian @ latest[-1] / (hessian @ latest[-1]).square().sum()
    for s in latest:
        y = hessian @ s
        v = torch.eye(20, dtype=torch.float64) - torch.outer(y, s) / (y @ s)
        inverse = v.T @ inverse @ v + torch.outer(s, s) / (y @ s)
    gradient = make()
    direction = lbfgs.descent(gradient, pairs, lambda g: g.clone())
    torch.testing.assert_close(direction, -inverse @ gradient)


def bent_along(s: Tensor, hessian: Tensor) -> Callable[[Tensor], tuple[Tensor, Tensor]]:
    """Return an objective that a step s lowers, and whose gradient it changes by hessian s."""
    return lambda _: (torch.tensor(-1e6), hessian @ s - s)


def test_pair_without_curvature_is_not_remembered():
    x = torch.ones(3)
    pairs = lbfgs.no_pairs(x)
    bent = lambda _: (torch.tensor(-1.0), -2 * x)  # noqa: E731
    assert lbfgs.step(bent, x, 0.0, -x, x, pairs) is not None
    assert pairs["seen"] == 0


def test_direction_that_leads_nowhere_gives_no_step():
    x = torch.ones(30, dtype=torch.float64)
    value, gradient = quadratic(x)
    pairs = lbfgs.no_pairs(x)
    assert lbfgs.step(quadratic, x, float(value), gradient, gradient, pairs) is None


@pytest.mark.skipif(sys.platform != "linux", reason="memory is asked of /proc")
def test_pairs_take_memory_as_they_come():
    k = 2_000_000
    x = torch.ones(k)
    before = resident_bytes()
    pairs = lbfgs.no_pairs(x)
    lbfgs.step(lambda new: (torch.tensor(-1.0), x), x, 0.0, -x, x, pairs)
    assert pairs["seen"] == 1
    rows = (resident_bytes() - before) / (4 * k)
    assert rows < 15  # of twice PAIRS two, and some that the step itself takes
