"""The built-in probe and object, and the physics of frames: exit wave, far field, dose.

Conventions, shared with pty-chi: a frame's patch covers the object's pixels
``round(position) - N // 2 ... round(position) - N // 2 + N - 1`` on each axis, and the rest of the
position (half a pixel at most) is a Fourier shift of the probe. Fields are unit-transform: the
squared modulus of the probe sums to the photons per frame, and so does the diffraction intensity
behind an empty object.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray
from scipy.special import erf

from fly64tasks.study.stages import BaseSpec, Geometry

ComplexArray = NDArray[np.complexfloating]
FloatArray = NDArray[np.float64]

EDGE_ENERGY_LIMIT = 1e-4
_BLOCK_PX = 2**16
"""Pixels of exit waves that are worked on at once: few enough to stay in a processor's cache."""


def zone_plate_probe(spec: BaseSpec, geometry: Geometry) -> ComplexArray:
    """Return the probe of a zone plate with central stop, out of focus, with unit power.

    The pupil is an annulus up to the spatial frequency 1 / (2 dr) of the outermost zone width dr
    (Attwood & Sakdinawat, *X-Rays and Extreme Ultraviolet Radiation*, 2nd ed., section 9.3); the
    distance z from the focus adds the Fresnel phase -pi lambda z k^2 (Goodman, *Introduction to
    Fourier Optics*, 3rd ed., eq. 4-21). Pupil edges blurred by a Gaussian keep the field's tails
    inside the window.

    Returns
    -------
    probe : (N, N) complex128
        Illumination with the squared modulus summing to 1.
    """
    n = spec.probe_size_px
    k = np.fft.fftfreq(n, geometry.pixel_size_m)
    k_squared = k[:, None] ** 2 + k[None, :] ** 2
    k_outer = 1 / (2 * spec.outermost_zone_width_m)
    radius = np.sqrt(k_squared) / k_outer
    blur = 0.3
    pupil = (1 + erf((1 - radius) / blur)) * (1 + erf((radius - spec.central_stop_fraction) / blur))
    fresnel = np.exp(-1j * np.pi * geometry.wavelength_m * spec.defocus_m * k_squared)
    probe = np.fft.fftshift(np.fft.ifft2(pupil * fresnel))
    return probe / np.linalg.norm(probe)


def edge_energy(probe: ComplexArray) -> float:
    """Return the share of the probe's energy in the outer two pixels of its window.

    Parameters
    ----------
    probe : (modes, N, N) or (N, N) complex
    """
    intensity = np.abs(probe) ** 2
    return float(1 - intensity[..., 2:-2, 2:-2].sum() / intensity.sum())


def probe_diameter_px(probe: ComplexArray) -> float:
    """Return the second-moment diameter of the probe, in px.

    2 sqrt(2) times the root mean square distance from the centre of mass: the D4sigma beam width
    of ISO 11146-1 for a round beam, and exactly D for a uniform disc of diameter D. A probe that is
    one pixel is one wide.

    Parameters
    ----------
    probe : (modes, N, N) or (N, N) complex
        Modes add incoherently.
    """
    intensity = np.abs(probe) ** 2
    intensity = intensity.reshape(-1, *intensity.shape[-2:]).sum(axis=0)
    intensity = intensity / intensity.sum()
    y, x = np.indices(intensity.shape)
    centre_y, centre_x = (intensity * y).sum(), (intensity * x).sum()
    variance = (intensity * ((y - centre_y) ** 2 + (x - centre_x) ** 2)).sum()
    return max(float(2 * np.sqrt(2 * variance)), 1.0)


def synthetic_object(spec: BaseSpec) -> ComplexArray:
    """Return an object with structure at all scales, in amplitude and in phase.

    Two materials that absorb and retard in different proportion: strong lines and discs with sizes
    from 2 px to a fifth of the field (power law, exponent -2), a Siemens star in the middle for
    resolution, and under all a weak random texture whose power falls as 1/k^2. Everything is
    periodic and drawn with an edge of about one pixel, so that sub-pixel shifts of it are exact.

    Returns
    -------
    object : (H, W) complex128
        Transmission, modulus in (0.4, 1], phase within about 1.5 rad.
    """
    size = spec.object_size_px
    rng = np.random.default_rng(spec.seed)
    y, x = np.indices((size, size), dtype=float, sparse=True)

    first, second = np.zeros((size, size)), np.zeros((size, size))
    for diameter in _power_law(rng, count=size // 3, low=2.0, high=size / 5):
        centre = rng.uniform(0, size, 2)
        target = first if rng.random() < 0.5 else second
        distance = np.hypot(_periodic(y - centre[0], size), _periodic(x - centre[1], size))
        target += rng.uniform(0.2, 1.0) * _soft_step(diameter / 2 - distance)
    for width in _power_law(rng, count=size // 6, low=2.0, high=size / 16):
        centre, angle = rng.uniform(0, size, 2), rng.uniform(0, np.pi)
        dy, dx = _periodic(y - centre[0], size), _periodic(x - centre[1], size)
        along = np.abs(dx * np.cos(angle) + dy * np.sin(angle))
        across = np.abs(dy * np.cos(angle) - dx * np.sin(angle))
        second += rng.uniform(0.3, 1.0) * (
            _soft_step(width / 2 - across) * _soft_step(4 * width - along)
        )
    dy, dx = y - size / 2, x - size / 2
    radius = np.hypot(dy, dx)
    spokes = np.sin(18 * np.arctan2(dy, dx)) * radius / 18
    second += _soft_step(spokes) * _soft_step(size / 8 - radius) * _soft_step(radius - 6)

    k = np.hypot(np.fft.fftfreq(size)[:, None], np.fft.fftfreq(size)[None, :])
    k[0, 0] = np.inf
    texture = np.fft.ifft2(np.fft.fft2(rng.standard_normal((size, size))) / k).real
    texture /= np.abs(texture).max()

    thickness_1, thickness_2 = np.tanh(first), np.tanh(second)
    absorption = 0.15 * thickness_1 + 0.45 * thickness_2 + 0.04 * (texture + 1)
    phase = 0.7 * thickness_1 - 0.6 * thickness_2 + 0.25 * texture
    return np.exp(-absorption + 1j * phase)


def blocks_of(frames: int, frame_px: int) -> Iterator[slice]:
    """Yield so many frames of so many pixels each in blocks that a processor's cache holds.

    >>> list(blocks_of(5, 2**15))
    [slice(0, 2, None), slice(2, 4, None), slice(4, 5, None)]
    """
    step = max(1, _BLOCK_PX // frame_px)
    for start in range(0, frames, step):
        yield slice(start, min(start + step, frames))


def extract_patches(field: ComplexArray, positions_px: FloatArray, size: int) -> ComplexArray:
    """Return the ``size`` x ``size`` patches of a field around positions.

    Pixel ``size // 2`` of a patch lies at its position. Whole-pixel positions are plain slices;
    others are Fourier (band-limited) interpolation of the field, taken as periodic: each axis is
    one small Dirichlet-kernel matrix, so that no full-size transform is needed per frame. Frames
    that share a coordinate share its matrix, and those of one y what it makes of the field.

    Parameters
    ----------
    field : (H, W) complex
    positions_px : (n, 2) float
        Patch centres, y first; the patches must lie inside the field.

    Returns
    -------
    patches : (n, size, size) complex128
    """
    patches = np.empty((len(positions_px), size, size), complex)
    nearest = np.round(positions_px)
    whole = (nearest == positions_px).all(axis=1)
    top, left = (nearest[whole].astype(int) - size // 2).T
    patches[whole] = sliding_window_view(field, (size, size))[top, left]
    if whole.all():
        return patches
    frames = np.flatnonzero(~whole)
    (ys, of_y), (xs, of_x) = (
        np.unique(along, return_inverse=True) for along in positions_px[frames].T
    )
    along_x = _interpolation_matrices(field.shape[1], xs - size // 2, size)
    for row, along_y in enumerate(_interpolation_matrices(field.shape[0], ys - size // 2, size)):
        band = along_y @ field
        for i in np.flatnonzero(of_y == row):
            np.matmul(band, along_x[of_x[i]].T, out=patches[frames[i]])
    return patches


def exit_waves(
    probe: ComplexArray,
    obj: ComplexArray,
    positions_px: FloatArray,
    *,
    shift_probe: bool | None = None,
) -> Iterator[ComplexArray]:
    """Yield the exit waves of the frames in their order, all modes, a block of frames at a time.

    The part of a position below a pixel shifts the probe where the probe has died out at the edge
    of its window (less than `EDGE_ENERGY_LIMIT` of its energy in the outer two pixels), which is
    pty-chi's own model and exact there. Any other probe would wrap around, so that the object is
    shifted under it instead, as in the experiment.

    Parameters
    ----------
    probe : (modes, N, N) complex
    obj : (H, W) complex
    positions_px : (n, 2) float
        Patch centres, y first.
    shift_probe : bool or None
        What to shift; None chooses as above.

    Yields
    ------
    exit_waves : (frames, modes, N, N) complex
    """
    n = probe.shape[-1]
    if shift_probe is None:
        shift_probe = edge_energy(probe) < EDGE_ENERGY_LIMIT
    probe_spectrum = np.fft.fft2(probe)
    k = np.fft.fftfreq(n)
    for block in blocks_of(len(positions_px), probe.size):
        positions = positions_px[block]
        if not shift_probe:
            yield probe * extract_patches(obj, positions, n)[:, None]
            continue
        nearest = np.round(positions)
        dy, dx = (positions - nearest).T[:, :, None, None]
        ramp = np.exp(-2j * np.pi * (k[:, None] * dy + k * dx))
        waves = np.fft.ifft2(probe_spectrum * ramp[:, None])
        waves *= extract_patches(obj, nearest, n)[:, None]
        yield waves


def diffraction_intensity(exit_waves: ComplexArray) -> FloatArray:
    """Return the far-field intensity of exit waves, zero frequency centred, summed over modes.

    The transform is unitary, so that the intensity sums to the photons in the exit wave
    (Parseval).

    Parameters
    ----------
    exit_waves : (..., modes, N, N) complex
        In sqrt(photons) per pixel.

    Returns
    -------
    intensity : (..., N, N) float
        Expected photons per pixel.
    """
    spectrum = np.fft.fft2(exit_waves, norm="ortho")
    intensity = (np.abs(spectrum) ** 2).sum(axis=-3)
    return np.asarray(np.fft.fftshift(intensity, axes=(-2, -1)))


def _soft_step(distance: FloatArray) -> FloatArray:
    """Return a step from 0 to 1 that is about one unit wide."""
    step: FloatArray = 0.5 * (1 + np.tanh(2 * distance))
    return step


def _periodic(distance: FloatArray, size: int) -> FloatArray:
    """Return a distance on a circle of ``size`` px, within half of it."""
    wrapped: FloatArray = (distance + size / 2) % size - size / 2
    return wrapped


def _power_law(rng: np.random.Generator, count: int, low: float, high: float) -> FloatArray:
    """Return ``count`` sizes in [low, high] with density proportional to size^-2."""
    uniform = rng.random(count)
    return 1 / (1 / low + uniform * (1 / high - 1 / low))


def _interpolation_matrices(length: int, starts: FloatArray, count: int) -> FloatArray:
    """Return the matrices, (n, count, length), that sample a periodic axis at start, start + 1, ...

    The trigonometric (Dirichlet) interpolation kernel; the Nyquist term of an even length is split
    evenly, so that real fields stay real.
    """
    samples: FloatArray = np.stack([np.arange(start, start + count)[:count] for start in starts])
    angle: FloatArray = samples[:, :, None] - np.arange(length)
    angle *= np.pi
    kernel: FloatArray = np.sin(angle)
    angle /= length
    (np.tan if length % 2 == 0 else np.sin)(angle, out=angle)
    angle *= length
    with np.errstate(divide="ignore", invalid="ignore"):
        kernel /= angle
    # A sample on a pixel of the axis, which is none but its nearest, is 0 / 0 there
    nearest = np.round(samples).astype(int) % length
    beside = (samples - nearest) % length
    sample = np.nonzero(np.isclose(beside, 0) | np.isclose(beside, length))
    kernel[(*sample, nearest[sample])] = 1.0
    return kernel
