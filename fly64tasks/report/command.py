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
from fly64tasks.report.pictures import Album
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
    with Album(root, len(jobs)) as album:
        contents = page.contents(study, layout, jobs, album, took)
        panels, figures = drawings.panels(jobs), drawings.figures(jobs)
        html = page.render(contents, panels)
    files = {f"{FIGURES}/{name}": content for name, content in figures.items()}
    files[SUMMARY_CSV] = summary.csv_text(jobs).encode()
    files[SUMMARY_MD] = summary.markdown_text(study, jobs).encode()
    files[REPORT] = html.encode()
    for name, content in files.items():
        with replaced(root / name) as temporary:
            temporary.write_bytes(content)
