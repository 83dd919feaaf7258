"""Trends over several draws, and methods against main: only what is beyond the spread is said."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import msgspec
from scored_study import STUDY, error_of, scores_of, write_scores, write_study

from fly64tasks.report.draws import compared_with_main, draws_of
from fly64tasks.report.findings import RESOLUTION, headline
from fly64tasks.report.outcome import NRMSE
from fly64tasks.report.results import Job, read_jobs
from fly64tasks.report.summary import markdown_text
from fly64tasks.study.cases import Case
from fly64tasks.study.study import Study

DRAWS = msgspec.structs.replace(STUDY, repeats=3)
METHODS = msgspec.structs.replace(
    DRAWS, doses=(1e3, 1e4), methods={"epie": {"algorithm": "EPIE"}, "dm": {"algorithm": "DM"}}
)
WOBBLE = {1: 0.0, 2: 0.002, 3: -0.001}
"""What a draw adds to the error."""


def jobs_with(folder: Path, study: Study, error: Callable[[Case], float]) -> tuple[Job, ...]:
    """Return the jobs of a study whose errors are these."""
    layout = write_study(folder, study)
    for case in study.cases():
        metrics = scores_of(case)["metrics"] | {"complex_nrmse": error(case)}
        write_scores(layout, case, metrics=metrics)
    return read_jobs(study, layout)


def test_cells_have_mean_deviation_and_number_of_draws(tmp_path: Path):
    jobs = jobs_with(tmp_path, DRAWS, lambda case: 0.1 * case.repeat)
    cells = draws_of(jobs)
    assert len(cells) == 18
    assert all(len(cell.jobs) == 3 for cell in cells)
    spread = cells[0].spread(NRMSE)
    assert spread is not None
    assert (round(spread.mean, 9), round(spread.sd or 0, 9), spread.n) == (0.2, 0.1, 3)
    assert cells[0].text(NRMSE) == "0.2000 ± 0.1000"
    assert "| 10³ | train | 0.2000 ± 0.1000 |" in markdown_text(DRAWS, jobs)


def test_steps_within_the_spread_are_named_and_no_others(tmp_path: Path):
    def error(case: Case) -> float:
        if (case.view, case.split, case.dose) == ("dense", "train", 1e4):
            return error_of(Case(1e3, "dense", "train", 2)) - 0.001 + 10 * WOBBLE[case.repeat]
        return error_of(case) + WOBBLE[case.repeat]

    sentences = headline(jobs_with(tmp_path, DRAWS, error))
    assert sentences[0] == (
        "All 54 jobs (3 doses, 3 views, train and test, 3 draws) are reconstructed and scored."
    )
    assert sentences[1] == (
        "The complex NRMSE falls with every step in dose, in every view, for train and test, "
        "except in 1 of 12 steps: "
        "dense, train, 10³ → 10⁴ photons (0.2003 ± 0.0015 → 0.2023 ± 0.0153). "
        "11 of 12 steps are larger than the spread of 3 draws; not so: "
        "dense, train, 10³ → 10⁴ photons (0.2003 ± 0.0015 → 0.2023 ± 0.0153)."
    )
    assert "dense → sparse (0.2023 ± 0.0153 → 0.1268 ± 0.0015)." in sentences[2]
    assert sentences[2].endswith("Every step is larger than the spread of 3 draws.")


def test_method_that_is_main_by_another_name_differs_by_exactly_zero(tmp_path: Path):
    jobs = jobs_with(tmp_path, METHODS, lambda case: error_of(case) + WOBBLE[case.repeat])
    compared = compared_with_main(jobs, NRMSE)
    assert len(compared) == 2 * 12
    for each in compared:
        assert each.difference is not None
        assert (each.difference.mean, each.difference.sd, each.difference.n) == (0.0, 0.0, 3)
        assert each.verdict == "same"
    assert (
        "Against main, cell by cell, paired over 3 draws of the noise: epie is the same to the "
        "last digit in 12 of 12; dm is the same to the last digit in 12 of 12."
    ) in headline(jobs)


def test_method_is_worse_or_better_only_beyond_the_spread(tmp_path: Path):
    def error(case: Case) -> float:
        found = error_of(case) + WOBBLE[case.repeat]
        if case.method == "epie":  # worse by a little in every draw, in half of the cells by chance
            return found + (0.01 if case.split == "train" else 10 * WOBBLE[case.repeat])
        return found - (0.005 + 0.0001 * case.repeat if case.method == "dm" else 0)

    jobs = jobs_with(tmp_path, METHODS, error)
    verdicts = {
        (each.draws.case.method, each.draws.case.split): each.verdict
        for each in compared_with_main(jobs, NRMSE)
    }
    assert verdicts == {
        ("epie", "train"): "worse",
        ("epie", "test"): "within the spread",
        ("dm", "train"): "better",
        ("dm", "test"): "better",
    }
    assert (
        "Against main, cell by cell, paired over 3 draws of the noise: epie is worse beyond the "
        "spread in 6 of 12 and within the spread in 6 of 12; dm is better beyond the spread in 12 "
        "of 12."
    ) in headline(jobs)


def test_of_one_draw_nothing_is_called_better_or_worse(tmp_path: Path):
    study = msgspec.structs.replace(METHODS, repeats=1)
    jobs = jobs_with(tmp_path, study, lambda c: error_of(c) * (2 if c.method == "epie" else 1))
    assert (
        "Against main, in one draw of the noise, so that nothing can be called better or worse: "
        "epie is different in the one draw in 12 of 12; "
        "dm is the same to the last digit in 12 of 12."
    ) in headline(jobs)
    assert "spread" not in " ".join(headline(jobs))


def test_value_that_is_only_a_bound_is_compared_with_nothing(tmp_path: Path):
    jobs = jobs_with(tmp_path, METHODS, error_of)
    verdicts = {
        (each.draws.case.view, each.verdict) for each in compared_with_main(jobs, RESOLUTION)
    }
    assert verdicts == {("baseline", "not known"), ("dense", "same"), ("sparse", "same")}
