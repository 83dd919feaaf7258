"""L-BFGS on functions whose minimum is known."""

from __future__ import annotations

import itertools

import torch
from torch import Tensor

from fly64tasks.recon.ptychi import lbfgs

SCALES = torch.logspace(0, 3, 30, dtype=torch.float64)


def quadratic(x: Tensor) -> tuple[float, Tensor]:
    return float((SCALES * x**2).sum()) / 2, SCALES * x


def descend(metric, iterations: int) -> list[float]:
    x = torch.ones(30, dtype=torch.float64)
    value, gradient = quadratic(x)
    steps: list[Tensor] = []
    changes: list[Tensor] = []
    values = [value]
    for _ in range(iterations):
        direction = lbfgs.descent(gradient, steps, changes, metric)
        found = lbfgs.step(quadratic, x, value, gradient, direction)
        if found is None:
            break
        new, value, new_gradient = found
        lbfgs.remember(steps, changes, new - x, new_gradient - gradient)
        x, gradient = new, new_gradient
        values.append(value)
    assert len(steps) == len(changes) <= lbfgs.PAIRS
    return values


def test_objective_never_rises_and_ends_at_the_minimum():
    values = descend(lambda g: g / 1000, 120)
    assert all(b < a for a, b in itertools.pairwise(values))
    assert values[-1] < 1e-6 * values[0]


def test_the_right_metric_is_newtons_method():
    values = descend(lambda g: g / SCALES, 2)
    assert values[2] < 1e-20 * values[0]


def test_direction_is_that_of_the_whole_inverse_hessian():
    """The two loops against the product that they stand for [NW 7.19]."""
    generator = torch.Generator().manual_seed(0)
    make = lambda: torch.randn(6, dtype=torch.float64, generator=generator)  # noqa: E731
    steps = [make() for _ in range(3)]
    changes = [s * torch.linspace(1, 3, 6, dtype=torch.float64) for s in steps]
    gradient, one = make(), torch.eye(6, dtype=torch.float64)
    inverse = one * (steps[-1] @ changes[-1] / (changes[-1] @ changes[-1]))
    for s, y in zip(steps, changes, strict=True):
        v = one - torch.outer(y, s) / (y @ s)
        inverse = v.T @ inverse @ v + torch.outer(s, s) / (y @ s)
    direction = lbfgs.descent(gradient, steps, changes, lambda g: g.clone())
    torch.testing.assert_close(direction, -inverse @ gradient)


def test_pair_without_curvature_is_not_remembered():
    steps: list[Tensor] = []
    changes: list[Tensor] = []
    lbfgs.remember(steps, changes, torch.ones(3), -torch.ones(3))
    assert steps == changes == []


def test_direction_that_leads_nowhere_gives_no_step():
    x = torch.ones(30, dtype=torch.float64)
    value, gradient = quadratic(x)
    assert lbfgs.step(quadratic, x, value, gradient, gradient) is None
