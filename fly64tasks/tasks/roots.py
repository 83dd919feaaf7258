"""Whose the folders are that a study writes: of one study file and one artifact root."""

from __future__ import annotations

import functools
from collections.abc import Iterable, Iterator
from functools import partial
from pathlib import Path

from fly64tasks.data.ownership import Mark, is_ours
from fly64tasks.doitext.state.claims import Claim, Owner
from fly64tasks.recon import files
from fly64tasks.report import files as of_report
from fly64tasks.score import files as of_score
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
    return Claim(
        str(layout.artifact_root),
        _owner(layout),
        partial(_results_in, layout.artifact_root),
        "give it an artifact_root of its own, or write over these results with --take-over",
    )


def _owner(layout: Layout) -> Owner:
    return Owner(str(layout.study_file or "the study"), str(layout.artifact_root))


def _sets_in(root: Path) -> Iterator[str]:
    folders = (root / "phase_c", root / "phase_d")
    found = [root / "base.npz", *(path for folder in folders for path in folder.rglob("*.npz"))]
    return _ours_of(dict.fromkeys(found).items())


def _results_in(root: Path) -> Iterator[str]:
    of_jobs = {**{name: files.MARKS[name] for name in files.TARGETS}, **of_score.MARKS}
    found = [
        (path, of_jobs[path.name]) for path in root.glob("dose_*/*/*/*") if path.name in of_jobs
    ]
    return _ours_of([*found, *((root / name, mark) for name, mark in of_report.MARKS.items())])


def _ours_of(found: Iterable[tuple[Path, Mark | None]]) -> Iterator[str]:
    """Yield what bears our mark; an empty file was made by nobody."""
    for path, mark in found:
        if path.is_file() and path.stat().st_size and is_ours(path, mark):
            yield str(path)
