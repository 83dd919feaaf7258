"""Scores of planted and of real reconstructions: the truth, garbage, no truth, the wrong set."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from fly64tasks.data import lineage
from fly64tasks.data.archive import write_npz
from fly64tasks.data.dataset import PtychoDataset
from fly64tasks.data.readers.npz import read_dataset
from fly64tasks.data.writers.npz import write_dataset
from fly64tasks.errors import DatasetError
from fly64tasks.physics.alignment import align, illuminated_region
from fly64tasks.physics.image_quality import complex_nrmse
from fly64tasks.recon import command as recon
from fly64tasks.recon.files import RECONSTRUCTION, RUN_RECORD
from fly64tasks.recon.result import read_reconstruction
from fly64tasks.score import command as score
from fly64tasks.score.files import COMPARISON, FRC, SCORE_FILES, SCORES, THUMBNAIL
from fly64tasks.score.scorecard import METRICS
from fly64tasks.study.cases import Case
from fly64tasks.study.recon_settings import ReconSpec
from fly64tasks.study.stages import Geometry, ScoreSpec

SPEC = ScoreSpec(ms_ssim_scales=2)
CASE = Case(dose=1e4, view="baseline", split="train", gridsize=1)

Plant = Callable[..., Path]


@pytest.fixture
def plant(small_sets: dict[str, Path], small_set: PtychoDataset, tmp_path: Path) -> Plant:
    """Return a function that writes an object as if it had been reconstructed."""

    def planted(obj: np.ndarray, input_npz: Path = small_sets["train"], **start: Any) -> Path:
        folder = tmp_path / "result"
        spec = ReconSpec().resolved()
        write_npz(
            folder / RECONSTRUCTION,
            {
                "object": obj.astype(np.complex64),
                "probe": small_set.probe_guess,
                "positions_px": small_set.positions_px,
                "loss": np.array([0.2, 0.1]),
            },
            {
                "stage": "recon",
                "spec": spec.to_dict(),
                "versions": {"fly64tasks": "0"},
                "input": {"path": str(input_npz), "sha256": lineage.digest(input_npz)},
                "start": {"frame_of_reference": "object", "truth_seeded": False, **start},
                "set": {"simulated": True, "geometry": Geometry().to_dict()},
            },
        )
        return folder

    return planted


def scored(folder: Path, input_npz: Path, spec: ScoreSpec = SPEC) -> dict[str, Any]:
    """Return the scores, without the pictures that take most of the time."""
    found = read_reconstruction(folder / RECONSTRUCTION)
    return score.assess(found, read_dataset(input_npz), spec, CASE)[0]


def test_truth_under_scale_phase_and_ramp_scores_perfectly(
    plant: Plant, small_sets: dict[str, Path], small_set: PtychoDataset
):
    y, x = np.indices(small_set.object_guess.shape)
    turned = 2.5 * small_set.object_guess * np.exp(1j * (1 + 0.01 * y - 0.02 * x))
    scores = scored(plant(turned), small_sets["train"])
    values = scores["metrics"]
    assert values["complex_nrmse"] < 1e-5
    for key in ("amplitude_ssim", "phase_ssim", "amplitude_ms_ssim", "phase_ms_ssim"):
        assert values[key] == pytest.approx(1, abs=1e-5)
    assert values["phase_psnr_db"] > 90
    assert values["frc_0p5_cycles_per_px"] == 0.5
    assert values["frc_0p5_period_nm"] == 20.0
    assert "frc_0p5_period_nm" in scores["bounds"]
    assert scores["unresolved"] == []
    assert scores["alignment"]["scale"] == pytest.approx(1 / 2.5, rel=1e-4)
    assert scores["alignment"]["ramp_rad_per_px"] == pytest.approx([0.01, -0.02], abs=1e-5)
    assert scores["alignment"]["residual_shift_px"] == pytest.approx([0, 0], abs=0.011)
    assert scores["region"]["islands"] == 1
    assert scores["case"]["name"] == "dose_10000_baseline_train"


def test_truth_as_it_is_fits_the_data_down_to_the_noise(
    plant: Plant, small_sets: dict[str, Path], small_set: PtychoDataset
):
    right = scored(plant(small_set.object_guess), small_sets["train"])["metrics"]["r_factor"]
    empty = scored(plant(np.ones_like(small_set.object_guess)), small_sets["train"])
    assert right < 0.9 * empty["metrics"]["r_factor"]


def test_truth_fits_to_the_noise_and_other_objects_do_not(
    plant: Plant, small_sets: dict[str, Path], small_set: PtychoDataset
):
    right = scored(plant(small_set.object_guess), small_sets["train"])
    assert right["metrics"]["chi2"] == right["fit"]["chi2"] == pytest.approx(1, abs=0.02)
    assert right["notes"]["chi2"] == right["fit"]["words"]
    assert right["fit"]["words"].startswith("fits to the noise")
    for obj in (np.ones_like(small_set.object_guess), small_set.object_guess[::-1]):
        wrong = scored(plant(obj), small_sets["train"])
        assert wrong["fit"]["chi2"] > 1.5
        assert wrong["fit"]["fits"] is False


def test_flat_object_is_scored_beside_the_reconstruction_and_the_worse_is_said_to_be(
    plant: Plant, small_sets: dict[str, Path], small_set: PtychoDataset
):
    truth = small_set.object_guess
    right = scored(plant(truth), small_sets["train"])
    flat = right["flat_object"]["complex_nrmse"]
    assert right["notes"]["complex_nrmse"] == f"a flat object has {flat:.4f}"
    ones = scored(plant(np.ones_like(truth)), small_sets["train"])
    assert ones["metrics"]["complex_nrmse"] == pytest.approx(flat)
    worse = scored(plant(truth[::-1]), small_sets["train"])
    assert worse["flat_object"]["complex_nrmse"] == flat < worse["metrics"]["complex_nrmse"]
    assert worse["notes"]["complex_nrmse"] == f"worse than a flat object, which has {flat:.4f}"


def test_phase_ramp_of_the_truth_is_given_to_the_flat_object_too(
    plant: Plant, small_sets: dict[str, Path], small_set: PtychoDataset
):
    """No diffraction tells a ramp from a shift of the detector, so it makes neither error."""
    flat = scored(plant(small_set.object_guess), small_sets["train"])["flat_object"]
    y, x = np.indices(small_set.object_guess.shape)
    ramp = np.exp(1j * (0.02 * y - 0.03 * x)).astype(np.complex64)
    turned = replace(small_set, object_guess=small_set.object_guess * ramp)
    assert flat_error_of(turned) == pytest.approx(flat["complex_nrmse"], rel=1e-3)


def flat_error_of(dataset: PtychoDataset) -> float:
    """Return the error of an object of ones, aligned with the truth of a set."""
    truth = dataset.object_guess.astype(complex)
    region = illuminated_region(dataset.probe_guess, dataset.positions_px, truth.shape)
    return complex_nrmse(align(np.ones_like(truth), truth, region).obj, truth, region)


def test_garbage_scores_badly_in_every_metric(
    plant: Plant, small_sets: dict[str, Path], small_set: PtychoDataset
):
    rng = np.random.default_rng(0)
    shape = small_set.object_guess.shape
    garbage = rng.standard_normal(shape) + 1j * rng.standard_normal(shape)
    scores = scored(plant(garbage), small_sets["train"])
    values = scores["metrics"]
    limits = {
        "complex_nrmse": 0.9,
        "amplitude_ssim": 0.1,
        "phase_ssim": 0.1,
        "amplitude_ms_ssim": 0.2,
        "phase_ms_ssim": 0.2,
        "amplitude_psnr_db": 10,
        "phase_psnr_db": 10,
        "amplitude_mae": 0.2,
        "phase_mae_rad": 0.5,
        "frc_0p5_cycles_per_px": 0.06,
        "frc_1bit_cycles_per_px": 0.06,
        "frc_halfbit_cycles_per_px": 0.06,
        "frc_0p5_period_nm": 160,
        "frc_1bit_period_nm": 160,
        "frc_halfbit_period_nm": 160,
        "chi2": 2,
        "r_factor": 0.6,
    }
    assert list(limits) == [metric.key for metric in METRICS]
    for metric in METRICS:
        value, limit = values[metric.key], limits[metric.key]
        assert metric.badness(value) > metric.badness(limit), metric.key


def test_garbage_has_no_resolution_but_the_field_as_its_limit(
    plant: Plant, small_sets: dict[str, Path], small_set: PtychoDataset
):
    rng = np.random.default_rng(0)
    shape = small_set.object_guess.shape
    garbage = rng.standard_normal(shape) + 1j * rng.standard_normal(shape)
    scores = scored(plant(garbage), small_sets["train"])
    y0, y1, x0, x1 = scores["region"]["box_px"]
    width = max(y1 - y0, x1 - x0)
    crossings = {metric.key for metric in METRICS if metric.key.startswith("frc_")}
    assert crossings == set(scores["unresolved"]) == set(scores["bounds"])
    assert scores["metrics"]["frc_halfbit_cycles_per_px"] == pytest.approx(1 / width)
    assert scores["metrics"]["frc_halfbit_period_nm"] == pytest.approx(10 * width)
    assert scores["notes"]["frc_halfbit_period_nm"] == (
        "no resolution: the curve never rises above the threshold (limit: the field's width, "
        f"{width} px)"
    )


def test_real_reconstruction_is_scored_and_drawn(small_sets: dict[str, Path], tmp_path: Path):
    recon.run(small_sets["train"], tmp_path, ReconSpec(num_epochs=12, n_images=100))
    score.score(small_sets["train"], tmp_path, SPEC, CASE)
    scores = json.loads((tmp_path / SCORES).read_text("utf-8"))
    assert 0.05 < scores["metrics"]["complex_nrmse"] < 0.5
    assert scores["metrics"]["r_factor"] < 0.4
    assert scores["metrics"]["complex_nrmse"] < scores["flat_object"]["complex_nrmse"]
    run = json.loads((tmp_path / RUN_RECORD).read_text("utf-8"))
    assert scores["fit"]["chi2"] == pytest.approx(run["fit"]["chi2"], rel=1e-5)
    assert scores["fit"]["words"] == run["fit"]["words"]
    assert scores["fit"]["worst_frame"]["index"] == run["fit"]["worst_frame"]["index"]
    assert scores["set"]["n_frames"] == 100
    assert scores["set"]["n_frames_in_set"] == 128
    assert scores["reconstruction"]["spec"]["num_epochs"] == 12
    with Image.open(tmp_path / COMPARISON) as picture:
        assert picture.width > 1400
    with Image.open(tmp_path / THUMBNAIL) as picture:
        assert 60 < max(picture.size) <= 240
    curve = np.loadtxt(tmp_path / FRC, delimiter=",", skiprows=1)
    assert curve[0, 1] > curve[-1, 1]
    before = {name: (tmp_path / name).read_bytes() for name in SCORE_FILES}
    score.score(small_sets["train"], tmp_path, SPEC, CASE)
    assert before == {name: (tmp_path / name).read_bytes() for name in SCORE_FILES}


def test_set_that_was_not_simulated_gets_the_data_score_and_the_reason(
    plant: Plant,
    small_set: PtychoDataset,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
):
    measured = tmp_path / "measured.npz"
    write_dataset(measured, replace(small_set, metadata={"diffraction_order": "NHW"}))
    folder = plant(small_set.object_guess, measured)
    scores = score.score(measured, folder, SPEC)
    assert scores["truth"] == {
        "comparable": False,
        "reason": "no truth: the set does not say that it was simulated (_metadata.simulated)",
        "seeded": False,
    }
    given = {key for key, value in scores["metrics"].items() if value is not None}
    assert given == {"chi2", "r_factor"}
    assert set(scores["notes"]) == set(scores["metrics"]) - {"r_factor"}

    assert score.main(["--input-npz", str(measured), "--output-dir", str(folder)]) == 0
    fit, r_factor, rest = capsys.readouterr().out.splitlines()
    assert (fit[:7], r_factor[:8]) == ("Fit χ² ", "R-factor")
    assert rest == f"{scores['truth']['reason']}; {len(scores['metrics']) - 2} scores need one"
    assert scores["notes"]["chi2"] == scores["fit"]["words"]
    assert scores["flat_object"] is None
    assert scores["region"] is scores["alignment"] is None
    assert (folder / FRC).read_text().count("\n") == 1
    assert (folder / COMPARISON).stat().st_size > 0


def test_scan_of_its_own_frame_has_no_comparable_truth(
    plant: Plant, small_sets: dict[str, Path], small_set: PtychoDataset
):
    folder = plant(small_set.object_guess, frame_of_reference="scan")
    reason = scored(folder, small_sets["train"])["truth"]["reason"]
    assert reason == "no comparable truth: the positions are not in the frame of objectGuess"


def test_truth_that_the_user_names_is_scored_against_as_one_that_the_set_names(
    small_set: PtychoDataset, tmp_path: Path
):
    found = {}
    for name, metadata in (("simulated", {"simulated": True}), ("measured", {})):
        path = tmp_path / f"{name}.npz"
        write_dataset(path, replace(small_set, metadata={"diffraction_order": "NHW", **metadata}))
        recon.run(path, tmp_path / name, ReconSpec(num_epochs=15))
        found[name] = score.score(path, tmp_path / name, SPEC, truth="objectGuess")
    shapes = [read_reconstruction(tmp_path / name / RECONSTRUCTION).obj.shape for name in found]
    assert shapes[0] == (112, 112) != shapes[1]
    one, other = (scores["metrics"] for scores in found.values())
    assert other["complex_nrmse"] == pytest.approx(one["complex_nrmse"], rel=0.02)
    assert other["phase_ssim"] == pytest.approx(one["phase_ssim"], rel=0.02)
    assert not found["measured"]["truth"]["seeded"]
    score.main(["--input-npz", str(path), "--output-dir", str(tmp_path / "measured")])
    without = json.loads((tmp_path / "measured" / SCORES).read_text())
    assert without["metrics"]["complex_nrmse"] is None


def test_object_that_is_the_same_everywhere_is_no_truth(
    plant: Plant, small_set: PtychoDataset, tmp_path: Path
):
    blank = tmp_path / "blank.npz"
    write_dataset(blank, replace(small_set, object_guess=np.ones((112, 112), np.complex64)))
    folder = plant(small_set.object_guess, blank)
    reason = scored(folder, blank)["truth"]["reason"]
    assert reason == "no truth: objectGuess is the same everywhere, it can not be the truth"


def test_metric_that_does_not_fit_says_why(
    plant: Plant, small_sets: dict[str, Path], small_set: PtychoDataset
):
    scores = scored(plant(small_set.object_guess * 1.01), small_sets["train"], ScoreSpec())
    assert scores["metrics"]["phase_ms_ssim"] is None
    assert "5 scales need a region of 161 px" in scores["notes"]["phase_ms_ssim"]


def test_reconstruction_of_another_set_is_refused(
    plant: Plant, small_sets: dict[str, Path], small_set: PtychoDataset
):
    folder = plant(small_set.object_guess)
    with pytest.raises(DatasetError, match=r"was made from another content of .*patched_train"):
        score.score(small_sets["test"], folder, SPEC)
    assert not (folder / SCORES).exists()


def test_what_is_no_reconstruction_is_refused(small_sets: dict[str, Path], tmp_path: Path):
    with pytest.raises(DatasetError, match=r"reconstruction\.npz: no such file"):
        score.score(small_sets["train"], tmp_path, SPEC)
    (tmp_path / RECONSTRUCTION).write_bytes(small_sets["train"].read_bytes())
    with pytest.raises(DatasetError, match="not a reconstruction by fly64tasks"):
        score.score(small_sets["train"], tmp_path, SPEC)


def test_command_line_prints_every_score(
    plant: Plant,
    small_sets: dict[str, Path],
    small_set: PtychoDataset,
    capsys: pytest.CaptureFixture[str],
):
    folder = plant(small_set.object_guess)
    arguments = ["--input-npz", str(small_sets["train"]), "--output-dir", str(folder)]
    assert score.main(arguments) == 0
    printed = capsys.readouterr().out
    for metric in METRICS:
        assert f"\n{metric.label}" in f"\n{printed}"
    assert "≥ 0.5 cycles/px" in printed
    folder = plant(np.random.default_rng(0).standard_normal(small_set.object_guess.shape))
    assert score.main(arguments) == 0
    assert "Resolution, FRC ½-bit   - (no resolution: the curve never" in capsys.readouterr().out
    assert score.main(["--input-npz", "absent.npz", "--output-dir", str(folder)]) == 3
    assert capsys.readouterr().err.startswith("error: absent.npz: no such file")


@pytest.mark.parametrize("name", SCORE_FILES)
def test_file_of_another_is_not_overwritten(
    plant: Plant, small_sets: dict[str, Path], small_set: PtychoDataset, name: str
):
    folder = plant(small_set.object_guess)
    (folder / name).write_text("{}")
    with pytest.raises(DatasetError, match=f"{name}: exists and was not written by"):
        score.score(small_sets["train"], folder, SPEC)
    assert (folder / name).read_text() == "{}"
    assert {path.name for path in folder.iterdir()} == {name, RECONSTRUCTION}


def test_scores_are_written_over_older_ones(
    plant: Plant, small_sets: dict[str, Path], small_set: PtychoDataset
):
    folder = plant(small_set.object_guess)
    first = score.score(small_sets["train"], folder, SPEC)
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    assert score.score(small_sets["train"], folder, SPEC) == first
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before
