"""The scans of a study as they stand: what each left, or why there is nothing to score."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from fly64tasks.report.outcome import Outcome
from fly64tasks.report.results import read_outcome
from fly64tasks.score.files import MEASURED_MARKS
from fly64tasks.score.measured import FIT_METRICS, MEASURED_METRICS
from fly64tasks.score.metric import Metric
from fly64tasks.study.measured import MeasuredLayout, MeasuredStudy


@dataclass(frozen=True, kw_only=True)
class ScanJob(Outcome):
    """One scan and what it left."""

    scan: str


def read_scans(
    study: MeasuredStudy,
    layout: MeasuredLayout,
    available: Collection[Path] | None = None,
    without: Mapping[str, str] | None = None,
) -> tuple[ScanJob, ...]:
    """Return every scan of a study, in its order.

    Parameters and errors are those of `fly64tasks.report.results.read_jobs`.
    """
    jobs = []
    for scan in study.scans:
        folder = layout.recon_dir(study.parts_of(scan)[0])
        tasks = [f"recon:{part.name}" for part in study.parts_of(scan)] + [f"score:{scan}"]
        source = layout.files(study, scan)[0]
        left = read_outcome(folder, tasks, source, available, without or {}, tuple(MEASURED_MARKS))
        jobs.append(ScanJob(scan=scan, **left))
    return tuple(jobs)


def metrics_of(study: MeasuredStudy) -> Sequence[Metric]:
    """Return the scores that a study's scans can have."""
    return MEASURED_METRICS if study.halves else FIT_METRICS
