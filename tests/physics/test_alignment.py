import numpy as np
import pytest

from fly64tasks.physics.alignment import align, illuminated_region
from fly64tasks.physics.image_quality import (
    complex_nrmse,
)
from fly64tasks.physics.optics import synthetic_object
from fly64tasks.study.stages import BaseSpec

TRUTH = synthetic_object(BaseSpec(object_size_px=96))
REGION = np.zeros((96, 96), dtype=bool)
REGION[20:70, 25:75] = True


def test_scale_global_phase_and_ramp_change_nothing():
    y, x = np.indices(TRUTH.shape)
    obj = TRUTH * 3.7 * np.exp(1j * (2.0 + 0.11 * y - 0.07 * x))
    aligned = align(obj, TRUTH, REGION)
    assert complex_nrmse(aligned.obj, TRUTH, REGION) < 1e-6
    assert aligned.ramp_rad_per_px == pytest.approx((0.11, -0.07), abs=1e-6)


def test_shift_of_a_third_pixel_is_measured_and_removed():
    k = np.fft.fftfreq(96)
    ramp = np.exp(-2j * np.pi * (0.3 * k[:, None] - 0.2 * k[None, :]))
    moved = np.fft.ifft2(np.fft.fft2(TRUTH) * ramp)
    aligned = align(moved, TRUTH, REGION)
    assert aligned.shift_px == pytest.approx((0.3, -0.2), abs=0.002)
    assert complex_nrmse(aligned.obj, TRUTH, REGION) < 1e-3


def test_fit_is_that_of_plain_least_squares_whose_steps_it_takes():
    rng = np.random.default_rng(0)
    noise = rng.standard_normal((2, *TRUTH.shape))
    obj = 0.9 * np.roll(TRUTH, 1, axis=0) + 0.3 * (noise[0] + 1j * noise[1])
    y, x = (axis - axis[REGION].mean() for axis in np.indices(TRUTH.shape).astype(float))
    f_y, f_x = np.meshgrid(np.fft.fftfreq(96), np.fft.fftfreq(96), indexing="ij")
    ramp, shift = np.zeros(2), np.array([0.9, 0.1])
    for _ in range(3):
        moved = np.fft.fft2(obj) * np.exp(2j * np.pi * (f_y * shift[0] + f_x * shift[1]))
        phase = np.exp(1j * (ramp[0] * y + ramp[1] * x))
        spectra = moved, 2j * np.pi * f_y * moved, 2j * np.pi * f_x * moved
        now, *slopes = ((np.fft.ifft2(each) * phase)[REGION] for each in spectra)
        scale = np.vdot(now, TRUTH[REGION]) / np.vdot(now, now)
        columns = [now, 1j * now, 1j * y[REGION] * now, 1j * x[REGION] * now, *slopes]
        jacobian = np.stack([scale * column for column in columns]).view(float).T
        step = np.linalg.lstsq(jacobian, (TRUTH[REGION] - scale * now).view(float))[0]
        ramp, shift = ramp + step[2:4], shift + step[4:6]
    found = align(obj, TRUTH, REGION, iterations=3, wandered_px=np.array([0.9, 0.1]))
    assert found.shift_px == pytest.approx(shift, rel=1e-9)
    assert found.ramp_rad_per_px == pytest.approx(-ramp, rel=1e-9)


def test_flat_object_is_given_no_shift_as_none_would_change_it():
    found = align(np.ones_like(TRUTH), TRUTH, REGION)
    assert found.shift_px == pytest.approx((0, 0), abs=1e-9)
    assert np.ptp(np.abs(found.obj)) < 1e-12


def test_region_is_where_the_probe_has_been():
    probe = np.ones((1, 4, 4), complex)
    region = illuminated_region(probe, np.array([[3.0, 3.0]]), (10, 10))
    assert region.sum() == 16
    assert region[1:5, 1:5].all()
