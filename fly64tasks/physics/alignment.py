"""A reconstructed object laid over the truth, once what ptychography can not know is removed.

A global complex scale, a linear phase ramp (traded against a shift of the diffraction) and a small
translation (traded against one of the probe) change no diffraction pattern. They are fitted, by
ours rather than a library's registration because the three are coupled: a registration that
ignores the ramp mistakes part of it for a shift.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.fft import fft2, ifft

ComplexArray = NDArray[np.complexfloating]
FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]


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
    obj: ComplexArray,
    truth: ComplexArray,
    region: BoolArray,
    iterations: int = 8,
    wandered_px: FloatArray | None = None,
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
    wandered_px : (2,) float, optional
        About how far the object lies from the truth, y first; 0 unless given.
    """
    at = np.nonzero(region)
    r_y, r_x = (np.arange(size) - along.mean() for size, along in zip(truth.shape, at, strict=True))
    f_y, f_x = (np.fft.fftfreq(size) for size in truth.shape)
    spectrum = fft2(np.where(region, obj * truth.conj(), 0), axes=(-1, -2))
    peak_y, peak_x = np.unravel_index(np.abs(spectrum).argmax(), spectrum.shape)
    ramp = -2 * np.pi * np.array([f_y[peak_y], f_x[peak_x]])
    shift = np.zeros(2) if wandered_px is None else np.array(wandered_px)
    obj_spectrum = fft2(obj, axes=(-1, -2))
    target, box = truth[region], bounding_box(region)
    reach = max(truth.shape)  # in which ramps are fitted, so that all unknowns are of one size
    y, x = r_y[at[0]] / reach, r_x[at[1]] / reach
    for _ in range(iterations):
        now, *slopes = (part[region[box]] for part in _shifted(obj_spectrum, shift, box))
        level = target * _wave(-ramp[0] * r_y, -ramp[1] * r_x)[region]
        scale = np.vdot(now, level) / np.vdot(now, now)
        # of scale, ramp and shift, real and imaginary parts in turn; the normal equations are few
        jacobian = np.stack([now, 1j * now, 1j * y * now, 1j * x * now, *slopes]).view(float)
        residual = (level / scale - now).view(float)
        step = np.linalg.lstsq(jacobian @ jacobian.T, jacobian @ residual)[0]
        ramp, shift = ramp + step[2:4] / reach, shift + step[4:6]
    moved = _ifft2(obj_spectrum * _wave(2 * np.pi * shift[0] * f_y, 2 * np.pi * shift[1] * f_x))
    aligned = moved * _wave(ramp[0] * r_y, ramp[1] * r_x)
    scale = np.vdot(aligned[region], target) / np.vdot(aligned[region], aligned[region])
    return Alignment(
        obj=scale * aligned,
        shift_px=(float(shift[0]), float(shift[1])),
        ramp_rad_per_px=(float(-ramp[0]), float(-ramp[1])),
        scale=complex(scale),
    )


def _wave(phase_y: FloatArray, phase_x: FloatArray) -> ComplexArray:
    """Return exp(i (phase_y + phase_x)), (H, W), of a phase along y, (H,), and along x, (W,)."""
    wave: ComplexArray = np.exp(1j * phase_y)[:, None] * np.exp(1j * phase_x)
    return wave


def _shifted(
    spectrum: ComplexArray, shift_px: FloatArray, box: tuple[slice, slice]
) -> list[ComplexArray]:
    """Return the shifted image of a spectrum and its slopes by either shift, within a box.

    Rows outside of the box are left out before the second of the transforms.
    """
    k_y, k_x = (2j * np.pi * np.fft.fftfreq(size) for size in spectrum.shape)
    k_y = k_y[:, None]
    turn_y, turn_x = np.exp(k_y * shift_px[0]), np.exp(k_x * shift_px[1])
    lines, steep = (ifft(spectrum * turn, axis=0)[box[0]] for turn in (turn_y, k_y * turn_y))
    parts = (lines * turn_x, steep * turn_x, lines * (k_x * turn_x))
    return [ifft(part, axis=1)[:, box[1]] for part in parts]


def _ifft2(spectrum: ComplexArray) -> ComplexArray:
    """Return the inverse transform, in numpy's order and with its rounding, by the faster scipy."""
    near: ComplexArray = ifft(ifft(spectrum, axis=-1), axis=-2)
    return near


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


def bounding_box(region: BoolArray) -> tuple[slice, slice]:
    """Return the smallest box around a region.

    >>> bounding_box(np.eye(5, dtype=bool)[:3])
    (slice(0, 3, None), slice(0, 3, None))
    """
    rows, columns = np.flatnonzero(region.any(axis=1)), np.flatnonzero(region.any(axis=0))
    return slice(int(rows[0]), int(rows[-1]) + 1), slice(int(columns[0]), int(columns[-1]) + 1)
