from pathlib import Path

import msgspec
import pytest
from scored_study import (
    MISFIT,
    NO_TRUTH,
    STUDY,
    layout_in,
    scores_of,
    unresolved,
    write_run,
    write_scores,
    write_study,
)

from fly64tasks.report.findings import headline
from fly64tasks.report.results import read_jobs
from fly64tasks.study.cases import Case


def case(dose: float, view: str, split: str) -> Case:
    return next(c for c in STUDY.cases() if (c.dose, c.view, c.split) == (dose, view, split))


def with_error(which: Case, error: float) -> dict[str, object]:
    return {"metrics": scores_of(which)["metrics"] | {"complex_nrmse": error}}


def test_error_that_falls_with_dose_and_rises_with_less_overlap_is_said_to(tmp_path: Path):
    sentences = headline(read_jobs(STUDY, write_study(tmp_path)))
    assert sentences == [
        "All 18 jobs (3 doses, 3 views, train and test) are reconstructed and scored.",
        "The complex NRMSE falls with every step in dose, in every view, for train and test.",
        "It rises from baseline to dense to sparse, at every dose, for train and test.",
        "The complex NRMSE goes from 0.0100 (10⁵ photons, baseline, train) to 0.4010 (10³ photons, "
        "sparse, test).",
        "No job is worse than a flat object.",
        "The resolution (FRC, ½-bit, full period) goes from ≤ 20.0 nm (assumed) (10³ photons, "
        "baseline, train) to 60.1 nm (assumed) (10³ photons, sparse, test).",
    ]


def test_what_rises_is_named_where_nothing_is_said_of_the_dose(tmp_path: Path):
    study = msgspec.structs.replace(STUDY, doses=(1e3,))
    _, dose, view, *_ = headline(read_jobs(study, write_study(tmp_path)))
    assert dose == "No two doses are scored alike, so that nothing can be said of the dose."
    assert view.startswith("The complex NRMSE rises from baseline to dense to sparse, at every")


def test_trend_that_every_step_breaks_is_not_claimed(tmp_path: Path):
    layout = write_study(tmp_path)
    for which in STUDY.cases():
        worse = {"baseline": 0.4, "dense": 0.3, "sparse": 0.2}[which.view]
        write_scores(layout, which, **with_error(which, worse + which.dose * 1e-7))
    dose, view = headline(read_jobs(STUDY, layout))[1:3]
    assert dose.startswith(
        "The complex NRMSE does not fall with any step in dose, in any view, for train and test: "
    )
    assert view.startswith(
        "It does not rise from baseline to dense to sparse, at any dose, for train and test: "
    )


def test_steps_that_break_the_trend_are_named_with_their_values(tmp_path: Path):
    layout = write_study(tmp_path)
    odd = case(1e5, "sparse", "test")
    write_scores(layout, odd, **with_error(odd, 0.9))
    odd = case(1e4, "dense", "train")
    write_scores(layout, odd, **with_error(odd, 0.02))
    dose, view = headline(read_jobs(STUDY, layout))[1:3]
    assert "except in 2 of 12 steps: dense, train, 10⁴ → 10⁵ photons (0.0200 → 0.0200); " in dose
    assert dose.endswith("sparse, test, 10⁴ → 10⁵ photons (0.1275 → 0.9000).")
    assert view == (
        "It rises from baseline to dense to sparse, at every dose, for train and test, except in 1 "
        "of 12 steps: 10⁴ photons, train, baseline → dense (0.0316 → 0.0200)."
    )


def test_many_jobs_of_several_methods_are_counted_by_method(tmp_path: Path):
    study = msgspec.structs.replace(STUDY, repeats=2, methods={"epie": {"algorithm": "EPIE"}})
    layout = write_study(tmp_path, study)
    for which in study.cases():
        if which.method == "epie" or (which.dose, which.view) == (1e3, "sparse"):
            write_run(layout, which, warnings=["doubtful"])
    said = " ".join(headline(read_jobs(study, layout)))
    assert "40 jobs have warnings, which stand beside them: 4 by main and 36 by epie." in said


def test_span_of_several_draws_is_that_of_their_means(tmp_path: Path):
    study = msgspec.structs.replace(STUDY, doses=(1e3,), repeats=2)
    layout = write_study(tmp_path, study)
    for which in study.cases():
        error = {"baseline": 0.1, "dense": 0.2, "sparse": 0.4}[which.view] + 0.01 * which.repeat
        write_scores(layout, which, **with_error(which, error))
    said = " ".join(headline(read_jobs(study, layout)))
    assert "from 0.1150 ± 0.0071 (10³ photons, baseline, train) to 0.4150 ± 0.0071 (" in said


def test_jobs_worse_than_a_flat_object_are_counted_and_named(tmp_path: Path):
    layout = write_study(tmp_path)
    for view in ("dense", "sparse"):
        worse = case(1e3, view, "train")
        write_scores(layout, worse, flat_object={"complex_nrmse": 0.19})
    assert (
        "2 of 18 jobs are worse than a flat object: 10³ photons, dense, train (0.2000 against "
        "0.1900); 10³ photons, sparse, train (0.4000 against 0.1900)."
    ) in headline(read_jobs(STUDY, layout))


def test_jobs_that_do_not_fit_their_data_are_counted_and_named(tmp_path: Path):
    layout = write_study(tmp_path)
    write_scores(layout, case(1e5, "dense", "test"), fit=MISFIT)
    assert "1 job does not fit the data: 10⁵ photons, dense, test (χ² 12.3)." in headline(
        read_jobs(STUDY, layout)
    )


def test_nothing_is_said_of_a_flat_object_where_scores_do_not_know_it(tmp_path: Path):
    layout = write_study(tmp_path)
    for which in STUDY.cases():
        write_scores(layout, which, flat_object=None)
    assert "flat object" not in " ".join(headline(read_jobs(STUDY, layout)))


def test_equal_errors_do_not_count_as_falling(tmp_path: Path):
    layout = write_study(tmp_path)
    for dose in (1e3, 1e4):
        flat = case(dose, "baseline", "train")
        write_scores(layout, flat, **with_error(flat, 0.05))
    assert "baseline, train, 10³ → 10⁴ photons (0.0500 → 0.0500)" in " ".join(
        headline(read_jobs(STUDY, layout))
    )


def test_jobs_that_are_missing_are_passed_over(tmp_path: Path):
    layout = write_study(tmp_path)
    missing = case(1e4, "dense", "test")
    (layout.recon_dir(missing) / "scores.json").unlink()
    sentences = headline(read_jobs(STUDY, layout))
    assert sentences[0].startswith("17 of 18 jobs (3 doses, 3 views, train and test) are ")
    assert "except" not in sentences[1]


@pytest.mark.parametrize("scored", [0, 1])
def test_nothing_is_claimed_of_fewer_than_two_jobs(tmp_path: Path, scored: int):
    layout = layout_in(tmp_path)
    for which in list(STUDY.cases())[:scored]:
        write_run(layout, which)
        write_scores(layout, which)
    text = " ".join(headline(read_jobs(STUDY, layout)))
    assert text.startswith(f"{scored} of 18 jobs")
    assert "falls" not in text
    assert "rises" not in text


def test_study_without_truth_says_that_only_the_data_score_is_known(tmp_path: Path):
    study = msgspec.structs.replace(STUDY, doses=(1e3,))
    layout = write_study(tmp_path, study)
    for which in study.cases():
        write_scores(layout, which, **NO_TRUTH)
    sentences = headline(read_jobs(study, layout))
    assert sentences[1].startswith("No set has a truth to compare with, so that only the fit χ²")
    assert len(sentences) == 2


def test_nothing_is_claimed_of_scores_without_a_value(tmp_path: Path):
    layout = layout_in(tmp_path)
    which = case(1e3, "dense", "train")
    write_run(layout, which)
    write_scores(layout, which, metrics={})
    assert headline(read_jobs(STUDY, layout)) == [
        "1 of 18 jobs (3 doses, 3 views, train and test) are reconstructed and scored."
    ]


def test_jobs_without_a_resolution_are_counted_and_not_among_those_that_have_one(tmp_path: Path):
    layout = write_study(tmp_path)
    worst = case(1e3, "sparse", "test")
    write_scores(layout, worst, **unresolved(worst))
    assert headline(read_jobs(STUDY, layout))[-2:] == [
        "The resolution (FRC, ½-bit, full period) goes from ≤ 20.0 nm (assumed) (10³ photons, "
        "baseline, train) to 60.0 nm (assumed) (10³ photons, sparse, train).",
        "1 job has no resolution at all, for the correlation never rises above the threshold: 10³ "
        "photons, sparse, test.",
    ]
    for which in STUDY.cases():
        write_scores(layout, which, **unresolved(which))
    assert headline(read_jobs(STUDY, layout))[-1].startswith(
        "18 jobs have no resolution (FRC, ½-bit, full period) at all, for "
    )
