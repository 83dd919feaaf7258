"""Small sets that reconstruct well, to be given the faults that measured sets have."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from fly64tasks.physics.optics import diffraction_intensity, exit_waves

Arrays = dict[str, Any]

N = 32
SIZE = 84
STEP = 5.0


def annular_probe(defocus: float = 6.0, stop: float = 0.35) -> NDArray[np.complex128]:
    """Return a probe, (N, N), of one photon, without symmetry: of an annular, curved pupil."""
    k = np.fft.fftfreq(N)
    ky, kx = np.meshgrid(k, k, indexing="ij")
    r = np.hypot(ky, kx) / 0.22
    pupil = ((r < 1) & (r > stop)) * np.exp(1j * (defocus * r**2 + 0.6 * kx / 0.22 * r**2))
    probe = np.fft.fftshift(np.fft.ifft2(pupil))
    return np.asarray(probe / np.linalg.norm(probe))


def blobs(size: int = SIZE, seed: int = 3) -> NDArray[np.complex128]:
    """Return an object of blobs and bars, of phase and absorption, without symmetry."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:size, :size].astype(float)
    phase, absorption = np.zeros((2, size, size))
    for _ in range(60 * size**2 // 14400):
        cy, cx, s = *rng.uniform(0, size, 2), rng.uniform(1.2, 5)
        blob = np.exp(-((y - cy) ** 2 + (x - cx) ** 2) / (2 * s * s))
        phase += rng.uniform(0.2, 1.0) * blob
        absorption += rng.uniform(0, 0.3) * blob
    phase += 0.5 * (np.abs(y - 0.4 * size - 0.3 * (x - size / 2)) < 2.5)
    phase += 0.6 * ((np.abs(x - 0.6 * size) < 2) & (y > size / 2))
    return np.exp(-absorption + 1j * phase)


def scan(step: float = STEP, jitter: float = 1.0, seed: int = 5) -> NDArray[np.float64]:
    """Return the positions, (n, 2), of a jittered raster whose patches lie on the object."""
    axis = np.arange(N // 2 + 2 + jitter, SIZE - N // 2 - 2 - jitter, step)
    grid = np.stack(np.meshgrid(axis, axis, indexing="ij"), axis=-1).reshape(-1, 2)
    return grid + np.random.default_rng(seed).uniform(-jitter, jitter, grid.shape)


def expected_counts(
    probe: NDArray[np.complexfloating], positions: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return the mean counts, (n, N, N), of `blobs` under a probe, (modes, N, N)."""
    waves = exit_waves(probe, blobs(), positions, shift_probe=True)
    return np.concatenate([diffraction_intensity(block) for block in waves])


def counts_of(mean: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.random.default_rng(7).poisson(mean).astype(float)


def good_set(
    photons: float = 1e5,
    *,
    positions: NDArray[np.float64] | None = None,
    probe: NDArray[np.complexfloating] | None = None,
    simulated: bool = True,
) -> Arrays:
    """Return a set of 100 frames, as the keys of an NPZ."""
    positions = scan() if positions is None else positions
    lit = annular_probe()[None] if probe is None else probe
    lit = lit * np.sqrt(photons / (np.abs(lit) ** 2).sum())
    arrays: Arrays = {
        "diffraction": np.sqrt(counts_of(expected_counts(lit, positions))).astype(np.float32),
        "objectGuess": blobs().astype(np.complex64),
        "probeGuess": lit[0].astype(np.complex64),
        "ycoords": positions[:, 0],
        "xcoords": positions[:, 1],
    }
    if simulated:
        arrays["_metadata"] = np.array(json.dumps({"simulated": True}))
    return arrays


def near_field(magnification: float = 0.15) -> Arrays:
    """Return a scan of the near field: frames are shadows of grains in a beam wider than a window.

    Detector and sample are modelled in pixels of the detector, as a magnifying geometry is
    equivalent to a parallel beam (the Fresnel scaling theorem; D. Paganin, *Coherent X-Ray
    Optics*, 1.4); the file's positions are in the far field's pixels, as its readers make them.
    """
    y, x = np.mgrid[-N // 2 : N // 2, -N // 2 : N // 2]
    spot = np.exp(-((np.hypot(y, x) / 10) ** 4)).astype(complex)
    spot *= np.sqrt(1e5) / np.linalg.norm(spot)
    k = np.fft.fftfreq(N)
    fresnel = np.exp(-1j * np.pi * 4 * (k[:, None] ** 2 + k**2))
    noise = np.random.default_rng(4).standard_normal((SIZE, SIZE))
    grains = np.exp(3j * gaussian_filter(noise, 1.5, mode="wrap"))
    waves = np.concatenate(list(exit_waves(spot[None], grains, scan(), shift_probe=True)))[:, 0]
    frames = np.abs(np.fft.ifft2(np.fft.fft2(waves) * fresnel)) ** 2
    return {
        "diffraction": np.sqrt(counts_of(frames)).astype(np.float32),
        "probeGuess": annular_probe().astype(np.complex64),
        "ycoords": scan()[:, 0] / magnification,
        "xcoords": scan()[:, 1] / magnification,
    }
