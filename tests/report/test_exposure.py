from pathlib import Path
from typing import Any

import msgspec
import pytest
from scored_study import NO_TRUTH, STUDY, layout_in, scores_of, write_run, write_scores, write_study

from fly64tasks.data.readers.npz import read_dataset
from fly64tasks.physics.overlap import overlap_metrics
from fly64tasks.recon import command as recon
from fly64tasks.report.baseline import with_overlap
from fly64tasks.report.exposure import exposure_of, overlap_rows, remarks
from fly64tasks.report.results import Job, read_jobs
from fly64tasks.study.recon_settings import ReconSpec
from fly64tasks.study.stages import ViewsSpec

CASE = next(iter(STUDY.cases()))


def job_with(folder: Path, **table: Any) -> Job:
    """Return a job whose set has these numbers alone."""
    layout = layout_in(folder)
    write_run(layout, CASE)
    write_scores(layout, CASE, set=table)
    return read_jobs(STUDY, layout)[0]


def test_photons_are_those_of_all_frames_over_the_region(tmp_path: Path):
    geometry = {"pixel_size_m": 5e-9}
    job = job_with(tmp_path, n_frames=10, photons_total=1e6, illuminated_px=400, geometry=geometry)
    exposure = exposure_of(job)
    assert exposure.photons_per_px == 2500
    assert exposure.photons_per_nm2 == pytest.approx(100)
    assert exposure.light_texts == ["10⁶\u00a0photons", "2.5·10³\u00a0/px, 100\u00a0/nm²"]


def test_photons_follow_from_the_dose_where_the_scores_do_not_have_them(tmp_path: Path):
    exposure = exposure_of(job_with(tmp_path, n_frames=10, dose_photons_per_frame=1e3))
    assert exposure.photons_total == 1e4
    assert exposure.photons_per_px == pytest.approx(1e4 / 40123)  # the region's pixels


def test_what_is_not_known_is_not_said(tmp_path: Path):
    exposure = exposure_of(job_with(tmp_path, n_frames=10))
    assert exposure.light_texts == []
    assert exposure.scan_text == "10 frames"


@pytest.mark.parametrize("odd", ["many", True, [1], -1.0, 1e300])
def test_what_is_no_quantity_is_not_known(tmp_path: Path, odd: object):
    keys = ("n_frames", "photons_total", "illuminated_px", "nearest_spacing_diameters")
    exposure = exposure_of(job_with(tmp_path, **dict.fromkeys(keys, odd)))
    assert exposure.frames is exposure.photons_total is exposure.spacing_diameters is None


def test_splits_draws_doses_and_overlaps_are_told_apart_in_words(tmp_path: Path):
    layout = write_study(tmp_path)
    for case in STUDY.cases():
        table = scores_of(case)["set"]
        if case.view == "baseline":
            table |= {"n_frames": 450, "photons_total": 450 * case.dose}
        if case.view == "sparse":
            table |= {"spacing_threshold": 51.2, "probe_diameter_px": 36.0}
            table |= {"nearest_disc_overlap": 0.0}
        write_scores(layout, case, set=table)
    split, draw, doses, dense, sparse = remarks(STUDY, read_jobs(STUDY, layout))
    assert split.startswith("Train and test are two halves of the scan, up to the median of y")
    assert draw.startswith("Each job is one draw of the noise")
    assert "baseline 4.5·10⁵\u00a0photons, 11\u00a0/px" in doses
    assert doses.endswith("a factor of 3.8.")
    assert "nearest frames overlap in 39% of a disc's area" in dense
    assert sparse == (
        "Overlap 0.2 (sparse) is that of windows of 64 px: frames lie at least 51.2 px apart, 1.42 "
        "diameters of the probe (D = 36.0 px), and there the discs do not overlap at all."
    )


def test_nothing_is_remarked_of_measured_sets_or_of_none(tmp_path: Path):
    layout = layout_in(tmp_path)
    assert remarks(STUDY, read_jobs(STUDY, layout)) == []
    for case in STUDY.cases():
        write_run(layout, case)
        write_scores(layout, case, **NO_TRUTH, set={"simulated": False, "n_frames": 9})
    assert remarks(STUDY, read_jobs(STUDY, layout)) == []


def test_baseline_has_overlap_metrics_in_the_report_though_its_set_stays_as_it_was(
    small_sets: dict[str, Path], tmp_path: Path
):
    layout = layout_in(tmp_path)
    folder = layout.recon_dir(CASE)
    recon.run(small_sets["train"], folder, ReconSpec(num_epochs=2))
    write_scores(layout, CASE, set={"probe_diameter_px": 12.0, "n_frames": 128})
    assert "overlap_neighbors" not in read_dataset(small_sets["train"]).metadata
    for said, expected in ((None, 12.0), (24.0, 24.0)):
        study = msgspec.structs.replace(STUDY, views=ViewsSpec(probe_diameter_px=said))
        job = with_overlap(study, read_jobs(study, layout)[0])
        [row] = overlap_rows([job])
        expected_metrics = overlap_metrics(
            read_dataset(small_sets["train"]).positions_px,
            diameter_px=expected,
            gridsize=1,
            neighbor_count=7,
        )
        assert job.scores.set["probe_diameter_px"] == expected
        assert job.scores.set["overlap_neighbors"] == pytest.approx(
            expected_metrics["overlap_neighbors"], rel=1e-9
        )
        assert f"{expected_metrics['overlap_groups']:.3f}" in row
        assert 0 < job.scores.set["nearest_disc_overlap"] < 1
