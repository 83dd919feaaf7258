import numpy as np
import pytest

from fly64tasks.physics.fit import expected_square, fit_to_counts

SHAPE = (40, 16, 16)


def poisson_amplitude(mean: float, seed: int = 1) -> np.ndarray:
    return np.sqrt(np.random.default_rng(seed).poisson(mean, SHAPE))


@pytest.mark.parametrize("mean", [0.1, 1.0, 10.0, 1000.0])
def test_chi2_of_poisson_counts_about_the_right_prediction_is_1(mean: float):
    amplitude, predicted = poisson_amplitude(mean), np.full(SHAPE, np.sqrt(mean))
    deviations = (amplitude - predicted) ** 2 / expected_square(predicted**2)
    sigma = deviations.std() / np.sqrt(deviations.size)
    assert fit_to_counts(amplitude, predicted).chi2 == pytest.approx(1, abs=3 * sigma)


@pytest.mark.parametrize("mean", [0.1, 1.0, 10.0, 1000.0])
def test_wrong_prediction_has_a_larger_chi2(mean: float):
    amplitude = poisson_amplitude(mean)
    right = fit_to_counts(amplitude, np.full(SHAPE, np.sqrt(mean))).chi2
    assert fit_to_counts(amplitude, np.full(SHAPE, np.sqrt(4 * mean))).chi2 > 1.05 * right


def test_chi2_grows_with_the_photons_of_the_same_wrong_prediction():
    """What is wrong by 10 % of the amplitude: 1 + 4 x 0.01 x the counts."""
    for mean in (1e2, 1e3, 1e4):
        fit = fit_to_counts(poisson_amplitude(mean), np.full(SHAPE, 1.1 * np.sqrt(mean)))
        assert fit.chi2 == pytest.approx(1 + 0.04 * mean, rel=0.05)


def test_spoilt_frame_is_the_worst():
    amplitude = poisson_amplitude(10.0)
    amplitude[7] *= 2
    fit = fit_to_counts(amplitude, np.full(SHAPE, np.sqrt(10.0)))
    assert fit.worst_frame == 7
    assert fit.of_frames.shape == (40,)
    assert fit.of_frames[7] > 20 > 2 > np.delete(fit.of_frames, 7).max()


def test_spoilt_pixel_is_the_worst():
    amplitude = poisson_amplitude(10.0)
    amplitude[:, 3, 5] = 20
    fit = fit_to_counts(amplitude, np.full(SHAPE, np.sqrt(10.0)))
    assert fit.worst_pixel == (3, 5)
    assert fit.of_pixels.shape == (16, 16)


def test_hot_pixel_in_the_dark_is_the_worst_but_one_photon_there_is_not():
    amplitude, predicted = poisson_amplitude(10.0), np.full(SHAPE, np.sqrt(10.0))
    amplitude[:, 0, 0] = predicted[:, 0, 0] = 0
    amplitude[0, 0, 0] = 1
    fit = fit_to_counts(amplitude, predicted)
    assert fit.of_pixels[0, 0] == 1
    amplitude[:, 0, 0] = 1
    assert fit_to_counts(amplitude, predicted).worst_pixel == (0, 0)


@pytest.mark.parametrize("axes", [2, 3])
def test_pixels_that_are_not_valid_count_nowhere(axes: int):
    amplitude, predicted = poisson_amplitude(10.0), np.full(SHAPE, np.sqrt(10.0))
    valid = np.ones(SHAPE[-axes:], dtype=bool)
    valid[..., 3, 5] = False
    before = fit_to_counts(amplitude, predicted, valid)
    amplitude[:, 3, 5] = 1e4
    after = fit_to_counts(amplitude, predicted, valid)
    assert after.chi2 == before.chi2
    assert after.of_pixels[3, 5] == 0


def test_prediction_may_come_frame_by_frame():
    amplitude, predicted = poisson_amplitude(3.0), np.full(SHAPE, np.sqrt(3.0))
    one_by_one = fit_to_counts(amplitude, iter(predicted))
    assert one_by_one.chi2 == fit_to_counts(amplitude, predicted).chi2
    with pytest.raises(ValueError, match="shorter"):
        fit_to_counts(amplitude, iter(predicted[:-1]))


def test_expected_square_is_that_of_the_distribution_and_a_quarter_at_many_counts():
    rng = np.random.default_rng(0)
    for mean in (0.003, 0.1, 0.7, 3.0, 25.0, 59.0, 61.0, 1e6):
        drawn = (np.sqrt(rng.poisson(mean, 400_000)) - np.sqrt(mean)) ** 2
        sigma = drawn.std() / np.sqrt(drawn.size)
        expected = float(expected_square(np.array(mean)))
        assert expected == pytest.approx(drawn.mean(), abs=4 * sigma + 0.002)
    assert expected_square(np.array([0.0, 1e9])).tolist() == [0, 0.25]
