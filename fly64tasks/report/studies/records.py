"""What a study left in its folder, as far as it is held against another: settings and scores."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from msgspec import Struct

from fly64tasks.errors import DatasetError, StudyError
from fly64tasks.recon.files import RUN_RECORD
from fly64tasks.report.reading import read_json
from fly64tasks.report.records import Number
from fly64tasks.score.files import SCORES
from fly64tasks.study.measured import read_measured_study
from fly64tasks.study.study import read_study

STUDY_FILE = "study.toml"
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


class _Run(Struct, frozen=True):
    state: str = ""
    spec: dict[str, Any] = {}
    versions: dict[str, str] = {}
    data: dict[str, Any] = {}
    device: dict[str, Any] = {}
    input: dict[str, Any] = {}
    set: dict[str, Any] = {}


@dataclass(frozen=True)
class JobRecord:
    """What one job left.

    Attributes
    ----------
    metrics : dict
        Every score by its key, None where there is none; a limit that it is worse than is none.
    settings : dict
        What it was made with, keys dotted.
    """

    metrics: dict[str, float | None]
    settings: dict[str, Any]


@dataclass(frozen=True)
class StudyRecord:
    """What a study left: a name for it, its settings (keys dotted), and its jobs by name."""

    name: str
    folder: Path
    settings: dict[str, Any]
    jobs: dict[str, JobRecord]


def read_records(folders: Sequence[Path]) -> list[StudyRecord]:
    """Read the folders of studies: project folders, or those that their reports lie in.

    Raises
    ------
    DatasetError
        A folder holds no job, or two of one name, or a record that is damaged.
    """
    return [_read(folder, name) for folder, name in zip(folders, _names(folders), strict=True)]


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
    return StudyRecord(name, folder, _settings_of(folder / STUDY_FILE), jobs)


def _records_in(folder: Path) -> Iterator[Path]:
    for name in (SCORES, RUN_RECORD):
        yield from folder.rglob(name)


def _job(place: Path, folder: Path) -> tuple[str, JobRecord]:
    """Return the name and the record of a job: as its scores say it, else as its folder does."""
    scores, run = read_json(place / SCORES, _Scores), read_json(place / RUN_RECORD, _Run)
    run = run or _Run()
    name = "_".join(place.relative_to(folder).parts) or place.name
    name = name.removeprefix("reports_")
    if scores is None:
        return name, JobRecord({}, _of_run(run))
    said = [(scores.case or {}).get("name"), scores.scan, (scores.object or {}).get("label")]
    metrics = {
        key: None if key in scores.unresolved else value for key, value in scores.metrics.items()
    }
    settings = _of_run(run) | flat({"score": scores.settings})
    geometry = run.set.get("geometry", scores.set.get("geometry"))
    return str(next(filter(None, said), name)), JobRecord(
        metrics, settings | flat({"geometry": geometry or {}})
    )


def _of_run(run: _Run) -> dict[str, Any]:
    return flat(
        {
            "recon": run.spec,
            "data": run.data,
            "versions": run.versions,
            "device": {"hardware": run.device.get("hardware")} if run.device else {},
            "input": {"sha256": run.input["sha256"]} if "sha256" in run.input else {},
        }
    )


def _settings_of(path: Path) -> dict[str, Any]:
    """Return what a study file says beyond what its jobs recorded; nothing where there is none."""
    if not path.is_file():
        return {}
    try:
        said = read_study(path).to_dict()
    except StudyError:
        said = read_measured_study(path).to_dict()
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
