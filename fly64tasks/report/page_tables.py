"""The page's tables of more than one job: the matrix, methods against main, exposures."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from fly64tasks.report import exposure
from fly64tasks.report.draws import Compared, Draws, compared_with_main, draws_of
from fly64tasks.report.page_job import THUMBNAIL_PX, anchor
from fly64tasks.report.pictures import Album
from fly64tasks.report.results import Job
from fly64tasks.report.spread import Difference
from fly64tasks.report.tiles import Column
from fly64tasks.report.wording import (
    ASSUMED,
    NONE,
    dose_text,
    quantity_text,
    score_text,
    signed_score_text,
    signed_text,
)
from fly64tasks.score.metric import Metric

FILTERS = {"dose": "Dose", "view": "View", "split": "Split", "method": "Method", "repeat": "Draw"}
"""The fields of a case that a reader can choose by, with their labels."""


def column_of(column: Column, album: Album) -> dict[str, Any]:
    """Return what the template shows of a view and split: truth, scan, colours, lengths."""
    scans = {exposure.exposure_of(job).scan_text for job in column.jobs if job.scores}
    scale = column.picture
    return {
        "view": column.view,
        "split": column.split,
        "truth": album.on_screen(column.truth, THUMBNAIL_PX),
        "aspect": f"{1 / column.aspect:.3f}",
        "scan": scans.pop().split("\n") if len(scans) == 1 else [],
        "gradient": column.gradient,
        "ends": [signed_text(end, 2) for end in (scale.low, scale.high)] if scale else None,
        "bar": column.scale_bar and (column.scale_bar[0], _length(column)),
    }


def _length(column: Column) -> str:
    """Return the length of a column's scale bar, which says where it is an assumed one."""
    text = column.scale_bar[1] if column.scale_bar else ""
    return f"{text} {ASSUMED}" if any(job.geometry_assumed for job in column.jobs) else text


def matrix(jobs: Sequence[Job], metric: Metric) -> list[dict[str, Any]]:
    """Return the dose x view matrix: a row for each dose and method, its cells a list per view.

    A cell's tiles have the index of the job that they show, that of the first draw; of several
    draws the text of their score, and whether it is the best.
    """
    every = draws_of(jobs)
    index = {job.case: place for place, job in enumerate(jobs)}
    means = [found.mean for draws in every if (found := draws.spread(metric))]
    best = min(means, key=metric.badness) if len(means) > 1 and metric.needs_truth else None
    rows: dict[tuple[float, str], dict[str, list[dict[str, Any]]]] = {}
    doses = sorted({draws.case.dose for draws in every})
    for draws in sorted(every, key=lambda draws: doses.index(draws.case.dose)):
        case, found = draws.case, draws.spread(metric)
        tile = {
            "index": index[case],
            "text": draws.text(metric) if found and len(draws.jobs) > 1 else None,
            "best": found is not None and found.mean == best,
            "draws": found.n if found else 0,
        }
        rows.setdefault((case.dose, case.method), {}).setdefault(case.view, []).append(tile)
    return [
        {"dose": dose_text(dose), "value": dose, "method": method, "cells": list(cells.values())}
        for (dose, method), cells in rows.items()
    ]


def against_main(jobs: Sequence[Job], metrics: Sequence[Metric]) -> list[dict[str, Any]]:
    """Return a table for each score that some method can be held against main by."""
    tables = []
    for metric in metrics:
        compared = compared_with_main(jobs, metric)
        if any(each.difference for each in compared):
            tables.append({"metric": metric, "rows": [_paired(each) for each in compared]})
    return tables


def _paired(each: Compared) -> dict[str, Any]:
    """Return a row: both means, their difference, its interval, and what that says."""
    metric, found = each.metric, each.difference
    row = {
        "case": each.draws.case,
        "dose": dose_text(each.draws.case.dose),
        "anchor": anchor(each.draws.case),
        "main": _mean(each.main, metric),
        "own": _mean(each.draws, metric),
        "verdict": each.verdict,
    }
    if found is None:
        return row | {"n": 0, "difference": NONE, "sort": "", "interval": NONE, "p": NONE}
    difference = signed_score_text(metric, found.mean)
    if found.sd is not None and not found.is_none:
        difference += f" ± {score_text(metric, found.sd)}"
    return row | {
        "n": found.n,
        "difference": difference,
        "sort": found.mean,
        "interval": _interval(metric, found),
        "p": NONE if found.p is None else quantity_text(found.p),
    }


def _mean(draws: Draws, metric: Metric) -> dict[str, Any]:
    spread = draws.spread(metric)
    return {"text": draws.text(metric), "sort": spread.mean if spread else ""}


def _interval(metric: Metric, found: Difference) -> str:
    if found.low is None or found.high is None or found.is_none:
        return NONE
    return f"{signed_score_text(metric, found.low)} to {signed_score_text(metric, found.high)}"


def exposures(jobs: Sequence[Job]) -> list[dict[str, Any]]:
    """Return the light and overlap of each set: what doses and views can be compared by."""
    rows = []
    for job in jobs:
        light = exposure.exposure_of(job)
        if job.scores is None or light.frames is None:
            continue
        lights = (light.photons_total, light.photons_per_px, light.photons_per_nm2)
        overlaps = (light.spacing_diameters, light.linear_overlap, light.disc_overlap)
        cells = [
            (NONE, "") if value is None else (quantity_text(value), value) for value in lights
        ] + [(NONE, "") if value is None else (f"{value:.2f}", value) for value in overlaps]
        case = job.case
        rows.append({"case": case, "dose": dose_text(case.dose), "cells": cells, "of": light})
    return rows


def filters(jobs: Sequence[Job]) -> list[tuple[str, str, list[tuple[str, str]]]]:
    """Return what a reader can choose by: key, label, values with their texts; none of one."""
    found = []
    for key, label in FILTERS.items():
        values = list(dict.fromkeys(getattr(job.case, key) for job in jobs))
        texts = [dose_text(value) if key == "dose" else str(value) for value in values]
        keys = [f"{value:.0f}" if key == "dose" else str(value) for value in values]
        if len(values) > 1:
            found.append((key, label, list(zip(keys, texts, strict=True))))
    return found
