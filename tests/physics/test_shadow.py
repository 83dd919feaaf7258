"""Shadows of the near field are found and measured; the far field's speckles are none."""

from __future__ import annotations

import numpy as np
import pytest
from doubtful_sets import good_set, near_field

from fly64tasks.physics.shadow import LEAST_PAIRS, shadow_of


def _shadow(arrays: dict[str, np.ndarray]):
    positions = np.column_stack([arrays["ycoords"], arrays["xcoords"]])
    return shadow_of(arrays["diffraction"], positions)


@pytest.mark.parametrize("magnification", [0.1, 0.3])
def test_magnification_of_the_near_field_is_measured(magnification: float):
    shadow = _shadow(near_field(magnification))
    assert shadow is not None
    assert shadow.magnification == pytest.approx(magnification, rel=0.05)
    assert shadow.beam_px == pytest.approx(shadow.spot_px / magnification, rel=0.05)


@pytest.mark.parametrize("photons", [1e3, 1e5, 1e7])
def test_far_field_has_no_shadow(photons: float):
    assert _shadow(good_set(photons)) is None


def test_equal_frames_and_few_frames_have_no_shadow():
    arrays = near_field()
    few = {key: values[: LEAST_PAIRS - 1] for key, values in arrays.items() if key != "probeGuess"}
    assert _shadow(few) is None
    arrays["diffraction"][:] = arrays["diffraction"][0]
    assert _shadow(arrays) is None
