"""Windows of a group do not overlap, and cutting and adding are each other's adjoint."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from fly64tasks.recon.ptychi.windows import Windows, disjoint_groups


@pytest.mark.parametrize("size", [5, 8])
@pytest.mark.parametrize("span", [1, 9, 60])
def test_no_two_windows_of_a_group_overlap(size: int, span: int):
    rng = np.random.default_rng(span)
    corners = rng.integers(0, span, (200, 2))
    groups = disjoint_groups(corners, size)
    assert sorted(set(groups)) == list(range(groups.max() + 1))
    canvas = np.zeros((groups.max() + 1, span + size, span + size), int)
    for group, (y, x) in zip(groups, corners, strict=True):
        canvas[group, y : y + size, x : x + size] += 1
    assert canvas.max() == 1


def test_groups_are_four_per_window_of_a_cell_at_most():
    y, x = np.mgrid[0:80:4, 0:80:4]
    corners = np.stack([y.ravel(), x.ravel()], axis=1)
    assert disjoint_groups(corners, 8).max() + 1 == 4 * 4


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
        for patch, (y, x) in zip(patches, corners[windows.order[frames]], strict=True):
            assert torch.equal(patch, obj[y : y + 4, x : x + 4])
            expected[y : y + 4, x : x + 4] += patch
    assert torch.equal(canvas, expected)  # whole numbers: no rounding
    assert sorted(windows.order.tolist()) == list(range(30))


def test_window_off_the_object_is_refused():
    with pytest.raises(ValueError, match="outside of the object"):
        windows_of(np.array([[0, 0], [17, 0]]))
