"""Diffraction frames that need not fit into memory: read in blocks, from a file or an array."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, Protocol

import numpy as np
from numpy.typing import DTypeLike, NDArray

BLOCK_BYTES = 32 * 2**20
"""Most bytes that are read at once."""
_GAP = 16
"""Frames that are read and thrown away rather than read around."""


class Source(Protocol):
    """What frames are read from: an array, an HDF5 dataset."""

    @property
    def shape(self) -> tuple[int, ...]: ...

    @property
    def dtype(self) -> Any: ...

    def __getitem__(self, key: slice, /) -> Any: ...


class FrameStack:
    """Frames (n, height, width) that are read when they are asked for.

    Parameters
    ----------
    shape : (n, height, width)
    dtype : dtype
    read : callable
        Returns the frames from a first one to before a last one.
    frame_bytes : int, optional
        What one frame takes while it is read; that of ``shape`` and ``dtype`` unless given.

    Examples
    --------
    >>> frames = FrameStack.of(np.arange(12).reshape(3, 2, 2)).kept(np.array([0, 2]))
    >>> frames.mapped(lambda block: 2 * block).array()[:, 0, 0].tolist()
    [0, 16]
    """

    def __init__(
        self,
        shape: tuple[int, int, int],
        dtype: DTypeLike,
        read: Callable[[int, int], NDArray[Any]],
        frame_bytes: int = 0,
    ) -> None:
        self.shape = shape
        self.dtype: np.dtype[Any] = np.dtype(dtype)
        self.read = read
        self._frame_bytes = max(frame_bytes, shape[1] * shape[2] * self.dtype.itemsize)

    @classmethod
    def of(cls, *sources: Source) -> FrameStack:
        """Return the frames of one or several sources (k, height, width), in their order."""
        ends = np.cumsum([source.shape[0] for source in sources])

        def read(start: int, stop: int) -> NDArray[Any]:
            parts = [
                np.asarray(source[max(start - begin, 0) : stop - begin])
                for source, begin, end in zip(sources, [0, *ends[:-1]], ends, strict=True)
                if begin < stop and start < end
            ]
            return parts[0] if len(parts) == 1 else np.concatenate(parts)

        height, width = sources[0].shape[1:]
        dtype = np.result_type(*(source.dtype for source in sources))
        return cls((int(ends[-1]), height, width), dtype, read)

    def __len__(self) -> int:
        return self.shape[0]

    @property
    def is_whole(self) -> bool:
        """Return whether the dtype is an integer one."""
        return self.dtype.kind in "iu"

    def mapped(
        self,
        function: Callable[[NDArray[Any]], NDArray[Any]],
        size: tuple[int, int] | None = None,
        dtype: DTypeLike | None = None,
    ) -> FrameStack:
        """Return the frames that a function makes of each block (k, height, width)."""
        return FrameStack(
            (self.shape[0], *(size or self.shape[1:])),
            self.dtype if dtype is None else dtype,
            lambda start, stop: function(self.read(start, stop)),
            self._frame_bytes,
        )

    def zipped(
        self,
        other: FrameStack,
        function: Callable[[NDArray[Any], NDArray[Any]], NDArray[Any]],
        dtype: DTypeLike,
    ) -> FrameStack:
        """Return the frames that a function makes of the blocks of two, frame by frame."""
        return FrameStack(
            self.shape,
            dtype,
            lambda start, stop: function(self.read(start, stop), other.read(start, stop)),
            self._frame_bytes + other._frame_bytes,
        )

    def kept(self, index: NDArray[np.integer]) -> FrameStack:
        """Return the frames of these numbers, which ascend."""

        def read(start: int, stop: int) -> NDArray[Any]:
            wanted = index[start:stop]
            runs: Sequence[Any] = np.split(wanted, np.flatnonzero(np.diff(wanted) > _GAP) + 1)
            return np.concatenate(
                [self.read(int(run[0]), int(run[-1]) + 1)[run - run[0]] for run in runs]
            )

        return FrameStack((len(index), *self.shape[1:]), self.dtype, read, self._frame_bytes)

    def blocks(self) -> Iterator[NDArray[Any]]:
        """Yield the frames, some at a time."""
        step = max(1, BLOCK_BYTES // self._frame_bytes)
        for start in range(0, len(self), step):
            yield self.read(start, min(start + step, len(self))).astype(self.dtype, copy=False)

    def array(self) -> NDArray[Any]:
        """Return all frames at once."""
        found = np.empty(self.shape, self.dtype)
        start = 0
        for block in self.blocks():
            found[start : start + len(block)] = block
            start += len(block)
        return found
