"""The report on measured scans: the `report` action."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path

from fly64tasks.data.ownership import refuse_foreign
from fly64tasks.doitext.atomic import replaced
from fly64tasks.report.files import (
    FIGURES,
    MEASURED_MARKS,
    REPORT,
    SUMMARY_CSV,
    SUMMARY_MD,
)
from fly64tasks.report.measured import figure, page, summary
from fly64tasks.report.measured.scans import read_scans
from fly64tasks.report.times import Times
from fly64tasks.study.measured import MeasuredLayout, MeasuredStudy


def write_report(
    study: MeasuredStudy,
    layout: MeasuredLayout,
    available: Collection[Path] | None = None,
    without: Mapping[str, str] | None = None,
    took: Times | None = None,
) -> None:
    """Write `MEASURED_MARKS` under the artifact root: always all of them, the page last.

    A scan without scores is listed with the reason. Equal inputs give equal bytes.

    Parameters and errors are those of `fly64tasks.report.command.write_report`.
    """
    root = layout.artifact_root
    for name, mark in MEASURED_MARKS.items():
        refuse_foreign(root / name, mark)
    jobs = read_scans(study, layout, available, without)
    texts = {
        SUMMARY_CSV: summary.csv_text(study, jobs),
        SUMMARY_MD: summary.markdown_text(study, jobs),
        REPORT: page.render(study, layout, jobs, figure.panels(jobs), took),
    }
    figure.write_figures(jobs, root / FIGURES)
    for name, text in texts.items():
        with replaced(root / name) as temporary:
            temporary.write_text(text, "utf-8")
