"""The windows of the frames on the object: cut out of it, and summed back into it, always alike.

Where windows overlap, a parallel sum into the object adds in an order that changes from run to run
(``index_add_`` on CUDA does), and float32 rounds differently. So the frames are put into groups
whose windows do not overlap: within a group no pixel is written twice, and groups follow each
other in a fixed order.
"""

from __future__ import annotations

import itertools

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor


def disjoint_groups(corners_px: NDArray[np.integer], size_px: int) -> NDArray[np.int64]:
    """Return a group for each window, from 0, such that no two of a group overlap.

    Corners are sorted into cells of a window's size. Cells of the same parity in y and x lie at
    least a cell apart, so that one window of each may share a group; the windows of one cell go
    into different groups.

    Parameters
    ----------
    corners_px : (n, 2) int
        First pixel of each window, y first.
    size_px : int
        Side of a window.

    Examples
    --------
    >>> disjoint_groups(np.array([[0, 0], [1, 0], [0, 4], [0, 8], [0, 9]]), 4).tolist()
    [0, 2, 1, 0, 2]
    """
    cells = np.asarray(corners_px, dtype=np.int64) // size_px
    parity = (cells[:, 0] % 2) * 2 + cells[:, 1] % 2
    order = np.lexsort((cells[:, 1], cells[:, 0]))
    same_cell = (np.diff(cells[order], axis=0) == 0).all(axis=1)
    index = np.arange(len(cells))
    first = np.maximum.accumulate(np.where(np.concatenate([[False], same_cell]), 0, index))
    rank = np.empty(len(cells), dtype=np.int64)
    rank[order] = index - first
    _, groups = np.unique(rank * 4 + parity, return_inverse=True)
    return groups.astype(np.int64)


class Windows:
    """The frames' windows, in an order that keeps their groups together.

    Parameters
    ----------
    corners_px : (n, 2) int
        First pixel of each frame's window on the object, y first.
    size_px : int
        Side of a window, N.
    shape : (int, int)
        Of the object.
    device : torch.device

    Attributes
    ----------
    order : (n,) int64
        The frame of each window; all that follows counts windows in this order.
    """

    def __init__(
        self,
        corners_px: NDArray[np.integer],
        size_px: int,
        shape: tuple[int, int],
        device: torch.device,
    ) -> None:
        if corners_px.min() < 0 or (corners_px.max(axis=0) + size_px > shape).any():
            raise ValueError("a frame's window lies outside of the object")
        groups = disjoint_groups(corners_px, size_px)
        order = np.argsort(groups, kind="stable")
        self.order = torch.from_numpy(order).to(device)
        self.shape = shape
        self._group_starts = np.searchsorted(groups[order], np.arange(groups.max() + 2)).tolist()
        self._size_px = size_px
        corners = torch.from_numpy(np.asarray(corners_px, dtype=np.int64)[order]).to(device)
        self._y, self._x = corners.unbind(1)
        side = torch.arange(size_px, device=device)
        self._pixels = side[:, None] * shape[1] + side
        self._first = self._y * shape[1] + self._x

    def __len__(self) -> int:
        return len(self.order)

    def cut(self, obj: Tensor, windows: slice) -> Tensor:
        """Return the (b, N, N) pixels of ``obj`` (H, W) in a slice of the windows."""
        views = obj.unfold(0, self._size_px, 1).unfold(1, self._size_px, 1)
        return views[self._y[windows], self._x[windows]]

    def add(self, canvas: Tensor, patches: Tensor, windows: slice) -> None:
        """Add ``patches`` (b, N, N) to ``canvas`` (H, W), in place, each at its window."""
        flat = canvas.view(-1)
        start, stop, _ = windows.indices(len(self))
        inner = (s for s in self._group_starts if start < s < stop)
        bounds = [start, *inner, stop]
        for a, b in itertools.pairwise(bounds):
            pixels = self._first[a:b, None, None] + self._pixels
            flat.index_add_(0, pixels.view(-1), patches[a - start : b - start].reshape(-1))
