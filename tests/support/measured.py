"""Bring a scan that is known before the readers: what the tests write into other tools' files.

Its counts are those of a simulated set; nothing of the readers or writers makes it.
"""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from fly64tasks.data.dataset import PtychoDataset
from fly64tasks.data.measurement import Measurement
from fly64tasks.data.readers import open_measurement

HC_EV_M = 1.239841984e-6


@dataclass(frozen=True)
class Known:
    """Counts (n, N, N) int, positions (n, 2) px y first, probe (1, N, N), object (H, W), sizes."""

    counts: np.ndarray
    positions_px: np.ndarray
    probe: np.ndarray
    obj: np.ndarray
    pixel_m: float = 10e-9
    energy_ev: float = 8800.0
    detector_pixel_m: float = 75e-6

    @property
    def size(self) -> int:
        return self.counts.shape[-1]

    @property
    def wavelength_m(self) -> float:
        return HC_EV_M / self.energy_ev

    @property
    def distance_m(self) -> float:
        return self.pixel_m * self.size * self.detector_pixel_m / self.wavelength_m

    @property
    def relative_m(self) -> np.ndarray:
        """Positions from their mean, in m."""
        return (self.positions_px - self.positions_px.mean(axis=0)) * self.pixel_m

    @property
    def mask(self) -> np.ndarray:
        """Three bad pixels: False there."""
        mask = np.ones((self.size, self.size), bool)
        mask[3, 5] = mask[3, 6] = mask[20, 1] = False
        return mask


def known_of(dataset: PtychoDataset) -> Known:
    """Return the counts of a simulated set and what it was simulated from."""
    assert dataset.object_guess is not None
    return Known(
        counts=np.rint(dataset.diffraction_amplitude.astype(float) ** 2).astype(np.uint16),
        positions_px=dataset.positions_px,
        probe=dataset.probe_guess.astype(complex),
        obj=dataset.object_guess.astype(complex),
    )


@contextmanager
def opened(path: Path) -> Any:
    """Open a scan, with its frames read."""
    with open_measurement(path) as found:
        yield found, found.frames.array()


def holds(
    path: Path,
    known: Known,
    *,
    absolute: bool = False,
    sizes: bool = True,
    energy: bool = True,
    probe: bool = True,
    mask: bool = True,
) -> Measurement:
    """Assert that a file is read as what is known: exact counts, positions to 1e-6 px."""
    with opened(path) as (found, counts):
        assert np.array_equal(counts, known.counts)
        positions, expected = found.positions_px, known.positions_px
        if not absolute:
            positions = positions - positions.mean(axis=0)
            expected = expected - expected.mean(axis=0)
        assert np.abs(positions - expected).max() < 1e-6
        if sizes:
            assert np.isclose(found.pixel_size_m, known.pixel_m, rtol=1e-6)
        if energy:
            assert np.isclose(found.energy_ev, known.energy_ev, rtol=1e-6)
            assert np.isclose(found.detector_pixel_size_m, known.detector_pixel_m, rtol=1e-6)
        if probe:
            assert np.allclose(found.probe, known.probe, rtol=1e-5, atol=1e-5)
        else:
            assert found.probe is None
        if mask:
            assert np.array_equal(found.mask, known.mask)
        else:
            assert found.mask is None
        return found
