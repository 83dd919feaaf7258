"""A study of measured scans, run for real: files of other tools, their halves, the report."""

from __future__ import annotations

import csv
import json
import re
import shutil
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import written
from measured import known_of
from small_study import doit, results

from fly64tasks import runner
from fly64tasks.data.readers.npz import read_dataset
from fly64tasks.errors import DatasetError
from fly64tasks.recon.result import read_reconstruction
from fly64tasks.score.measured import score_scan
from fly64tasks.setup import new
from fly64tasks.study.recon_settings import ReconSpec
from fly64tasks.study.stages import ScoreSpec

STUDY = """
halves = true

[scans]
"Größe_1" = ["../theirs/scan_dp.hdf5", "../theirs/scan_para.hdf5"]

[scans.other]
file = "../theirs/counts.npz"
recon = {{ prior = 30.0 }}

[recon]
num_epochs = {epochs}
"""


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory, small_sets: dict[str, Path]) -> Path:
    """A project of two scans, a dp/para pair and counts without a truth, that was run."""
    folder = tmp_path_factory.mktemp("scans")
    (folder / "theirs").mkdir()
    known = known_of(read_dataset(small_sets["train"]))
    written.pair(folder / "theirs", known)
    y, x = known.positions_px.T
    np.savez(
        folder / "theirs/counts.npz",
        diffraction=known.counts,
        probeGuess=known.probe[0],
        xcoords=x,
        ycoords=y,
    )
    new.new_project(folder / "project", "measured")
    (folder / "project/study.toml").write_text(STUDY.format(epochs=12), "utf-8")
    printed = doit(folder / "project")
    assert "9 done in" in printed
    return folder


@pytest.fixture
def scans(done: Path, tmp_path: Path) -> Path:
    """The project, in a folder of its own beside its scans."""
    return Path(shutil.copytree(done, tmp_path / "scans")) / "project"


def test_graph_is_listed_filtered_and_up_to_date(scans: Path):
    names = re.findall(r"^(\S+:\S+)", doit(scans, "list"), re.MULTILINE)
    halves = [
        f"recon:{name}{half}" for name in ("Größe_1", "other") for half in ("", "@even", "@odd")
    ]
    assert names == [*halves, "score:Größe_1", "score:other"]
    assert "9 up to date. Nothing was run." in doit(scans, "-n")
    assert re.fullmatch(r"(\d+) of \1 artifacts whole\.\n", doit(scans, "verify"))
    assert "4 up to date. Nothing was run." in doit(scans, "-n", "--scan", "other")
    assert "1 up to date. Nothing was run." in doit(scans, "-n", "--scan", "other", "--half", "odd")
    assert "values that exist: scan: Größe_1, other" in doit(scans, "-n", "--scan", "o", code=3)
    assert "values that exist: dose: none" in doit(scans, "-n", "--dose", "1000", code=3)


def test_each_half_has_every_other_frame(scans: Path):
    whole, even, odd = (
        read_reconstruction(scans / f"reports/other/{half}reconstruction.npz")
        for half in ("", "even/", "odd/")
    )
    assert np.array_equal(even.positions_px, whole.positions_px[::2])
    assert np.array_equal(odd.positions_px, whole.positions_px[1::2])
    assert even.obj.shape == odd.obj.shape == whole.obj.shape


def scores_of(project: Path, scan: str) -> dict[str, Any]:
    scores: dict[str, Any] = json.loads((project / f"reports/{scan}/scores.json").read_text())
    return scores


def test_scores_need_no_truth_and_say_of_what_they_are(scans: Path):
    scores = json.loads((scans / "reports/other/scores.json").read_text("utf-8"))
    assert "truth" not in json.dumps(scores)
    assert scores["metrics"].keys() == {
        "chi2",
        "r_factor",
        "halves_frc_halfbit_period_nm",
        "halves_frc_halfbit_cycles_per_px",
        "halves_frc_0p5_cycles_per_px",
    }
    assert scores["halves"]["frames"] == "even and odd, reconstructed apart"
    assert 0.2 < scores["metrics"]["halves_frc_0p5_cycles_per_px"] <= 0.5
    assert np.abs(scores["halves"]["shift_px"]).max() < 0.5
    with (scans / "reports/summary.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["scan"] for row in rows] == ["Größe_1"] * 5 + ["other"] * 5
    assert all(row["value"] for row in rows)
    manifest = json.loads((scans / "reports/reconstruction_manifest.json").read_text("utf-8"))
    of = {job["task"]: job for job in manifest["jobs"]}
    for row in rows:
        job, exposed = of[f"recon:{row['scan']}"], scores_of(scans, row["scan"])["set"]
        assert job["nearest_disc_overlap"] == exposed["nearest_disc_overlap"]
        assert float(row["area_overlap"]) == exposed["nearest_disc_overlap"] > 0
        assert float(row["spacing_diameters"]) == exposed["nearest_spacing_diameters"]
        assert float(row["seconds"]) > 0
    assert of["recon:other@odd"]["nearest_disc_overlap"] is None  # it has no scores of its own


def test_report_says_nothing_of_a_truth(scans: Path):
    for name in ("index.html", "summary.md", "summary.csv"):
        text = (scans / "reports" / name).read_text("utf-8")
        assert "truth" not in text.lower(), name
        assert "objectGuess" not in text, name
    page = (scans / "reports/index.html").read_text("utf-8")
    assert "Even and odd frames, reconstructed apart, agree" in page
    assert page.count("<figure>") == 2
    assert page.count("<h3>Time of each task</h3>") == 2
    for kind in ("reconstructing", "reconstructing, even", "scoring"):
        assert page.count(f"<dt>{kind}</dt>") == 2
    assert "default-src 'none'" in page


def test_change_of_one_scan_runs_that_scan_alone(scans: Path):
    study = scans / "study.toml"
    study.write_text(study.read_text("utf-8").replace("prior = 30.0", "prior = 50.0"), "utf-8")
    planned = doit(scans, "-n")
    assert re.search(r"run +recon:other@even +prior 30.0 -> 50.0", planned)
    assert re.search(r"up to date +recon:Größe_1@odd", planned)
    assert re.search(r"may run +score:other", planned)


def test_file_that_a_scan_is_read_with_is_to_be_named_and_is_watched(scans: Path):
    with h5py.File(scans.parent / "theirs/scan_para.hdf5", "r+") as file:
        file["probe_position_y_m"][0] += 1e-9
    planned = doit(scans, "-n", "--scan", "Größe_1")
    assert re.search(r"run +recon:Größe_1 +.*scan_para.hdf5", planned)
    study = scans / "study.toml"
    alone = study.read_text("utf-8").replace(', "../theirs/scan_para.hdf5"', "")
    study.write_text(alone, "utf-8")
    printed = doit(scans, "--scan", "Größe_1", code=3)
    assert "scan_dp.hdf5: is read with ../theirs/scan_para.hdf5, which the study does" in printed


def test_what_was_deleted_is_made_again_in_the_same_bytes(scans: Path):
    before = results(scans)
    for path in ("other/even", "other", "Größe_1/odd"):
        (scans / "reports" / path / "reconstruction.npz").unlink()
    doit(scans, "run", "recon:other@even")
    doit(scans)
    assert results(scans) == before


def test_half_that_was_cut_off_goes_on_and_never_as_the_other_half(scans: Path, tmp_path: Path):
    source, out = scans.parent / "theirs/counts.npz", tmp_path / "out"
    options = ["--input", str(source), "--output-dir", str(out), "--prior", "30"]
    run = [*options, "--num-epochs", "12", "--half"]
    assert runner.main([*run, "even", "--max-seconds", "0"]) == 75
    assert runner.main([*run, "odd"]) == 4
    assert runner.main([*run, "even"]) == 0
    for key in ("object", "probe"):
        with (
            np.load(out / "reconstruction.npz") as found,
            np.load(scans / "reports/other/even/reconstruction.npz") as undisturbed,
        ):
            assert np.array_equal(found[key], undisturbed[key])


def test_halves_without_common_ground_are_no_score_and_no_failure(scans: Path):
    """Two rows of frames far apart, taken in turns."""
    path = scans.parent / "theirs/counts.npz"
    with np.load(path) as found:
        arrays = dict(found)
    order = np.argsort(arrays["ycoords"])
    far = np.ravel(np.column_stack([order[:12], order[-12:]]))
    for key in ("diffraction", "xcoords", "ycoords"):
        arrays[key] = arrays[key][far]
    arrays["ycoords"] = np.where(np.arange(24) % 2, 120.0, 0.0) + 1.7 * (np.arange(24) % 3)
    arrays["xcoords"] = 6.0 * (np.arange(24) // 2)
    np.savez(path, **arrays)
    doit(scans, "--scan", "other")
    scores = json.loads((scans / "reports/other/scores.json").read_text("utf-8"))
    assert scores["halves"] is None
    assert scores["metrics"].keys() == {"chi2", "r_factor"}
    assert "on 0 px only" in scores["notes"]["halves_frc_0p5_cycles_per_px"]
    doit(scans)
    page = (scans / "reports/index.html").read_text("utf-8")
    assert "The halves of other can not be compared." in page


def test_clean_leaves_what_is_somebody_elses(scans: Path):
    for path in ("notes.txt", "other/even/notes.txt"):
        (scans / "reports" / path).write_text("mine")
    for task, path in (("score:other", "other/frc.csv"), ("report", "summary.csv")):
        (scans / "reports" / path).write_text("a,b\n1,2\n")
        doit(scans, "forget", task)
    assert f"kept {Path('reports/other/frc.csv')}" in doit(scans, "clean", "-a")
    left = {
        str(path.relative_to(scans / "reports"))
        for path in (scans / "reports").rglob("*")
        if path.is_file() and not path.name.startswith(".doit")
    }
    kept = {"notes.txt", "other/even/notes.txt", "other/frc.csv", "summary.csv"}
    assert kept == {name for name in left if "manifest" not in name and "skip_summary" not in name}


def test_another_study_is_refused_in_the_folder_of_the_results(scans: Path):
    (scans / "other.toml").write_text((scans / "study.toml").read_text("utf-8"), "utf-8")
    before = results(scans)
    said = doit(scans, "study=other.toml", code=3)
    assert said.startswith("ERROR: reports: belongs to study.toml, whose results lie in reports")
    assert "artifact_root of its own" in said
    assert results(scans) == before
    (scans / "reports/.doit-owner.json").unlink()
    said = doit(scans, "--db-file", "x.db", "study=other.toml", code=3)
    assert "ERROR: reports: holds what x.db has no record of: reports/" in said
    assert results(scans) == before


def test_scan_that_lies_otherwise_is_turned_and_its_tasks_say_so(scans: Path):
    path = scans.parent / "theirs/counts.npz"
    with np.load(path) as found:
        arrays = dict(found)
    np.savez(path, **{**arrays, "ycoords": arrays["ycoords"].max() - arrays["ycoords"]})
    study = scans / "study.toml"
    text = study.read_text("utf-8")
    study.write_text(text.replace("[scans.other]", "[scans.other]\nflip_y = true"), "utf-8")
    assert re.search(r"run +recon:other .*flip_y", doit(scans, "-n"))
    before = json.loads((scans / "reports/other/scores.json").read_text("utf-8"))
    doit(scans, "--scan", "other")
    scores = json.loads((scans / "reports/other/scores.json").read_text("utf-8"))
    assert scores["fit"]["chi2"] == pytest.approx(before["fit"]["chi2"], rel=0.01)
    manifest = json.loads((scans / "reports/reconstruction_manifest.json").read_text("utf-8"))
    assert {job["scan"] for job in manifest["jobs"] if "--flip-y" in job["command"]} == {"other"}


def test_reconstruction_with_other_settings_is_not_scored(scans: Path):
    folder, source = scans / "reports/other", scans.parent / "theirs/counts.npz"
    with pytest.raises(DatasetError, match=r"made with other settings .*prior"):
        score_scan([source], folder, [], ScoreSpec(), ReconSpec(prior=50.0, num_epochs=12))


def test_scan_that_fails_is_said_once_with_its_reason(scans: Path):
    path = scans.parent / "theirs/counts.npz"
    with np.load(path) as found:
        arrays = dict(found)
    np.savez(path, **{key: array for key, array in arrays.items() if key != "probeGuess"})
    printed = doit(scans, code=3)
    assert re.search(r"recon:other: .*counts.npz: .*probeGuess", printed)


def test_without_halves_there_is_one_task_a_scan_and_no_word_of_them(scans: Path):
    study = scans / "study.toml"
    study.write_text(study.read_text("utf-8").replace("halves = true", ""), "utf-8")
    doit(scans)
    assert "@" not in doit(scans, "list")
    page = (scans / "reports/index.html").read_text("utf-8")
    assert (
        "half" not in page.replace("halves</dt>", "").lower().split("<main>")[0].split("<body>")[1]
    )
    manifest = json.loads((scans / "reports/reconstruction_manifest.json").read_text("utf-8"))
    assert manifest["grid"] == {"scan": ["Größe_1", "other"], "half": ["whole"]}
    assert {job["status"] for job in manifest["jobs"]} == {"done"}
