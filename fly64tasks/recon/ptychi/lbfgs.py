"""Limited-memory BFGS: J. Nocedal and S. J. Wright, Numerical Optimization, 2nd edition (2006).

``[NW n]`` are its equations and algorithms. Vectors are real and one-dimensional. Numbers stay
where the vectors are: the host reads three of them at each step, at once. What is kept between two
iterations is a dict, for a checkpoint to find.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypedDict

import numpy as np
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


class Pairs(TypedDict):
    """What is remembered: the latest pairs, pair i in row i % `PAIRS`.

    steps : (PAIRS, k) float
        What was added to the point, s.
    changes : (PAIRS, k) float
        What that changed in the gradient, y.
    products : (PAIRS, PAIRS) float64
        s_i y_j, of pairs i that are not later than j.
    seen : int
        Pairs so far, those included that are forgotten.
    """

    steps: Tensor
    changes: Tensor
    products: Tensor
    seen: int


def no_pairs(like: Tensor) -> Pairs:
    """Return the memory of a descent that begins, for vectors like one (k,)."""
    return {
        "steps": _rows(like),
        "changes": _rows(like),
        "products": like.new_zeros(PAIRS, PAIRS, dtype=torch.float64),
        "seen": 0,
    }


def _rows(like: Tensor) -> Tensor:
    """Return (PAIRS, k) zeros, which on a CPU take memory only as rows are written."""
    shape = (PAIRS, len(like))
    if like.device.type != "cpu":
        return like.new_zeros(shape)
    return torch.from_numpy(np.zeros(shape, like.numpy().dtype))


def latest(pairs: Pairs) -> Tensor:
    """Return the rows of the pairs that are remembered, (n,) int64, the oldest first."""
    n = min(pairs["seen"], PAIRS)
    oldest = pairs["seen"] % PAIRS if n == PAIRS else 0
    return (torch.arange(n, device=pairs["steps"].device) + oldest) % PAIRS


def descent(
    gradient: Tensor,
    pairs: Pairs,
    metric: Callable[[Tensor], Tensor],
    squares: Callable[[Tensor], Tensor] | None = None,
    rows: Tensor | None = None,
) -> Tensor:
    """Return -H g, with H the inverse Hessian that the pairs tell of [NW algorithm 7.4].

    The two loops of the algorithm are two triangular systems in the products s_i y_j, so that each
    takes the vectors but once: D_i = s_i y_i, and with U the products of i <= j, oldest first,

        U a = S g,  q = g - Y^T a,  r = metric(q),  U^T d = D a - Y r,  H g = r + S^T d.

    Parameters
    ----------
    gradient : (k,) float
    pairs : Pairs
    metric : callable
        Applies the first estimate of H, which is then scaled as in [NW 7.20].
    squares : callable, optional
        Of a vector v: v . metric(v), where that is had for less.
    rows : (n,) int64, optional
        As `latest` says of the pairs, which is where it comes from unless given.
    """
    rows = latest(pairs) if rows is None else rows
    n = len(rows)
    if n == 0:
        return metric(gradient).mul_(-FIRST_SCALE)
    steps, changes = pairs["steps"][:n], pairs["changes"][:n]
    products = pairs["products"][:n, :n].index_select(0, rows).index_select(1, rows).triu()

    def along(vectors: Tensor, vector: Tensor) -> Tensor:
        return (vectors @ vector).index_select(0, rows).double()[:, None]

    def less(vector: Tensor, vectors: Tensor, weights: Tensor) -> Tensor:
        by_row = torch.empty_like(weights[:, 0]).index_copy_(0, rows, weights[:, 0])
        return torch.addmv(vector, vectors.T, by_row.to(vector.dtype), alpha=-1)

    diagonal = products.diagonal()
    a = torch.linalg.solve_triangular(products, along(steps, gradient), upper=True)
    newest = changes.index_select(0, rows[-1:])[0]
    scale = diagonal[-1] / (squares(newest) if squares else torch.dot(newest, metric(newest)))
    del newest
    r = metric(less(gradient, changes, a)).mul_(scale)
    d = diagonal[:, None] * a - along(changes, r)
    d = torch.linalg.solve_triangular(products.T, d, upper=False)
    return less(r.neg_(), steps, d)


def step(
    objective: Callable[[Tensor], tuple[Tensor, ...]],
    point: Tensor,
    value: float,
    gradient: Tensor,
    direction: Tensor,
    pairs: Pairs,
) -> tuple[Tensor, float, Tensor] | None:
    """Return the next point, its value and gradient: backtracking [NW algorithm 3.1].

    The pair of that step is remembered where its curvature s y is positive [NW 7.19, algorithm
    7.5]. None where no step along the direction lowers the objective enough: the numbers do not
    resolve it any more, or it was bent too much.
    """
    slope = torch.dot(gradient, direction)
    length = 1.0
    while length >= SMALLEST_STEP:
        s = direction if length == 1 else length * direction
        new = point + s
        new_value, new_gradient = objective(new)
        y = new_gradient - gradient
        numbers = torch.stack([new_value.double(), slope.double(), torch.dot(s, y).double()])
        found, falls, curvature = numbers.tolist()  # the one place where the host waits
        if falls >= 0:
            return None
        if found <= value + SUFFICIENT_DECREASE * length * falls:
            if curvature > 0:
                _remember(pairs, s, y)
            return new, found, new_gradient
        length *= SHRINKING
    return None


def _remember(pairs: Pairs, s: Tensor, y: Tensor) -> None:
    row = pairs["seen"] % PAIRS
    pairs["steps"][row], pairs["changes"][row] = s, y
    pairs["products"][:, row] = pairs["steps"] @ y
    pairs["seen"] += 1
