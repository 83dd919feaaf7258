"""The scale: what is undone is what was done, whatever the set's units."""

from __future__ import annotations

import numpy as np
import pytest

from fly64tasks.recon.scale import ASSUMED_PHOTONS_PER_FRAME, Scale


def intensity(factor: float) -> np.ndarray:
    return np.random.default_rng(0).poisson(3.0, (5, 8, 8)) * factor


def test_counts_stay_as_they_are():
    scale = Scale.of(intensity(1.0))
    assert scale.counts
    assert scale.intensity == 1


def test_other_units_are_brought_to_the_assumed_photons():
    scale = Scale.of(intensity(0.37))
    assert not scale.counts
    assert scale.intensity * scale.mean_photons == pytest.approx(ASSUMED_PHOTONS_PER_FRAME)


@pytest.mark.parametrize("factor", [1.0, 0.37, 12.3])
def test_probe_comes_back_with_the_photons_of_the_set_s_own_mean_frame(factor: float):
    scale = Scale.of(intensity(factor))
    probe = scale.first_probe(np.ones((2, 8, 8), np.complex64))
    back = scale.from_ptychi(scale.to_ptychi(probe))
    assert (np.abs(back) ** 2).sum() == pytest.approx(scale.mean_photons, rel=1e-5)
    assert back.dtype == np.complex64
