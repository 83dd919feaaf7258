"""A study whose jobs are written by hand: what reconstructing and scoring would have left."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from fly64tasks.recon.files import LOG, LOSSES, RUN_RECORD
from fly64tasks.report import page
from fly64tasks.report.pictures import Album
from fly64tasks.report.results import Job
from fly64tasks.report.times import Times
from fly64tasks.score.files import COMPARISON, FRC, SCORES, THUMBNAIL, TRUTH_THUMBNAIL
from fly64tasks.score.files import PANELS as PANELS_FILE
from fly64tasks.score.scorecard import METRICS
from fly64tasks.study.cases import Case
from fly64tasks.study.paths import Layout
from fly64tasks.study.study import Study

STUDY = Study(name="three doses")
ERROR_AT = {"baseline": 0.1, "dense": 0.2, "sparse": 0.4}
GEOMETRY = {"pixel_size_m": 1e-8, "energy_ev": 8800.0, "assumed": True}
EXPOSURE = {
    "photons_are": "incident",
    "illuminated_px": 40123,
    "probe_diameter_px": 16.0,
    "nearest_spacing_px": 8.0,
    "nearest_spacing_diameters": 0.5,
    "nearest_disc_overlap": 0.391,
}
PICTURE = {
    "quantity": "phase_rad",
    "low": -0.5,
    "high": 0.75,
    "colour_map": "viridis",
    "height_px": 100,
    "width_px": 200,
}
SCALE = {"low": -0.5, "high": 0.75, "colour_map": "viridis"}
PANELS = {"columns": 3, "rows": 2, "scales": [[SCALE] * 3] * 2}
SPEC = {"algorithm": "LSQML", "num_epochs": 3, "seed": 0, "n_images": None}
VERSIONS = {"python": "3.11.7", "fly64tasks": "0.1.0", "ptychi": "2.2.0"}
FIT = {
    "chi2": 1.02,
    "fits": True,
    "words": "fits to the noise",
    "worst_frame": {"index": 17, "chi2": 1.31},
    "worst_pixel": {"yx": [5, 60], "chi2": 2.04},
}
MISFIT = FIT | {"chi2": 12.3, "fits": False, "words": "does not fit"}
NO_TRUTH = {
    "truth": {"comparable": False, "reason": "the scan is centred on zero", "seeded": False},
    "metrics": {metric.key: None if metric.needs_truth else 0.2 for metric in METRICS}
    | {"chi2": 1.02},
    "flat_object": None,
    "bounds": [],
    "notes": {},
}


def page_without_figures(
    study: Study, layout: Layout, jobs: Sequence[Job], took: Times | None = None
) -> str:
    """Return the page without its figures, which take longest."""
    with Album(layout.artifact_root, len(jobs)) as album:
        contents = page.contents(study, layout, jobs, album, took)
        return page.render(contents, {"error": [], "resolution": [], "frc": []})


def layout_in(folder: Path, study: Study = STUDY) -> Layout:
    """Return the layout of a study that lies in a folder."""
    return Layout.of(study, study_folder=folder, project=folder)


def error_of(case: Case) -> float:
    """Return an error that falls with dose and rises with less overlap."""
    return ERROR_AT[case.view] * (1e3 / case.dose) ** 0.5 + (0.001 if case.split == "test" else 0)


def scores_of(case: Case, **changes: Any) -> dict[str, Any]:
    """Return a job's ``scores.json``."""
    error = error_of(case)
    metrics: dict[str, float | None] = {
        metric.key: error * 100 if metric.better == "lower" else 1 / error for metric in METRICS
    }
    metrics |= {"complex_nrmse": error, "frc_halfbit_cycles_per_px": 0.5, "phase_ms_ssim": None}
    metrics |= {"chi2": FIT["chi2"]}
    metrics |= {"frc_halfbit_period_nm": 20.0 if case.view == "baseline" else 20 + 100 * error}
    bounds = ["frc_halfbit_cycles_per_px"]
    return {
        "schema": 1,
        "writer": "fly64tasks",
        "truth": {"comparable": True, "reason": None, "seeded": False},
        "region": {
            "threshold": 0.1,
            "pixels": 40123,
            "share_of_object": 0.31,
            "box_px": [10, 110, 20, 220],
        },
        "alignment": {
            "scale": 1.02,
            "phase_rad": 0.3,
            "ramp_rad_per_px": [0.001, -0.002],
            "shift_px": [0.01, -0.02],
            "residual_shift_px": [0.001, 0.002],
        },
        "flat_object": {"complex_nrmse": 0.5},
        "fit": FIT,
        "metrics": metrics,
        "bounds": [*bounds, "frc_halfbit_period_nm"] if case.view == "baseline" else bounds,
        "notes": {
            "phase_ms_ssim": "the region is too small for five scales",
            "chi2": FIT["words"],
        },
        "settings": {"region_threshold": 0.1},
        "set": {
            "path": f"data/{case.name}.npz",
            "n_frames": 120,
            "n_frames_in_set": 120,
            "simulated": True,
            "geometry": GEOMETRY,
            "selection_strategy": "greedy",
            "n_accepted": 120,
            "n_rejected": 330,
            "acceptance_rate": 120 / 450,
            "overlap_notes": [],
            "dose_photons_per_frame": case.dose,
            "spacing_threshold": 6.4,
            **EXPOSURE,
            "photons_total": 120 * case.dose,
            "photons_per_px": 120 * case.dose / 40123,
        },
        "picture": PICTURE,
        "panels": PANELS,
        "reconstruction": {"path": "reconstruction.npz", "sha256": "00" * 32},
    } | changes


def unresolved(case: Case) -> dict[str, Any]:
    """Return the changes to a job's scores whose correlation never rises above the threshold."""
    key, scores = "frc_halfbit_period_nm", scores_of(case)
    note = "no resolution: the curve never rises above the threshold"
    return {
        "metrics": scores["metrics"] | {key: 3310.0},
        "bounds": [key],
        "unresolved": [key],
        "notes": {key: note},
    }


def run_of(**changes: Any) -> dict[str, Any]:
    """Return a job's ``run.json``."""
    return {
        "writer": "fly64tasks",
        "state": "done",
        "exit_code": 0,
        "reason": None,
        "started": "2026-01-02T03:04:05+00:00",
        "seconds": 12.5,
        "spec": SPEC,
        "versions": VERSIONS,
        "input": {"path": "data/set.npz", "sha256": "11" * 32},
        "start": {"n_frames": 120, "n_frames_in_set": 120, "truth_seeded": False},
        "set": {"simulated": True, "geometry": GEOMETRY},
        "fit": FIT,
        "device": {"name": "cpu", "hardware": "CPU"},
        "peak_memory_bytes": {"process": 1.2e9, "device": None},
        "ptychi_options": {"data_options": {"free_space_propagation_distance_m": float("inf")}},
    } | changes


def write_run(layout: Layout, case: Case, **changes: Any) -> Path:
    """Write what the runner leaves of a job; return its folder."""
    folder = layout.recon_dir(case)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / RUN_RECORD).write_text(json.dumps(run_of(**changes)), "utf-8")
    (folder / LOSSES).write_text("epoch,loss\n1,0.9\n2,0.5\n3,0.4\n", "utf-8")
    (folder / LOG).write_text("INFO ptychi.api.task: Using device: cpu\n", "utf-8")
    return folder


def write_scores(layout: Layout, case: Case, **changes: Any) -> Path:
    """Write what scoring leaves of a job; return its folder."""
    folder = layout.recon_dir(case)
    (folder / SCORES).write_text(json.dumps(scores_of(case, **changes)), "utf-8")
    rows = (f"{k / 40},{max(0, 1 - error_of(case) * k / 5)},0.5,0.3,{8 * k}" for k in range(1, 20))
    header = "spatial_frequency_cycles_per_px,frc,threshold_1bit,threshold_halfbit,n_pixels"
    (folder / FRC).write_text("\n".join([header, *rows]) + "\n", "utf-8")
    ramp = np.linspace(0, 255, 32 * 64 * 3).reshape(32, 64, 3).astype(np.uint8)
    Image.fromarray(ramp).save(folder / THUMBNAIL)
    Image.fromarray(ramp[:, ::-1]).save(folder / TRUTH_THUMBNAIL)
    Image.fromarray(ramp).resize((256, 64)).save(folder / COMPARISON)
    Image.fromarray(np.tile(ramp, (2, 3, 1))).save(folder / PANELS_FILE)
    return folder


def write_study(folder: Path, study: Study = STUDY) -> Layout:
    """Write every job of a study, reconstructed and scored; return its layout."""
    layout = layout_in(folder, study)
    for case in study.cases():
        write_run(layout, case)
        write_scores(layout, case)
    return layout
