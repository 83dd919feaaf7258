"""Objects of any program against a set: every accepted form, crops, and what can not be placed."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from fly64tasks.data import lineage
from fly64tasks.data.dataset import PtychoDataset
from fly64tasks.data.readers import read_dataset
from fly64tasks.data.writers.npz import write_dataset
from fly64tasks.data.writers.ptychopinn import write_comparison
from fly64tasks.errors import DatasetError
from fly64tasks.physics.alignment import bounding_box, illuminated_region
from fly64tasks.recon import command as recon
from fly64tasks.recon.files import RECONSTRUCTION
from fly64tasks.recon.result import Reconstructed, read_reconstruction
from fly64tasks.score import command as score
from fly64tasks.score.alone import NO_DATA, score_object
from fly64tasks.score.compare import overlay
from fly64tasks.score.files import SCORE_FILES, SCORES
from fly64tasks.score.scorecard import METRICS, scores_of
from fly64tasks.study.recon_settings import ReconSpec
from fly64tasks.study.stages import Geometry, ScoreSpec

SPEC = ScoreSpec(ms_ssim_scales=2)
TRUTH_KEYS = [metric.key for metric in METRICS if metric.needs_truth]


@pytest.fixture(scope="module")
def ours(
    small_sets: dict[str, Path], tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, Reconstructed, dict[str, Any]]:
    """A reconstruction of the small train set: its folder, its arrays, its scores."""
    folder = tmp_path_factory.mktemp("ours")
    recon.run(small_sets["train"], folder, ReconSpec(num_epochs=20))
    found = read_reconstruction(folder / RECONSTRUCTION)
    scores = score.assess(found, read_dataset(small_sets["train"]), SPEC)[0]
    return folder, found, scores["metrics"]


def forms_of(folder: Path, found: Reconstructed, to: Path) -> dict[str, tuple[Path, str | None]]:
    """Write the object of a reconstruction in every form that is accepted."""
    obj, pair = found.obj.astype(np.complex64), np.dtype([("real", "<f4"), ("imag", "<f4")])
    np.save(to / "plain.npy", obj)
    np.save(to / "layer.npy", obj[None])
    np.savez(to / "one.npz", amplitude=np.abs(obj), obj=obj)
    np.savez_compressed(to / "two.npz", first=obj, second=np.ones_like(obj))
    with h5py.File(to / "plain.h5", "w") as file:
        file["entry/result"] = obj
        file["entry/probe"] = obj[:32, :32]
    with h5py.File(to / "matlab.mat", "w", userblock_size=512) as file:
        file["object"] = np.ascontiguousarray(obj.T).view(pair)
        file["probe"] = np.ascontiguousarray(obj[:32, :32]).view(pair)
        file["p/dx_spec"] = np.full((2, 1), 10e-9)
    with (to / "matlab.mat").open("r+b") as file:
        file.write(b"MATLAB 7.3 MAT-file".ljust(128))
    return {
        "our reconstruction": (folder / RECONSTRUCTION, None),
        "our product": (folder / "product.h5", None),
        "NPY": (to / "plain.npy", None),
        "NPY with an axis of length 1": (to / "layer.npy", None),
        "NPZ": (to / "one.npz", None),
        "NPZ by its key": (to / "two.npz", "first"),
        "HDF5": (to / "plain.h5", None),
        "HDF5 by its key": (to / "plain.h5", "/entry/result"),
        "MATLAB v7.3": (to / "matlab.mat", None),
    }


def test_our_object_has_the_scores_of_its_reconstruction_in_every_form(
    ours: tuple[Path, Reconstructed, dict[str, Any]], small_sets: dict[str, Path], tmp_path: Path
):
    folder, found, expected = ours
    for form, (path, key) in forms_of(folder, found, tmp_path).items():
        scores = score_object(path, small_sets["train"], SPEC, key=key)
        values = [scores["metrics"][name] for name in TRUTH_KEYS]
        assert values == pytest.approx([expected[name] for name in TRUTH_KEYS], abs=1e-6), form
        by = "positions" if form.startswith("our") else "shape"
        assert scores["object"]["placement"]["by"] == by, form
        assert scores["object"]["share_of_region"] == 1
    assert scores["metrics"]["chi2"] is scores["fit"] is None
    assert scores["notes"]["chi2"] == NO_DATA
    array = score_object(found.obj, read_dataset(small_sets["train"]), SPEC)
    assert array["metrics"]["complex_nrmse"] == pytest.approx(expected["complex_nrmse"], abs=1e-6)


def test_result_on_a_canvas_of_its_own_is_placed_by_its_positions(
    small_sets: dict[str, Path], small_set: PtychoDataset, tmp_path: Path
):
    measured = small_set.metadata | {"simulated": False}
    path = tmp_path / "set.npz"
    write_dataset(path, replace(small_set, metadata=measured))
    recon.run(path, tmp_path, ReconSpec(num_epochs=10))
    found = read_reconstruction(tmp_path / RECONSTRUCTION)
    assert found.obj.shape != small_set.object_guess.shape
    dataset = read_dataset(path)
    expected = score.assess(found, dataset, SPEC, truth="objectGuess")[0]["metrics"]
    for name in (RECONSTRUCTION, "product.h5"):
        scores = score_object(tmp_path / name, path, SPEC, truth="objectGuess")
        values = [scores["metrics"][key] for key in TRUTH_KEYS]
        assert values == pytest.approx([expected[key] for key in TRUTH_KEYS], abs=1e-6)
    with pytest.raises(DatasetError, match=r"set\.npz: no truth: the set does not say"):
        score_object(tmp_path / "product.h5", path, SPEC)


def test_object_cropped_to_the_box_of_its_scan_is_registered_and_scored_alike(
    ours: tuple[Path, Reconstructed, dict[str, Any]], small_sets: dict[str, Path], tmp_path: Path
):
    """To 2 %: against `score` where the crop has what was lit, else against it on those pixels."""
    _, found, expected = ours
    dataset = read_dataset(small_sets["train"])
    truth = dataset.object_guess.astype(complex)
    lit = illuminated_region(dataset.probe_guess, dataset.positions_px, truth.shape)
    rows, columns = bounding_box(lit)
    np.save(tmp_path / "lit.npy", found.obj[rows, columns])
    scores = score_object(tmp_path / "lit.npy", small_sets["train"], SPEC)
    assert scores["object"]["placement"]["by"] == "registration"
    assert scores["object"]["placement"]["origin_px"] == [-rows.start, -columns.start]
    assert scores["object"]["share_of_region"] == 1
    assert close_to(scores["metrics"], expected)

    write_comparison(tmp_path / "theirs.npz", found.obj, found.positions_px, "MAP")
    scores = score_object(tmp_path / "theirs.npz", small_sets["train"], SPEC)
    low = np.floor(found.positions_px.min(axis=0)).astype(int)
    high = np.ceil(found.positions_px.max(axis=0)).astype(int) + 1
    placed = scores["object"]["placement"]
    assert placed["origin_px"] == (-low).tolist()
    assert placed["words"].startswith(f"registered: its pixel y {-low[0]}, x {-low[1]} lies on")
    assert placed["correlation"] > 0.9
    assert scores["object"]["key"] == "reconstructed_object"
    assert 0.7 < scores["object"]["share_of_region"] < 0.9
    inside = np.zeros_like(lit)
    inside[low[0] : high[0], low[1] : high[1]] = lit[low[0] : high[0], low[1] : high[1]]
    there = overlay(found.obj, truth, inside, SPEC, Geometry())
    assert close_to(scores["metrics"], scores_of(there).values)


def close_to(found: dict[str, Any], expected: dict[str, Any]) -> bool:
    """Return whether scores agree to 2 %; where the curve nears Nyquist no crossing is stable."""
    keys = [key for key in TRUTH_KEYS if "halfbit" not in key]
    return [found[key] for key in keys] == pytest.approx([expected[key] for key in keys], rel=0.02)


def test_ramp_scale_and_margin_of_another_program_change_no_score(
    ours: tuple[Path, Reconstructed, dict[str, Any]], small_sets: dict[str, Path]
):
    _, found, expected = ours
    obj = 7.8 * np.pad(found.obj, ((20, 9), (5, 30)), constant_values=1)
    y, x = np.indices(obj.shape)
    scores = score_object(obj * np.exp(1j * (2 + 0.02 * y - 0.03 * x)), small_sets["train"], SPEC)
    assert scores["object"]["placement"]["origin_px"] == [20, 5]
    assert close_to(scores["metrics"], expected)


def test_shape_that_is_the_truths_by_chance_is_registered(
    small_sets: dict[str, Path], small_set: PtychoDataset
):
    moved = np.roll(small_set.object_guess, (9, -7), axis=(0, 1))
    placed = score_object(moved, small_sets["train"], SPEC)["object"]["placement"]
    assert (placed["by"], placed["origin_px"]) == ("registration", [9, -7])


def test_garbage_of_the_truths_shape_is_scored_and_doubted(
    small_sets: dict[str, Path], small_set: PtychoDataset
):
    for obj in (noise(small_set.object_guess.shape), np.ones_like(small_set.object_guess)):
        scores = score_object(obj, small_sets["train"], SPEC)
        assert scores["object"]["placement"]["words"].endswith("no clearer than chance")
        assert scores["metrics"]["complex_nrmse"] > 0.1


def noise(shape: tuple[int, ...]) -> np.ndarray:
    rng = np.random.default_rng(0)
    return rng.standard_normal(shape) + 1j * rng.standard_normal(shape)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (np.conj, r"theirs\.npy: it fits when conjugated \(correlation 0\.\d+, 0\.\d+ as it is"),
        (np.flipud, r"it fits when flipped up-down "),
        (np.fliplr, r"it fits when flipped left-right "),
        (np.transpose, r"it fits when transposed "),
        (
            lambda obj: obj[10:90, 10:80].conj()[::-1],
            r"it fits when conjugated and flipped up-down",
        ),
        (
            lambda obj: noise((70, 60)),
            r"lies nowhere in the truth: 70 x 60 px, best correlation 0\.",
        ),
        (
            lambda obj: obj[::2, ::2],
            r"lies nowhere in the truth: .* with pixels as large as the set",
        ),
        (lambda obj: obj[40:46, 40:46], r"shares 30 px with the scan, expected at least 256"),
        (np.abs, r"the array has dtype float32, expected complex numbers"),
        (lambda obj: np.stack([obj, obj]), r"has shape \(2, 112, 112\), expected \(H, W\)"),
        (lambda obj: np.where(obj == obj[50, 50], np.nan, obj), r"holds 1 NaN or infinite values"),
        (lambda obj: 0 * obj, r"is zero everywhere"),
    ],
)
def test_what_can_not_be_placed_is_refused_by_name(
    ours: tuple[Path, Reconstructed, dict[str, Any]],
    small_sets: dict[str, Path],
    tmp_path: Path,
    change: Any,
    message: str,
):
    np.save(tmp_path / "theirs.npy", change(ours[1].obj.astype(np.complex64)))
    with pytest.raises(DatasetError, match=message) as refused:
        score_object(tmp_path / "theirs.npy", small_sets["train"], SPEC, output_dir=tmp_path / "to")
    assert "\n" not in str(refused.value)
    assert not (tmp_path / "to").exists()


@pytest.mark.parametrize("unit", [1e30, 1e-30])
def test_units_of_an_object_do_not_matter(
    ours: tuple[Path, Reconstructed, dict[str, Any]],
    small_sets: dict[str, Path],
    tmp_path: Path,
    unit: float,
):
    obj = ours[1].obj[20:95, 15:100]
    found = []
    for factor in (1, unit):
        np.save(tmp_path / "theirs.npy", (obj * factor).astype(np.complex64))
        found.append(score_object(tmp_path / "theirs.npy", small_sets["train"], SPEC))
    one, other = (scores["object"]["placement"] for scores in found)
    assert other["origin_px"] == one["origin_px"]
    assert other["correlation"] == pytest.approx(one["correlation"], rel=1e-5)


@pytest.mark.parametrize("split", ["train", "test"])
def test_a_flat_object_is_not_worse_than_itself(
    small_sets: dict[str, Path], tmp_path: Path, split: str
):
    dataset = read_dataset(small_sets[split])
    assert dataset.object_guess is not None
    for number in (1, 0.3, 7e20, 0.1 + 0.7j, -0.9):
        np.save(tmp_path / "flat.npy", np.full_like(dataset.object_guess, number))
        scores = score_object(tmp_path / "flat.npy", small_sets[split], SPEC)
        assert scores["notes"]["complex_nrmse"].startswith("a flat object has")


def test_scores_of_a_reconstruction_are_not_written_over(
    ours: tuple[Path, Reconstructed, dict[str, Any]], small_sets: dict[str, Path], tmp_path: Path
):
    shutil.copytree(ours[0], tmp_path / "out")
    before = {path: path.read_bytes() for path in (tmp_path / "out").iterdir()}
    np.save(tmp_path / "theirs.npy", ours[1].obj.astype(np.complex64))
    with pytest.raises(DatasetError, match=r"out: holds reconstruction.npz, whose scores would"):
        score_object(
            tmp_path / "theirs.npy", small_sets["train"], SPEC, output_dir=tmp_path / "out"
        )
    assert {path: path.read_bytes() for path in (tmp_path / "out").iterdir()} == before


def test_files_that_hold_no_object_or_several_are_refused(
    small_sets: dict[str, Path], tmp_path: Path
):
    np.savez(tmp_path / "two.npz", first=noise((9, 9)), second=noise((9, 9)))
    np.savez(tmp_path / "none.npz", phase=np.ones((9, 9)))
    (tmp_path / "text.npy").write_text("nothing")
    (tmp_path / "cut.npy").write_bytes(b"\x93NUMPY\x01")
    with h5py.File(tmp_path / "scale.h5", "w") as file:
        file["object"] = noise((90, 90))
        file["object"].attrs["pixel_height_m"] = 20e-9
    for name, key, message in (
        ("two.npz", None, r"holds 2 complex images \(first, second\), expected one: .* --key"),
        ("two.npz", "third", r"has no third, found first, second"),
        ("none.npz", None, r"holds no complex image \(phase\)"),
        ("text.npy", None, r"not an NPZ"),
        ("cut.npy", None, r"cut\.npy: can not be read"),
        ("absent.npy", None, r"absent\.npy: no such file"),
        ("scale.h5", None, r"pixels are 20 nm wide, those of the set 10 nm \(2 x\)"),
    ):
        with pytest.raises(DatasetError, match=message):
            score_object(tmp_path / name, measured_size(small_sets, tmp_path), SPEC, key=key)


def measured_size(small_sets: dict[str, Path], folder: Path) -> Path:
    """Return a set whose pixel size is known."""
    dataset = read_dataset(small_sets["train"])
    geometry = Geometry(assumed=False).to_dict()
    path = folder / "known.npz"
    write_dataset(path, replace(dataset, metadata=dataset.metadata | {"geometry": geometry}))
    return path


def test_command_line_says_how_it_was_placed_and_keeps_the_scores(
    ours: tuple[Path, Reconstructed, dict[str, Any]], small_sets: dict[str, Path], tmp_path: Path
):
    np.save(tmp_path / "theirs.npy", ours[1].obj[8:104, 8:104])
    base = ["--input-npz", str(small_sets["train"]), "--object", str(tmp_path / "theirs.npy")]
    for program in (["fly64tasks", "score"], ["fly64tasks.score"]):
        done = subprocess.run(
            [sys.executable, "-m", *program, *base, "--label", "CNN", "--output-dir", tmp_path],
            capture_output=True,
            text=True,
            check=True,
        )
        lines = done.stdout.splitlines()
        assert lines[0].startswith("CNN: registered: its pixel y -8, x -8 lies on the truth's")
        assert lines[1] == "scored on 100% of the pixels that the scan lit"
        assert f"Fit χ²                  - ({NO_DATA})" in lines
    written = json.loads((tmp_path / SCORES).read_text("utf-8"))
    assert written["object"]["label"] == "CNN"
    assert written["object"]["sha256"] == lineage.digest(tmp_path / "theirs.npy")
    assert {path.name for path in tmp_path.iterdir()} == {"theirs.npy", *SCORE_FILES}


@pytest.mark.parametrize("option", ["--key", "--label"])
def test_options_of_an_object_alone_go_with_one(option: str, capsys: pytest.CaptureFixture[str]):
    with pytest.raises(SystemExit):
        score.main(["--input-npz", "set.npz", "--output-dir", "out", option, "x"])
    assert f"error: {option} goes with --object" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        score.main(["--input-npz", "set.npz"])
    assert "are required: --output-dir" in capsys.readouterr().err
