import csv
import io
import json
import re
from pathlib import Path
from typing import Any

import msgspec
import pytest
from scored_study import (
    MISFIT,
    NO_TRUTH,
    STUDY,
    layout_in,
    page_without_figures,
    scores_of,
    unresolved,
    write_run,
    write_scores,
    write_study,
)

from fly64tasks.errors import Fly64Error
from fly64tasks.recon.files import LOG, LOSSES, RUN_RECORD
from fly64tasks.report import pictures, summary
from fly64tasks.report.command import write_report
from fly64tasks.report.files import FIGURES, REPORT, REPORT_FILES, SUMMARY_MD
from fly64tasks.report.results import read_jobs
from fly64tasks.score.files import COMPARISON, FRC, PANELS, SCORES, THUMBNAIL, TRUTH_THUMBNAIL
from fly64tasks.score.scorecard import METRICS
from fly64tasks.study.cases import Case
from fly64tasks.study.paths import Layout
from fly64tasks.study.study import Study

ONE_DOSE = msgspec.structs.replace(STUDY, doses=(1e3,))
CASES = list(ONE_DOSE.cases())
EVIL = "<script>alert(1)</script>\"'&"


def page_of(layout: Layout, study: Study = ONE_DOSE, **options: Any) -> str:
    """Return the page without its figures, which take longest."""
    return page_without_figures(study, layout, read_jobs(study, layout, **options))


def rows_of(layout: Layout) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(summary.csv_text(read_jobs(ONE_DOSE, layout)))))


SPREADSHEETS_RUN = ("=1+1", "+1", "-1", "@SUM(A1)", " =1", "＝1", "\t=1", "\r=1", "\n=1")


def test_text_that_a_spreadsheet_would_run_is_written_as_text(tmp_path: Path):
    layout = write_study(tmp_path, ONE_DOSE)
    for case, text in zip(CASES * 2, SPREADSHEETS_RUN, strict=False):
        write_scores(layout, case, metrics={}, notes={"complex_nrmse": text})
        notes = [row["note"] for row in rows_of(layout) if row["case"] == case.name]
        escaped = text.encode("unicode_escape").decode()  # control characters are anyway
        assert (f"'{text}" if text.isprintable() else escaped) in notes
        assert not any(note[:1] in ("=", "+", "-", "@", "\t", "\r") for note in notes)
    write_scores(layout, CASES[0], metrics={"complex_nrmse": -0.5}, notes={"complex_nrmse": "a=1"})
    row = next(row for row in rows_of(layout) if row["metric"] == "complex_nrmse")
    assert (row["value"], row["note"]) == ("-0.5", "a=1")


def markdown_of(layout: Layout, study: Study = ONE_DOSE) -> str:
    return summary.markdown_text(study, read_jobs(study, layout))


def in_row(html: str, case: Case) -> str:
    """Return what the page says of a case in the table of all scores."""
    return re.search(rf'<tr[^>]*>\s*<td[^>]*><a href="#job-{case.name}">.*?</tr>', html, re.S)[0]


def section_of(html: str, case: Case) -> str:
    """Return the case's own section."""
    start = html.index(f'id="job-{case.name}"')
    end = html.find('<details class="job"', start)
    return html[start:end] if end > 0 else html[start:]


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    """One dose, every job scored."""
    return write_study(tmp_path, ONE_DOSE)


def test_column_that_no_job_has_is_no_column_and_its_reason_is_said_once(layout: Layout):
    html = page_of(layout)
    table = html[html.index('aria-label="All scores"') :].partition("</table>")[0]
    assert "Phase MS-SSIM" not in table
    assert "Amplitude MS-SSIM" in table
    assert html.count("No job has phase MS-SSIM: the region is too small for five scales.") == 1


def test_number_that_rounds_to_zero_has_no_sign_and_others_a_true_minus(layout: Layout):
    alignment = scores_of(CASES[0])["alignment"]
    alignment |= {"residual_shift_px": [-0.00001, -0.5], "phase_rad": -0.25}
    write_scores(layout, CASES[0], alignment=alignment)
    section = section_of(page_of(layout), CASES[0])
    assert "<dd>0.0000, −0.5000 px</dd>" in section
    assert "<dd>1.0200, −0.2500 rad</dd>" in section


def test_pictures_of_a_job_have_a_scale_bar(layout: Layout):
    section = section_of(page_of(layout), CASES[0])
    # 500 nm of 200 px of 10 nm, in a sheet of three columns
    assert '<i style="width: 8.33%"></i> 500 nm (assumed)' in section


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Layout:
    """Three doses, every job scored, and the report on them."""
    layout = write_study(tmp_path_factory.mktemp("written"))
    write_report(STUDY, layout)
    return layout


@pytest.fixture(scope="module")
def reported(tmp_path_factory: pytest.TempPathFactory) -> Layout:
    """One dose, every job scored, and the report on them: to be left as it was."""
    layout = write_study(tmp_path_factory.mktemp("reported"), ONE_DOSE)
    write_report(ONE_DOSE, layout)
    return layout


def test_every_file_is_written_and_every_job_is_in_it(written: Layout):
    html = (written.artifact_root / REPORT).read_text("utf-8")
    for name in REPORT_FILES:
        assert (written.artifact_root / name).stat().st_size > 100
    for case in STUDY.cases():
        assert f'id="job-{case.name}"' in html
        assert f">{scores_of(case)['metrics']['complex_nrmse']:.4f}<" in in_row(html, case)
    assert html.count("data:image/webp;base64,") == 3 * 18 + 6
    assert html.count("<svg") == 2 + 2 + 6 + 18
    assert not list(written.artifact_root.rglob("*.tmp*"))


def test_page_asks_for_nothing_outside_itself_but_links_to_files_beside_it(written: Layout):
    html = (written.artifact_root / REPORT).read_text("utf-8")
    assert "Content-Security-Policy\" content=\"default-src 'none'" in html
    addresses = re.findall(r'(?:src|href|url)\s*[=(]\s*"?([^"\s)>]+)', html)
    assert len(addresses) > 50
    for address in addresses:
        if not address.startswith(("#", "data:")):
            assert (written.artifact_root / address).is_file(), address


def test_ids_are_unique_and_every_reference_has_one(written: Layout):
    html = (written.artifact_root / REPORT).read_text("utf-8")
    ids = re.findall(r'\bid="([^"]+)"', html)
    assert len(ids) == len(set(ids))
    assert set(re.findall(r'(?:href="|url\()#([^")]+)', html)) <= set(ids)


def test_equal_inputs_give_equal_bytes(written: Layout):
    files = [written.artifact_root / name for name in REPORT_FILES]
    before = [path.read_bytes() for path in files]
    write_report(STUDY, written)
    assert [path.read_bytes() for path in files] == before


@pytest.mark.parametrize("threads", [1, 8])
def test_bytes_do_not_depend_on_which_thread_makes_which_picture(
    written: Layout, monkeypatch: pytest.MonkeyPatch, threads: int
):
    files = [written.artifact_root / name for name in REPORT_FILES]
    before = [path.read_bytes() for path in files]
    monkeypatch.setattr(pictures, "_THREADS", threads)
    write_report(STUDY, written)
    assert [path.read_bytes() for path in files] == before


def test_best_of_a_column_is_marked_but_no_r_factor(written: Layout):
    html = (written.artifact_root / REPORT).read_text("utf-8")
    best = re.findall(r'<td class="number best" data-sort="[^"]+">0.0100</td>', html)
    assert len(best) == 1
    last = [in_row(html, case).rstrip().removesuffix("</tr>").rstrip() for case in STUDY.cases()]
    assert all(re.search(r'<td class="number" [^<]*</td>$', row) for row in last)


def test_summary_is_tidy_and_complete(layout: Layout):
    rows = rows_of(layout)
    assert [(row["case"], row["metric"]) for row in rows] == [
        (case.name, metric.key) for case in CASES for metric in METRICS
    ]
    assert rows[0] == {
        "case": "dose_1000_baseline_train",
        "dose": "1000",
        "view": "baseline",
        "split": "train",
        "gridsize": "1",
        "metric": "complex_nrmse",
        "value": "0.1",
        "unit": "",
        "is_bound": "false",
        "note": "",
        "bound": "",
        "method": "main",
        "repeat": "1",
        "seed": "0",
        "seconds": "12.5",
        "photons_total": "120000.0",
        "photons_per_nm2": rows[0]["photons_per_nm2"],
        "frames": "120",
        "spacing_diameters": "0.5",
        "linear_overlap": "0.5",
        "area_overlap": "0.391",
    }
    assert float(rows[0]["photons_per_nm2"]) == pytest.approx(120000 / 40123 / 100)
    by_metric = {row["metric"]: row for row in rows[: len(METRICS)]}
    assert by_metric["phase_ms_ssim"]["value"] == ""
    assert by_metric["phase_ms_ssim"]["note"] == "the region is too small for five scales"
    assert by_metric["frc_halfbit_period_nm"]["value"] == "20.0"
    assert by_metric["frc_halfbit_period_nm"]["unit"] == "nm"
    assert by_metric["frc_halfbit_period_nm"]["is_bound"] == "true"
    assert by_metric["frc_halfbit_period_nm"]["bound"] == "better"


def test_bounds_and_absent_values_say_so(layout: Layout):
    metrics = scores_of(CASES[1])["metrics"] | {"phase_ms_ssim": 0.9}
    write_scores(layout, CASES[1], metrics=metrics)  # else there is no column of it
    row = in_row(page_of(layout), CASES[0])
    assert ">≥ 0.500</td>" in row
    assert ">≤ 20.0</td>" in row
    assert 'data-sort="" title="the region is too small for five scales">–</td>' in row


def test_score_that_is_only_a_limit_is_none_and_its_limit_no_number_of_the_page(layout: Layout):
    for case in CASES:
        write_scores(layout, case, **unresolved(case))
    html = page_of(layout)
    note = "no resolution: the curve never rises above the threshold"
    assert f'data-sort="" title="{note}">none</td>' in in_row(html, CASES[0])
    assert f"<dd>none<small>{note}</small></dd>" in section_of(html, CASES[0])
    assert "3310" not in html
    assert "3310" not in markdown_of(layout)
    assert "| 10³ | train | none | none | none |" in markdown_of(layout)
    row = next(row for row in rows_of(layout) if row["metric"] == "frc_halfbit_period_nm")
    assert (row["value"], row["is_bound"], row["bound"]) == ("3310.0", "true", "worse")
    assert row["note"] == note
    write_report(ONE_DOSE, layout)


def test_summary_of_an_older_version_is_known_as_ours(layout: Layout):
    path = layout.artifact_root / "summary.csv"
    path.write_text("case,dose,view,split,gridsize,metric,value,unit,is_bound,note\n")
    write_report(ONE_DOSE, layout)
    assert path.read_text().startswith(
        "case,dose,view,split,gridsize,metric,value,unit,is_bound,note,bound,method,repeat,"
    )


def test_every_string_of_a_file_is_escaped(tmp_path: Path):
    study = msgspec.structs.replace(ONE_DOSE, name=EVIL)
    layout = write_study(tmp_path, study)
    failed, without, odd, *_ = CASES
    write_run(layout, failed, state="failed", reason=EVIL, spec={EVIL: EVIL}, versions={EVIL: EVIL})
    (layout.recon_dir(failed) / LOG).write_text(EVIL, "utf-8")
    write_scores(layout, without, **NO_TRUTH | {"truth": {"comparable": False, "reason": EVIL}})
    changes = {
        "set": {"selection_strategy": EVIL, "overlap_notes": [EVIL]},
        "settings": {EVIL: EVIL},
    }
    write_scores(layout, odd, notes={"phase_ms_ssim": EVIL}, **changes)
    html = page_of(layout, study)
    assert "<script>alert" not in html
    assert html.count("<script>") == 1
    for part in (section_of(html, failed), section_of(html, without), section_of(html, odd)):
        assert "&lt;script&gt;alert(1)&lt;/script&gt;&#34;&#39;&amp;" in part
    assert "<script>" not in markdown_of(layout, study)


def test_failed_job_says_why_and_its_older_scores_are_left_out(layout: Layout):
    write_run(layout, CASES[0], state="failed", exit_code=1, reason="diverged: loss 0.4 -> 2e9")
    html = page_of(layout)
    assert "5 of 6 jobs" in html
    assert "diverged: loss 0.4 -&gt; 2e9" in section_of(html, CASES[0])
    assert "0.1000" not in in_row(html, CASES[0])
    rows = [row for row in rows_of(layout) if row["case"] == CASES[0].name]
    assert {(row["value"], row["note"]) for row in rows} == {("", "diverged: loss 0.4 -> 2e9")}


def test_partial_study_lists_each_missing_job_with_its_reason(tmp_path: Path):
    layout = layout_in(tmp_path, ONE_DOSE)
    scored, not_scored, no_dataset, not_run, skipped, _ = CASES
    for case in (scored, not_scored):
        write_run(layout, case)
    write_scores(layout, scored)
    layout.dataset(not_run).parent.mkdir(parents=True)
    layout.dataset(not_run).touch()
    without = {
        f"recon:{skipped.name}": "its set is missing: sparse_train.npz",
        f"score:{skipped.name}": "needs what is missing",
    }
    html = page_of(layout, without=without)
    assert "1 of 6 jobs" in html
    missing = html[html.index('id="missing"') :]
    for case, reason in (
        (not_scored, "reconstructed, but not scored yet"),
        (no_dataset, f"its dataset does not exist: {layout.dataset(no_dataset)}"),
        (not_run, "not run yet"),
        (skipped, "its set is missing: sparse_train.npz"),
    ):
        assert reason in re.search(rf'#job-{case.name}".*?</tr>', missing, re.S)[0]
    assert f"- {not_run.name}: not run: not run yet" in markdown_of(layout)


def test_study_that_has_not_run_has_a_report(tmp_path: Path):
    layout = layout_in(tmp_path, ONE_DOSE)
    html = page_of(layout)
    write_report(ONE_DOSE, layout)
    assert "0 of 6 jobs" in html
    assert "There is no score to draw yet." in html
    assert {row["value"] for row in rows_of(layout)} == {""}
    assert all((layout.artifact_root / name).exists() for name in REPORT_FILES)


def test_scores_of_an_earlier_run_do_not_count(layout: Layout):
    available = [layout.recon_dir(case) / SCORES for case in CASES[1:]]
    html = page_of(layout, available=available)
    assert "5 of 6 jobs" in html
    assert "its scores are of an earlier run" in section_of(html, CASES[0])


def test_set_without_truth_shows_the_score_of_the_data_and_why_others_are_absent(layout: Layout):
    for case in CASES:
        write_scores(layout, case, **NO_TRUTH, region=None, alignment=None)
        (layout.recon_dir(case) / FRC).unlink()
    html = page_of(layout)
    row = in_row(html, CASES[0])
    assert ">0.2000</td>" in row
    assert row.count('<td class="number" data-sort=') == 1 + 2  # frames, and what needs no truth
    assert "or resolution, FRC ½-bit: the scan is centred on zero." in html
    assert "Not compared with a truth: the scan is centred on zero" in section_of(html, CASES[0])
    assert "and its fit χ²" in html


def test_job_without_truth_among_others_shows_the_score_that_it_has(layout: Layout):
    write_scores(layout, CASES[0], **NO_TRUTH)
    section = section_of(page_of(layout), CASES[0])
    assert "Fit χ² <b>1.02</b>" in section
    assert "Complex NRMSE <b>" not in section


def test_fit_is_shown_in_the_job_and_its_words_in_the_summary(layout: Layout):
    section = section_of(page_of(layout), CASES[0])
    assert "<dt>Fit χ²</dt><dd>1.02<small>fits to the noise</small></dd>" in section
    assert "<dt>Worst frame</dt><dd>17, χ² 1.31</dd>" in section
    assert "<dt>Worst pixel</dt><dd>y 5, x 60, χ² 2.04</dd>" in section
    assert "does not fit" not in section
    (row,) = (
        row for row in rows_of(layout) if (row["case"], row["metric"]) == (CASES[0].name, "chi2")
    )
    assert (row["value"], row["note"]) == ("1.02", "fits to the noise")


def test_job_that_does_not_fit_or_is_worse_than_flat_is_marked_in_matrix_and_job(layout: Layout):
    html = page_of(layout)
    assert "worse than a flat object</span>" not in html
    write_scores(layout, CASES[0], fit=MISFIT, flat_object={"complex_nrmse": 0.01})
    html = page_of(layout)
    for badge in ("worse than a flat object", "does not fit"):
        assert html.count(f'<span class="badge">{badge}</span>') == 2
    assert '<span class="badge">does not fit</span>' in section_of(html, CASES[0])


def test_warnings_stand_beside_their_job_and_are_counted_on_top(layout: Layout):
    assert "warning" not in page_of(layout)
    write_run(layout, CASES[0], warnings=["9 of 81 frames hold no photon", EVIL])
    html = page_of(layout)
    assert html.count('<span class="badge">2 warnings</span>') == 2
    assert "Warning: 9 of 81 frames hold no photon" in section_of(html, CASES[0])
    assert "1 job has warnings, which stand beside it: " in html


def test_fit_of_a_job_that_is_not_scored_is_that_of_its_run(layout: Layout):
    (layout.recon_dir(CASES[0]) / SCORES).unlink()
    write_run(layout, CASES[0], fit=MISFIT)
    assert '<span class="badge">does not fit</span>' in section_of(page_of(layout), CASES[0])


def test_job_links_to_itself_and_to_every_file_that_it_left(layout: Layout):
    for name in ("reconstruction.npz", "product.h5"):
        (layout.recon_dir(CASES[0]) / name).touch()
    section = section_of(page_of(layout), CASES[0])
    for path in layout.recon_dir(CASES[0]).iterdir():
        assert f'href="dose_1000/baseline/train/{path.name}"' in section
    assert f'href="#job-{CASES[0].name}"' in section


def test_job_shows_amplitude_and_phase_of_truth_reconstruction_and_difference(layout: Layout):
    section = section_of(page_of(layout), CASES[0])
    assert "<span>Truth</span><span>Reconstruction</span><span>Difference</span>" in section
    assert 'data-columns="3" data-rows="2"' in section
    assert section.count("<span>−0.50</span><span>0.75</span>") == 2
    assert section.count("<span>−0.50</span><span>0.75 rad</span>") == 2


def test_truth_seeded_and_assumed_are_marked(layout: Layout):
    seeded = {"comparable": True, "reason": None, "seeded": True}
    assert "truth-seeded" not in page_of(layout)
    write_scores(layout, CASES[0], truth=seeded)
    html = page_of(layout)
    assert "1 of 6 jobs started from the truth" in html
    assert "truth-seeded" in section_of(html, CASES[0])
    assert "truth-seeded" not in section_of(html, CASES[1])
    assert "<b>Assumed geometry</b> 10 nm pixel, 8.8 keV" in html
    markdown = markdown_of(layout)
    assert f"(truth-seeded): {CASES[0].name}." in markdown
    assert "assumed, not measured" in markdown


def test_many_jobs_are_linked_to_and_not_held(tmp_path: Path):
    study = msgspec.structs.replace(STUDY, doses=tuple(1e3 * k for k in range(1, 12)))
    layout = write_study(tmp_path, study)
    html = page_of(layout, study)
    assert "data:image" not in html
    assert 'src="dose_1000/baseline/train/thumbnail.png"' in html
    assert "has more than 60 jobs" in html


@pytest.mark.parametrize(
    ("name", "content", "problem"),
    [
        (SCORES, '{"schema": 1,', "damaged"),
        (SCORES, '{"schema": 2}', "Invalid enum value 2"),
        (SCORES, '{"schema": 1, "truth": {"comparable": true}, "metrics": [1]}', "metrics"),
        (SCORES, '{"schema": 1, "metrics": {"r_factor": NaN}}', "Expected `float`"),
        (RUN_RECORD, "[]", "Expected `object`"),
        (LOSSES, "epoch,loss\n1,a\n", "column loss holds something that is not a number"),
        (FRC, "frc\n0.5\n", "has no column spatial_frequency_cycles_per_px"),
        (THUMBNAIL, "no picture", "damaged picture"),
        (TRUTH_THUMBNAIL, "no picture", "damaged picture"),
        (COMPARISON, "no picture", "damaged picture"),
        (PANELS, "no picture", "damaged picture"),
        (COMPARISON, "%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "cannot identify"),
    ],
)
def test_damaged_file_is_named_and_nothing_is_written(
    layout: Layout, name: str, content: str, problem: str
):
    path = layout.recon_dir(CASES[1]) / name
    path.write_text(content, "utf-8")
    with pytest.raises(Fly64Error, match=re.escape(problem)) as raised:
        write_report(ONE_DOSE, layout)
    assert str(raised.value).startswith(f"{path}: ")
    assert "\n" not in str(raised.value)
    assert not any((layout.artifact_root / name).exists() for name in REPORT_FILES)


def test_run_that_ended_in_nan_is_shown_up_to_there(layout: Layout):
    nan = {"first": 0.5, "last": float("nan"), "epochs": 2}
    folder = write_run(layout, CASES[0], state="failed", reason="the loss is nan", loss=nan)
    (folder / LOSSES).write_text("epoch,loss\n1,0.5\n2,nan\n", "utf-8")
    assert "the loss is nan" in section_of(page_of(layout), CASES[0])


def test_file_of_another_is_refused_before_anything_is_written(reported: Layout):
    files = [reported.artifact_root / name for name in REPORT_FILES]
    made = {path: path.read_bytes() for path in files}
    for path, content in made.items():
        for theirs in (b"theirs", b"by fly64tasks"):
            path.write_bytes(theirs)
            with pytest.raises(Fly64Error, match="exists and was not written by") as raised:
                write_report(ONE_DOSE, reported)
            assert str(raised.value).startswith(f"{path}: ")
            assert {file: file.read_bytes() for file in files} == {**made, path: theirs}
        path.unlink()
        path.mkdir()
        with pytest.raises(Fly64Error, match="exists and was not written by"):
            write_report(ONE_DOSE, reported)
        path.rmdir()
        path.write_bytes(content)


def test_report_that_was_cut_off_is_written_whole_by_the_next_run(reported: Layout):
    """The figures and tables come first: they are known for ours without the page."""
    files = {reported.artifact_root / name for name in REPORT_FILES}
    before = {path: path.read_bytes() for path in files}
    (reported.artifact_root / REPORT).unlink()
    (reported.artifact_root / SUMMARY_MD).unlink()
    write_report(ONE_DOSE, reported)
    assert {path: path.read_bytes() for path in files} == before


def test_files_that_were_cut_are_known_for_ours(reported: Layout):
    """Their mark stands near their beginning, and nothing else is known of them here."""
    files = [reported.artifact_root / name for name in REPORT_FILES]
    made = {path: path.read_bytes() for path in files}
    for path, content in made.items():
        path.write_bytes(content[: max(len(content) // 8, 150)])
    write_report(ONE_DOSE, reported)
    assert {path: path.read_bytes() for path in files} == made


def test_pdf_is_well_formed(reported: Layout):
    """Each object lies where the table says that it does."""
    for path in (reported.artifact_root / FIGURES).glob("*.pdf"):
        content = path.read_bytes()
        found = re.search(rb"startxref\n(\d+)\n%%EOF\n$", content)
        assert found
        table = content[int(found[1]) :]
        assert table.startswith(b"xref\n")
        places = re.findall(rb"^(\d{10}) \d{5} n $", table, re.MULTILINE)
        assert len(places) > 10
        for number, place in enumerate(places, start=1):
            assert content[int(place) :].startswith(b"%d 0 obj" % number)


def test_matrix_has_the_truth_its_colours_and_a_length_for_each_view_and_split(layout: Layout):
    html = page_of(layout)
    scales = re.search(r'<tr class="scales">.*?</tr>', html, re.S)[0]
    assert scales.count("<img ") == 6
    assert scales.count("linear-gradient(to right, #440154, ") == 6
    assert scales.count("<span>−0.50</span><span>0.75 rad</span>") == 6
    assert scales.count('<i style="width: 25.0%"></i> 500 nm') == 6  # of 200 pixels of 10 nm
    assert scales.count("disc overlap 39%") == 6
    assert "4.2·10⁴" not in html
    assert html.count('<span class="light">1.2·10⁵\u00a0photons</span>') == 6
    assert html.count("3\u00a0/px, 0.03\u00a0/nm²") >= 6


def test_scale_that_is_not_that_of_all_tiles_is_not_shown(layout: Layout):
    other = scores_of(CASES[0])["picture"] | {"high": 3.0}
    write_scores(layout, CASES[0], picture=other)
    two_doses = msgspec.structs.replace(STUDY, doses=(1e3, 1e4))
    html = page_of(write_study(layout.artifact_root.parent, two_doses), two_doses)
    assert html.count('style="background: linear-gradient(to right') == 6
    write_scores(layout, CASES[0], picture=other)
    assert page_of(layout, two_doses).count('style="background: linear-gradient(to right') == 5


def test_scores_of_an_older_version_are_shown_without_what_they_lack(layout: Layout):
    for case in CASES:
        path = layout.recon_dir(case) / SCORES
        older = scores_of(case)
        del older["picture"], older["panels"]
        older["set"] = {key: older["set"][key] for key in ("n_frames", "n_frames_in_set")}
        path.write_text(json.dumps(older), "utf-8")
        (layout.recon_dir(case) / TRUTH_THUMBNAIL).unlink()
    html = page_of(layout)
    assert ">0.1000</td>" in in_row(html, CASES[0])
    assert "120 frames" in html
    assert 'style="background: linear-gradient(to right' not in html
    assert "\u00a0/px" not in html
    write_report(ONE_DOSE, layout)
