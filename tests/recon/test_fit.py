"""What is said of a fit: of real reconstructions, and of counts that one frame or pixel spoils."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from fly64tasks.data.dataset import PtychoDataset
from fly64tasks.data.writers.npz import write_dataset
from fly64tasks.recon import command as recon
from fly64tasks.recon.fit import NO_COUNTS, said_of_fit, verdict
from fly64tasks.recon.start import choose_frames
from fly64tasks.study.recon_settings import ReconSpec

PREDICTED = np.full((20, 8, 8), 10.0)
FRAMES = np.arange(100, 120)


def counts(seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).poisson(PREDICTED**2).astype(float)


def test_counts_about_the_prediction_fit_to_the_noise():
    said = said_of_fit(np.sqrt(counts()), PREDICTED, FRAMES, counts=True)
    assert said["chi2"] == pytest.approx(1, abs=0.1)
    assert said["fits"] is True
    assert said["words"] == "fits to the noise"
    assert json.loads(json.dumps(said)) == said


def test_bad_frame_is_named_by_its_index_in_the_set():
    spoilt = counts()
    spoilt[3] *= 2
    said = said_of_fit(np.sqrt(spoilt), PREDICTED, FRAMES, counts=True)
    assert said["worst_frame"] == {"index": 103, "chi2": pytest.approx(70, abs=3)}
    assert said["words"] == "does not fit; frame 103 stands out"


def test_bad_pixel_is_named_y_first():
    spoilt = counts()
    spoilt[:, 2, 5] = 196
    said = said_of_fit(np.sqrt(spoilt), PREDICTED, FRAMES, counts=True)
    assert said["worst_pixel"] == {"yx": [2, 5], "chi2": pytest.approx(64)}
    assert said["words"] == "does not fit; detector pixel y 2, x 5 stands out"


def test_none_is_named_that_only_lacks_convergence_above_1e7_photons():
    predicted = np.full((20, 8, 8), 1000.0)  # 6.4e7 photons a frame
    bright = np.random.default_rng(0).poisson(predicted**2).astype(float)
    bright[3] *= 1.003  # a chi2 of 10, as the last frame of right answers had
    said = said_of_fit(np.sqrt(bright), predicted, FRAMES, counts=True)
    assert said["worst_frame"] == {"index": 103, "chi2": pytest.approx(10, abs=3)}
    assert "stands out" not in said["words"]
    bright[3] *= 1.03
    said = said_of_fit(np.sqrt(bright), predicted, FRAMES, counts=True)
    assert said["words"].endswith("; frame 103 stands out")


def test_none_is_named_where_the_others_do_not_fit_either():
    spoilt = 2 * counts()
    spoilt[3] *= 16
    said = said_of_fit(np.sqrt(spoilt), PREDICTED, FRAMES, counts=True)
    assert said["worst_frame"]["index"] == 103
    assert said["words"] == "does not fit"


def test_what_is_not_counts_has_no_chi2_but_words():
    said = said_of_fit(PREDICTED / 7, PREDICTED, FRAMES, counts=False)
    assert said == {
        "chi2": None,
        "fits": None,
        "words": NO_COUNTS,
        "worst_frame": None,
        "worst_pixel": None,
    }


@pytest.mark.parametrize(
    ("chi2", "photons_per_frame", "fits", "words"),
    [
        (0.05, 1e6, None, "says nothing: frames share too little"),
        (0.4, 1e6, True, "fits the noise too"),
        (1.1, 1e6, True, "fits to the noise"),
        (1.1, 1e3, True, "fits to the noise; at 1 counts a pixel a wrong answer may too"),
        (1.4, 1e6, None, "nearly fits"),
        (1.6, 1e6, False, "does not fit"),
        (1.1, 1e8, True, "fits to the noise"),
        (1.6, 1e8, None, "above 1e+07 photons a frame convergence decides, not noise"),
        (101, 1e8, False, "does not fit"),
    ],
)
def test_words_depend_on_chi2_and_photons(
    chi2: float, photons_per_frame: float, fits: bool | None, words: str
):
    assert verdict(chi2, photons_per_frame / 1000, 1000) == (fits, words)


def test_real_reconstruction_fits_and_one_of_flipped_positions_does_not(
    small_sets: dict[str, Path], small_set: PtychoDataset, tmp_path: Path
):
    right = recon.run(small_sets["train"], tmp_path / "right", ReconSpec(), device="cpu")["fit"]
    assert 0.7 < right["chi2"] < 1.25
    assert right["fits"] is True
    recorded = json.loads((tmp_path / "right" / "run.json").read_text("utf-8"))
    assert recorded["fit"] == right
    ys, xs = small_set.positions_px.T
    flipped = replace(small_set, positions_px=np.column_stack([ys.min() + ys.max() - ys, xs]))
    write_dataset(tmp_path / "flipped.npz", flipped)
    wrong = recon.run(tmp_path / "flipped.npz", tmp_path / "wrong", ReconSpec(), device="cpu")
    assert wrong["fit"]["chi2"] > 1.2 * right["chi2"]
    assert wrong["fit"]["fits"] is not True


def test_frame_that_is_of_another_place_is_the_worst(small_set: PtychoDataset, tmp_path: Path):
    amplitude = small_set.diffraction_amplitude.copy()
    amplitude[70] = amplitude[70, ::-1]
    write_dataset(tmp_path / "set.npz", replace(small_set, diffraction_amplitude=amplitude))
    spec = ReconSpec(n_images=100)
    assert 70 in choose_frames(128, spec)
    found = recon.run(tmp_path / "set.npz", tmp_path / "out", spec, device="cpu")
    assert found["fit"]["worst_frame"]["index"] == 70


def test_set_that_is_not_counts_is_reconstructed_and_said_to_have_no_chi2(
    payload: Path, tmp_path: Path
):
    found = recon.run(payload, tmp_path, ReconSpec(num_epochs=2), device="cpu")
    assert found["fit"]["chi2"] is None
    assert found["fit"]["words"] == NO_COUNTS
