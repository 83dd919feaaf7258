"""Sums into places that several summands share, always in the summands' order.

Where they are added in parallel, the order changes from run to run (``index_add_`` on CUDA), and
float32 rounds differently. Here what goes into a place is brought together first, and one thread
adds it up; a CPU adds one after the other by itself.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor


class ByPlace(NamedTuple):
    """Summands by where they go.

    Attributes
    ----------
    order : (m,) int32
        The summands of the first place, of the second, and so on.
    starts : (places + 1,) int64
        Where those of each place begin.
    """

    order: Tensor
    starts: Tensor


def by_place(places: Tensor, n_places: int) -> ByPlace:
    """Return the order of summands that go to ``places``, (m,) int64.

    >>> [found.tolist() for found in by_place(torch.tensor([2, 0, 2]), 4)]
    [[1, 0, 2], [0, 1, 1, 3, 3]]
    """
    places, order = torch.sort(places, stable=True)
    every = torch.arange(n_places + 1, device=places.device)
    return ByPlace(order.int(), torch.searchsorted(places, every))


def add_sorted(canvas: Tensor, summands: Tensor, by: ByPlace) -> None:
    """Add summands (m, ...) to their places of a canvas (places, ...), in place, in a few calls."""
    if canvas.is_complex():
        canvas, summands = torch.view_as_real(canvas), torch.view_as_real(summands)
    rows = summands.reshape(len(summands), -1).index_select(0, by.order)
    sums = torch.segment_reduce(rows, "sum", offsets=by.starts, axis=0, unsafe=True)
    canvas.add_(sums.view(canvas.shape))
