"""What differs between studies: settings, old and new, and scores, each held against the first."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from fly64tasks.report.studies.readings import KNOWN, Cell, Score, cells_of
from fly64tasks.report.studies.records import INPUT_BESIDE, JobRecord, StudyRecord
from fly64tasks.score.metric import Metric

_NOTHING = object()
_NAMED = 6
_HASHES = ("input.sha256", INPUT_BESIDE)


@dataclass(frozen=True)
class Setting:
    """A setting that differs; ``jobs`` are those in which it does, empty for one of the study."""

    key: str
    old: Any
    new: Any
    jobs: tuple[str, ...] = ()

    @property
    def text(self) -> str:
        """Return it as ``old -> new``; a digest says no more than that it differs."""
        if self.key.startswith(_HASHES):
            return "another content"
        return f"{_shown(self.old)} -> {_shown(self.new)}"


@dataclass(frozen=True)
class Differences:
    """What differs between the first study and another."""

    old: StudyRecord
    new: StudyRecord
    settings: tuple[Setting, ...]
    scores: tuple[Score, ...]
    """All of them, equal ones too, in the order of jobs and metrics."""

    @cached_property
    def cells(self) -> list[Cell]:
        """Return the scores of the cells that have several draws of the noise, equal ones too."""
        return cells_of(self.scores)

    @property
    def changed(self) -> list[Score]:
        """Return the scores that differ."""
        return [score for score in self.scores if score.verdict != "equal"]

    @property
    def only_in_one(self) -> list[str]:
        """Return the jobs that only one study has, each with the name of that study."""
        return [f"{job} (only in {name})" for name, jobs in self._alone for job in jobs]

    @property
    def alone_in_words(self) -> list[str]:
        """Return the same in words: a few by their names, many by their number."""
        if all(len(jobs) <= _NAMED for _, jobs in self._alone):
            return self.only_in_one
        return [
            f"{', '.join(jobs[:3])}{f' and {len(jobs) - 3} more jobs' if len(jobs) > 3 else ''} "
            f"(only in {name})"
            for name, jobs in self._alone
            if jobs
        ]

    @property
    def _alone(self) -> list[tuple[str, list[str]]]:
        return [
            (one.name, [job for job in one.jobs if job not in other.jobs])
            for one, other in ((self.old, self.new), (self.new, self.old))
        ]

    @property
    def words(self) -> list[str]:
        """Return how the scores went, a sentence a metric."""
        sentences, alike = [], 0
        for key, metric in KNOWN.items():
            scores = [score for score in self.scores if score.metric.key == key]
            both = [score.difference for score in scores if score.difference is not None]
            if all(score.verdict == "equal" for score in scores):
                alike += bool(both)
                continue
            counts = [
                f"{verdict}{' study' if verdict == 'only in one' else ''} in {count}"
                for verdict in ("better", "worse", "differs", "equal", "not known", "only in one")
                if (count := sum(score.verdict == verdict for score in scores))
            ]
            unit = f" {metric.unit}" if metric.unit else ""
            mean = f", mean difference {sum(both) / len(both):+.4g}{unit}" if both else ""
            said = f"{metric.label}: {', '.join(counts)} of {len(scores)} jobs{mean}"
            sentences.append(f"{said}{self._over_draws(metric)}.")
        if alike:
            other = "other " if sentences else ""
            sentences.append(f"{alike} {other}scores are equal in every job.")
        return sentences

    def _over_draws(self, metric: Metric) -> str:
        """Return how a score went over the draws of the noise, empty where there are none."""
        verdicts = [cell.verdict for cell in self.cells if cell.metric is metric]
        counts = [
            f"{verdict} in {count}"
            for verdict in ("better", "worse", "differs", "within the spread", "equal")
            if (count := verdicts.count(verdict))
        ]
        return f"; over the draws {', '.join(counts)} of {len(verdicts)} cells" if counts else ""


def differences_of(old: StudyRecord, new: StudyRecord) -> Differences:
    """Return what differs between two studies; jobs are told by their names."""
    shared = [job for job in old.jobs if job in new.jobs]
    settings = [*_of_studies(old, new), *_of_jobs(old, new, shared)]
    scores = [score for job in shared for score in _scores(job, old.jobs[job], new.jobs[job])]
    return Differences(old, new, tuple(settings), tuple(scores))


def _of_studies(old: StudyRecord, new: StudyRecord) -> Iterator[Setting]:
    if old.settings and new.settings:  # else one of both says nothing
        for key, before, after in _changes(old.settings, new.settings):
            yield Setting(key, before, after)


def _of_jobs(old: StudyRecord, new: StudyRecord, shared: Sequence[str]) -> Iterator[Setting]:
    """Yield each change once, with the jobs that it is of."""
    found: dict[tuple[str, ...], tuple[Any, Any, list[str]]] = {}
    for job in shared:
        for key, before, after in _changes(old.jobs[job].settings, new.jobs[job].settings):
            hashed = key.startswith(_HASHES)
            said = (key, *(() if hashed else (repr(before), repr(after))))
            found.setdefault(said, (before, after, []))[2].append(job)
    for said, (before, after, jobs) in found.items():
        yield Setting(said[0], before, after, tuple(jobs))


def _changes(old: dict[str, Any], new: dict[str, Any]) -> Iterator[tuple[str, Any, Any]]:
    for key in dict.fromkeys([*old, *new]):
        before, after = old.get(key, _NOTHING), new.get(key, _NOTHING)
        if before != after:
            yield key, old.get(key), new.get(key)


def _scores(job: str, old: JobRecord, new: JobRecord) -> Iterator[Score]:
    for key in KNOWN:
        if key in old.metrics or key in new.metrics:
            yield Score(job, KNOWN[key], old.metrics.get(key), new.metrics.get(key))


def _shown(value: Any) -> str:
    """Return a value on one line.

    >>> _shown(None), _shown(True), _shown(0.5), _shown("x" * 100)[-5:]
    ('nothing', 'true', '0.5', 'xx...')
    >>> _shown(("python", "net.py"))
    '["python", "net.py"]'
    """
    if value is None:
        return "nothing"
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= 60 else f"{text[:57]}..."
