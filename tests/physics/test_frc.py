"""Fourier ring correlation against theory."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from fly64tasks.physics.frc import (
    MIN_RING_PIXELS,
    RingCorrelation,
    ring_correlation,
    soft_window,
)

SIZE = 256
WHOLE = np.ones((SIZE, SIZE))


def spectrum_falling_as(power: float, seed: int) -> np.ndarray:
    """Return a complex image whose Fourier power is |k|^-power for each seed, 1 at 1 cycle/px."""
    rng = np.random.default_rng(seed)
    k = np.hypot(np.fft.fftfreq(SIZE)[:, None], np.fft.fftfreq(SIZE)[None, :])
    k[0, 0] = np.inf
    white = rng.standard_normal((2, SIZE, SIZE))
    return np.fft.ifft2((white[0] + 1j * white[1]) * k ** (-power / 2))


def noisy(image: np.ndarray, power: float, seed: int) -> np.ndarray:
    """Return the image with white noise of this Fourier power."""
    return image + np.sqrt(power) * spectrum_falling_as(0.0, seed)


def test_image_correlates_with_itself_in_every_ring():
    rings = ring_correlation(spectrum_falling_as(2, 0), spectrum_falling_as(2, 0), WHOLE)
    assert rings.correlation == pytest.approx(1.0)
    assert rings.crossing(0.5) is None


def test_independent_noise_does_not_correlate():
    rings = ring_correlation(spectrum_falling_as(2, 0), spectrum_falling_as(2, 1), WHOLE)
    large = rings.n_pixels > 200
    # the real part of n products of independent complex numbers: standard deviation 1/sqrt(2 n)
    assert np.std(rings.correlation[large] * np.sqrt(2 * rings.n_pixels[large])) == pytest.approx(
        1.0, abs=0.2
    )


@pytest.mark.parametrize("at", [0.1, 0.2, 0.3])
def test_two_noisy_images_cross_a_half_where_signal_equals_noise(at: float):
    """FRC = SNR / (SNR + 1) of two equally noisy images: 1/2 where the powers are equal."""
    image, noise = spectrum_falling_as(8, 0), at**-8
    rings = ring_correlation(noisy(image, noise, 1), noisy(image, noise, 2), WHOLE)
    assert rings.crossing(0.5) == pytest.approx(at, rel=0.03)


def test_noisy_image_crosses_a_half_with_the_truth_at_a_third_of_the_noise():
    """FRC = sqrt(SNR / (SNR + 1)) with a truth that has no noise: 1/2 where SNR is 1/3."""
    image, noise = spectrum_falling_as(8, 0), 3 * 0.2**-8
    rings = ring_correlation(noisy(image, noise, 1), image, WHOLE)
    assert rings.crossing(0.5) == pytest.approx(0.2, rel=0.03)


@pytest.mark.parametrize("bits", [1.0, 0.5])
def test_bit_curves_cross_where_the_theory_of_the_curve_does(bits: float):
    image, noise = spectrum_falling_as(8, 0), 0.25**-8
    rings = ring_correlation(noisy(image, noise, 1), noisy(image, noise, 2), WHOLE)
    signal = rings.frequency_cycles_per_px**-8
    threshold = rings.bit_threshold(bits)
    expected = replace(rings, correlation=signal / (signal + noise)).crossing(threshold)
    # the curve is flat there: its scatter makes the first crossing come early by up to 4 %
    assert rings.crossing(threshold) == pytest.approx(expected, rel=0.05)


def test_half_bit_curve_is_the_published_one():
    rings = RingCorrelation(np.array([0.1, 0.2]), np.zeros(2), np.array([16.0, 400.0]))
    inverse_root = 1 / np.sqrt(rings.n_pixels)
    published = (0.2071 + 1.9102 * inverse_root) / (1.2071 + 0.9102 * inverse_root)
    assert rings.bit_threshold(0.5) == pytest.approx(published, abs=1e-4)


def test_common_window_alone_does_not_correlate():
    """Two unrelated images on the same offset and under the same narrow window."""
    region = np.zeros((SIZE, SIZE), dtype=bool)
    region[90:170, 60:200] = True
    box = (slice(90, 170), slice(60, 200))
    first, second = (10 + spectrum_falling_as(0, seed)[box] for seed in (1, 2))
    rings = ring_correlation(first, second, soft_window(region, 8.0))
    assert np.abs(rings.correlation).max() < 0.5
    assert np.abs(rings.correlation[10:]).max() < 0.2


def test_window_counts_fewer_independent_pixels_than_its_box_has():
    region = np.zeros((64, 64), dtype=bool)
    region[:, :20] = region[:, 44:] = True
    image = spectrum_falling_as(1, 3)[:64, :64]
    hard = ring_correlation(image, image, region.astype(float))
    assert hard.n_pixels.sum() == pytest.approx(np.pi * 32**2 * 40 / 64, rel=0.02)


def test_window_is_one_inside_and_soft_towards_the_edge():
    region = np.zeros((60, 60), dtype=bool)
    region[10:50, 5:55] = True
    window = soft_window(region, 6.0)
    assert window.shape == (40, 50)
    assert window[20, 25] == 1.0
    assert 0 < window[0, 25] < window[3, 25] < 1


def test_rings_before_the_curve_rises_are_passed_over():
    f = np.array([0.1, 0.2, 0.3, 0.4])
    rings = RingCorrelation(f, np.array([0.4, 0.7, 0.3, 0.6]), np.full(4, 100.0))
    assert rings.crossing(0.5) == pytest.approx(0.25)
    assert rings.crossing(0.35) == pytest.approx(0.2875)
    assert rings.crossing(0.2) is None


def test_curve_that_never_rises_above_its_threshold_resolves_no_frequency():
    f = np.array([0.1, 0.2, 0.3, 0.4])
    rings = RingCorrelation(f, np.array([0.4, 0.7, 0.3, 0.6]), np.full(4, 100.0))
    assert rings.crossing(0.9) == 0.0


def test_rings_of_few_pixels_count_nowhere():
    f, n = np.array([0.1, 0.2, 0.3, 0.4]), np.array([MIN_RING_PIXELS - 1, 50.0, 60.0, 70.0])
    assert RingCorrelation(f, np.array([0.9, 0.2, 0.2, 0.2]), n).crossing(0.5) == 0.0
    assert RingCorrelation(f, np.array([0.1, 0.9, 0.7, 0.3]), n).crossing(0.5) == pytest.approx(
        0.35
    )
    none_counts = RingCorrelation(f, np.ones(4), np.full(4, MIN_RING_PIXELS - 1))
    assert none_counts.crossing(0.5) == 0.0


def test_more_bits_are_a_higher_threshold_in_every_ring_that_counts():
    n = np.array([0.4, MIN_RING_PIXELS, 20.0, 1e3, 1e6])
    rings = RingCorrelation(np.linspace(0.1, 0.5, 5), np.zeros(5), n)
    excess = rings.bit_threshold(1.0) - rings.bit_threshold(0.5)
    assert (excess[rings.counted] > 0).all()
    assert excess[0] < 0
    assert (rings.bit_threshold(1.0)[rings.counted] < 1).all()


def test_curve_that_falls_and_rises_again_is_followed_from_where_it_carries_a_bit():
    """Above ½ bit at once, below it, then above both: the former 1-bit was the finer of the two."""
    f, n = np.arange(1, 8) / 16, np.full(7, 100.0)  # ½ bit 0.307, 1 bit 0.452
    rings = RingCorrelation(f, np.array([0.35, 0.2, 0.6, 0.6, 0.4, 0.1, 0.1]), n)
    half, one = (rings.crossing(rings.bit_threshold(bits)) for bits in (0.5, 1.0))
    assert half == pytest.approx(f[4] + (0.4 - 0.307) / 0.3 / 16, abs=1e-3)
    assert one == pytest.approx(f[3] + (0.6 - 0.452) / 0.2 / 16, abs=1e-3)


@pytest.mark.parametrize("most_pixels", [40.0, 400.0])
def test_no_threshold_is_finer_than_a_lower_one_whatever_the_curve(most_pixels: float):
    rng = np.random.default_rng(1)
    f, n = np.arange(1, 21) / 40, np.linspace(14.0, most_pixels, 20)
    for _ in range(2000):
        rings = RingCorrelation(f, rng.uniform(0, 0.8, 20), n)
        one, half, fixed = (
            0.5 if crossing is None else crossing
            for crossing in map(
                rings.crossing, (rings.bit_threshold(1.0), rings.bit_threshold(0.5), 0.5)
            )
        )
        assert one <= half
        assert fixed <= half  # 0.5 is above the ½-bit curve from 14 pixels on
