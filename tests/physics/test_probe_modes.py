"""The modes of a partly coherent probe."""

from __future__ import annotations

import numpy as np
import pytest

from fly64tasks.physics.optics import zone_plate_probe
from fly64tasks.physics.probe_modes import shares, with_modes
from fly64tasks.study.stages import BaseSpec, Geometry


@pytest.fixture(scope="module")
def probe() -> np.ndarray:
    return zone_plate_probe(BaseSpec(), Geometry())[None] * 100


def gram(modes: np.ndarray) -> np.ndarray:
    flat = modes.reshape(len(modes), -1)
    flat = flat / np.linalg.norm(flat, axis=1, keepdims=True)
    return np.abs(flat.conj() @ flat.T)


@pytest.mark.parametrize("n", [2, 3, 4, 7, 12])
def test_new_modes_are_orthogonal_and_share_the_power(probe: np.ndarray, n: int):
    modes = with_modes(probe, n)
    assert modes.shape == (n, 64, 64)
    np.testing.assert_allclose(gram(modes), np.eye(n), atol=1e-6)
    assert (np.abs(modes) ** 2).sum() == pytest.approx((np.abs(probe) ** 2).sum())
    np.testing.assert_allclose(shares(modes)[1:], min(0.06, 0.5 / (n - 1)), rtol=1e-5)
    assert gram(np.stack([modes[0], probe[0]]))[0, 1] == pytest.approx(1)


def test_modes_that_are_there_are_kept(probe: np.ndarray):
    given = with_modes(probe, 3)
    assert with_modes(given, None) is given
    assert with_modes(given, 3) is given
    more = with_modes(given, 5)
    np.testing.assert_allclose(gram(more), np.eye(5), atol=1e-6)
    assert [gram(np.stack([*given, mode]))[:3, 3].max() for mode in more[:3]] == [
        pytest.approx(1)
    ] * 3


def test_however_many_are_missing_those_that_are_there_keep_half(probe: np.ndarray):
    equal = np.stack([probe[0], np.roll(probe[0], 5, axis=0)])
    held = shares(with_modes(equal, 64))
    np.testing.assert_allclose(held[:2], 0.25, rtol=1e-5)
    np.testing.assert_allclose(held[2:], 0.5 / 62, rtol=1e-5)


def test_of_too_many_the_strongest_stay(probe: np.ndarray):
    given = with_modes(probe, 3)[::-1].copy()
    one = with_modes(given, 1)
    assert gram(np.stack([one[0], probe[0]]))[0, 1] == pytest.approx(1)
    assert (np.abs(one) ** 2).sum() == pytest.approx((np.abs(given) ** 2).sum())
