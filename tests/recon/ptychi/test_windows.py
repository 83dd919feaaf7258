"""Cutting and adding are each other's adjoint, and sums are in the frames' order everywhere."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from fly64tasks.recon.ptychi.windows import Windows


def windows_of(corners: np.ndarray, size: int = 4) -> Windows:
    return Windows(corners, size, (20, 23), torch.device("cpu"))


def test_windows_are_cut_and_added_where_the_frames_lie():
    corners = np.random.default_rng(0).integers(0, 16, (30, 2))
    windows = windows_of(corners)
    obj = torch.arange(20 * 23, dtype=torch.float64).view(20, 23)
    canvas, expected = torch.zeros_like(obj), torch.zeros_like(obj)
    for a in range(0, 30, 7):
        frames = slice(a, min(a + 7, 30))
        patches = windows.cut(obj, frames)
        windows.add(canvas, patches, frames)
        for patch, (y, x) in zip(patches, corners[frames], strict=True):
            assert torch.equal(patch, obj[y : y + 4, x : x + 4])
            expected[y : y + 4, x : x + 4] += patch
    assert torch.equal(canvas, expected)  # whole numbers: no rounding


def test_window_off_the_object_is_refused():
    with pytest.raises(ValueError, match="outside of the object"):
        windows_of(np.array([[0, 0], [17, 0]]))


@pytest.mark.parametrize("dtype", [torch.float32, torch.complex64])
def test_sorted_sums_are_those_of_frame_after_frame_to_the_bit(dtype: torch.dtype):
    """What a device does in a few calls is what a CPU does: their order decides the rounding."""
    windows = windows_of(np.random.default_rng(1).integers(0, 16, (40, 2)))
    generator = torch.Generator().manual_seed(0)
    patches = torch.randn(40, 4, 4, dtype=dtype, generator=generator)
    sums = []
    for windows.sorts in (False, True):
        sums.append(torch.zeros(20, 23, dtype=dtype))
        windows.add(sums[-1], patches[3:], slice(3, 40))
    assert torch.equal(*sums)
