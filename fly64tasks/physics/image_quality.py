"""How far an aligned object is from the truth.

PSNR and SSIM are scikit-image's to the last bit, with the truth's own range, but written out:
importing them imports all of its metrics, and scipy.stats with them. Multi-scale SSIM is ours,
because no library's looks at a region with holes. Each raises `Undefined` where its number would
say nothing.
"""

from __future__ import annotations

import numpy as np
from scipy.ndimage import binary_erosion, gaussian_filter, uniform_filter

from fly64tasks.physics.alignment import BoolArray, ComplexArray, FloatArray, bounding_box

SSIM_WINDOW_PX = 7
MS_SSIM_WINDOW_PX = 11
MS_SSIM_WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)


class Undefined(ValueError):
    """A metric that does not exist for these images, and why."""


def complex_nrmse(aligned: ComplexArray, truth: ComplexArray, region: BoolArray) -> float:
    """Return the error norm over the region, divided by the truth's norm there.

    The normalised root mean square error of Fienup, *Appl. Opt.* 36, 8352 (1997), eq. 1 and 2,
    with the scale already fitted.
    """
    difference = np.linalg.norm(aligned[region] - truth[region])
    return float(difference / np.linalg.norm(truth[region]))


def phase_near(obj: ComplexArray, truth: ComplexArray, region: BoolArray) -> FloatArray:
    """Return the phase of an object, each pixel on the branch nearest to the truth's phase.

    That of the truth lies within pi of its mean over the region, so that neither it nor an error
    is cut by a wrap of 2 pi.

    Returns
    -------
    phase : (H, W) float, rad
    """
    mean = truth[region].sum()
    true_phase = np.angle(mean) + np.angle(truth * np.conj(mean))
    phase: FloatArray = true_phase + np.angle(obj * truth.conj())
    return phase


def mean_absolute_error(image: FloatArray, truth: FloatArray, region: BoolArray) -> float:
    """Return the mean of the absolute difference over the region, in the unit of the images."""
    return float(np.abs(image[region] - truth[region]).mean())


def psnr_db(image: FloatArray, truth: FloatArray, region: BoolArray) -> float:
    """Return the peak signal-to-noise ratio over the region, in dB.

    20 log10(range / root mean square error) with the range of the truth over the region
    (`skimage.metrics.peak_signal_noise_ratio`), never the 255 of 8-bit images.

    Raises
    ------
    Undefined
        The images are equal, or the truth is constant.
    """
    data_range = _range(truth, region)
    if np.array_equal(image[region], truth[region]):
        raise Undefined("the images are equal")
    squared_error = np.mean((truth[region] - image[region]) ** 2)
    return float(10 * np.log10(data_range**2 / squared_error))


def ssim(image: FloatArray, truth: FloatArray, region: BoolArray) -> float:
    """Return the structural similarity, averaged over the windows that lie in the region.

    Wang et al., *IEEE Trans. Image Process.* 13, 600 (2004), eq. 13, with uniform windows of 7 px
    (`skimage.metrics.structural_similarity`) and the range of the truth over the region.

    Raises
    ------
    Undefined
        No window fits into the region, or the truth is constant.
    """
    data_range = _range(truth, region)
    whole = binary_erosion(region, np.ones((SSIM_WINDOW_PX, SSIM_WINDOW_PX), dtype=bool))
    if not whole.any():
        raise Undefined(f"no window of {SSIM_WINDOW_PX} px fits into the region")
    pixels = SSIM_WINDOW_PX**2
    mean_t, mean_i, square_t, square_i, product = (
        uniform_filter(array, SSIM_WINDOW_PX)
        for array in (truth, image, truth * truth, image * image, truth * image)
    )
    unbiased = pixels / (pixels - 1)
    variance_t = unbiased * (square_t - mean_t * mean_t)
    variance_i = unbiased * (square_i - mean_i * mean_i)
    covariance = unbiased * (product - mean_t * mean_i)
    c1, c2 = (0.01 * data_range) ** 2, (0.03 * data_range) ** 2
    similarity = ((2 * mean_t * mean_i + c1) * (2 * covariance + c2)) / (
        (mean_t**2 + mean_i**2 + c1) * (variance_t + variance_i + c2)
    )
    return float(similarity[whole].mean())


def ms_ssim(image: FloatArray, truth: FloatArray, region: BoolArray, scales: int = 5) -> float:
    """Return the multi-scale structural similarity over the region.

    Wang et al., *Asilomar Conf. Signals* (2003), eq. 7, with their weights (those of the first
    ``scales`` scales, brought to a sum of 1), Gaussian windows of 11 px and the range of the truth
    over the region. Window means count the pixels of the region alone, at every scale. A negative
    mean counts as 0.

    Raises
    ------
    Undefined
        The region is too small for so many scales, or the truth is constant.
    """
    data_range = _range(truth, region)
    box = bounding_box(region)
    image, truth, weight = image[box], truth[box], region[box].astype(float)
    extent, needed = min(weight.shape), (MS_SSIM_WINDOW_PX - 1) * 2 ** (scales - 1) + 1
    if extent < needed:
        raise Undefined(
            f"{scales} scales need a region of {needed} px, found {extent} px: lower "
            "score.ms_ssim_scales"
        )
    exponents = np.array(MS_SSIM_WEIGHTS[:scales])
    means = []
    for scale in range(scales):
        luminance, structure = _similarity_terms(image, truth, weight, data_range)
        last = scale == scales - 1
        similarity = luminance * structure if last else structure
        means.append(similarity[weight > 0].mean())
        image, truth, weight = _halved(image, weight), _halved(truth, weight), _pooled(weight)
    return float(np.prod(np.clip(means, 0, None) ** (exponents / exponents.sum())))


def r_factor(measured: FloatArray, predicted: FloatArray) -> float:
    """Return the sum of |measured - predicted| over the sum of the measured.

    The crystallographers' residual, of diffraction amplitudes (n, N, N).
    """
    difference = measured - predicted
    return float(np.abs(difference, out=difference).sum() / measured.sum())


def _range(truth: FloatArray, region: BoolArray) -> float:
    data_range = float(np.ptp(truth[region]))
    if data_range == 0:
        raise Undefined("the truth is constant over the region")
    return data_range


def _similarity_terms(
    image: FloatArray, truth: FloatArray, weight: FloatArray, data_range: float
) -> tuple[FloatArray, FloatArray]:
    """Return luminance and contrast-structure maps (Wang et al. 2004, eq. 6, 9 and 10)."""
    c1, c2 = (0.01 * data_range) ** 2, (0.03 * data_range) ** 2

    def smooth(array: FloatArray) -> FloatArray:
        return np.asarray(gaussian_filter(array, 1.5, radius=5, mode="constant"))

    share = np.maximum(smooth(weight), np.finfo(float).tiny)
    mean_i, mean_t, square_i, square_t, product = (
        smooth(array * weight) / share
        for array in (image, truth, image**2, truth**2, image * truth)
    )
    luminance = (2 * mean_i * mean_t + c1) / (mean_i**2 + mean_t**2 + c1)
    variances = square_i - mean_i**2 + square_t - mean_t**2
    structure = (2 * (product - mean_i * mean_t) + c2) / (variances + c2)
    return luminance, structure


def _pooled(array: FloatArray) -> FloatArray:
    """Return the mean of each block of 2 x 2 px."""
    h, w = (size // 2 * 2 for size in array.shape)
    pooled: FloatArray = array[:h, :w].reshape(h // 2, 2, w // 2, 2).mean(axis=(1, 3))
    return pooled


def _halved(image: FloatArray, weight: FloatArray) -> FloatArray:
    """Return the image at half the size, each block's mean over the region alone."""
    return _pooled(image * weight) / np.maximum(_pooled(weight), np.finfo(float).tiny)
