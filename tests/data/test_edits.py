"""What is done to a scan: the far field of what is left is that of the scan that was."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from fly64tasks.data.edits import cropped, rebinned
from fly64tasks.data.frame_stack import FrameStack
from fly64tasks.data.measurement import Measurement, bad_pixels
from fly64tasks.data.survey import first_probe, survey


def far_field(wave: np.ndarray) -> np.ndarray:
    shifted = np.fft.ifftshift(wave, axes=(-2, -1))
    return np.fft.fftshift(np.fft.fft2(shifted, norm="ortho"), axes=(-2, -1))


def scan(size: int) -> Measurement:
    rng = np.random.default_rng(0)
    probe = rng.normal(size=(2, size, size)) + 1j * rng.normal(size=(2, size, size))
    counts = (np.abs(far_field(probe)) ** 2).sum(axis=0)[None].astype(np.float64)
    return Measurement(
        Path("scan"), "test", FrameStack.of(counts), np.zeros((1, 2)), probe, pixel_size_m=1e-8
    )


@pytest.mark.parametrize(("size", "cut"), [(32, 16), (32, 20), (31, 15), (16, 24)])
def test_probe_of_a_cut_detector_has_the_far_field_that_is_left(size: int, cut: int):
    left = cropped(scan(size), cut)
    assert left.probe is not None
    intensity = (np.abs(far_field(left.probe)) ** 2).sum(axis=0)
    assert intensity == pytest.approx(left.frames.array()[0], abs=1e-9)


def test_first_probe_has_the_mean_frames_photons_and_far_field():
    whole = scan(32)
    seen = survey(whole)
    probe = first_probe(whole, seen.mean)
    assert np.abs(far_field(probe[0])) ** 2 == pytest.approx(seen.mean, rel=1e-4)


@pytest.mark.parametrize(
    ("values", "bad"),
    [
        (np.array([0, 65534, 65535], np.uint16), [False, False, True]),
        (np.array([0, 255], np.uint8), [False, False]),
        (np.array([0, -1], np.int32), [False, True]),
        (np.array([0, np.nan, -2.0], np.float32), [False, True, True]),
    ],
)
def test_pixels_that_measured_nothing(values: np.ndarray, bad: list[bool]):
    assert bad_pixels(values).tolist() == bad


def test_rebinning_keeps_the_photons():
    whole = scan(32)
    assert rebinned(whole, 4).frames.array().sum() == pytest.approx(whole.frames.array().sum())
