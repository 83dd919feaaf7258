"""What one job left: its scores as values and texts, and what is to be known of them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from fly64tasks.report.records import Fit, Frc, Run, Scores
from fly64tasks.report.wording import UNRESOLVED, score_text, unit_text
from fly64tasks.score import scorecard
from fly64tasks.score.files import SCORES
from fly64tasks.score.metric import Metric

NRMSE = scorecard.metric("complex_nrmse")

State = Literal["scored", "not scored", "failed", "left out", "no dataset", "not run"]


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What a job left; ``why`` says in words what is missing, empty when scored."""

    folder: Path
    state: State
    why: str = ""
    scores: Scores | None = None
    run: Run | None = None
    losses: tuple[float, ...] = ()
    frc: Frc | None = None
    log_tail: str = ""
    comparison: Path | None = None
    thumbnail: Path | None = None
    truth: Path | None = None
    panels: Path | None = None
    files: tuple[str, ...] = ()

    def value(self, metric: Metric) -> float | None:
        """Return a score, None where there is none: a limit that it is worse than is none."""
        return None if self.is_unresolved(metric) else self._written(metric)

    def limit(self, metric: Metric) -> float | None:
        """Return the value that an unresolved score is worse than, None for any other."""
        return self._written(metric) if self.is_unresolved(metric) else None

    def _written(self, metric: Metric) -> float | None:
        return self.scores.metrics.get(metric.key) if self.scores else None

    def is_bound(self, metric: Metric) -> bool:
        """Return whether the score, or its limit, only bounds the true value."""
        return self.scores is not None and metric.key in self.scores.bounds

    def is_unresolved(self, metric: Metric) -> bool:
        """Return whether there is no score, because the true one is worse than could be seen."""
        return self.scores is not None and metric.key in self.scores.unresolved

    def text(self, metric: Metric) -> str:
        """Return the score as tables show it, without its unit: `UNRESOLVED` for a mere limit."""
        if self.is_unresolved(metric):
            return UNRESOLVED
        return score_text(metric, self.value(metric), is_bound=self.is_bound(metric))

    def unit(self, metric: Metric) -> str:
        """Return the unit of a score, which says where it is of an assumed pixel size."""
        return unit_text(metric, assumed=self.geometry_assumed)

    def note(self, metric: Metric) -> str:
        """Return why a score is absent, or what is to be known of it."""
        if self.scores is None:
            return self.why
        noted = self.scores.notes.get(metric.key)
        if noted is None and self.value(metric) is None:
            truth = self.scores.truth
            absent = metric.needs_truth and not truth.comparable
            return (absent and truth.reason) or f"{SCORES} does not have it"
        return noted or ""

    @property
    def fit(self) -> Fit | None:
        """Return how well it fits its counts, None where nothing says so."""
        return self.scores.fit if self.scores else self.run.fit if self.run else None

    @property
    def does_not_fit(self) -> bool:
        """Return whether the fit says that the answer is wrong."""
        return self.fit is not None and self.fit.fits is False

    @property
    def warnings(self) -> tuple[str, ...]:
        """Return what is to be doubted of its set and its reconstruction."""
        return self.run.warnings if self.run else ()

    @property
    def flat_error(self) -> float | None:
        """Return the complex NRMSE of an object of ones, None where there is no truth."""
        flat = self.scores.flat_object if self.scores else None
        return flat.complex_nrmse if flat else None

    @property
    def is_worse_than_flat(self) -> bool:
        """Return whether an object of ones is nearer to the truth."""
        error, flat = self.value(NRMSE), self.flat_error
        return error is not None and flat is not None and scorecard.is_worse(error, flat)

    @property
    def truth_seeded(self) -> bool:
        """Return whether the reconstruction started from the truth."""
        if self.scores is not None:
            return self.scores.truth.seeded
        return bool(self.run and self.run.start.get("truth_seeded"))

    @property
    def geometry_assumed(self) -> bool:
        """Return whether pixel size and energy were assumed and not measured."""
        return bool(self.geometry.get("assumed"))

    @property
    def pixel_size_m(self) -> float | None:
        """Return the pixel size of the object, None where it is not known."""
        size = self.geometry.get("pixel_size_m")
        return size if isinstance(size, int | float) and 1e-15 < size < 1 else None

    @property
    def geometry(self) -> dict[str, Any]:
        """Return the geometry of the job's set, empty where it is not known."""
        found = self.scores.set if self.scores else self.run.set if self.run else {}
        geometry = found.get("geometry")
        return geometry if isinstance(geometry, dict) else {}
