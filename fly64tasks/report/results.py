"""The jobs of a study as they stand: what each left, or why there is nothing to score."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from fly64tasks.recon.files import LOG, LOSSES, RUN_RECORD, SHOWN
from fly64tasks.report.records import (
    Fit,
    Frc,
    Run,
    Scores,
    log_tail,
    read_frc,
    read_json,
    read_losses,
)
from fly64tasks.report.wording import UNRESOLVED, score_text, unit_text
from fly64tasks.score import scorecard
from fly64tasks.score.files import (
    COMPARISON,
    FRC,
    PANELS,
    SCORE_FILES,
    SCORES,
    THUMBNAIL,
    TRUTH_THUMBNAIL,
)
from fly64tasks.score.metric import Metric
from fly64tasks.score.scorecard import METRICS
from fly64tasks.study.cases import Case
from fly64tasks.study.paths import Layout
from fly64tasks.study.study import Study

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
        return error is not None and flat is not None and error > flat

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


@dataclass(frozen=True, kw_only=True)
class Job(Outcome):
    """One case and what it left."""

    case: Case


def read_jobs(
    study: Study,
    layout: Layout,
    available: Collection[Path] | None = None,
    without: Mapping[str, str] | None = None,
) -> tuple[Job, ...]:
    """Return every job of a study, in the order of its cases.

    Parameters
    ----------
    available : collection of Path, optional
        The ``scores.json`` files that count, as `Layout.recon_dir` gives their folders; scores
        elsewhere are of an earlier run and are left out. All that are there, unless given.
    without : mapping of str to str, optional
        Why a task left nothing this time (it failed or was skipped), by its name.

    Raises
    ------
    Fly64Error
        A file is damaged.
    """
    return tuple(_read_job(case, layout, without or {}, available) for case in study.cases())


def main_metric(jobs: Sequence[Job]) -> Metric:
    """Return the score to show first: of those that some job has, the first of the scorecard."""
    found = (m for m in METRICS if any(job.value(m) is not None for job in jobs))
    return next(found, METRICS[0])


def _read_job(
    case: Case,
    layout: Layout,
    without: Mapping[str, str],
    available: Collection[Path] | None,
) -> Job:
    tasks = (f"recon:{case.name}", f"score:{case.name}")
    left = read_outcome(
        layout.recon_dir(case), tasks, layout.dataset(case), available, without, SCORE_FILES
    )
    return Job(case=case, **left)


def read_outcome(
    folder: Path,
    tasks: Sequence[str],
    dataset: Path,
    available: Collection[Path] | None,
    without: Mapping[str, str],
    of_scores: Sequence[str],
) -> dict[str, Any]:
    """Return the fields of an `Outcome`, by name.

    Parameters
    ----------
    folder : Path
        Of the job's results.
    tasks : sequence of str
        The names of those that its scores come from, the first one first.
    dataset : Path
        What was reconstructed.
    available, without
        As `read_jobs` has them.
    of_scores : sequence of str
        The files that scoring writes and the report links to.

    Raises
    ------
    Fly64Error
        A file is damaged.
    """
    run = read_json(folder / RUN_RECORD, Run)
    path = folder / SCORES
    counts = available is None or path in available
    scores = read_json(path, Scores) if counts else None
    stale = scores is None and path.exists()
    state, why = _state(tasks, dataset, run, scores, without)
    if stale and state == "not scored":
        why = "reconstructed; its scores are of an earlier run"
    if state != "scored":
        scores = None
    shown = (*SHOWN, *(of_scores if scores else ()))
    return {
        "folder": folder,
        "state": state,
        "why": why,
        "scores": scores,
        "run": run,
        "losses": read_losses(folder / LOSSES),
        "frc": read_frc(folder / FRC) if scores else None,
        "log_tail": log_tail(folder / LOG),
        "comparison": _existing(folder / COMPARISON) if scores else None,
        "thumbnail": _existing(folder / THUMBNAIL) if scores else None,
        "truth": _existing(folder / TRUTH_THUMBNAIL)
        if scores and scores.truth.comparable
        else None,
        "panels": _existing(folder / PANELS) if scores and scores.panels else None,
        "files": tuple(name for name in shown if (folder / name).is_file()),
    }


def _state(
    tasks: Sequence[str],
    dataset: Path,
    run: Run | None,
    scores: Scores | None,
    without: Mapping[str, str],
) -> tuple[State, str]:
    reasons = [without[task] for task in tasks if task in without]
    if reasons:
        return "left out", reasons[0]
    if run is not None and run.state != "done":
        return "failed", run.reason or f"the reconstruction is {run.state}"
    if scores is not None:
        return "scored", ""
    if run is not None:
        return "not scored", "reconstructed, but not scored yet"
    if not dataset.exists():
        return "no dataset", f"its dataset does not exist: {dataset}"
    return "not run", "not run yet"


def _existing(path: Path) -> Path | None:
    return path if path.is_file() else None
