import numpy as np

from fly64tasks.physics.fit import excess_nats
from fly64tasks.physics.held_out import COVERED_SHARE, held_out_frames

PROBE = np.ones((1, 8, 8), complex)
SCAN = np.stack(np.mgrid[8:40:2, 8:40:2], axis=-1).reshape(-1, 2).astype(float)
SHAPE = (48, 48)


def test_held_out_frames_are_covered_by_those_that_are_left():
    held = held_out_frames(SCAN, PROBE, SHAPE, share=0.5, seed=3)
    left = np.setdiff1d(np.arange(len(SCAN)), held)
    light = np.zeros(SHAPE)
    for y, x in SCAN[left].astype(int) - 4:
        light[y : y + 8, x : x + 8] += 1 / 64
    assert 0 < len(held) <= len(SCAN) / 2
    for y, x in SCAN[held].astype(int) - 4:
        covered = (light[y : y + 8, x : x + 8] > 0.1 * 16 / 64).mean()
        assert covered >= COVERED_SHARE


def test_seed_draws_them():
    first, same, other = (held_out_frames(SCAN, PROBE, SHAPE, 0.1, seed) for seed in (1, 1, 2))
    assert np.array_equal(first, same)
    assert not np.array_equal(first, other)


def test_frames_that_nothing_else_covers_are_never_held_out():
    far = np.array([[8.0, 8], [8, 20], [30, 8], [30, 30]])
    assert len(held_out_frames(far, PROBE, SHAPE, 0.5, 0)) == 0
    alone = np.concatenate([SCAN[SCAN[:, 1] < 20], [[40.0, 40]]])
    assert len(alone) - 1 not in held_out_frames(alone, PROBE, SHAPE, 0.5, 0)


def test_the_mean_of_the_counts_is_the_likeliest_prediction_at_any_dose():
    """As chi2 is not: below a count per pixel it prefers predictions that follow the noise."""
    rng = np.random.default_rng(1)
    for mean in (0.05, 1.0, 50.0):
        roots = np.sqrt(rng.poisson(mean, (200, 200)).astype(float))
        right, *wrong = (
            excess_nats(roots, np.full(roots.shape, np.sqrt(mean * factor)))
            for factor in (1.0, 0.8, 1.25)
        )
        assert right < min(wrong)
        follows = excess_nats(roots, np.sqrt(rng.gamma(5, mean / 5, roots.shape)))
        assert right < follows


def test_masked_pixels_have_no_part_and_an_impossible_photon_is_no_infinity():
    counts, predicted = np.array([[4.0, 9.0]]), np.array([[4.0, 0.0]])
    assert excess_nats(np.sqrt(counts), np.sqrt(predicted), np.array([[True, False]])) == 0
    assert 90 < excess_nats(np.sqrt(counts), np.sqrt(predicted)) < 110
