"""Limited-memory BFGS: J. Nocedal and S. J. Wright, Numerical Optimization, 2nd edition (2006).

``[NW n]`` are its equations and algorithms. Vectors are real and one-dimensional. What is kept
between two iterations is two lists of tensors, for a checkpoint to find.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

PAIRS = 10
"""Pairs of steps and changes that are remembered."""
FIRST_SCALE = 0.25
"""Of the metric in the first iteration, where nothing is known of the curvature."""
SUFFICIENT_DECREASE = 1e-4
"""c_1 of the Armijo condition [NW 3.4, 3.6a]."""
SHRINKING = 0.3
SMALLEST_STEP = 1e-6


def descent(
    gradient: Tensor,
    steps: list[Tensor],
    changes: list[Tensor],
    metric: Callable[[Tensor], Tensor],
) -> Tensor:
    """Return -H g, with H the inverse Hessian that the pairs tell of [NW algorithm 7.4].

    Parameters
    ----------
    gradient : (k,) float
    steps : list of (k,) float
        What was added to the point, s_k, oldest first.
    changes : list of (k,) float
        What that changed in the gradient, y_k.
    metric : callable
        Applies the first estimate of H, which is then scaled as in [NW 7.20].
    """
    q = gradient.clone()
    kept = []
    for s, y in zip(reversed(steps), reversed(changes), strict=True):
        rho = 1 / dot(s, y)
        alpha = rho * dot(s, q)
        q.sub_(y, alpha=alpha)
        kept.append((rho, alpha))
    scale = FIRST_SCALE
    if steps:
        s, y = steps[-1], changes[-1]
        scale = dot(s, y) / dot(y, metric(y))
    r = metric(q).mul_(scale)
    for s, y, (rho, alpha) in zip(steps, changes, reversed(kept), strict=True):
        r.add_(s, alpha=alpha - rho * dot(y, r))
    return r.neg_()


def step(
    objective: Callable[[Tensor], tuple[float, Tensor]],
    point: Tensor,
    value: float,
    gradient: Tensor,
    direction: Tensor,
) -> tuple[Tensor, float, Tensor] | None:
    """Return the next point, its value and gradient: backtracking [NW algorithm 3.1].

    None where no step along the direction lowers the objective enough: the numbers do not
    resolve it any more, or it was bent too much.
    """
    slope = dot(gradient, direction)
    length = 1.0
    while slope < 0 and length >= SMALLEST_STEP:
        new = point + length * direction
        new_value, new_gradient = objective(new)
        if new_value <= value + SUFFICIENT_DECREASE * length * slope:
            return new, new_value, new_gradient
        length *= SHRINKING
    return None


def remember(steps: list[Tensor], changes: list[Tensor], s: Tensor, y: Tensor) -> None:
    """Put a pair into the lists, where its curvature s y is positive [NW 7.19, algorithm 7.5]."""
    if dot(s, y) <= 0:
        return
    steps.append(s)
    changes.append(y)
    del steps[:-PAIRS], changes[:-PAIRS]


def dot(a: Tensor, b: Tensor) -> float:
    """Return the scalar product of two real vectors."""
    return float(torch.dot(a, b))
