"""One geometry, the right one, wherever a length is shown: a study of sets that are the user's."""

from __future__ import annotations

import csv
import json
import re
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from small_study import doit, new_project

from fly64tasks import runner
from fly64tasks.data.archive import Archive
from fly64tasks.recon.files import RECONSTRUCTION
from fly64tasks.recon.result import read_reconstruction
from fly64tasks.score import command as score
from fly64tasks.study.cases import SPLITS

STUDY = """
doses = [1e4]

[views]
overlap = {}

[recon]
num_epochs = 3

[paths]
phase_c_root = "mine"
"""
MEASURED = """
[geometry]
pixel_size_m = 7e-9
energy_ev = 8000.0
assumed = false
"""


def bare_set(source: Path, target: Path, geometry: dict[str, Any] | None = None) -> Path:
    """Copy a set, with another geometry in its metadata or with none."""
    with Archive(source) as archive:
        metadata = archive.metadata()
    for key in ("geometry", "lineage", "base"):
        metadata.pop(key, None)
    if geometry:
        metadata["geometry"] = geometry
    with np.load(source) as archive:
        arrays = dict(archive)
    target.parent.mkdir(parents=True, exist_ok=True)
    np.savez(target, **{**arrays, "_metadata": np.array(json.dumps(metadata))})
    return target


def own_study(folder: Path, sets: dict[str, Path], more: str = "", **geometry: Any) -> Path:
    project = new_project(folder / "project", STUDY + more)
    for split in SPLITS:
        bare_set(sets[split], project / f"mine/dose_10000/patched_{split}.npz", geometry)
    return project


def page_of(project: Path) -> str:
    return (project / "reports/index.html").read_text("utf-8")


def test_geometry_of_the_study_is_used_and_shown_for_sets_that_say_none(
    tmp_path: Path, small_sets: dict[str, Path]
):
    project = own_study(tmp_path, small_sets, MEASURED)
    doit(project)
    folder = project / "reports/dose_10000/baseline/train"
    used = {
        "pixel_size_m": 7e-9,
        "energy_ev": 8000.0,
        "detector_pixel_size_m": 75e-6,
        "assumed": False,
    }
    for name in ("run.json", "scores.json"):
        assert json.loads((folder / name).read_text())["set"]["geometry"] == used
    assert read_reconstruction(folder / RECONSTRUCTION).geometry.to_dict() == used
    with h5py.File(folder / "product.h5") as product:
        assert product["object"].attrs["pixel_width_m"] == 7e-9
        assert product.attrs["photon_energy_eV"] == 8000
        assert "distance are as given" in product.attrs["comments"]
    scores = json.loads((folder / "scores.json").read_text())["metrics"]
    period, frequency = scores["frc_halfbit_period_nm"], scores["frc_halfbit_cycles_per_px"]
    assert period == pytest.approx(7 / frequency)
    page = page_of(project)
    assert "7 nm pixel, 8 keV" in page
    assert "assumed" not in page.replace("<dt>assumed</dt><dd>false</dd>", "")

    assert doit(project, "-n").endswith("5 up to date. Nothing was run.\n")
    text = (project / "study.toml").read_text()
    (project / "study.toml").write_text(text.replace("7e-9", "5e-9"))
    said = doit(project, "-n")
    assert "recon:dose_10000_baseline_train  geometry.pixel_size_m 7e-09 -> 5e-09" in said


def test_without_any_geometry_every_length_is_said_to_be_assumed(
    tmp_path: Path, small_sets: dict[str, Path]
):
    project = own_study(tmp_path, small_sets)
    doit(project)
    page = page_of(project)
    assert "Assumed geometry" in page
    lengths = re.findall(r"\d[ \u00a0]n?m\b(.{10})", page)
    assert len(lengths) > 6
    assert set(lengths) <= {" (assumed)", " pixel, 8."}
    assert re.search(r"\d/nm²", page) is None
    assert "(nm) (assumed)" in (project / "reports/summary.md").read_text("utf-8")
    with (project / "reports/summary.csv").open(encoding="utf-8") as file:
        rows = [row for row in csv.DictReader(file) if row["unit"] == "nm" and row["value"]]
    assert rows
    assert all("the pixel size is assumed" in row["note"] for row in rows)


def test_geometry_of_a_set_goes_before_that_of_the_study_and_is_what_the_settings_show(
    tmp_path: Path, small_sets: dict[str, Path]
):
    sizes = {"pixel_size_m": 4e-9, "energy_ev": 6200.0, "assumed": False}
    project = own_study(tmp_path, small_sets, MEASURED, **sizes)
    doit(project)
    record = project / "reports/dose_10000/baseline/test/run.json"
    assert json.loads(record.read_text())["set"]["geometry"]["pixel_size_m"] == 4e-9
    page = page_of(project)
    assert "4 nm pixel, 6.2 keV" in page
    assert "<dt>pixel_size_m</dt><dd>4e-09</dd>" in page
    assert "7e-09" not in page


def reconstruct(source: Path, folder: Path, *options: str) -> int:
    line = ["--input-npz", source, "--output-dir", folder, "--num-epochs", "2", "--device", "cpu"]
    return runner.main([*map(str, line), *options])


def test_command_line_gives_sizes_and_refuses_a_set_that_says_others(
    tmp_path: Path, small_sets: dict[str, Path], capsys: pytest.CaptureFixture[str]
):
    source, out = bare_set(small_sets["train"], tmp_path / "set.npz"), tmp_path / "out"
    sizes = ["--pixel-size-m", "7e-9", "--energy-ev", "8000", "--detector-pixel-size-m", "55e-6"]
    assert reconstruct(source, out, *sizes) == 0
    found = read_reconstruction(out / RECONSTRUCTION).geometry
    assert (found.pixel_size_m, found.energy_ev, found.assumed) == (7e-9, 8000, False)
    assert found.detector_pixel_size_m == 55e-6
    assert score.main(["--input-npz", str(source), "--output-dir", str(out)]) == 0
    assert "assumed" not in capsys.readouterr().out

    assert reconstruct(source, out, *sizes[:2]) == 0  # the wavelength is not known
    assert read_reconstruction(out / RECONSTRUCTION).geometry.assumed
    assert score.main(["--input-npz", str(source), "--output-dir", str(out)]) == 0
    assert "nm (assumed pixel size)" in capsys.readouterr().out

    said = bare_set(source, tmp_path / "said.npz", {"pixel_size_m": 4e-9, "assumed": False})
    assert reconstruct(said, tmp_path / "other", *sizes) == 3
    message = "_metadata.geometry says pixel_size_m 4e-09, asked for is 7e-09"
    assert message in capsys.readouterr().err
    assert not (tmp_path / "other").exists()
    assert reconstruct(said, tmp_path / "other", "--pixel-size-m", "0") == 2
