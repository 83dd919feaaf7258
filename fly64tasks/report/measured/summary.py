"""The scores of measured scans as files to go on with: a tidy CSV, and a short Markdown."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence

from fly64tasks.report.files import MARKDOWN_MARK, MEASURED_CSV_COLUMNS
from fly64tasks.report.measured.findings import headline
from fly64tasks.report.measured.scans import ScanJob, metrics_of
from fly64tasks.report.page_facts import frames_text
from fly64tasks.report.summary import as_text, light_of, note_of, number, plain, side_of
from fly64tasks.report.wording import with_unit
from fly64tasks.study.measured import MeasuredStudy


def csv_text(study: MeasuredStudy, jobs: Sequence[ScanJob]) -> str:
    """Return one row per scan and score, with the header `MEASURED_CSV_COLUMNS`.

    An absent value is empty. Text is as `fly64tasks.report.summary.csv_text` has it.
    """
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(MEASURED_CSV_COLUMNS)
    for job in jobs:
        of_scan = [number(job.run.seconds if job.run else None), *light_of(job)]
        for metric in metrics_of(study):
            value = job.limit(metric) if job.is_unresolved(metric) else job.value(metric)
            shown = "" if value is None else repr(float(value))
            bound = "true" if job.is_bound(metric) else "false"
            notes = (as_text(note_of(job, metric)), side_of(job, metric))
            head = [as_text(job.scan), metric.key, shown, metric.unit, bound, *notes]
            writer.writerow([*head, *of_scan])
    return buffer.getvalue()


def markdown_text(study: MeasuredStudy, jobs: Sequence[ScanJob]) -> str:
    """Return the summary's sentences, a table of the scans and what is missing."""
    metrics = metrics_of(study)
    lines = [
        f"| scan | frames | {' | '.join(metric.label for metric in metrics)} |",
        f"|---|---:|{'---:|' * len(metrics)}",
    ]
    for job in jobs:
        cells = [with_unit(job.text(metric), job.unit(metric)) for metric in metrics]
        lines.append(f"| {plain(job.scan)} | {frames_text(job)} | {' | '.join(cells)} |")
    parts = [MARKDOWN_MARK, f"# {plain(study.name)}", plain(" ".join(headline(jobs)))]
    parts.append("\n".join(lines))
    for heading, found in (
        ("Not scored", [(job, job.why) for job in jobs if job.why]),
        ("Warnings", [(job, text) for job in jobs for text in job.warnings]),
    ):
        if found:
            items = [f"- {plain(job.scan)}: {plain(text)}" for job, text in found]
            parts += [f"## {heading}", "\n".join(items)]
    return "\n\n".join(parts) + "\n"
