"""The jobs of a study as they stand: what each left, or why there is nothing to score."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fly64tasks.recon.files import LOG, LOSSES, RUN_RECORD, SHOWN
from fly64tasks.report.outcome import Outcome, State
from fly64tasks.report.reading import log_tail, read_frc, read_json, read_losses
from fly64tasks.report.records import Run, Scores
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
