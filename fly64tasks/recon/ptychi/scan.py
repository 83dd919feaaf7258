"""Where frames lie: whole pixels for their windows on the object, the rest for a probe's shift."""

from __future__ import annotations

import torch
from torch import Tensor

from fly64tasks.recon.ptychi.windows import Windows

TRUST_PX = 2.0
"""How far a position may be off, on each axis: with 1 to 4 px all ends alike, for the counts say
more. It holds frames where the object is flat, which say nothing."""
LONGEST_MOVE_PX = 0.5
"""Of any frame, on each axis, in an epoch: while the object is rough a step says little."""
LONGEST_SHIFT_PX = 1.0
"""Windows follow frames that have moved farther: a shifted probe comes in again at the other side
of its window, and a window that lags shows the wrong part of the object."""
_HALF_PIXEL = 0.49
"""Less than half: positions are rounded, and have to stay on the object when they are."""


class Scan:
    """Positions that may be off, and their windows, as pty-chi has them.

    Its positions are rounded, the origin added, and half a window, (N - 1) / 2, subtracted.

    Parameters
    ----------
    given_px : (n, 2) float
        In pixels of the object, y first.
    nearest_px : (n, 2) float
        Whole pixels, within `LONGEST_SHIFT_PX` of where the frames are.
    origin_px : (2,) float
        pty-chi's.
    size_px : int
        Side of a window, N.
    shape : (int, int)
        Of the object.
    """

    def __init__(
        self,
        given_px: Tensor,
        nearest_px: Tensor,
        origin_px: Tensor,
        size_px: int,
        shape: tuple[int, int],
    ) -> None:
        self.given_px, self.nearest_px = given_px, nearest_px.clone()
        self._size_px, self._shape = size_px, shape
        self._first = origin_px - (size_px - 1) / 2
        room = torch.tensor(shape, device=origin_px.device) - size_px
        self._least = -self._first - _HALF_PIXEL
        self._most = room - self._first + _HALF_PIXEL

    def windows(self) -> Windows:
        """Return the windows at the nearest pixels."""
        corners = (self.nearest_px + self._first).round().long()
        return Windows(corners.cpu().numpy(), self._size_px, self._shape, corners.device)

    def bounded(self, moves_px: Tensor, positions_px: Tensor) -> Tensor:
        """Return moves, (n, 2), of which none is long or puts a window off the object."""
        short = moves_px.clamp(-LONGEST_MOVE_PX, LONGEST_MOVE_PX)
        return (positions_px + short).clamp(self._least, self._most) - positions_px

    def prior(self, positions_px: Tensor) -> tuple[Tensor, Tensor]:
        """Return how unlikely it is that the given positions are so far off, and the gradient."""
        off = positions_px - self.given_px
        nats = (off * off).sum(dtype=torch.float64) / (2 * TRUST_PX**2)
        return nats, off / TRUST_PX**2


def without_mean(of_frames: Tensor) -> Tensor:
    """Return what is left of (n, 2) when all frames move alike: with the object they may."""
    return of_frames - of_frames.mean(0)


def followed(nearest_px: Tensor, positions_px: Tensor) -> Tensor:
    """Return the whole pixels nearest to positions, or the former where the windows may stay.

    >>> at = torch.zeros(1, 2)
    >>> followed(at, torch.tensor([[0.9, 0.0]])), followed(at, torch.tensor([[1.2, 0.0]]))
    (tensor([[0., 0.]]), tensor([[1., 0.]]))
    """
    off = (positions_px - nearest_px).abs().max() > LONGEST_SHIFT_PX
    return torch.where(off, positions_px.round(), nearest_px)
