"""One job as the page shows it: its scores, its pictures, its loss as a line."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from fly64tasks import plotstyle
from fly64tasks.report.outcome import Outcome
from fly64tasks.report.pictures import Album
from fly64tasks.report.wording import ASSUMED, counted, in_sentence, listed, signed_text
from fly64tasks.score.metric import Metric
from fly64tasks.score.scorecard import METRICS
from fly64tasks.study.cases import Case

THUMBNAIL_PX = 240
COMPARISON_PX = 1400
PANELS_PX = 1080
PAPER_PX = 720
"""Of 74 mm: 250 dots an inch."""


@dataclass(frozen=True)
class Cell:
    """A score in a table: its text, its unit, its rank (None last), why it is absent, the best."""

    metric: Metric
    text: str
    unit: str
    sort: float | None
    note: str
    best: bool


def cells_of(
    job: Outcome, best: Mapping[str, float], metrics: Sequence[Metric] = METRICS
) -> list[Cell]:
    """Return a job's scores in the scorecard's order; ``best`` has the best value of each."""
    cells = []
    for metric in metrics:
        value, note = job.value(metric), job.note(metric)
        if job.is_bound(metric) and not note:
            note = "only a bound: the correlation never falls below the threshold"
        is_best = value is not None and value == best.get(metric.key)
        cells.append(Cell(metric, job.text(metric), job.unit(metric), value, note, is_best))
    return cells


def absent_of(jobs: Sequence[Outcome], metrics: Sequence[Metric]) -> dict[Metric, str]:
    """Return the scores that no job has, and why; none where nothing is scored yet."""
    scored = [job for job in jobs if job.scores]
    absent = {}
    for metric in metrics:
        if not any(job.value(metric) is not None or job.is_unresolved(metric) for job in scored):
            absent[metric] = next(filter(None, (job.note(metric) for job in scored)), "")
    return absent if scored else {}


def words_of_absent(absent: Mapping[Metric, str]) -> list[str]:
    """Return a sentence for each reason why scores are absent."""
    by_reason: dict[str, list[str]] = {}
    for metric, reason in absent.items():
        by_reason.setdefault(reason, []).append(in_sentence(metric.label))
    return [
        f"No job has {listed(labels, 'or')}{f': {reason}' if reason else ''}."
        for reason, labels in by_reason.items()
    ]


def best_of(jobs: Sequence[Outcome]) -> dict[str, float]:
    """Return the best value of each score against the truth that at least two jobs have.

    Those of the data alone have none: fewer photons or frames to agree with can lower the R-factor
    and help nobody, and a fit is one or is none.
    """
    best = {}
    for metric in (metric for metric in METRICS if metric.needs_truth):
        values = [value for job in jobs if (value := job.value(metric)) is not None]
        if len(values) > 1:
            best[metric.key] = min(values, key=metric.badness)
    return best


def verdicts(job: Outcome) -> list[str]:
    """Return what a reader must see of a job before its numbers."""
    found = {
        "worse than a flat object": job.is_worse_than_flat,
        "does not fit": job.does_not_fit,
        counted(len(job.warnings), "warning"): bool(job.warnings),
    }
    return [words for words, holds in found.items() if holds]


def sheet_of(job: Outcome, album: Album) -> dict[str, Any] | None:
    """Return amplitudes and phases of a job as the page shows them, None where there are none."""
    panels = job.scores.panels if job.scores else None
    if job.panels is None or panels is None:
        return None
    if panels.has_truth:
        (_, amplitude, amplitude_off), (_, phase, phase_off) = panels.scales
        named = [("Amplitude", amplitude, ""), ("Phase", phase, " rad")]
        named += [
            ("Amplitude, difference", amplitude_off, ""),
            ("Phase, difference", phase_off, " rad"),
        ]
    else:
        amplitude, phase = panels.scales[0]
        named = [("Amplitude", amplitude, ""), ("Phase", phase, " rad")]
    region = job.scores.region if job.scores else None
    source, on_paper = album.on_both(job.panels, PANELS_PX, PAPER_PX)
    return {
        "source": source,
        "on_paper": on_paper,
        "columns": panels.columns,
        "rows": panels.rows,
        "box": region.box_px if region else None,
        "bar": _scale_bar(job, panels.columns),
        "heads": ("Truth", "Reconstruction", "Difference")
        if panels.has_truth
        else ("Amplitude", "Phase"),
        "scales": [
            (name, scale, signed_text(scale.low, 2), signed_text(scale.high, 2) + unit)
            for name, scale, unit in named
        ],
    }


def _scale_bar(job: Outcome, columns: int) -> tuple[float, str] | None:
    """Return the length of a scale bar, as a share of a sheet's width, and in words."""
    region, size_m = job.scores.region if job.scores else None, job.pixel_size_m
    if region is None or size_m is None:
        return None
    width_m = (region.box_px[3] - region.box_px[2]) * size_m
    if not width_m > 0:
        return None
    length_m, text = plotstyle.scale_bar(width_m)
    return length_m / width_m / columns, f"{text} {ASSUMED}" if job.geometry_assumed else text


def anchor(case: Case) -> str:
    """Return the id of a job's section."""
    return f"job-{case.name}"


def title_of(case: Case, *, plain: bool) -> str:
    """Return what a job is called behind its dose and view; methods and draws where there are some.

    >>> from fly64tasks.study.cases import Case
    >>> title_of(Case(1e3, "dense", "train", 2), plain=True)
    'train'
    >>> title_of(Case(1e3, "dense", "train", 2, "epie", 2), plain=False)
    'train, epie, draw 2'
    """
    return case.split if plain else f"{case.split}, {case.method}, draw {case.repeat}"


def spark_points(losses: Sequence[float], width: float = 100, height: float = 28) -> str:
    """Return the loss on a log scale as the points of an SVG polyline, empty where there is none.

    By hand, because a plotting library takes longer and 40 times the bytes for a line without axes.

    >>> spark_points([100.0, 10.0, 1.0])
    '0.0,1.0 50.0,14.0 100.0,27.0'
    """
    logs = [(i, math.log(loss)) for i, loss in enumerate(losses) if 0 < loss < math.inf]
    if len(logs) < 2:
        return ""
    values = [value for _, value in logs]
    low, span = min(values), (max(values) - min(values)) or 1.0
    last = logs[-1][0] - logs[0][0]
    points = (
        ((i - logs[0][0]) / last * width, 1 + (1 - (value - low) / span) * (height - 2))
        for i, value in logs
    )
    return " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
