"""A scan that lies otherwise to its detector is turned by what the command line or a study says."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import written
from broken_sets import save
from doubtful_sets import Arrays, good_set
from measured import known_of
from small_study import doit, new_project

from fly64tasks import runner, score_reconstruction
from fly64tasks.data.readers import read_dataset
from fly64tasks.score import command as scores
from fly64tasks.simulation.views import make_view
from fly64tasks.study.cases import SPLITS
from fly64tasks.study.stages import DataSpec, Orientation
from fly64tasks.study.study import Study

GOOD = good_set(simulated=False)


def otherwise(orientation: Orientation, arrays: Arrays = GOOD) -> Arrays:
    """Return a set as it is stored where ``orientation`` puts it right."""
    y, x = arrays["ycoords"], arrays["xcoords"]
    y, x = (84 - y if orientation.flip_y else y), (84 - x if orientation.flip_x else x)
    if orientation.swap_xy:
        y, x = x, y
    frames = arrays["diffraction"]
    if orientation.detector_transpose:
        frames = frames.swapaxes(1, 2)
    return {**arrays, "ycoords": y, "xcoords": x, "diffraction": frames}


def run(path: Path, output: Path, *flags: str, code: int = 0) -> dict[str, Any]:
    arguments = ["--input", str(path), "--output-dir", str(output), *flags]
    assert runner.main(arguments) == code
    found: dict[str, Any] = json.loads((output / "run.json").read_text())
    return found


@pytest.mark.parametrize(
    "flags",
    [("--flip-y",), ("--swap-xy", "--flip-x"), ("--detector-transpose",)],
    ids=" ".join,
)
def test_set_that_lies_otherwise_comes_out_as_the_good_one(tmp_path: Path, flags: tuple[str, ...]):
    asked = Orientation(**{flag[2:].replace("-", "_"): True for flag in flags})
    path = save(tmp_path / "a.npz", otherwise(asked))
    record = run(path, tmp_path / "out", *flags)
    assert record["fit"]["chi2"] < 1.04
    assert record["data"] == dict.fromkeys(asked.turns, True)
    command = (tmp_path / "out/ptychi.log").read_text().partition("command: ")[2].splitlines()[0]
    assert flags[0] in command
    # The score reads the set as the run did: else its fit would be another.
    found = score_reconstruction(tmp_path / "out", path)
    assert found["fit"]["chi2"] == pytest.approx(record["fit"]["chi2"], rel=1e-3)


def test_object_is_left_out_where_positions_leave_its_frame(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    path = save(tmp_path / "a.npz", good_set())
    record = run(path, tmp_path / "out", "--flip-y", "--num-epochs", "2")
    assert any("the object is left out: the positions were turned" in w for w in record["warnings"])
    assert not record["set"]["simulated"]
    assert not record["start"]["comparable_truth"]
    capsys.readouterr()
    arguments = ["--input-npz", str(path), "--output-dir", str(tmp_path / "out")]
    assert scores.main(arguments) == 0
    assert json.loads((tmp_path / "out/scores.json").read_text())["truth"]["reason"]


def test_checkpoint_of_another_orientation_is_refused(tmp_path: Path):
    path = save(tmp_path / "a.npz", GOOD)
    output = tmp_path / "out"
    run(path, output, "--flip-y", "--max-seconds", "0", code=75)
    run(path, output, "--flip-x", code=4)
    run(path, output, "--flip-y", "--num-epochs", "2", "--fresh")


def test_view_of_a_set_that_is_turned_is_turned(tmp_path: Path):
    """It is ours: it is reconstructed as it is stored."""
    asked = DataSpec(swap_xy=True, detector_transpose=True)
    path = save(tmp_path / "a.npz", otherwise(asked))
    spec = Study().view_spec("dense")
    make_view({"train": path}, {"train": tmp_path / "dense.npz"}, spec=spec, orientation=asked)
    good = save(tmp_path / "good.npz", GOOD)
    make_view({"train": good}, {"train": tmp_path / "good_dense.npz"}, spec=spec)
    found, expected = (read_dataset(tmp_path / name) for name in ("dense.npz", "good_dense.npz"))
    assert np.array_equal(found.positions_px, expected.positions_px)
    assert np.array_equal(found.diffraction_amplitude, expected.diffraction_amplitude)


def test_product_of_a_turned_run_is_a_scan_in_its_orientation(tmp_path: Path):
    asked = Orientation(flip_y=True, detector_transpose=True)
    path = save(tmp_path / "a.npz", otherwise(asked))
    output = tmp_path / "out"
    run(path, output, "--flip-y", "--detector-transpose", "--num-epochs", "2")
    found, good = read_dataset(output / "product.h5"), save(tmp_path / "good.npz", GOOD)
    expected = read_dataset(good).diffraction_amplitude
    assert found.diffraction_amplitude == pytest.approx(expected, abs=1e-3)


@pytest.mark.parametrize("name", ["pair", "cxi"])
def test_scans_of_other_formats_are_turned_too(tmp_path: Path, name: str):
    stored = read_dataset(save(tmp_path / "a.npz", GOOD))
    path = written.FILES[name](tmp_path, known_of(read_dataset(save(tmp_path / "b.npz", GOOD))))
    asked = Orientation(swap_xy=True, flip_y=True, detector_transpose=True)
    found = read_dataset(path, orientation=asked)
    as_stored = read_dataset(path)
    y, x = as_stored.positions_px.T
    assert np.array_equal(found.positions_px, np.column_stack([-x, y]))
    assert found.object_guess is None
    transposed = as_stored.diffraction_amplitude.swapaxes(1, 2)
    assert np.array_equal(found.diffraction_amplitude, transposed)
    if name == "cxi":  # its probe is guessed: from the frames as they lie
        turned = as_stored.probe_guess.swapaxes(1, 2)
        assert found.probe_guess == pytest.approx(turned, abs=1e-3)
        assert found.mask is not None
        assert np.array_equal(found.mask, as_stored.mask.T)
    else:
        assert found.probe_guess == pytest.approx(stored.probe_guess, rel=1e-4, abs=1e-3)


STUDY = """
doses = [1e5]

[views]
overlap = {}

[paths]
phase_c_root = "mine"

[data]
"""


def test_study_turns_sets_of_ones_own_and_says_so(tmp_path: Path):
    project = new_project(tmp_path / "project", STUDY)
    for split in SPLITS:
        path = project / f"mine/dose_100000/patched_{split}.npz"
        path.parent.mkdir(parents=True, exist_ok=True)
        save(path, otherwise(Orientation(flip_y=True)))
    doit(project, "recon")
    study, record = project / "study.toml", "reports/dose_100000/baseline/train/run.json"
    assert json.loads((project / record).read_text())["fit"]["fits"] is False
    study.write_text(STUDY + "flip_y = true\n")
    assert "flip_y" in doit(project, "-n", "recon")
    doit(project)
    found = json.loads((project / record).read_text())
    assert found["fit"]["chi2"] < 1.04
    assert found["data"] == {"flip_y": True}
    manifest = (project / "reports/reconstruction_manifest.json").read_text()
    assert '"--flip-y"' in manifest
    study.write_text(STUDY + "flip_y = true\nflip_x = false\n")
    assert doit(project, "-n").endswith("5 up to date. Nothing was run.\n")
