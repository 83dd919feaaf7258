"""The comparison as it is printed: tables for a reader, CSV, and JSON."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import asdict, astuple
from typing import Any

from fly64tasks.data.ownership import WRITER
from fly64tasks.doitext.errors import printable
from fly64tasks.report.studies.differences import Differences
from fly64tasks.report.studies.readings import Reading, first_draw
from fly64tasks.report.summary import as_text
from fly64tasks.report.wording import UNRESOLVED
from fly64tasks.score.metric import Metric

MAIN_METRICS = ("complex_nrmse", "frc_halfbit_period_nm", "chi2", "halves_frc_halfbit_period_nm")
CSV_COLUMNS = (
    *("study", "against", "case", "metric", "unit", "old", "new", "difference", "verdict"),
    *("old_bound", "new_bound"),
)


def text_of(compared: Sequence[Differences]) -> str:
    """Return the tables that are printed: settings, the main scores that differ, and a summary."""
    lines = []
    for pair in compared:
        lines += [f"{printable(pair.new.name)} against {printable(pair.old.name)}", ""]
        lines += [*_settings(pair), "", *_of_draws(pair), *_of_jobs(pair)]
        lines += [f"  {sentence}" for sentence in pair.words or ["No score stands in both."]]
        lines += [f"  {printable(job)}" for job in pair.alone_in_words] + [""]
    return "\n".join(lines)


def _of_draws(pair: Differences) -> list[str]:
    """Return a line for each main score of a cell that differs over its draws of the noise."""
    rows = [
        (
            printable(cell.name),
            _label(cell.metric),
            *(f"{mean:.4g} ± {sd:.2g}" for mean, sd, _ in map(astuple, (cell.old, cell.new))),
            f"{cell.difference.mean:+.4g}",
            f"{cell.difference.low:+.4g} to {cell.difference.high:+.4g}",
            str(cell.difference.n),
            cell.verdict,
        )
        for cell in pair.cells
        if cell.metric.key in MAIN_METRICS and cell.verdict != "equal"
    ]
    head = ("over draws", "", "old", "new", "difference", "95 % interval", "draws", "")
    return _table(head, rows, left=(0, 1, 7))


def _of_jobs(pair: Differences) -> list[str]:
    """Return a line for each main score of a job that differs and is in no line of draws."""
    over_draws = {(cell.name, cell.metric.key) for cell in pair.cells}
    rows = [
        (
            printable(score.job),
            _label(score.metric),
            _reading(score.metric, score.old),
            _reading(score.metric, score.new),
            "-" if score.difference is None else f"{score.difference:+.4g}",
            score.verdict,
        )
        for score in pair.changed
        if score.metric.key in MAIN_METRICS
        and (first_draw(score.job), score.metric.key) not in over_draws
    ]
    return _table(("job", "", "old", "new", "difference", ""), rows, left=(0, 1, 5))


def _table(
    head: tuple[str, ...], rows: Sequence[tuple[str, ...]], left: Sequence[int]
) -> list[str]:
    """Return rows below a head, columns aligned, and an empty line; nothing of no row."""
    if not rows:
        return []
    widths = [max(map(len, column)) for column in zip(head, *rows, strict=True)]
    lines = [
        "  ".join(
            f"{text:<{width}}" if column in left else f"{text:>{width}}"
            for column, (text, width) in enumerate(zip(row, widths, strict=True))
        )
        for row in (head, *rows)
    ]
    return [*(f"  {line.rstrip()}" for line in lines), ""]


def _label(metric: Metric) -> str:
    return f"{metric.label} {metric.unit}".rstrip()


def _reading(metric: Metric, reading: Reading | None) -> str:
    if reading is None or reading.side == "worse":
        return "-" if reading is None else UNRESOLVED
    limit = reading.side and (">= " if metric.better == "higher" else "<= ")
    return f"{limit}{reading.value:.4g}"


def _settings(pair: Differences) -> list[str]:
    if not pair.settings:
        return ["  No setting differs."]
    width = max(len(setting.key) for setting in pair.settings)
    n = sum(job in pair.new.jobs for job in pair.old.jobs)
    return [
        f"  {printable(setting.key):<{width}}  {printable(setting.text)}"
        + (f"  ({len(setting.jobs)} of {n} jobs)" if 0 < len(setting.jobs) < n else "")
        for setting in pair.settings
    ]


def csv_text(compared: Sequence[Differences]) -> str:
    """Return one row per pair of studies, job and metric, with the header `CSV_COLUMNS`."""
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(CSV_COLUMNS)
    for pair in compared:
        for score in pair.scores:
            readings = (score.old, score.new)
            numbers = (*(reading and reading.value for reading in readings), score.difference)
            writer.writerow(
                [
                    *(as_text(name) for name in (pair.new.name, pair.old.name, score.job)),
                    score.metric.key,
                    score.metric.unit,
                    *("" if value is None else repr(float(value)) for value in numbers),
                    score.verdict,
                    *("" if reading is None else reading.side for reading in readings),
                ]
            )
    return buffer.getvalue()


def as_json(compared: Sequence[Differences]) -> dict[str, Any]:
    """Return everything as JSON-ready records."""
    return {
        "writer": WRITER,
        "schema": 1,
        "compared": [
            {
                "old": str(pair.old.folder),
                "new": str(pair.new.folder),
                "settings": [
                    {"key": each.key, "old": each.old, "new": each.new, "jobs": list(each.jobs)}
                    for each in pair.settings
                ],
                "scores": [
                    {
                        "case": score.job,
                        "metric": score.metric.key,
                        "old": score.old and score.old.value,
                        "new": score.new and score.new.value,
                        "difference": score.difference,
                        "verdict": score.verdict,
                        "old_bound": (score.old and score.old.side) or None,
                        "new_bound": (score.new and score.new.side) or None,
                    }
                    for score in pair.scores
                ],
                "draws": [
                    {
                        "case": cell.name,
                        "metric": cell.metric.key,
                        "old": asdict(cell.old),
                        "new": asdict(cell.new),
                        "difference": asdict(cell.difference),
                        "verdict": cell.verdict,
                    }
                    for cell in pair.cells
                ],
                "only_in_one": pair.only_in_one,
            }
            for pair in compared
        ],
    }
