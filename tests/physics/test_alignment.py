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


def test_region_is_where_the_probe_has_been():
    probe = np.ones((1, 4, 4), complex)
    region = illuminated_region(probe, np.array([[3.0, 3.0]]), (10, 10))
    assert region.sum() == 16
    assert region[1:5, 1:5].all()
