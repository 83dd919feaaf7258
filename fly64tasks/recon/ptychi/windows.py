"""The windows of the frames on the object: cut out of it, and summed back into it, always alike."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from fly64tasks.recon.ptychi.sums import ByPlace, add_sorted, by_place


class Windows:
    """The frames' windows.

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
    sorts : bool
        Whether `cut` indexes and `add` sorts by pixel, in a few calls however many frames there
        are: on a CPU, where calls cost little, frame comes after frame. Both give the same bits.
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
        self.shape, self.sorts = shape, device.type != "cpu"
        self._size_px = size_px
        self._corners = np.asarray(corners_px, dtype=np.int64).tolist()
        self._y, self._x = torch.tensor(self._corners, device=device).unbind(1)
        side = torch.arange(size_px, device=device)
        self._pixels = side[:, None] * shape[1] + side
        self._sorted: dict[tuple[int, int], ByPlace] = {}

    def cut(self, obj: Tensor, frames: slice) -> Tensor:
        """Return the (b, N, N) pixels of ``obj`` (H, W) in the windows of a slice of the frames."""
        n = self._size_px
        if self.sorts:
            views = obj.unfold(0, n, 1).unfold(1, n, 1)
            return views[self._y[frames], self._x[frames]]
        corners, pixels = self._corners[frames], obj.numpy()
        found = obj.new_empty(len(corners), n, n)
        for patch, (y, x) in zip(found.numpy(), corners, strict=True):
            patch[:] = pixels[y : y + n, x : x + n]
        return found

    def add(self, canvas: Tensor, patches: Tensor, frames: slice) -> None:
        """Add ``patches`` (b, N, N) to ``canvas`` (H, W), in place, each at its window.

        A pixel's sum is in the order of the frames, on every device.
        """
        if self.sorts:
            add_sorted(canvas.view(-1), patches.reshape(-1), self._by_pixel(frames))
            return
        pixels, n = canvas.numpy(), self._size_px
        for patch, (y, x) in zip(patches.numpy(), self._corners[frames], strict=True):
            pixels[y : y + n, x : x + n] += patch

    def _by_pixel(self, frames: slice) -> ByPlace:
        """Return by which pixel of the canvas the pixels of the frames in a slice are summed."""
        key = (frames.start, frames.stop)
        if key not in self._sorted:
            first = self._y[frames] * self.shape[1] + self._x[frames]
            pixels = first[:, None, None] + self._pixels
            self._sorted[key] = by_place(pixels.view(-1), self.shape[0] * self.shape[1])
        return self._sorted[key]
