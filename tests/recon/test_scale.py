"""The scale: what is undone is what was done, whatever the set's units; and what is known of it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from fly64tasks.data.frame_stack import FrameStack
from fly64tasks.recon.scale import ASSUMED_PHOTONS_PER_FRAME, Scale

PROBE = np.ones((2, 8, 8), np.complex64)


def intensity(factor: float) -> FrameStack:
    return FrameStack.of(np.random.default_rng(0).poisson(3.0, (5, 8, 8)) * factor)


def test_counts_stay_as_they_are():
    scale = Scale.of(intensity(1.0), PROBE)
    assert scale.counts
    assert scale.intensity == 1


def test_other_units_are_brought_to_the_assumed_photons():
    scale = Scale.of(intensity(0.37), PROBE)
    assert not scale.counts
    assert scale.intensity * scale.mean_photons == pytest.approx(ASSUMED_PHOTONS_PER_FRAME)


@pytest.mark.parametrize("factor", [1.0, 0.37, 12.3])
def test_first_probe_has_the_photons_of_the_set_s_own_mean_frame(factor: float):
    scale = Scale.of(intensity(factor), PROBE)
    back = scale.from_ptychi(scale.to_ptychi(scale.first_probe(PROBE)))
    assert (np.abs(back) ** 2).sum() == pytest.approx(scale.mean_photons, rel=1e-5)
    assert back.dtype == np.complex64


@pytest.mark.parametrize(
    ("held", "known_from"),
    [(0.99, "frames"), (1.0, "probe"), (1.2, "probe"), (4.99, "probe"), (5.1, "frames")],
)
def test_probe_is_believed_where_the_object_absorbs_what_it_has_more(held: float, known_from: str):
    frames = FrameStack.of(np.ones((3, 4, 4)))  # 16 photons each
    scale = Scale.of(frames, np.full((1, 4, 4), np.sqrt(held), complex))
    assert scale.known_from == known_from
    assert scale.known_photons == pytest.approx(16 * held if known_from == "probe" else 16)


@pytest.mark.parametrize("factor", [1.0, 0.37])
def test_result_comes_out_with_what_is_known_and_predicts_the_same_frames(factor: float):
    scale = Scale.of(intensity(factor), PROBE)
    obj, probe = np.full((9, 9), 0.5, np.complex64), 0.3 * scale.to_ptychi(PROBE)
    known_obj, known_probe, by = scale.to_known(obj, probe)
    result = scale.from_ptychi(known_probe)
    assert (np.abs(result) ** 2).sum() == pytest.approx(scale.known_photons, rel=1e-5)
    assert np.allclose(known_obj[0, 0] * known_probe, obj[0, 0] * probe)
    said = scale.said(by)
    assert said["object_multiplied_by"] * said["probe_multiplied_by"] == pytest.approx(1)


@pytest.mark.parametrize("value", [0, np.nan, np.inf])
def test_probe_that_no_factor_helps_is_left(value: float):
    scale = replace(Scale.of(intensity(1.0), PROBE), known_photons=3.0)
    spoilt = np.full((1, 8, 8), value, np.complex64)
    assert scale.to_known(PROBE[0], spoilt)[2] == 1
