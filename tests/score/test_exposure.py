"""Light and overlap of a set: literal answers on few frames."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from fly64tasks.data.dataset import PtychoDataset
from fly64tasks.physics.overlap import disc_overlap
from fly64tasks.score.compare import Fitted
from fly64tasks.score.exposure import exposure_of
from fly64tasks.study.recon_settings import ReconSpec
from fly64tasks.study.stages import Geometry, ScoreSpec

SIZE = 32


def disc(diameter_px: float) -> np.ndarray:
    y, x = np.indices((SIZE, SIZE)) - SIZE // 2
    return (np.hypot(y, x) <= diameter_px / 2).astype(np.complex64)[None]


def fitted(positions: list[list[float]], amplitude: float, **metadata: Any) -> Fitted:
    """Return frames of one amplitude, lit by a disc of 16 px, pixels of 5 nm."""
    positions_px = np.array(positions)
    frames = np.full((len(positions), SIZE, SIZE), amplitude, np.float32)
    obj = np.ones((100, 100), np.complex64)
    dataset = PtychoDataset(frames, obj, disc(16.0), positions_px, metadata=metadata)
    found: Any = SimpleNamespace(
        obj=obj, positions_px=positions_px, geometry=Geometry(pixel_size_m=5e-9), spec=ReconSpec()
    )
    return Fitted(dataset, found, ScoreSpec())


FAR = [[30.0, 30.0], [30.0, 50.0]]


def test_incident_photons_are_the_dose_of_every_frame_over_the_lit_pixels():
    found = exposure_of(fitted(FAR, 1.0, dose_photons_per_frame=1e3))
    lit = 2 * int(np.abs(disc(16.0)).sum())
    assert (found["photons_total"], found["photons_are"]) == (2e3, "incident")
    assert found["illuminated_px"] == lit
    assert found["photons_per_px"] == pytest.approx(2e3 / lit)
    assert found["photons_per_nm2"] == pytest.approx(2e3 / lit / 25)


def test_whole_numbers_without_a_dose_are_detected_photons():
    found = exposure_of(fitted(FAR, np.sqrt(3.0)))
    assert found["photons_total"] == 2 * SIZE**2 * 3
    assert found["photons_are"] == "detected"


@pytest.mark.parametrize("amplitude", [0.01, 1.2, 0.0])
def test_what_is_not_in_photons_is_not_counted(amplitude: float):
    found = exposure_of(fitted(FAR, amplitude))
    assert found["photons_total"] is found["photons_are"] is found["photons_per_px"] is None


@pytest.mark.parametrize("spacing_px", [4.0, 8.0, 20.0])
def test_nearest_frames_overlap_as_two_discs_at_their_distance(spacing_px: float):
    found = exposure_of(fitted([[30.0, 30.0], [30.0, 30.0 + spacing_px]], 1.0))
    diameter_px = found["probe_diameter_px"]
    assert diameter_px == pytest.approx(16, rel=0.02)
    assert found["nearest_spacing_px"] == pytest.approx(spacing_px)
    assert found["nearest_spacing_diameters"] == pytest.approx(spacing_px / diameter_px)
    expected = float(disc_overlap(np.array(spacing_px), diameter_px))
    assert found["nearest_disc_overlap"] == pytest.approx(expected)
    assert (expected == 0) == (spacing_px > diameter_px)


def test_only_frames_that_were_fitted_count():
    whole = fitted([*FAR, [60.0, 60.0]], 1.0, dose_photons_per_frame=1e3)
    spec = ReconSpec(n_images=2)
    part: Any = SimpleNamespace(**{**vars(whole.found), "spec": spec})
    part.positions_px = whole.found.positions_px[:2]
    assert exposure_of(replace(whole, found=part))["photons_total"] == 2e3
