"""How far a reconstructed object is from the truth, once what ptychography can not know is removed.

A global complex scale, a linear phase ramp (traded against a shift of the diffraction) and a small
translation (traded against one of the probe) change no diffraction pattern. They are fitted, by
ours rather than a library's registration because the three are coupled: a registration that
ignores the ramp mistakes part of it for a shift. The image metrics are scikit-image's, with the
truth's own range; multi-scale SSIM is ours, because no library's looks at a region with holes.
Each raises `Undefined` where its number would say nothing.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import binary_erosion, gaussian_filter

ComplexArray = NDArray[np.complexfloating]
FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]

SSIM_WINDOW_PX = 7
MS_SSIM_WINDOW_PX = 11
MS_SSIM_WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)


class Undefined(ValueError):
    """A metric that does not exist for these images, and why."""


@dataclass(frozen=True)
class Alignment:
    """An object brought onto the truth, and by how much.

    Attributes
    ----------
    obj : (H, W) complex128
    shift_px : (float, float)
        Translation removed, y first: what was found where the truth has it is at truth + shift.
    ramp_rad_per_px : (float, float)
        Phase ramp removed, y first.
    scale : complex
        Factor that the object was multiplied by.
    """

    obj: ComplexArray
    shift_px: tuple[float, float]
    ramp_rad_per_px: tuple[float, float]
    scale: complex


def illuminated_region(
    probe: ComplexArray, positions_px: FloatArray, shape: tuple[int, int], threshold: float = 0.1
) -> BoolArray:
    """Return where the scan's summed probe intensity is above a share of its maximum.

    Parameters
    ----------
    probe : (modes, N, N) complex
    positions_px : (n, 2) float
        Patch centres in pixels of the object array, y first.
    shape : (H, W)
        Shape of the object array.

    Returns
    -------
    region : (H, W) bool
    """
    intensity = (np.abs(probe) ** 2).sum(axis=0)
    n = intensity.shape[-1]
    total = np.zeros(shape)
    for y, x in np.round(positions_px).astype(int) - n // 2:
        total[y : y + n, x : x + n] += intensity
    region: BoolArray = total > threshold * total.max()
    return region


def align(
    obj: ComplexArray, truth: ComplexArray, region: BoolArray, iterations: int = 8
) -> Alignment:
    """Return the object with scale, phase ramp and sub-pixel shift fitted to the truth.

    Gauss-Newton on sum over the region of |scale exp(i ramp r) shifted(obj) - truth|^2, started
    from the ramp at the peak of the spectrum of obj conj(truth). The shift is a Fourier shift and
    is taken to be small (object and truth share a pixel frame): under about one pixel.

    Parameters
    ----------
    obj, truth : (H, W) complex
    region : (H, W) bool
        Where the fit looks.
    """
    y, x = np.indices(truth.shape, dtype=float)
    y, x = y - y[region].mean(), x - x[region].mean()
    spectrum = np.fft.fft2(np.where(region, obj * truth.conj(), 0))
    peak = np.unravel_index(np.abs(spectrum).argmax(), spectrum.shape)
    k_y, k_x = (np.fft.fftfreq(size)[i] for size, i in zip(truth.shape, peak, strict=True))
    ramp, shift = -2 * np.pi * np.array([k_y, k_x]), np.zeros(2)
    f_y, f_x = np.fft.fftfreq(truth.shape[0])[:, None], np.fft.fftfreq(truth.shape[1])[None, :]
    obj_spectrum = np.fft.fft2(obj)
    target = truth[region]
    for _ in range(iterations):
        moved = obj_spectrum * np.exp(2j * np.pi * (f_y * shift[0] + f_x * shift[1]))
        phase = np.exp(1j * (ramp[0] * y + ramp[1] * x))
        now = (np.fft.ifft2(moved) * phase)[region]
        scale = np.vdot(now, target) / np.vdot(now, now)
        slopes = [
            scale * (np.fft.ifft2(2j * np.pi * f * moved) * phase)[region] for f in (f_y, f_x)
        ]
        columns = [now, 1j * now, *(1j * scale * r[region] * now for r in (y, x)), *slopes]
        jacobian = np.column_stack([np.concatenate([c.real, c.imag]) for c in columns])
        residual = target - scale * now
        step = np.linalg.lstsq(jacobian, np.concatenate([residual.real, residual.imag]))[0]
        ramp, shift = ramp + step[2:4], shift + step[4:6]
    moved = obj_spectrum * np.exp(2j * np.pi * (f_y * shift[0] + f_x * shift[1]))
    aligned = np.fft.ifft2(moved) * np.exp(1j * (ramp[0] * y + ramp[1] * x))
    scale = np.vdot(aligned[region], target) / np.vdot(aligned[region], aligned[region])
    return Alignment(
        obj=scale * aligned,
        shift_px=(float(shift[0]), float(shift[1])),
        ramp_rad_per_px=(float(-ramp[0]), float(-ramp[1])),
        scale=complex(scale),
    )


def residual_shift_px(
    aligned: ComplexArray, truth: ComplexArray, region: BoolArray
) -> tuple[float, float]:
    """Return the shift that cross-correlation still finds after `align`, y first.

    An independent look (Guizar-Sicairos et al., *Opt. Lett.* 33, 156 (2008), to 0.01 px, by
    `skimage.registration.phase_cross_correlation`): near zero where the alignment can be trusted.
    """
    from skimage.registration import phase_cross_correlation

    images = [np.where(region, obj - obj[region].mean(), 0) for obj in (truth, aligned)]
    shift, _, _ = phase_cross_correlation(*images, upsample_factor=100, normalization=None)
    return float(-shift[0]), float(-shift[1])


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
    from skimage.metrics import peak_signal_noise_ratio

    data_range = _range(truth, region)
    if np.array_equal(image[region], truth[region]):
        raise Undefined("the images are equal")
    ratio = peak_signal_noise_ratio(truth[region], image[region], data_range=data_range)
    return float(ratio)


def ssim(image: FloatArray, truth: FloatArray, region: BoolArray) -> float:
    """Return the structural similarity, averaged over the windows that lie in the region.

    Wang et al., *IEEE Trans. Image Process.* 13, 600 (2004), eq. 13, with uniform windows of 7 px
    (`skimage.metrics.structural_similarity`) and the range of the truth over the region.

    Raises
    ------
    Undefined
        No window fits into the region, or the truth is constant.
    """
    from skimage.metrics import structural_similarity

    data_range = _range(truth, region)
    whole = binary_erosion(region, np.ones((SSIM_WINDOW_PX, SSIM_WINDOW_PX), dtype=bool))
    if not whole.any():
        raise Undefined(f"no window of {SSIM_WINDOW_PX} px fits into the region")
    _, similarity = structural_similarity(
        truth, image, win_size=SSIM_WINDOW_PX, data_range=data_range, full=True
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
    return float(np.abs(measured - predicted).sum() / measured.sum())


def bounding_box(region: BoolArray) -> tuple[slice, slice]:
    """Return the smallest box around a region.

    >>> bounding_box(np.eye(5, dtype=bool)[:3])
    (slice(0, 3, None), slice(0, 3, None))
    """
    rows, columns = np.flatnonzero(region.any(axis=1)), np.flatnonzero(region.any(axis=0))
    return slice(int(rows[0]), int(rows[-1]) + 1), slice(int(columns[0]), int(columns[-1]) + 1)


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
