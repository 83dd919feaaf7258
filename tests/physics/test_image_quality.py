import subprocess
import sys

import numpy as np
import pytest
from scipy.ndimage import binary_erosion
from skimage import metrics

from fly64tasks.physics.alignment import align
from fly64tasks.physics.image_quality import (
    Undefined,
    complex_nrmse,
    mean_absolute_error,
    ms_ssim,
    phase_near,
    psnr_db,
    r_factor,
    ssim,
)
from fly64tasks.physics.optics import synthetic_object
from fly64tasks.study.stages import BaseSpec

TRUTH = synthetic_object(BaseSpec(object_size_px=96))
REGION = np.zeros((96, 96), dtype=bool)
REGION[20:70, 25:75] = True
AMPLITUDE = np.abs(TRUTH)
PHASE = phase_near(TRUTH, TRUTH, REGION)


def with_noise(image: np.ndarray, sigma: float) -> np.ndarray:
    return image + sigma * np.random.default_rng(3).standard_normal(image.shape)


def test_truth_scores_perfectly():
    aligned = align(TRUTH, TRUTH, REGION)
    assert complex_nrmse(aligned.obj, TRUTH, REGION) < 1e-9
    assert np.allclose(aligned.shift_px, 0, atol=1e-6)


def test_noise_of_known_power_gives_its_own_error():
    rng = np.random.default_rng(0)
    noise = rng.standard_normal((2, 96, 96)) * 0.05
    obj = TRUTH + noise[0] + 1j * noise[1]
    error = complex_nrmse(align(obj, TRUTH, REGION).obj, TRUTH, REGION)
    expected = 0.05 * np.sqrt(2 * REGION.sum()) / np.linalg.norm(TRUTH[REGION])
    assert error == pytest.approx(expected, rel=0.03)


def test_known_noise_has_the_known_psnr_and_mean_absolute_error():
    noisy = with_noise(AMPLITUDE, 0.02)
    expected = 20 * np.log10(np.ptp(AMPLITUDE[REGION]) / 0.02)
    assert psnr_db(noisy, AMPLITUDE, REGION) == pytest.approx(expected, abs=0.15)
    # of a normal distribution: sqrt(2 / pi) times its standard deviation
    expected = 0.02 * np.sqrt(2 / np.pi)
    assert mean_absolute_error(noisy, AMPLITUDE, REGION) == pytest.approx(expected, rel=0.02)


def test_equal_images_are_entirely_similar_and_have_no_psnr():
    assert ssim(PHASE, PHASE, REGION) == pytest.approx(1)
    assert ms_ssim(PHASE, PHASE, REGION, scales=3) == pytest.approx(1)
    assert mean_absolute_error(PHASE, PHASE, REGION) == 0
    with pytest.raises(Undefined, match="the images are equal"):
        psnr_db(PHASE, PHASE, REGION)


def test_phase_error_is_never_a_wrap():
    turned = TRUTH * np.exp(1j * 3.0)
    assert phase_near(turned, TRUTH, REGION) - PHASE == pytest.approx(3.0)
    barely_over = TRUTH * np.exp(1j * (2 * np.pi + 0.1))
    assert phase_near(barely_over, TRUTH, REGION) - PHASE == pytest.approx(0.1)


def test_only_the_region_counts():
    spoilt = np.where(REGION, PHASE, 100.0)
    assert ssim(spoilt, PHASE, REGION) == pytest.approx(1)
    assert ms_ssim(spoilt, PHASE, REGION, scales=3) == pytest.approx(1)
    assert mean_absolute_error(spoilt, PHASE, REGION) == 0


def test_region_with_holes_is_scored_around_them():
    holed = REGION.copy()
    holed[30:40, 40:52] = False
    spoilt = np.where(holed, with_noise(PHASE, 0.05), 100.0)
    assert 0.3 < ssim(spoilt, PHASE, holed) < 0.99
    assert ms_ssim(spoilt, PHASE, holed, scales=3) == pytest.approx(
        ms_ssim(with_noise(PHASE, 0.05), PHASE, REGION, scales=3), abs=0.02
    )


@pytest.mark.parametrize("sigma", [0.02, 0.1, 0.5])
def test_multi_scale_ssim_is_that_of_torchmetrics_on_a_whole_image(sigma: float):
    functional = pytest.importorskip("torchmetrics.functional.image")
    import torch

    truth = np.angle(synthetic_object(BaseSpec(object_size_px=256)))
    image = with_noise(truth, sigma)
    as_batch = [torch.from_numpy(array)[None, None] for array in (image, truth)]
    theirs = functional.multiscale_structural_similarity_index_measure(
        *as_batch, data_range=float(np.ptp(truth))
    )
    ours = ms_ssim(image, truth, np.ones(truth.shape, dtype=bool))
    # they reflect the border and cut it off, ours counts it
    assert ours == pytest.approx(float(theirs), rel=0.04)


def garbage(seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return rng.standard_normal((96, 96)) + 1j * rng.standard_normal((96, 96))


def test_garbage_is_not_similar():
    aligned = align(garbage(), TRUTH, REGION).obj
    assert complex_nrmse(aligned, TRUTH, REGION) > 0.9
    phase = phase_near(aligned, TRUTH, REGION)
    for image, truth in ((np.abs(aligned), AMPLITUDE), (phase, PHASE)):
        assert ssim(image, truth, REGION) < 0.1
        assert ms_ssim(image, truth, REGION, scales=3) < 0.2
        assert psnr_db(image, truth, REGION) < 10


def test_constant_truth_has_no_range_to_compare_with():
    flat = np.ones_like(AMPLITUDE)
    for metric in (psnr_db, ssim, ms_ssim):
        with pytest.raises(Undefined, match="the truth is constant over the region"):
            metric(AMPLITUDE, flat, REGION)


def test_small_region_says_what_would_fit():
    with pytest.raises(Undefined, match=r"5 scales need a region of 161 px, found 50 px: lower"):
        ms_ssim(PHASE, PHASE, REGION)
    point = np.zeros_like(REGION)
    point[50:55, 50:55] = True
    with pytest.raises(Undefined, match="no window of 7 px fits"):
        ssim(PHASE, PHASE, point)


def test_r_factor_is_relative():
    measured = np.array([[1.0, 2.0], [3.0, 4.0]])
    assert r_factor(measured, measured) == 0
    assert r_factor(measured, 1.1 * measured) == pytest.approx(0.1)
    assert r_factor(measured, np.zeros_like(measured)) == 1


def test_psnr_and_ssim_are_those_of_scikit_image_to_the_last_bit():
    for truth in (AMPLITUDE, PHASE):
        image = with_noise(truth, 0.05)
        data_range = float(np.ptp(truth[REGION]))
        theirs = metrics.peak_signal_noise_ratio(
            truth[REGION], image[REGION], data_range=data_range
        )
        assert psnr_db(image, truth, REGION) == theirs
        whole = binary_erosion(REGION, np.ones((7, 7)))
        _, similarity = metrics.structural_similarity(
            truth, image, win_size=7, data_range=data_range, full=True
        )
        assert ssim(image, truth, REGION) == similarity[whole].mean()


def test_scores_import_no_statistics_and_no_pyplot():
    call = """
import sys, numpy as np
import fly64tasks.score.command
from fly64tasks.physics.image_quality import psnr_db, ssim
image = np.random.default_rng(0).random((16, 16))
region = np.ones((16, 16), dtype=bool)
psnr_db(image, image.T, region), ssim(image, image.T, region)
print(*sorted({"scipy.stats", "skimage.metrics", "matplotlib.pyplot"} & set(sys.modules)))
"""
    run = subprocess.run([sys.executable, "-c", call], capture_output=True, text=True, check=True)
    assert run.stdout.split() == []
