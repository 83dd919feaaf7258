"""The comparison as one HTML page that asks the network for nothing."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from fly64tasks.report.spread import Spread
from fly64tasks.report.studies.differences import Differences
from fly64tasks.report.studies.readings import KNOWN, Cell, Reading, Score
from fly64tasks.report.template import filled_in
from fly64tasks.report.wording import (
    NONE,
    UNRESOLVED,
    score_text,
    signed_score_text,
)
from fly64tasks.score.metric import Metric


def render(compared: Sequence[Differences]) -> str:
    """Return the page: settings and scores that differ, a section for each pair of studies."""
    return filled_in(
        "studies.html.j2",
        first=compared[0].old,
        pairs=[
            {
                "anchor": f"study-{index}",
                "name": pair.new.name,
                "settings": pair.settings,
                "words": pair.words,
                "draws": max((cell.difference.n for cell in pair.cells), default=1),
                "cells": [_cell(cell) for cell in pair.cells if cell.verdict != "equal"],
                "rows": [_row(score) for score in pair.changed],
                "equal": len(pair.scores) - len(pair.changed),
                "only_in_one": pair.alone_in_words,
            }
            for index, pair in enumerate(compared, 1)
        ],
    )


def _row(score: Score) -> dict[str, Any]:
    metric, difference = score.metric, score.difference
    values = (score.old and score.old.value, score.new and score.new.value, difference)
    return {
        "job": score.job,
        "metric": metric,
        "order": list(KNOWN).index(metric.key),
        "old": _text(metric, score.old),
        "new": _text(metric, score.new),
        "difference": NONE if difference is None else signed_score_text(metric, difference),
        "sort": ["" if value is None else value for value in values],
        "verdict": score.verdict,
    }


def _text(metric: Metric, reading: Reading | None) -> str:
    if reading is None:
        return NONE
    if reading.side == "worse":
        return UNRESOLVED
    return score_text(metric, reading.value, is_bound=bool(reading.side))


def _cell(cell: Cell) -> dict[str, Any]:
    metric, found = cell.metric, cell.difference
    ends = [signed_score_text(metric, end) for end in (found.low, found.high) if end is not None]
    return {
        "name": cell.name,
        "metric": metric,
        "order": list(KNOWN).index(metric.key),
        "old": _spread(metric, cell.old),
        "new": _spread(metric, cell.new),
        "difference": signed_score_text(metric, found.mean),
        "interval": " to ".join(ends),
        "n": found.n,
        "sort": [cell.old.mean, cell.new.mean, found.mean],
        "verdict": cell.verdict,
    }


def _spread(metric: Metric, spread: Spread) -> str:
    return f"{score_text(metric, spread.mean)} ± {score_text(metric, spread.sd)}"
