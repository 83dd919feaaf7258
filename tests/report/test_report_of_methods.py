"""The page of a study with methods and draws: each stands in it, beside main."""

from __future__ import annotations

import csv
import io
import re
from pathlib import Path

import msgspec
import pytest
from msgspec.structs import replace
from scored_study import (
    STUDY,
    error_of,
    page_without_figures,
    scores_of,
    unresolved,
    write_run,
    write_scores,
    write_study,
)

from fly64tasks.report import summary
from fly64tasks.report.command import write_report
from fly64tasks.report.draws import compared_with_main, draws_of
from fly64tasks.report.figures import drawings
from fly64tasks.report.figures.curves import lines_of
from fly64tasks.report.files import CSV_COLUMNS, REPORT, REPORT_FILES
from fly64tasks.report.findings import RESOLUTION
from fly64tasks.report.outcome import NRMSE
from fly64tasks.report.results import Job, read_jobs
from fly64tasks.study.paths import Layout

METHODS = msgspec.structs.replace(
    STUDY, doses=(1e3, 1e4), repeats=2, methods={"epie": {"algorithm": "EPIE"}}
)
CASES = list(METHODS.cases())


@pytest.fixture(scope="module")
def layout(tmp_path_factory: pytest.TempPathFactory) -> Layout:
    """Two doses by two methods in two draws, where epie is worse; and the report on them."""
    layout = write_study(tmp_path_factory.mktemp("methods"), METHODS)
    for case in CASES:
        error = error_of(case) + 0.001 * case.repeat
        error += 0.01 + 0.0002 * case.repeat if case.method == "epie" else 0.0
        write_scores(layout, case, metrics=scores_of(case)["metrics"] | {"complex_nrmse": error})
        write_run(layout, case, spec={"seed": 7 + case.repeat}, host="beamline", commit="ab12")
    write_report(METHODS, layout)
    return layout


def page_of(layout: Layout) -> str:
    return (layout.artifact_root / REPORT).read_text("utf-8")


def jobs_of(layout: Layout) -> tuple[Job, ...]:
    return read_jobs(METHODS, layout)


def test_every_job_and_every_file_is_in_the_report(layout: Layout):
    html = page_of(layout)
    for case in CASES:
        assert html.count(f'<details class="job" id="job-{case.name}"') == 1
    assert all((layout.artifact_root / name).stat().st_size > 100 for name in REPORT_FILES)
    assert "All 48 jobs (2 doses, 3 views, train and test, 2 methods, 2 draws)" in html


def test_matrix_has_a_row_for_each_dose_and_method_with_means_of_the_draws(layout: Layout):
    html = page_of(layout)
    rows = re.findall(r'<th scope="row">([^<]*)<small>(\w+)</small>', html)
    assert rows == [("10³", "main"), ("10³", "epie"), ("10⁴", "main"), ("10⁴", "epie")]
    assert '<b title="2 draws">0.1015 ± 0.0007</b>' in html
    assert html.count('class="tile"') == len(CASES) // 2


def test_paired_table_says_difference_spread_interval_and_verdict(layout: Layout):
    html = page_of(layout)
    table = html[html.index('aria-label="Methods against main: Complex NRMSE"') :]
    row = re.search(r"<tr data-dose.*?</tr>", table, re.S)[0]
    cells = [re.sub(r"<[^>]+>", "", cell) for cell in re.findall(r"<td.*?</td>", row)]
    assert cells == [
        "epie",
        "10³",
        "baseline",
        "train",
        "0.1015 ± 0.0007",
        "0.1118 ± 0.0008",
        "+0.0103 ± 0.0001",
        "+0.0090 to +0.0116",
        "0.0062",
        "2",
        "worse",
    ]
    assert {each.verdict for each in compared_with_main(jobs_of(layout), NRMSE)} == {"worse"}


def test_summary_has_method_draw_seed_time_and_photons_of_each_job(layout: Layout):
    text = summary.csv_text(jobs_of(layout))
    assert text.splitlines()[0] == ",".join(CSV_COLUMNS)
    rows = [row for row in csv.DictReader(io.StringIO(text)) if row["metric"] == "complex_nrmse"]
    last = rows[-1]
    assert (last["method"], last["repeat"], last["seed"]) == ("epie", "2", "9")
    assert (last["seconds"], last["photons_total"]) == ("12.5", "1200000.0")
    assert float(last["photons_per_nm2"]) == pytest.approx(1.2e6 / 40123 / 100)
    overlap = [
        last[key] for key in ("frames", "spacing_diameters", "linear_overlap", "area_overlap")
    ]
    assert overlap == ["120", "0.5", "0.5", "0.391"]


def test_light_and_overlap_of_each_set_stand_in_a_table(layout: Layout):
    html = page_of(layout)
    table = html[html.index('aria-label="Light and overlap"') :]
    rows = re.findall(r"<tr data-dose.*?</tr>", table[: table.index("</table>")], re.S)
    assert len(rows) == 12
    cells = [re.sub(r"<[^>]+>", "", cell) for cell in re.findall(r"<td.*?</td>", rows[0])]
    assert cells[3:] == ["120", "1.2·10⁵", "3", "0.03", "0.50", "0.50", "0.39"]


def test_curves_have_a_line_per_method_a_band_and_the_values_of_their_points(layout: Layout):
    jobs = jobs_of(layout)
    panels = drawings.panels(jobs)
    assert len(panels["error"]) == 6
    assert "<title>epie, 10³ photons: 0.1118 ± 0.0008 (2 draws)</title>" in panels["error"][0]
    assert panels["error"][0].count("PolyCollection") == 2
    assert [line.name for line in lines_of(jobs, "train", "dense")] == ["main", "epie"]
    assert [line.name for line in lines_of(jobs, "train")] == ["baseline", "dense", "sparse"]


def test_date_host_commit_and_time_stand_at_the_job(layout: Layout):
    html = page_of(layout)
    section = html[html.index(f'<details class="job" id="job-{CASES[-1].name}"') :]
    for key, value in (
        ("Started", "2026-01-02T03:04:05+00:00"),
        ("Host", "beamline"),
        ("Commit of fly64tasks", "ab12"),
        ("Took", "12 s"),
    ):
        assert re.search(rf"<dt>{key}</dt><dd>{re.escape(value)}</dd>", section)


def test_mean_says_of_how_many_draws_it_is_where_others_have_no_resolution(tmp_path: Path):
    layout = write_study(tmp_path, METHODS)
    case = next(c for c in CASES if (c.view, c.split, c.repeat) == ("sparse", "test", 2))
    write_scores(layout, case, **unresolved(case))
    draws = next(each for each in draws_of(jobs_of(layout)) if each.case == replace(case, repeat=1))
    assert draws.text(RESOLUTION) == "60.1 (1 of 2)"


def test_light_stands_once_for_a_dose_and_the_best_number_is_a_mean(layout: Layout):
    html = page_of(layout)
    rows = re.findall(r'<tr data-dose="1000" data-method="(\w+)"><th(.*?)</tr>', html, re.S)
    assert [(method, "photons" in row.replace("photons,", "")) for method, row in rows] == [
        ("main", True),
        ("epie", False),
    ]
    best = re.search(r"Best complex NRMSE</dt><dd>([^<]*)<small>([^<]*)", html)
    assert best.groups() == ("0.0331 ± 0.0007", "10⁴ photons, baseline, train, main")


def test_methods_of_one_draw_have_no_spread(tmp_path: Path):
    study = msgspec.structs.replace(METHODS, repeats=1)
    layout = write_study(tmp_path, study)
    html = page_without_figures(study, layout, read_jobs(study, layout))
    assert "there is one draw of the noise" in html
    assert "±" not in html[html.index('id="matrix"') : html.index('id="scores"')]
