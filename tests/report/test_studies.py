"""Studies held against each other: real records, the real command, the real page."""

from __future__ import annotations

import csv
import io
import json
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from scored_study import STUDY, layout_in, run_of, scores_of, write_run, write_scores

from fly64tasks.doitext.state.claims import MARK
from fly64tasks.report.files import PAGE_MARK
from fly64tasks.report.studies import text
from fly64tasks.score.files import SCORES
from fly64tasks.score.scorecard import METRICS

CASES = list(STUDY.cases())


def study_in(folder: Path, *, worse_by: float = 1.0, epochs: int = 50, extra: str = "") -> Path:
    """Write a study whose jobs have these scores; return its folder."""
    layout = layout_in(folder)
    for case in CASES:
        run = run_of()
        write_run(layout, case, spec=run["spec"] | {"num_epochs": epochs})
        metrics = dict(scores_of(case)["metrics"])
        metrics["complex_nrmse"] *= worse_by
        folder_of_job = write_scores(layout, case, metrics=metrics)
        scores = json.loads((folder_of_job / SCORES).read_text("utf-8"))
        named = scores | {"case": {"name": case.name}}
        (folder_of_job / SCORES).write_text(json.dumps(named), "utf-8")
    (folder / "study.toml").write_text(f"doses = [1e3, 1e4]\n{extra}", "utf-8")
    return folder


def compared(*arguments: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "fly64tasks", "compare", *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
    )


def test_settings_and_scores_that_differ_are_said_old_and_new(tmp_path: Path):
    first = study_in(tmp_path / "first")
    second = study_in(tmp_path / "second", worse_by=1.25, epochs=80, extra="[base]\nseed = 2\n")
    done = compared(first, second, "--html", tmp_path / "page.html")
    assert done.returncode == 0, done.stderr
    lines = [" ".join(line.split()) for line in done.stdout.splitlines()]
    assert lines[0] == "second against first"
    assert "base.seed 1 -> 2" in lines
    assert "recon.num_epochs 50 -> 80" in lines
    assert not any(line.startswith("doses") for line in lines)
    old = scores_of(CASES[0])["metrics"]["complex_nrmse"]
    expected = f"{CASES[0].name} Complex NRMSE {old:.4g} {1.25 * old:.4g} {0.25 * old:+.4g} worse"
    assert expected in lines
    assert any(f"worse in {len(CASES)} of {len(CASES)} jobs" in line for line in lines)
    page = (tmp_path / "page.html").read_text("utf-8")
    assert "<code>recon.num_epochs</code>" in page
    assert "50 -&gt; 80" in page
    assert page.count(">worse<") == len(CASES)
    assert "http" not in page.replace("http-equiv", "").replace("http://www.w3.org", "")


def test_study_against_itself_differs_in_nothing(tmp_path: Path):
    first = study_in(tmp_path / "first")
    shutil.copytree(first, tmp_path / "again")
    done = compared(first, tmp_path / "again")
    assert "No setting differs." in done.stdout
    assert "scores are equal in every job." in done.stdout
    assert "worse" not in done.stdout


def test_csv_and_json_have_every_score_of_every_pair(tmp_path: Path):
    folders = [
        study_in(tmp_path / name, worse_by=by) for name, by in zip("abc", (1, 0.5, 1), strict=True)
    ]
    rows = list(csv.DictReader(io.StringIO(compared(*folders, "--csv").stdout)))
    assert {(row["study"], row["against"]) for row in rows} == {("b", "a"), ("c", "a")}
    assert len(rows) == 2 * len(CASES) * len(scores_of(CASES[0])["metrics"])
    verdicts = [(row["study"], row["verdict"]) for row in rows if row["metric"] == "complex_nrmse"]
    assert verdicts == [("b", "better")] * len(CASES) + [("c", "equal")] * len(CASES)
    said = json.loads(compared(*folders, "--json").stdout)
    assert [pair["new"] for pair in said["compared"]] == [str(folder) for folder in folders[1:]]


def test_folder_of_reports_will_do_and_jobs_of_one_study_alone_are_named(tmp_path: Path):
    first, second = study_in(tmp_path / "first"), study_in(tmp_path / "second")
    shutil.rmtree(layout_in(second).recon_dir(CASES[0]))
    done = compared(first, layout_in(second).artifact_root)
    assert f"{CASES[0].name} (only in first)" in done.stdout
    assert "base." not in done.stdout


def test_study_whose_results_lie_in_anothers_is_compared_with_it(tmp_path: Path):
    first = study_in(tmp_path / "first")
    reports = layout_in(first).artifact_root
    shutil.copytree(
        layout_in(study_in(tmp_path / "second", worse_by=2.0)).artifact_root, reports / "b"
    )
    for root in (reports, reports / "b"):
        (root / MARK).write_text("{}")
    for outer in (first, reports):
        done = compared(outer, reports / "b")
        assert f"worse in {len(CASES)} of {len(CASES)} jobs" in done.stdout, done.stderr


def test_report_of_a_study_is_not_written_over(tmp_path: Path):
    studies = [study_in(tmp_path / name) for name in ("first", "second")]
    report = tmp_path / "first/reports/index.html"
    report.write_text(f"<!doctype html>\n{PAGE_MARK}\n<title>first: dose and overlap</title>\n")
    done = compared(*studies, "--html", report)
    assert "index.html: exists and was not written by" in done.stderr
    assert "first: dose and overlap" in report.read_text()
    for _ in range(2):
        assert compared(*studies, "--html", tmp_path / "page.html").returncode == 0


def test_what_a_scan_was_read_from_beside_its_file_differs_too(tmp_path: Path):
    for name, digest in (("first", "1"), ("second", "2")):
        folder = study_in(tmp_path / name)
        for path in folder.rglob("run.json"):
            run = json.loads(path.read_text("utf-8"))
            run["input"]["with"] = {f"/data/{name}/my scan_para.hdf5": digest}
            path.write_text(json.dumps(run), "utf-8")
    done = compared(tmp_path / "first", tmp_path / "second")
    [line] = [line for line in done.stdout.splitlines() if "input.beside" in line]
    assert "my scan_para.hdf5" in line
    assert "another content" in line


def test_what_is_no_study_is_refused_in_one_line(tmp_path: Path):
    first = study_in(tmp_path / "first")
    (tmp_path / "empty").mkdir()
    shutil.copytree(layout_in(first).artifact_root, tmp_path / "two/a")
    shutil.copytree(layout_in(first).artifact_root, tmp_path / "two/b")
    (tmp_path / "mine.html").write_text("mine")
    for arguments, message in (
        ([first, tmp_path / "absent"], "absent: is no folder; expected a study's"),
        ([first, tmp_path / "empty"], "empty: holds no scores.json and no run.json"),
        ([first, tmp_path / "two"], "twice, in a/"),
        ([first, first], "first: is named twice"),
        (
            [first, tmp_path / "two/a", "--html", tmp_path / "mine.html"],
            "mine.html: exists and was",
        ),
    ):
        done = compared(*arguments)
        assert done.returncode != 0
        assert message in done.stderr
        assert done.stderr.count("\n") == 1
    assert compared(first).returncode == 2


@pytest.mark.parametrize("key", text.MAIN_METRICS[:3])
def test_scores_that_are_printed_exist(key: str):
    assert key in {metric.key for metric in METRICS}


def test_one_study_by_two_ways_is_refused(tmp_path: Path):
    """A link to it, or the folder of its reports."""
    first = study_in(tmp_path / "first")
    (tmp_path / "link").symlink_to(first)
    for other in (tmp_path / "link", layout_in(first).artifact_root):
        done = compared(first, other)
        assert done.returncode == 3
        assert f"{other}: holds what {first} holds" in done.stderr


def test_setting_that_only_one_says_is_held_against_its_default(tmp_path: Path):
    extra = '\nrepeats = 3\n[methods.net]\ncommand = ["p", "{input_npz}", "{output}"]\n'
    done = compared(study_in(tmp_path / "a"), study_in(tmp_path / "b", extra=extra))
    lines = [" ".join(line.split()) for line in done.stdout.splitlines()]
    assert "repeats 1 -> 3" in lines
    assert 'methods.net.command nothing -> ["p", "{input_npz}", "{output}"]' in lines
    assert "scores are equal in every job." in done.stdout


def test_jobs_come_by_dose_view_and_split_and_those_of_one_alone_are_counted(tmp_path: Path):
    first, second = study_in(tmp_path / "first"), study_in(tmp_path / "second", worse_by=1.1)
    said = json.loads(compared(first, second, "--json").stdout)["compared"][0]["scores"]
    assert list(dict.fromkeys(score["case"] for score in said)) == [case.name for case in CASES]
    for case in CASES[1:]:
        shutil.rmtree(layout_in(second).recon_dir(case))
    done = compared(first, second)
    assert f"and {len(CASES) - 4} more jobs (only in first)" in done.stdout
    assert len(done.stdout.splitlines()) < 20


def test_last_bits_are_no_difference_and_units_are_said(tmp_path: Path):
    first = study_in(tmp_path / "first")
    done = compared(first, study_in(tmp_path / "bits", worse_by=1 + 1e-7))
    assert "worse" not in done.stdout
    assert "equal in every job" in done.stdout
    changed = layout_in(study_in(tmp_path / "nm")).recon_dir(CASES[0]) / SCORES
    scores = json.loads(changed.read_text("utf-8"))
    scores["metrics"]["frc_halfbit_period_nm"] = 12.5
    changed.write_text(json.dumps(scores), "utf-8")
    assert "Resolution, FRC ½-bit nm" in compared(first, tmp_path / "nm").stdout


def test_what_a_program_that_failed_left_is_no_job(tmp_path: Path):
    first, second = study_in(tmp_path / "first"), study_in(tmp_path / "second")
    left = layout_in(second).recon_dir(CASES[0]) / "scratch/run"
    left.mkdir(parents=True)
    (left / "run.json").write_text("not ours")
    assert compared(first, second).returncode == 0


def study_of(folder: Path, scores: dict[str, tuple[float, str]]) -> Path:
    """Write a study whose jobs have one score: a value, and on which side of it the true one is."""
    for name, (value, side) in scores.items():
        job = folder / "reports" / name
        job.mkdir(parents=True)
        key = "frc_halfbit_period_nm"
        record = {
            "case": {"name": name},
            "metrics": {key: value},
            "bounds": [key] if side else [],
            "unresolved": [key] if side == "worse" else [],
        }
        (job / SCORES).write_text(json.dumps(record), "utf-8")
    return folder


def drawn(folder: Path, **cells: Sequence[float]) -> Path:
    """Write a study of some draws of each cell."""
    jobs = {
        name if draw == 1 else f"{name}@{draw}": (value, "")
        for name, values in cells.items()
        for draw, value in enumerate(values, 1)
    }
    return study_of(folder, jobs)


def said_of(*studies: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(compared(*studies, "--json").stdout)["compared"][0]
    return found


def test_several_draws_are_paired_and_told_from_the_noise(tmp_path: Path):
    first = drawn(tmp_path / "first", a=(20, 24, 28), b=(20, 24, 28), c=(20, 24), d=(5,))
    second = drawn(tmp_path / "second", a=(18, 22, 25.5), b=(19, 25, 27.5), c=(20, 24), d=(4,))
    draws = {cell["case"]: cell for cell in said_of(first, second)["draws"]}
    verdicts = {name: cell["verdict"] for name, cell in draws.items()}
    assert verdicts == {"a": "better", "b": "within the spread", "c": "equal"}
    assert draws["a"]["old"] == {"mean": 24.0, "sd": 4.0, "n": 3}
    difference = draws["a"]["difference"]
    assert difference["mean"] == pytest.approx(-6.5 / 3)
    reach = 4.302653 * 0.2886751 / 3**0.5  # Student's t for two degrees of freedom
    assert difference["high"] == pytest.approx(-6.5 / 3 + reach, rel=1e-5)
    done = compared(first, second, "--html", tmp_path / "page.html")
    lines = [" ".join(line.split()) for line in done.stdout.splitlines()]
    metric = "Resolution, FRC ½-bit nm"
    assert f"a {metric} 24 ± 4 21.83 ± 3.8 -2.167 -2.884 to -1.45 3 better" in lines
    assert f"d {metric} 5 4 -1 better" in lines
    assert not any(line.startswith(("a@2", "c")) for line in lines)
    said = "over the draws better in 1, within the spread in 1, equal in 1 of 3 cells."
    assert said in done.stdout
    page = (tmp_path / "page.html").read_text("utf-8")
    assert ">24.0 ± 4.0</td>" in page
    assert "is not known here" not in page


def test_draw_that_one_study_lacks_is_left_out(tmp_path: Path):
    first = drawn(tmp_path / "first", a=(20, 24, 28))
    second = drawn(tmp_path / "second", a=(10, 99, 18))
    shutil.rmtree(second / "reports/a@2")
    (cell,) = said_of(first, second)["draws"]
    assert (cell["difference"]["mean"], cell["difference"]["n"]) == (-10.0, 2)
    shutil.rmtree(second / "reports/a@3")
    assert said_of(first, second)["draws"] == []


def test_draws_of_which_one_has_only_a_limit_stay_jobs(tmp_path: Path):
    """Left out, it would leave a mean of those draws that went well."""
    known = {"a": (20, ""), "a@2": (24, "")}
    first = study_of(tmp_path / "first", {**known, "a@3": (28, "")})
    for side in ("worse", "better"):
        second = study_of(tmp_path / side, {**known, "a@3": (40, side)})
        assert said_of(first, second)["draws"] == []
    printed = " ".join(compared(first, tmp_path / "worse").stdout.split())
    assert "a@3 Resolution, FRC ½-bit nm 28 none - worse" in printed


def test_limits_say_what_became_better_or_nothing(tmp_path: Path):
    table = [
        ((20, ""), (20, ""), "equal"),
        ((20, "worse"), (15, ""), "better"),
        ((15, ""), (20, "worse"), "worse"),
        ((20, "worse"), (25, "worse"), "not known"),
        ((20, "worse"), (20, "worse"), "equal"),
        ((20, "better"), (25, ""), "worse"),
        ((20, "better"), (15, ""), "not known"),
        ((15, ""), (20, "better"), "not known"),
        ((25, ""), (20, "better"), "better"),
        ((20, "worse"), (15, "better"), "better"),
        ((20, "better"), (15, "better"), "not known"),
    ]
    names = [f"{number:02}" for number in range(len(table))]
    first, second = (
        study_of(tmp_path / side, {n: row[at] for n, row in zip(names, table, strict=True)})
        for at, side in enumerate(("first", "second"))
    )
    scores = said_of(first, second)["scores"]
    assert len(scores) == len(table)
    for score, (old, new, verdict) in zip(scores, table, strict=True):
        assert (score["verdict"], old, new) == (verdict, old, new)
        assert (score["old_bound"], score["new_bound"]) == (old[1] or None, new[1] or None)
        assert (score["difference"] is None) == bool(old[1] or new[1])
    printed = " ".join(compared(first, second).stdout.split())
    assert "½-bit nm none 15 - better" in printed
    assert "½-bit nm <= 20 25 - worse" in printed


def test_a_closer_fit_is_not_called_better(tmp_path: Path):
    first, second = study_in(tmp_path / "first"), study_in(tmp_path / "second")
    for case in CASES:
        path = layout_in(second).recon_dir(case) / SCORES
        scores = json.loads(path.read_text("utf-8"))
        scores["metrics"] |= {"chi2": 0.9, "r_factor": scores["metrics"]["r_factor"] / 2}
        path.write_text(json.dumps(scores), "utf-8")
    said = {score["metric"]: score["verdict"] for score in said_of(first, second)["scores"]}
    assert (said["chi2"], said["r_factor"]) == ("differs", "differs")
    assert f"Fit χ²: differs in {len(CASES)} of {len(CASES)} jobs" in compared(first, second).stdout
