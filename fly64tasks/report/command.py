"""The report on a study: the `report` action."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path

from fly64tasks.data.ownership import refuse_foreign
from fly64tasks.doitext.atomic import replaced
from fly64tasks.report import page, summary
from fly64tasks.report.baseline import with_overlap
from fly64tasks.report.figures import drawings
from fly64tasks.report.files import FIGURES, MARKS, REPORT, SUMMARY_CSV, SUMMARY_MD
from fly64tasks.report.results import read_jobs
from fly64tasks.report.times import Times
from fly64tasks.study.paths import Layout
from fly64tasks.study.study import Study


def write_report(
    study: Study,
    layout: Layout,
    available: Collection[Path] | None = None,
    without: Mapping[str, str] | None = None,
    took: Times | None = None,
) -> None:
    """Write `layout.REPORT_FILES` under the artifact root: always all of them, the page last.

    A job without scores is listed with the reason. Equal inputs give equal bytes.

    Parameters
    ----------
    available : collection of Path, optional
        The ``scores.json`` files that count, each as ``layout.recon_dir(case) / SCORES``;
        scores elsewhere are taken to be of an earlier run. All that are there, unless given.
    without : mapping of str to str, optional
        Why a task left nothing this time (it failed or was skipped), by its name.
    took : mapping of str to float, optional
        The seconds that each task took, by its name.

    Raises
    ------
    Fly64Error
        A job's file is damaged, or a file that is not ours lies in the way; nothing was written.
    """
    root = layout.artifact_root
    for name, mark in MARKS.items():
        refuse_foreign(root / name, mark)
    jobs = [with_overlap(study, job) for job in read_jobs(study, layout, available, without)]
    html = page.render(study, layout, jobs, drawings.panels(jobs), took)
    drawings.write_figures(jobs, root / FIGURES)
    _write(root / SUMMARY_CSV, summary.csv_text(jobs))
    _write(root / SUMMARY_MD, summary.markdown_text(study, jobs))
    _write(root / REPORT, html)


def _write(path: Path, text: str) -> None:
    with replaced(path) as temporary:
        temporary.write_text(text, "utf-8")
