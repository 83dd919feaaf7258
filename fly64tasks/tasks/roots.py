"""Whose the folders are that a study writes: of one study file and one artifact root."""

from __future__ import annotations

import functools
from collections.abc import Iterable, Iterator, Mapping
from functools import partial
from pathlib import Path

from fly64tasks.data.ownership import Mark, is_ours
from fly64tasks.doitext.state.claims import Claim, Owner
from fly64tasks.recon import files
from fly64tasks.report import files as of_report
from fly64tasks.score import files as of_score
from fly64tasks.study.measured import HALVES, MeasuredLayout
from fly64tasks.study.paths import Layout


@functools.lru_cache(maxsize=8)
def data(layout: Layout) -> Claim:
    """Return the claim on the folder of the base and the sets."""
    root = layout.data_root
    return Claim(
        str(root),
        _owner(layout),
        partial(_sets_in, root),
        f"give it a data_root of its own, read these sets with phase_c_root={root}/phase_c "
        f"phase_d_root={root}/phase_d, or write over them with --take-over",
    )


@functools.lru_cache(maxsize=8)
def results(layout: Layout) -> Claim:
    """Return the claim on the folder of the results and the report."""
    marks = {**_OF_JOBS, files.TRAINING_RECORD: None, **of_score.MARKS}
    return _results(layout, ("dose_*/*/*/*",), marks, of_report.MARKS)


@functools.lru_cache(maxsize=8)
def results_of_scans(layout: MeasuredLayout) -> Claim:
    """Return the claim on the folder of what a study of measured scans writes."""
    marks = {**_OF_JOBS, **of_score.MEASURED_MARKS}
    patterns = ("*/*", *(f"*/{half}/*" for half in HALVES))
    return _results(layout, patterns, marks, of_report.MEASURED_MARKS)


_OF_JOBS = {name: files.MARKS[name] for name in files.TARGETS}
_LEFT_BY_JOBS = {name: mark for name, mark in files.MARKS.items() if name not in files.TARGETS}


def _results(
    layout: Layout | MeasuredLayout,
    patterns: Iterable[str],
    of_jobs: Mapping[str, Mark | None],
    reported: Mapping[str, Mark | None],
) -> Claim:
    return Claim(
        str(layout.artifact_root),
        _owner(layout),
        partial(_results_in, layout.artifact_root, patterns, of_jobs, reported),
        "give it an artifact_root of its own, or write over these results with --take-over",
        partial(_with_makers, layout.artifact_root, patterns, {**of_jobs, **_LEFT_BY_JOBS}),
    )


def _owner(layout: Layout | MeasuredLayout) -> Owner:
    return Owner(str(layout.study_file or "the study"), str(layout.artifact_root))


def _sets_in(root: Path) -> Iterator[str]:
    folders = (root / "phase_c", root / "phase_d")
    found = [root / "base.npz", *(path for folder in folders for path in folder.rglob("*.npz"))]
    return _ours_of(dict.fromkeys(found).items())


def _results_in(
    root: Path,
    patterns: Iterable[str],
    of_jobs: Mapping[str, Mark | None],
    reported: Mapping[str, Mark | None],
) -> Iterator[str]:
    paths = (path for pattern in patterns for path in root.glob(pattern))
    found = [(path, of_jobs[path.name]) for path in paths if path.name in of_jobs]
    return _ours_of([*found, *((root / name, mark) for name, mark in reported.items())])


def _with_makers(
    root: Path, patterns: Iterable[str], of_jobs: Mapping[str, Mark | None]
) -> Iterator[tuple[str, str]]:
    """Yield what is of a job, logs and checkpoints too, with a target of what makes it."""
    for path in _results_in(root, patterns, of_jobs, {}):
        file = Path(path)
        yield path, str(file.with_name(files.RUN_RECORD) if file.name in _LEFT_BY_JOBS else file)


def _ours_of(found: Iterable[tuple[Path, Mark | None]]) -> Iterator[str]:
    """Yield what bears our mark; an empty file was made by nobody."""
    for path, mark in found:
        if path.is_file() and path.stat().st_size and is_ours(path, mark):
            yield str(path)
