"""The whole study for real: doit processes, real pty-chi, real files, in a folder of its own."""

from __future__ import annotations

import csv
import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from small_study import ONE_DOSE, SMALL_STUDY, doit

from fly64tasks.data.readers.npz import read_dataset
from fly64tasks.data.writers.npz import write_dataset
from fly64tasks.physics import alignment, image_quality

CASES = [
    f"dose_{dose}_{view}_{split}"
    for dose in (1000, 10000)
    for view in ("baseline", "dense", "sparse")
    for split in ("train", "test")
]
UPSTREAM = [
    "base",
    *(f"simulate:dose_{dose}" for dose in (1000, 10000)),
    *(f"views:dose_{dose}_{view}" for dose in (1000, 10000) for view in ("dense", "sparse")),
]


def tasks_of(printed: str) -> list[str]:
    """Return the tasks that a run of doit executed, in order."""
    return re.findall(r"^\[ *\d+/\d+\] (\S+)", printed, flags=re.MULTILINE)


def executed(folder: Path, *arguments: str) -> list[str]:
    """Run doit; return the tasks that it executed, in order."""
    return tasks_of(doit(folder, *arguments))


def test_study_runs_once_and_then_only_what_is_stale(
    one_dose_run: tuple[Path, str], done_project: Path
):
    project = done_project
    ran = tasks_of(one_dose_run[1])
    feeders = [name for name in UPSTREAM if "10000" not in name]
    recons, scores = (
        [f"{step}:{name}" for name in CASES if "_1000_" in name] for step in ("recon", "score")
    )
    assert sorted(ran) == sorted([*feeders, *recons, *scores, "report"])
    assert ran[-1] == "report"
    results = sorted(project.glob("reports/*/*/*/reconstruction.npz"))
    assert len(results) == 6
    for path in results:
        with np.load(path, allow_pickle=False) as result:
            assert np.isfinite(result["object"]).all()
            assert np.isfinite(result["probe"]).all()
        assert json.loads((path.parent / "run.json").read_text())["start"]["truth_seeded"] is False

    assert executed(project) == []

    for path in [*project.glob("data/**/*.npz"), project / "study.toml"]:
        os.utime(path, (1, 1))
    assert executed(project) == []

    changed = ONE_DOSE.replace("num_epochs = 3", "num_epochs = 2")
    (project / "study.toml").write_text(changed, "utf-8")
    assert executed(project) == [*recons, *scores, "report"]

    (project / "study.toml").write_text(changed + "\n[score]\nms_ssim_scales = 2\n", "utf-8")
    sparse = [f"score:dose_1000_sparse_{split}" for split in ("train", "test")]
    assert executed(project, "--dose", "1000", "--view", "sparse") == sparse
    (project / "study.toml").write_text(changed, "utf-8")
    assert executed(project) == sparse  # the scores that the report was made from

    dense = project / "data" / "phase_d" / "dose_1000" / "dense" / "dense_train.npz"
    with np.load(dense) as archive:
        arrays = dict(archive)
    arrays["diffraction"][0] *= 2
    np.savez(dense, **arrays)
    of_others = {
        path: path.stat().st_mtime_ns
        for path in project.glob("reports/*/*/*/*")
        if path.parent != project / "reports/dose_1000/dense/train"
    }
    one = "dose_1000_dense_train"
    assert executed(project) == [f"recon:{one}", f"score:{one}", "report"]
    assert of_others == {path: path.stat().st_mtime_ns for path in of_others}

    # the same bytes again: nothing to score, but the report tells of the run
    (project / "reports/dose_1000/sparse/test/losses.csv").unlink()
    assert executed(project) == ["recon:dose_1000_sparse_test", "report"]


def test_overlap_of_every_set_stands_in_manifest_and_summary(done_project: Path):
    doit(done_project, "manifest")
    with (done_project / "reports/summary.csv").open(encoding="utf-8") as file:
        rows = {row["case"]: row for row in csv.DictReader(file)}
    for split in ("train", "test"):
        found = []
        for view in ("baseline", "dense", "sparse"):
            name = f"dose_1000_{view}_{split}"
            job = next(j for j in manifest_of(done_project)["jobs"] if j["task"] == f"recon:{name}")
            assert float(rows[name]["area_overlap"]) == job["nearest_disc_overlap"]
            assert float(rows[name]["spacing_diameters"]) == job["nearest_spacing_diameters"]
            found.append(job["nearest_disc_overlap"])
        assert found[0] > found[1] >= found[2] >= 0


def test_report_of_a_part_says_what_is_missing_and_what_failed(done_project: Path):
    project = done_project
    for path in project.glob("reports/dose_1000/*/*/scores.json"):
        if "dense/train" not in str(path):
            path.rename(path.with_suffix(".away"))
    assert executed(project, "run", "-s", "report") == ["report"]
    page = (project / "reports/index.html").read_text("utf-8")
    assert "1 of 6" in page
    for path in project.glob("reports/dose_1000/*/*/scores.away"):
        path.rename(path.with_suffix(".json"))
    assert all(name in page for name in CASES if "_1000_" in name)

    dense = project / "data/phase_d/dose_1000/dense/dense_train.npz"
    with np.load(dense) as archive:
        arrays = dict(archive)
    arrays["ycoords"][0] = np.nan
    np.savez(dense, **arrays)
    doit(project, "-c", code=1)
    page = (project / "reports/index.html").read_text("utf-8")
    assert "5 of 6" in page
    assert "ycoords holds 1 NaN or infinite values" in page
    with (project / "reports/summary.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    failed = [row for row in rows if row["case"] == "dose_1000_dense_train"]
    assert {row["value"] for row in failed} == {""}
    assert all("ycoords holds 1 NaN or infinite values" in row["note"] for row in failed)
    main = {row["case"] for row in rows if row["metric"] == "complex_nrmse" and row["value"]}
    assert main == {name for name in CASES if "_1000_" in name} - {"dose_1000_dense_train"}


def test_one_job_runs_with_what_it_needs_and_nothing_else(project: Path):
    assert executed(project, "run", "recon:dose_1000_dense_train") == [
        "base",
        "simulate:dose_1000",
        "views:dose_1000_dense",
        "recon:dose_1000_dense_train",
    ]
    assert sorted(
        path.parent.relative_to(project).as_posix()
        for path in project.glob("reports/**/reconstruction.npz")
    ) == ["reports/dose_1000/dense/train"]


def test_base_of_the_user_takes_the_place_of_ours_and_more_photons_help(
    project: Path, small_sets: dict[str, Path], tmp_path: Path
):
    """A user's base whose probe wraps around: all doses run, and the error falls with the dose."""
    own = tmp_path / "mein Objekt.npz"
    with np.load(small_sets["train"].parent / "base.npz") as base:
        probe = base["probeGuess"] + 0.02 * np.abs(base["probeGuess"]).max()
        np.savez(
            own, probeGuess=probe, **{k: base[k] for k in ("objectGuess", "xcoords", "ycoords")}
        )
    before = own.read_bytes()
    study = SMALL_STUDY.replace("num_epochs = 3", "num_epochs = 30")
    study = study.replace("[1e3, 1e4]", "[1e3, 1e4, 1e5]")
    (project / "study.toml").write_text(f'base_npz = "{own}"\n{study}', "utf-8")
    ran = executed(
        project, *(f"recon:dose_{dose}_baseline_train" for dose in (1000, 10000, 100000))
    )
    assert "base" not in ran
    assert own.read_bytes() == before
    assert not (project / "data" / "base.npz").exists()
    errors = []
    for dose in (1000, 10000, 100000):
        dataset = read_dataset(project / f"data/phase_c/dose_{dose}/patched_train.npz")
        truth = dataset.object_guess.astype(complex)
        region = alignment.illuminated_region(
            dataset.probe_guess, dataset.positions_px, truth.shape
        )
        with np.load(project / f"reports/dose_{dose}/baseline/train/reconstruction.npz") as found:
            aligned = alignment.align(found["object"].astype(complex), truth, region)
        errors.append(image_quality.complex_nrmse(aligned.obj, truth, region))
    assert errors[0] > errors[1] > errors[2]


def own_sets(folder: Path, small_sets: dict[str, Path]) -> None:
    """Lay out one dose's sets as a user would bring them."""
    for split, source in small_sets.items():
        dataset = read_dataset(source)
        write_dataset(folder / f"C größe/dose_1000/patched_{split}.npz", dataset)
        for view in ("dense", "sparse"):
            chosen = dataset.select(np.arange(0, len(dataset.positions_px), 4))
            write_dataset(folder / f"D größe/dose_1000/{view}/{view}_{split}.npz", chosen)


def test_sets_of_the_user_are_reconstructed_and_never_written_to(
    project: Path, small_sets: dict[str, Path], tmp_path: Path
):
    own = tmp_path / "own sets"
    own_sets(own, small_sets)
    before = {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in own.rglob("*.npz")}
    (project / "study.toml").write_text(ONE_DOSE, "utf-8")
    roots = ("phase_c_root=../own sets/C größe", f"phase_d_root={own / 'D größe'}")
    out = tmp_path / "out of here"
    listed = doit(project, "list", "--all", *roots)
    assert "simulate" not in listed
    assert "views" not in listed
    doit(project, "recon", *roots, f"artifact_root={out}")
    assert len(list(out.glob("dose_1000/*/*/reconstruction.npz"))) == 6
    assert before == {
        path: (path.read_bytes(), path.stat().st_mtime_ns) for path in own.rglob("*.npz")
    }
    assert not (project / "data").exists()
    assert not (project / "reports").exists()


PATTERNS = """
[paths]
phase_c_root = "sets"
phase_c_pattern = "{dose}/patched_{split}.npz"
phase_d_root = "sets"
phase_d_pattern = "{dose}/{view}/{split}.npz"
"""


def test_sets_under_other_names_run_by_a_pattern(project: Path, small_sets: dict[str, Path]):
    """The later layout of the published study: a missing set is named by its own path."""
    (project / "study.toml").write_text(ONE_DOSE + PATTERNS, "utf-8")
    for split, source in small_sets.items():
        dataset = read_dataset(source)
        write_dataset(project / f"sets/dose_1000/patched_{split}.npz", dataset)
        for view in ("dense", "sparse"):
            chosen = dataset.select(np.arange(0, len(dataset.positions_px), 4))
            write_dataset(project / f"sets/dose_1000/{view}/{split}.npz", chosen)
    dense = project / "sets/dose_1000/dense/train.npz"
    listed = doit(project, "list", "--deps", "recon:dose_1000_dense_train")
    assert " -  sets/dose_1000/dense/train.npz\n" in listed
    dense.rename(project / "sets/aside.npz")
    assert "sets/dose_1000/dense/train.npz" in doit(project, "-n", code=3)
    (project / "sets/aside.npz").rename(dense)
    doit(project, "recon", "--split", "train")
    found = {job["task"]: job["inputs"][0]["path"] for job in manifest_of(project)["jobs"]}
    assert found == {
        "recon:dose_1000_baseline_train": "sets/dose_1000/patched_train.npz",
        "recon:dose_1000_dense_train": "sets/dose_1000/dense/train.npz",
        "recon:dose_1000_sparse_train": "sets/dose_1000/sparse/train.npz",
    }


def test_failing_view_stops_there_with_counts_and_spacing(project: Path):
    (project / "study.toml").write_text(SMALL_STUDY + "\n[views]\nmin_positions = 20\n", "utf-8")
    printed = doit(project, "run", "recon:dose_1000_sparse_train", code=1)
    for split in ("train", "test"):
        said = f"patched_{split}.npz: view 'sparse' keeps 6 of 128 positions at 25.6 px"
        assert said in printed
        assert said in manifest_of(project)["jobs"][0]["reasons"][0]
    assert "Traceback" not in printed
    assert not (project / "data" / "phase_d").exists()


def manifest_of(project: Path) -> dict[str, Any]:
    text = (project / "reports/reconstruction_manifest.json").read_text("utf-8")
    return dict(json.loads(text))


def test_view_with_too_few_frames_is_a_skip_where_that_is_allowed(done_project: Path):
    project, option = done_project, "--allow-missing-phase-d"
    (project / "study.toml").write_text(ONE_DOSE + "\n[views]\nmin_positions = 20\n", "utf-8")
    printed = doit(project, option)
    assert "SKIPPED" in printed
    sparse = [f"dose_1000_sparse_{split}" for split in ("train", "test")]
    assert "report" in tasks_of(printed)
    few = "view 'sparse' keeps 6 of 128 positions at 25.6 px"
    page = (project / "reports/index.html").read_text("utf-8")
    assert few.replace("'", "&#39;") in page or few in page
    for command in (None, "manifest"):
        if command:
            assert doit(project, command, option).endswith("4 jobs (4 done), 2 skipped\n")
        skips = json.loads((project / "reports/skip_summary.json").read_text("utf-8"))
        assert [item["task"] for item in skips["skipped"]] == [f"recon:{name}" for name in sparse]
        assert {item["kind"] for item in skips["skipped"]} == {"skipped"}
        for item in skips["skipped"]:
            assert "needs views:dose_1000_sparse, which is skipped: " in item["reasons"][0]
            assert f"patched_train.npz: {few}" in item["reasons"][0]
            assert f"patched_test.npz: {few}" in item["reasons"][0]
        totals = {"total": 6, "filtered": 0, "skipped": 2, "missing": 0}
        assert skips["totals"] == manifest_of(project)["totals"] == totals
    doit(project, code=1)
    assert manifest_of(project)["totals"] == {**totals, "skipped": 0, "missing": 2}
    doit(project, "manifest", "--view", "sparse")
    failed = "views:dose_1000_sparse failed last time: "
    assert failed in " ".join(manifest_of(project)["jobs"][0]["reasons"])


def test_manifest_says_how_a_set_was_thinned_and_what_would_run(project: Path):
    doit(project, "run", "views:dose_1000_dense")
    doit(project, "manifest", "--dose", "1000", "--split", "train")
    manifest = manifest_of(project)
    assert manifest["roots"] == {
        "base": "data/base.npz",
        "phase_c_root": "data/phase_c",
        "phase_d_root": "data/phase_d",
        "artifact_root": "reports",
    }
    assert manifest["totals"] == {"total": 12, "filtered": 9, "skipped": 0, "missing": 0}
    baseline, dense, sparse = manifest["jobs"]
    source = read_dataset(project / "data/phase_d/dose_1000/dense/dense_train.npz").metadata
    assert dense["spacing_threshold_px"] == source["spacing_threshold"] == pytest.approx(9.6)
    keys = ("selection_strategy", "n_accepted", "n_rejected", "acceptance_rate")
    assert {key: dense[key] for key in keys} == {key: source[key] for key in keys}
    assert {baseline[key] for key in keys} == {sparse[key] for key in keys} == {None}
    assert {job["nearest_disc_overlap"] for job in manifest["jobs"]} == {None}  # known when scored
    program, *arguments = dense["command"]
    assert program == "python"
    where = arguments.index("--output-dir") + 1
    assert arguments[where] == "reports/dose_1000/dense/train"
    arguments[where] = "out"
    done = subprocess.run([sys.executable, *arguments], cwd=project, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    record = json.loads((project / "out/run.json").read_text("utf-8"))
    assert record["spec"]["num_epochs"] == 3
    path = project / "reports/reconstruction_manifest.json"
    before = path.read_bytes()
    doit(project, "manifest", "--dose", "1000", "--split", "train")
    assert path.read_bytes() == before, "the time alone is no change"
    assert re.fullmatch(r"\d{4}(-\d\d){2}T(\d\d:){2}\d\d\+00:00", manifest["written"])


def test_set_of_another_is_not_overwritten(project: Path):
    theirs = project / "data" / "phase_c" / "dose_1000" / "patched_train.npz"
    theirs.parent.mkdir(parents=True)
    np.savez(theirs, precious=np.arange(3))
    before = theirs.read_bytes()
    printed = doit(project, "run", "simulate:dose_1000", code=1)
    assert "patched_train.npz: exists and was not written by fly64tasks" in printed
    assert theirs.read_bytes() == before


def test_diverging_job_fails_and_names_its_log(project: Path):
    (project / "study.toml").write_text(
        SMALL_STUDY.replace(
            "num_epochs = 3", 'algorithm = "RPIE"\nbatch_size = 96\nnum_epochs = 8'
        ),
        "utf-8",
    )
    printed = doit(project, "run", "recon:dose_1000_baseline_train", code=1)
    assert "diverged" in printed
    assert "ptychi.log" in printed
    assert "Traceback" not in printed
    assert not (project / "reports/dose_1000/baseline/train/reconstruction.npz").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["study=absent.toml"], r"absent.toml: no such file"),
        (["stduy=study.toml"], r"unknown variable stduy=study.toml; did you mean study=?"),
        (["artifact_root="], r"artifact_root= is empty, expected a path"),
        (["base_npz=a\tb.npz"], r"a\tb.npz, expected a path in UTF-8 without control characters"),
        (["base_npz=a\udcffb.npz"], r"a\udcffb.npz, expected a path in UTF-8 without control"),
        (["data_root=a\x1b"], r"data_root is"),
        (["device=tpu"], r"device 'tpu' is unknown, expected auto, cpu, cuda or cuda:0, ..."),
        (
            ["--phase-c-root", "X"],
            r"--phase-c-root not recognized: it is a variable, said as phase",
        ),
        (["--phase_c_root=X"], r"it is a variable, said as phase_c_root=X"),
        (["--view", "dnse"], r"did you mean --view dense? values that exist: view: baseline, dens"),
    ],
)
def test_wrong_variable_exits_with_3_and_one_line(
    project: Path, arguments: list[str], message: str
):
    printed = doit(project, "list", *arguments, code=3)
    assert message in printed
    assert printed.count("\n") == 1


def test_cuda_where_there_is_none_runs_nothing_and_says_so(
    project: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    for jobs in ([], ["-j2"]):
        assert doit(project, "device=cuda", *jobs, code=3) == (
            "ERROR: nothing was run: device 'cuda' asked for, found 0 CUDA devices; "
            "use auto or cpu\n"
        )
    assert not (project / "data").exists()
    assert doit(project, "-n", "device=cuda").endswith("Nothing was run.\n")
    assert "1 done" in doit(project, "device=cuda", "base"), "it needs no GPU"


def test_wrong_study_exits_with_3_and_one_line(project: Path):
    (project / "study.toml").write_text("[recon]\nnum_epoch = 3\n")
    printed = doit(project, code=3)
    assert "unknown key 'recon.num_epoch'; did you mean 'recon.num_epochs'?" in printed
    assert printed.count("\n") == 1


def test_list_says_dose_view_split_algorithm_and_epochs_in_case_order(project: Path):
    lines = [line.split(maxsplit=1) for line in doit(project, "list", "--all").splitlines()]
    names = [name for name, _ in lines]
    assert [name for name in names if name.startswith("recon:")] == [f"recon:{c}" for c in CASES]
    assert set(UPSTREAM) < set(names)
    docs = dict(lines)
    assert docs["recon:dose_1000_dense_train"] == (
        "Reconstruct 1000 photons per frame, dense, train: MAP, at most 3 epochs"
    )


def test_list_imports_nothing_heavy(project: Path):
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "doit", "list", "--all"],
        cwd=project,
        capture_output=True,
        text=True,
        check=True,
    )
    imported = {
        line.rpartition("|")[2].strip().partition(".")[0] for line in done.stderr.splitlines()
    }
    assert "fly64tasks" in imported
    assert not imported & {
        *("torch", "ptychi", "matplotlib", "pandas", "skimage", "numpy", "scipy"),
        *("jinja2", "PIL", "h5py"),
    }


def test_missing_and_broken_sets_of_the_user_are_all_named_before_anything_runs(
    project: Path, small_sets: dict[str, Path], tmp_path: Path
):
    own = tmp_path / "own sets"
    own_sets(own, small_sets)
    missing = own / "D größe/dose_1000/sparse/sparse_test.npz"
    missing.unlink()
    broken = own / "D größe/dose_1000/dense/dense_train.npz"
    broken.write_bytes(b"PK\x03\x04 no zip")
    (project / "study.toml").write_text(ONE_DOSE, "utf-8")
    roots = (f"phase_c_root={own / 'C größe'}", f"phase_d_root={own / 'D größe'}")

    printed = doit(project, *roots, code=3)
    assert str(missing) in printed
    assert f"{broken}: damaged or truncated NPZ" in printed
    assert "--allow-missing-phase-d" in printed
    assert not (project / "reports").exists()

    ran = executed(project, "--allow-missing-phase-d", *roots)
    left = ("baseline_train", "baseline_test", "dense_test", "sparse_train")
    steps = ("recon", "score")
    assert ran == [*(f"{step}:dose_1000_{name}" for step in steps for name in left), "report"]
    page = (project / "reports/index.html").read_text("utf-8")
    assert "4 of 6" in page
    assert "sparse_test.npz" in page
    skips = json.loads((project / "reports" / "skip_summary.json").read_text("utf-8"))["skipped"]
    assert [skip["task"] for skip in skips] == [
        "recon:dose_1000_dense_train",
        "recon:dose_1000_sparse_test",
    ]
    assert all(skip["reasons"] for skip in skips)
    jobs = json.loads((project / "reports" / "reconstruction_manifest.json").read_text("utf-8"))
    assert [job["status"] for job in jobs["jobs"]] == ["done"] * 4
    assert {job["return_code"] for job in jobs["jobs"]} == {0}
    assert {job["device"] for job in jobs["jobs"]} <= {"cpu", "cuda:0"}


def test_dry_run_says_why_and_writes_nothing(project: Path):
    before = sorted(project.rglob("*"))
    selected = ("--dose", "1000", "--view", "dense", "--split", "train")
    planned = json.loads(doit(project, "-n", "--json", *selected))["tasks"]
    assert [task["task"] for task in planned] == [
        "base",
        "simulate:dose_1000",
        "views:dose_1000_dense",
        "recon:dose_1000_dense_train",
        "score:dose_1000_dense_train",
    ]
    assert {task["verdict"] for task in planned} == {"run"}
    assert sorted(project.rglob("*")) == before

    assert executed(project, *selected)[-2] == "recon:dose_1000_dense_train"
    changed = SMALL_STUDY.replace("num_epochs = 3", "num_epochs = 5")
    (project / "study.toml").write_text(changed, "utf-8")
    printed = doit(project, "-n", *selected)
    assert re.search(
        r"^run +recon:dose_1000_dense_train +num_epochs 3 -> 5$", printed, re.MULTILINE
    )
    assert printed.endswith("1 run, 1 may run, 3 up to date. Nothing was run.\n")
    manifest = doit(project, "manifest", *selected)
    assert "1 jobs (1 stale), 11 skipped" in manifest


def test_filter_that_matches_nothing_exits_with_3_and_lists_what_there_is(project: Path):
    printed = doit(project, "list", "--dose", "7", code=3)
    assert "values that exist: dose: 1000, 10000" in printed


def test_commands_work_from_a_sub_folder(project: Path):
    folder = project / "notes"
    folder.mkdir()
    assert "recon:dose_1000_dense_train" in doit(folder, "list", "--view", "dense")
    assert "artifact_root" not in doit(folder, "list", "study=../study.toml")


def test_clean_removes_what_was_made_and_nothing_else(project: Path):
    executed(project, "run", "views:dose_1000_dense")
    (project / "data" / "mine.txt").touch()
    doit(project, "clean", "views", "simulate", "base")
    assert [path.name for path in (project / "data").rglob("*")] == ["mine.txt"]
