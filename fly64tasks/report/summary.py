"""The scores as files to go on with: a tidy CSV, and a short Markdown to paste."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Sequence

from fly64tasks.report.draws import draws_of
from fly64tasks.report.exposure import exposure_of
from fly64tasks.report.files import CSV_COLUMNS, MARKDOWN_MARK
from fly64tasks.report.findings import RESOLUTION, headline
from fly64tasks.report.outcome import Outcome
from fly64tasks.report.results import Job, main_metric
from fly64tasks.report.wording import ASSUMED, dose_text
from fly64tasks.score.metric import Metric
from fly64tasks.score.scorecard import METRICS
from fly64tasks.study.cases import SPLITS
from fly64tasks.study.study import Study

_RUN_BY_SPREADSHEETS = re.compile(r"\s*[=+\-@＝＋－＠]|[\t\r\n]")
"""How a cell begins that a spreadsheet takes for a formula; the last four are full-width."""


def csv_text(jobs: Sequence[Job]) -> str:
    """Return one row per job and metric, with the header `CSV_COLUMNS`.

    An absent value is empty, and the note says why it is. Text that a spreadsheet would take for a
    formula begins with an apostrophe.
    """
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(CSV_COLUMNS)
    for job in jobs:
        case, run, light = job.case, job.run, light_of(job)
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
                    case.method,
                    case.repeat,
                    number(run.spec.get("seed") if run else None),
                    number(run.seconds if run else None),
                    *light,
                ]
            )
    return buffer.getvalue()


def light_of(job: Outcome) -> list[str]:
    """Return the light that a job's set got and its overlap, as columns; empty if not known."""
    light = exposure_of(job)
    overlaps = (light.spacing_diameters, light.linear_overlap, light.disc_overlap)
    return [
        number(value)
        for value in (light.photons_total, light.photons_per_nm2, light.frames, *overlaps)
    ]


def number(value: object) -> str:
    """Return a number as it is, nothing for what is none."""
    return repr(value) if isinstance(value, int | float) else ""


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
    for metric in (metric for metric in (main_metric(jobs), RESOLUTION) if _any_has(jobs, metric)):
        parts += _tables(jobs, metric)
    missing = [f"- {job.case.name}: {job.state}: {plain(job.why)}" for job in jobs if job.why]
    if missing:
        parts += ["## Not scored", "\n".join(missing)]
    if any(job.geometry_assumed for job in jobs):
        parts.append("Pixel size and photon energy are assumed, not measured.")
    seeded = [job.case.name for job in jobs if job.truth_seeded]
    if seeded:
        parts.append(f"Started from the truth (truth-seeded): {', '.join(seeded)}.")
    return "\n\n".join(parts) + "\n"


def _tables(jobs: Sequence[Job], metric: Metric) -> list[str]:
    """Return a heading, and for each method a row per dose and split and a column per view."""
    views = list(dict.fromkeys(job.case.view for job in jobs))
    cells = {
        (case.method, case.dose, case.split, case.view): draws
        for draws in draws_of(jobs)
        if (case := draws.case)
    }
    unit = f" ({metric.unit})" if metric.unit else ""
    if metric.is_length and any(job.geometry_assumed for job in jobs):
        unit += f" {ASSUMED}"
    parts = [f"## {metric.label}{unit}"]
    draws = len({job.case.repeat for job in jobs})
    if draws > 1:
        parts.append(f"Mean ± standard deviation of {draws} draws of the noise.")
    methods = dict.fromkeys(job.case.method for job in jobs)
    for method in methods:
        if len(methods) > 1:
            parts.append(f"### {method}")
        lines = [f"| dose | split | {' | '.join(views)} |", f"|---|---|{'---:|' * len(views)}"]
        for dose in dict.fromkeys(job.case.dose for job in jobs):
            for split in SPLITS:
                texts = (cells[method, dose, split, view].text(metric) for view in views)
                lines.append(f"| {dose_text(dose)} | {split} | {' | '.join(texts)} |")
        parts.append("\n".join(lines))
    return parts


def _any_has(jobs: Sequence[Job], metric: Metric) -> bool:
    return any(job.value(metric) is not None or job.is_unresolved(metric) for job in jobs)


def plain(text: str) -> str:
    """Return text on one line that Markdown and the HTML within it leave as it is."""
    return re.sub(r"([\\`*_\[\]<>|#&])", r"\\\1", " ".join(text.split()))
