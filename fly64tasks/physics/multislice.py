"""An object of several layers along the beam, with free space between them."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from fly64tasks.physics.optics import blocks_of, extract_patches
from fly64tasks.physics.relaxation import Relaxation
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
    probe: NDArray[np.complexfloating],
    slices: NDArray[np.complexfloating],
    positions_px: NDArray[np.float64],
    *,
    relaxation: Relaxation | None = None,
    transfer: NDArray[np.complexfloating] | None = None,
) -> Iterator[NDArray[np.complexfloating]]:
    """Yield the exit waves behind the last layer, all modes, a block of frames at a time.

    As `fly64tasks.physics.optics.exit_waves` does with a shifted probe, which is pty-chi's model.

    Parameters
    ----------
    probe : (modes, N, N) complex
    slices : (layers, H, W) complex
        The beam meets the first one first.
    positions_px : (n, 2) float
        Patch centres, y first.
    relaxation : Relaxation, optional
        What the probe changes by from frame to frame.
    transfer : (N, N) complex, optional
        What lies between two layers, as `transfer_function` returns it.

    Yields
    ------
    exit_waves : (frames, modes, N, N) complex
    """
    n = probe.shape[-1]
    k = np.fft.fftfreq(n)
    for block in blocks_of(len(positions_px), probe.size):
        nearest = np.round(positions_px[block])
        dy, dx = (positions_px[block] - nearest).T[:, :, None, None]
        ramp = np.exp(-2j * np.pi * (k[:, None] * dy + k * dx))
        probes = probe[None] if relaxation is None else relaxation.probes(probe, block)
        waves = np.fft.ifft2(np.fft.fft2(probes) * ramp[:, None])
        for number, layer in enumerate(slices):
            if number and transfer is not None:
                waves = np.fft.ifft2(np.fft.fft2(waves) * transfer)
            waves *= extract_patches(layer, nearest, n)[:, None]
        yield waves
