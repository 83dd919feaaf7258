"""The comparison as one HTML page that asks the network for nothing."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from fly64tasks.report.studies.differences import KNOWN, Differences, Score
from fly64tasks.report.template import filled_in
from fly64tasks.report.wording import score_text


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
                "rows": [_row(score) for score in pair.changed],
                "equal": len(pair.scores) - len(pair.changed),
                "only_in_one": pair.alone_in_words,
            }
            for index, pair in enumerate(compared, 1)
        ],
    )


def _row(score: Score) -> dict[str, Any]:
    return {
        "job": score.job,
        "metric": score.metric,
        "order": list(KNOWN).index(score.metric.key),
        "old": score_text(score.metric, score.old),
        "new": score_text(score.metric, score.new),
        "difference": score_text(score.metric, score.difference),
        "sort": ["" if v is None else v for v in (score.old, score.new, score.difference)],
        "verdict": score.verdict,
    }
