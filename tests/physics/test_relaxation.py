"""A probe that changes from frame to frame."""

from __future__ import annotations

import numpy as np
import pytest

from fly64tasks.physics.relaxation import Relaxation, first_relaxation

PROBE = np.zeros((2, 4, 4), complex)
PROBE[0, 0, 0], PROBE[1, 1, 1] = 2.0, 1.0
MODES = np.zeros((1, 4, 4), complex)
MODES[0, 2, 2] = 1j
RELAXED = Relaxation(MODES, np.array([[1.0, 0.5], [1.0, -0.5], [1.0, 0.0]]))


def test_only_the_first_mode_changes():
    probes = RELAXED.probes(PROBE)
    assert probes.shape == (3, 2, 4, 4)
    np.testing.assert_array_equal(RELAXED.probes(PROBE, slice(1, 3)), probes[1:])
    assert [probe[0, 2, 2] for probe in probes] == [0.5j, -0.5j, 0]
    for probe in probes:
        np.testing.assert_array_equal(probe[1], PROBE[1])


def test_power_is_that_of_the_mean_frame_and_modes_have_their_share_of_the_first():
    powers = [(np.abs(probe) ** 2).sum() for probe in RELAXED.probes(PROBE)]
    assert RELAXED.mean_power(PROBE) == pytest.approx(np.mean(powers))
    assert RELAXED.shares(PROBE) == pytest.approx([(0.5 / 3) / (4 + 0.5 / 3)])


def test_scaling_and_other_units_of_the_weights_change_no_frame():
    relative = RELAXED.relative_to(PROBE)
    assert np.linalg.norm(relative.modes) == pytest.approx(2)
    assert relative.weights[:, 1] == pytest.approx([0.25, -0.25, 0])
    twice = RELAXED.scaled(2)
    for probe, other, larger in zip(
        RELAXED.probes(PROBE), relative.probes(PROBE), twice.probes(2 * PROBE), strict=True
    ):
        np.testing.assert_allclose(other, probe)
        np.testing.assert_allclose(larger, 2 * probe)


def test_first_modes_are_as_ptychi_makes_them_and_of_the_seed():
    first, again = (first_relaxation(3, 50, 8, np.random.default_rng(1)) for _ in range(2))
    np.testing.assert_array_equal(first.modes, again.modes)
    np.testing.assert_array_equal(first.weights, again.weights)
    assert (np.abs(first.modes) ** 2).mean(axis=(1, 2)) == pytest.approx([1, 1, 1])
    assert (first.weights[:, 0] == 1).all()
    assert 0 < np.abs(first.weights[:, 1:]).max() < 1e-5
