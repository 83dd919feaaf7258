"""Frames that are read when they are asked for, in blocks."""

from __future__ import annotations

import numpy as np
import pytest

from fly64tasks.data import frame_stack
from fly64tasks.data.frame_stack import FrameStack


@pytest.fixture
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Three frames of (2, 3) int64 a block."""
    monkeypatch.setattr(frame_stack, "BLOCK_BYTES", 150)


@pytest.mark.usefixtures("small_blocks")
def test_blocks_are_the_frames_of_all_sources_in_order():
    whole = np.arange(11 * 6).reshape(11, 2, 3)
    stack = FrameStack.of(whole[:4], whole[4:5], whole[5:])
    assert [len(block) for block in stack.blocks()] == [3, 3, 3, 2]
    assert np.array_equal(np.concatenate(list(stack.blocks())), whole)


@pytest.mark.usefixtures("small_blocks")
def test_kept_frames_are_read_in_runs():
    whole = np.arange(100 * 6).reshape(100, 2, 3)
    index = np.array([0, 1, 40, 41, 43, 99])
    asked = []

    class Source:
        shape, dtype = whole.shape, whole.dtype

        def __getitem__(self, key: slice) -> np.ndarray:
            asked.append(key.stop - key.start)
            return whole[key]

    assert np.array_equal(FrameStack.of(Source()).kept(index).array(), whole[index])
    assert max(asked) <= 4


@pytest.mark.usefixtures("small_blocks")
def test_functions_are_applied_block_by_block():
    whole = np.arange(7 * 6).reshape(7, 2, 3)
    stack = FrameStack.of(whole)
    turned = stack.mapped(lambda block: block.swapaxes(1, 2), (3, 2))
    assert np.array_equal(turned.array(), whole.swapaxes(1, 2))
    both = stack.zipped(stack, lambda a, b: a + b, np.int64)
    assert np.array_equal(both.array(), 2 * whole)
