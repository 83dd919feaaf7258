"""What a study left in its folder, as far as it is held against another: settings and scores."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct

from fly64tasks.doitext.state.claims import MARK
from fly64tasks.errors import DatasetError
from fly64tasks.recon.files import KEPT, RUN_RECORD
from fly64tasks.report.reading import read_json
from fly64tasks.report.records import Number
from fly64tasks.report.studies.readings import Reading
from fly64tasks.score.files import SCORES
from fly64tasks.study.cases import BASELINE
from fly64tasks.study.measured import read_either

STUDY_FILE = "study.toml"
INPUT_BESIDE = "input.beside"
"""The digests of what a scan was read from beside the file that is named."""
_OF_JOBS = ("recon.", "score.", "geometry.", "name")
"""Settings that each job has recorded as it was made, or that are none."""


class _Scores(Struct, frozen=True):
    metrics: dict[str, Number | None]
    bounds: tuple[str, ...] = ()
    unresolved: tuple[str, ...] = ()
    case: dict[str, Any] | None = None
    scan: str | None = None
    object: dict[str, Any] | None = None
    settings: dict[str, Any] = {}
    set: dict[str, Any] = {}


class _Input(Struct, frozen=True):
    sha256: str | None = None
    beside: dict[str, str] = msgspec.field(default_factory=dict, name="with")


class _Run(Struct, frozen=True):
    state: str = ""
    spec: dict[str, Any] = {}
    versions: dict[str, str] = {}
    data: dict[str, Any] = {}
    device: dict[str, Any] = {}
    input: _Input = _Input()
    set: dict[str, Any] = {}


@dataclass(frozen=True)
class JobRecord:
    """What one job left.

    Attributes
    ----------
    metrics : dict
        Every score by its key, None where there is none.
    settings : dict
        What it was made with, keys dotted.
    """

    metrics: dict[str, Reading | None]
    settings: dict[str, Any]


@dataclass(frozen=True)
class StudyRecord:
    """What a study left: a name for it, its settings (keys dotted), and its jobs by name.

    ``places`` are the folders of the jobs.
    """

    name: str
    folder: Path
    settings: dict[str, Any]
    jobs: dict[str, JobRecord]
    places: tuple[Path, ...]


def read_records(folders: Sequence[Path]) -> list[StudyRecord]:
    """Read the folders of studies: project folders, or those that their reports lie in.

    Raises
    ------
    DatasetError
        A folder holds no job, or two of one name, or a record that is damaged; or two folders hold
        the same jobs.
    """
    records = [_read(folder, name) for folder, name in zip(folders, _names(folders), strict=True)]
    owners: dict[Path, Path] = {}
    for record in records:
        for place in record.places:
            other = owners.setdefault(place.resolve(), record.folder)
            if other is not record.folder:
                raise DatasetError(
                    f"{record.folder}: holds what {other} holds ({place}); expected two studies"
                )
    return records


def _read(folder: Path, name: str) -> StudyRecord:
    if not folder.is_dir():
        raise DatasetError(f"{folder}: is no folder; expected a study's, or that of its reports")
    jobs: dict[str, JobRecord] = {}
    places: dict[str, Path] = {}
    for place in sorted({path.parent for path in _records_in(folder)}):
        job, record = _job(place, folder)
        if job in jobs:
            raise DatasetError(
                f"{folder}: holds {job} twice, in {places[job].relative_to(folder)} and "
                f"{place.relative_to(folder)}; expected one study: name the folder of its reports"
            )
        jobs[job], places[job] = record, place
    if not jobs:
        raise DatasetError(
            f"{folder}: holds no {SCORES} and no {RUN_RECORD}; expected a study that was run, or "
            "the folder of its reports"
        )
    settings = _settings_of(folder / STUDY_FILE)
    in_order = {job: jobs[job] for job in sorted(jobs, key=_order)}
    return StudyRecord(name, folder, settings, in_order, tuple(places.values()))


def _records_in(folder: Path) -> Iterator[Path]:
    """Yield what jobs recorded; not of a study whose results lie in another's, nor of a failure."""
    for place, below, names in os.walk(folder):
        here = Path(place)
        above = here.relative_to(folder).parents
        if MARK in names and any((folder / up / MARK).is_file() for up in above):
            below.clear()
            continue
        below[:] = (name for name in below if name != KEPT)  # of a program that failed
        yield from (here / name for name in (SCORES, RUN_RECORD) if name in names)


def _order(job: str) -> tuple[Any, ...]:
    """Return what jobs are sorted by: dose, view, split, then method and draw; else the name.

    >>> sorted(["dose_1000_dense_test", "dose_1000_dense_train", "dose_900_a_test"], key=_order)
    ['dose_900_a_test', 'dose_1000_dense_train', 'dose_1000_dense_test']
    """
    case = re.fullmatch(r"dose_(\d+)_(\w+)_(train|test)(@.*)?", job)
    if case is None:
        return (1, job)
    dose, view, split, variant = case.groups()
    return (0, int(dose), view != BASELINE, view, split != "train", variant or "")


def _job(place: Path, folder: Path) -> tuple[str, JobRecord]:
    """Return the name and the record of a job: as its scores say it, else as its folder does."""
    scores, run = read_json(place / SCORES, _Scores), read_json(place / RUN_RECORD, _Run)
    run = run or _Run()
    name = "_".join(place.relative_to(folder).parts) or place.name
    name = name.removeprefix("reports_")
    if scores is None:
        return name, JobRecord({}, _of_run(run))
    said = [(scores.case or {}).get("name"), scores.scan, (scores.object or {}).get("label")]
    metrics = {key: _reading(scores, key) for key in scores.metrics}
    settings = _of_run(run) | flat({"score": scores.settings})
    geometry = run.set.get("geometry", scores.set.get("geometry"))
    return str(next(filter(None, said), name)), JobRecord(
        metrics, settings | flat({"geometry": geometry or {}})
    )


def _reading(scores: _Scores, key: str) -> Reading | None:
    value = scores.metrics[key]
    if value is None:
        return None
    if key in scores.unresolved:
        return Reading(value, "worse")
    return Reading(value, "better" if key in scores.bounds else "")


def _of_run(run: _Run) -> dict[str, Any]:
    return flat(
        {
            "recon": run.spec,
            "data": run.data,
            "versions": run.versions,
            "device": {"hardware": run.device.get("hardware")} if run.device else {},
            "input": {"sha256": run.input.sha256} if run.input.sha256 else {},
            INPUT_BESIDE: {Path(name).name: its for name, its in run.input.beside.items()},
        }
    )


def _settings_of(path: Path) -> dict[str, Any]:
    """Return what a study file says beyond what its jobs recorded; nothing where there is none."""
    if not path.is_file():
        return {}
    said = msgspec.to_builtins(read_either(path))  # with every default
    return {key: value for key, value in flat(said).items() if not key.startswith(_OF_JOBS)}


def flat(tree: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Return a JSON tree as one mapping, keys dotted.

    >>> flat({"a": {"b": 1, "c": {}}, "d": [2]})
    {'a.b': 1, 'd': [2]}
    """
    found: dict[str, Any] = {}
    for key, value in tree.items():
        if isinstance(value, Mapping):
            found |= flat(value, f"{prefix}{key}.")
        else:
            found[f"{prefix}{key}"] = value
    return found


def _names(folders: Sequence[Path]) -> list[str]:
    """Return the shortest ends of paths that tell them apart.

    >>> _names([Path("/a/first/reports"), Path("/a/second/reports")])
    ['first/reports', 'second/reports']
    """
    parts = [folder.absolute().parts for folder in folders]
    for length in range(1, max(map(len, parts)) + 1):
        names = ["/".join(part[-length:]) for part in parts]
        if len(set(names)) == len(names):
            return names
    raise DatasetError(f"{folders[0]}: is named twice; expected two studies")
