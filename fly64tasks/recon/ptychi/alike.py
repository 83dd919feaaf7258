"""Frames whose probes are shifted alike: by the same share of a pixel, as on a regular raster."""

from __future__ import annotations

import torch
from torch import Tensor

from fly64tasks.recon.ptychi.sums import ByPlace, add_sorted, by_place

FINEST_PX = 2.0**-12
"""Shifts that are nearer count as one: float32 positions of a raster differ by less."""


class Alike:
    """Which frames share a shift.

    Parameters
    ----------
    shifts_px : (n, 2) float

    Attributes
    ----------
    shifts_px : (m, 2) float
        Each shift once: that of the first frame that has it.
    which : (n,) int64
        The shift of each frame.

    Examples
    --------
    >>> found = Alike(torch.tensor([[0.25, 0.0], [0.0, 0.0], [0.25, 1e-6], [0.0, 0.0]]))
    >>> found.which.tolist(), found.shifts_px.tolist()
    ([1, 0, 1, 0], [[0.0, 0.0], [0.25, 0.0]])
    """

    def __init__(self, shifts_px: Tensor) -> None:
        steps = torch.round(shifts_px / FINEST_PX)
        found, self.which = torch.unique(steps, dim=0, return_inverse=True)
        frames = torch.arange(len(self.which), device=self.which.device)
        first = frames.new_zeros(len(found)).scatter_reduce(
            0, self.which, frames, "amin", include_self=False
        )
        self.shifts_px = shifts_px[first]
        self._sorted: dict[tuple[int, int], ByPlace] = {}

    def __len__(self) -> int:
        return len(self.shifts_px)

    def add(self, sums: Tensor, of_frames: Tensor, frames: slice) -> None:
        """Add (b, ...) of a slice of the frames to the (m, ...) of their shifts, in place."""
        if sums.device.type == "cpu":
            sums.index_add_(0, self.which[frames], of_frames)
            return
        key = (frames.start, frames.stop)
        if key not in self._sorted:
            self._sorted[key] = by_place(self.which[frames], len(self))
        add_sorted(sums, of_frames, self._sorted[key])
