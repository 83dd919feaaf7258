"""The scores as files to go on with: a tidy CSV, and a short Markdown to paste."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Sequence

from fly64tasks.report.files import CSV_COLUMNS, MARKDOWN_MARK, VARIANT_CSV_COLUMNS
from fly64tasks.report.findings import RESOLUTION, headline
from fly64tasks.report.results import Job, Outcome, main_metric
from fly64tasks.report.wording import ASSUMED, dose_text
from fly64tasks.score.scorecard import METRICS, Metric
from fly64tasks.study.cases import SPLITS
from fly64tasks.study.study import Study

_RUN_BY_SPREADSHEETS = re.compile(r"\s*[=+\-@＝＋－＠]|[\t\r\n]")
"""How a cell begins that a spreadsheet takes for a formula; the last four are full-width."""


def csv_text(jobs: Sequence[Job]) -> str:
    """Return one row per job and metric, with the header `CSV_COLUMNS`.

    Where a job is of another method or draw than the first, `VARIANT_CSV_COLUMNS` follow.
    An absent value is empty, and the note says why it is. Text that a spreadsheet would take for a
    formula begins with an apostrophe.
    """
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    variants = VARIANT_CSV_COLUMNS if any(job.case.variant for job in jobs) else ()
    writer.writerow([*CSV_COLUMNS, *variants])
    for job in jobs:
        case = job.case
        for metric in METRICS:
            value = job.limit(metric) if job.is_unresolved(metric) else job.value(metric)
            writer.writerow(
                [
                    as_text(case.name),
                    f"{case.dose:.0f}",
                    as_text(case.view),
                    case.split,
                    case.gridsize,
                    metric.key,
                    "" if value is None else repr(float(value)),
                    metric.unit,
                    "true" if job.is_bound(metric) else "false",
                    as_text(note_of(job, metric)),
                    side_of(job, metric),
                    *(getattr(case, key) for key in variants),
                ]
            )
    return buffer.getvalue()


def as_text(text: str) -> str:
    """Return text with an apostrophe before it where a spreadsheet would take it for a formula."""
    return f"'{text}" if _RUN_BY_SPREADSHEETS.match(text) else text


def note_of(job: Outcome, metric: Metric) -> str:
    """Return what is to be known of a score, of which column ``unit`` has the plain unit."""
    notes = [job.note(metric)]
    if metric.is_length and job.geometry_assumed and job.value(metric) is not None:
        notes.append("the pixel size is assumed")
    return "; ".join(filter(None, notes))


def side_of(job: Outcome, metric: Metric) -> str:
    """Return where the true score lies from one that is a bound."""
    if not job.is_bound(metric):
        return ""
    return "worse" if job.is_unresolved(metric) else "better"


def markdown_text(study: Study, jobs: Sequence[Job]) -> str:
    """Return the summary's sentences, a table of the main scores and what is missing."""
    parts = [MARKDOWN_MARK, f"# {plain(study.name)}", " ".join(headline(jobs))]
    shown = [metric for metric in (main_metric(jobs), RESOLUTION) if _any_has(jobs, metric)]
    parts += [_table(jobs, metric) for metric in shown]
    missing = [f"- {job.case.name}: {job.state}: {plain(job.why)}" for job in jobs if job.why]
    if missing:
        parts += ["## Not scored", "\n".join(missing)]
    if any(job.geometry_assumed for job in jobs):
        parts.append("Pixel size and photon energy are assumed, not measured.")
    seeded = [job.case.name for job in jobs if job.truth_seeded]
    if seeded:
        parts.append(f"Started from the truth (truth-seeded): {', '.join(seeded)}.")
    return "\n\n".join(parts) + "\n"


def _table(jobs: Sequence[Job], metric: Metric) -> str:
    """Return a row per dose and split, a column per view."""
    views = list(dict.fromkeys(job.case.view for job in jobs))
    found = {(job.case.dose, job.case.split, job.case.view): job for job in jobs}
    unit = f" ({metric.unit})" if metric.unit else ""
    if metric.is_length and any(job.geometry_assumed for job in jobs):
        unit += f" {ASSUMED}"
    lines = [
        f"## {metric.label}{unit}",
        "",
        f"| dose | split | {' | '.join(views)} |",
        f"|---|---|{'---:|' * len(views)}",
    ]
    for dose in dict.fromkeys(job.case.dose for job in jobs):
        for split in SPLITS:
            row = [found[dose, split, view] for view in views]
            texts = (job.text(metric) for job in row)
            lines.append(f"| {dose_text(dose)} | {split} | {' | '.join(texts)} |")
    return "\n".join(lines)


def _any_has(jobs: Sequence[Job], metric: Metric) -> bool:
    return any(job.value(metric) is not None or job.is_unresolved(metric) for job in jobs)


def plain(text: str) -> str:
    """Return text on one line that Markdown and the HTML within it leave as it is."""
    return re.sub(r"([\\`*_\[\]<>|#&])", r"\\\1", " ".join(text.split()))
