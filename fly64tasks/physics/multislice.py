"""An object of several layers along the beam, with free space between them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np
from numpy.typing import NDArray

from fly64tasks.physics.optics import extract_patches
from fly64tasks.study.stages import Geometry


def transfer_function(
    size_px: int, distance_m: float, geometry: Geometry
) -> NDArray[np.complex128]:
    """Return what free space multiplies a field's spectrum by, (N, N), zero frequency first.

    The angular spectrum, exp(2 pi i z sqrt(1 / lambda^2 - k^2)) (Goodman, *Introduction to Fourier
    Optics*, 3rd ed., eq. 3-70); waves that would not propagate are left out, as pty-chi does.
    """
    k = np.fft.fftfreq(size_px, geometry.pixel_size_m) * geometry.wavelength_m
    along_squared = 1 - k[:, None] ** 2 - k[None, :] ** 2
    turns = distance_m / geometry.wavelength_m * np.sqrt(np.maximum(along_squared, 0))
    return np.where(along_squared > 0, np.exp(2j * np.pi * turns), 0)


def exit_waves(
    probes: Iterable[NDArray[np.complexfloating]],
    slices: NDArray[np.complexfloating],
    positions_px: NDArray[np.float64],
    transfer: NDArray[np.complexfloating] | None = None,
) -> Iterator[NDArray[np.complexfloating]]:
    """Yield the exit wave of each frame, all modes, behind the last layer.

    As `fly64tasks.physics.optics.exit_waves` does with a shifted probe, which is pty-chi's model.

    Parameters
    ----------
    probes : iterable of (modes, N, N) complex
        Of each frame.
    slices : (layers, H, W) complex
        The beam meets the first one first.
    positions_px : (n, 2) float
        Patch centres, y first.
    transfer : (N, N) complex, optional
        What lies between two layers, as `transfer_function` returns it.
    """
    for probe, (y, x) in zip(probes, positions_px, strict=True):
        n = probe.shape[-1]
        nearest = np.round([[y, x]])
        k = np.fft.fftfreq(n)
        ramp = np.exp(-2j * np.pi * (k[:, None] * (y - nearest[0, 0]) + k * (x - nearest[0, 1])))
        wave = np.fft.ifft2(np.fft.fft2(probe) * ramp)
        for number, layer in enumerate(slices):
            if number and transfer is not None:
                wave = np.fft.ifft2(np.fft.fft2(wave) * transfer)
            wave = wave * extract_patches(layer, nearest, n)[0]
        yield wave
