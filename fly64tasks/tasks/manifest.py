"""What the manifest says of a job besides what doit knows: one entry a column."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import msgspec
from doit import get_var

from fly64tasks.data.lineage import metadata_of
from fly64tasks.doitext.bounded import text_of
from fly64tasks.doitext.graph.manifest import Describe
from fly64tasks.doitext.state.notes import noted
from fly64tasks.score.files import SCORES
from fly64tasks.study.cases import BASELINE
from fly64tasks.study.measured import MeasuredLayout, MeasuredStudy
from fly64tasks.study.methods import Method, ProgramSpec
from fly64tasks.study.paths import Layout
from fly64tasks.study.recon_settings import runner_command
from fly64tasks.study.stages import ASSUMED, Geometry
from fly64tasks.study.study import Study

Share = Annotated[float, msgspec.Meta(ge=0, le=1)]


class _Device(msgspec.Struct, frozen=True):
    name: str | None = None


class _Set(msgspec.Struct, frozen=True):
    """``_metadata`` of a thinned set, as far as the manifest has it."""

    selection_strategy: str | None = None
    spacing_threshold: float | None = None
    n_accepted: int | None = None
    n_rejected: int | None = None
    acceptance_rate: Share | None = None


class _Overlap(msgspec.Struct, frozen=True):
    """``set`` in ``scores.json``: how far the frames lie from each other, and overlap."""

    probe_diameter_px: float | None = None
    nearest_spacing_px: float | None = None
    nearest_spacing_diameters: float | None = None
    nearest_disc_overlap: float | None = None


class _Input(msgspec.Struct, frozen=True):
    sha256: str | None = None


class _Scored(msgspec.Struct, frozen=True):
    input: _Input = _Input()


class _Scores(msgspec.Struct, frozen=True):
    """``scores.json``, as far as the manifest has it."""

    set: _Overlap = _Overlap()
    reconstruction: _Scored = _Scored()


class _Record(msgspec.Struct, frozen=True):
    """``run.json``, as far as the manifest has it."""

    exit_code: int | None = None
    device: _Device = _Device()
    input: dict[str, str] | None = None
    set: _Set = _Set()
    warnings: tuple[str, ...] = ()


def about(study: Study, layout: Layout) -> dict[str, Any]:
    """Return what the manifest and the skip summary say at their head: the study and its roots."""
    roots = ("base", "phase_c_root", "phase_d_root", "artifact_root")
    return {"study": study.name, "roots": {name: str(getattr(layout, name)) for name in roots}}


def about_scans(study: MeasuredStudy, layout: MeasuredLayout) -> dict[str, Any]:
    """Return what they say at their head of a study of measured scans."""
    return {"study": study.name, "roots": {"artifact_root": str(layout.artifact_root)}}


def _taken(record: dict[str, Any] | None) -> dict[str, Any]:
    """Return what the manifest takes of a job's ``run.json``, JSON-ready; raises ValueError."""
    taken: dict[str, Any] = msgspec.to_builtins(msgspec.convert(record or {}, _Record))
    return taken


def _said(task: Any, taken: dict[str, Any]) -> dict[str, Any]:
    """Return what the manifest says of a job besides what doit knows.

    How its view was thinned is said by the set, as long as there is one, else by the record.

    Parameters
    ----------
    task : doit.task.Task
    taken : dict
        What `_taken` takes of the job's ``run.json``.

    Raises
    ------
    ValueError
        The record is none of the runner's.
    """
    found = msgspec.convert(taken, _Record)
    meta = task.meta
    thinned = _set_of(meta) or found.set
    return {
        **_way(meta),
        "output_dir": meta["output_dir"],
        "command": _command(meta),
        "return_code": found.exit_code,
        "device": found.device.name,
        "input": found.input,
        "selection_strategy": thinned.selection_strategy,
        "spacing_threshold_px": thinned.spacing_threshold,
        "n_accepted": thinned.n_accepted,
        "n_rejected": thinned.n_rejected,
        "acceptance_rate": thinned.acceptance_rate,
        **_overlap(meta["output_dir"], found.input),
        "warnings": list(found.warnings),
    }


describe = Describe("manifest 1", _taken, _said)
"""What the manifest says of a job, of whose ``run.json`` no more is kept than it takes.

Where `_Record` changes, so does the kind: notes of an earlier version are read again then."""


def _overlap(folder: str, used: dict[str, str] | None) -> dict[str, Any]:
    """Return the overlap of the set that a job used, of its scores: None each where they lack it.

    Every kind of set has it there: views, the baseline that none was made of, measured scans.
    """
    found = _Overlap()
    if used:
        sha256, said = msgspec.convert(
            noted(Path(f"{folder}/{SCORES}"), "overlap 1", _scored), _Noted
        )
        found = said if sha256 == used.get("sha256") else found
    return msgspec.structs.asdict(found)


_Noted = tuple[str | None, _Overlap]


def _scored(path: Path) -> tuple[str | None, dict[str, Any]]:
    try:
        scores = msgspec.convert(json.loads(text_of(path) or "{}"), _Scores)
    except (ValueError, RecursionError, msgspec.ValidationError):  # which the report names
        scores = _Scores()
    return scores.reconstruction.input.sha256, msgspec.to_builtins(scores.set)


def _way(meta: dict[str, Any]) -> dict[str, Any]:
    spec: Method = meta["spec"]
    if isinstance(spec, ProgramSpec):
        return {"algorithm": None, "num_epochs": None}
    return {"algorithm": spec.algorithm, "num_epochs": spec.num_epochs}


def _command(meta: dict[str, Any]) -> list[str]:
    """Return the command line that does a job; that of a program with its placeholders."""
    spec: Method = meta["spec"]
    if isinstance(spec, ProgramSpec):
        return list(spec.command)
    return runner_command(
        meta["source"],
        meta["output_dir"],
        spec,
        get_var("device", "auto"),
        read_as=meta["read_as"],
        geometry=_sizes_needed(meta),
    )


def _sizes_needed(meta: dict[str, Any]) -> Geometry:
    """Return the sizes that a command has to say: none where the set has its own."""
    study: Geometry = meta["geometry"]
    if study != ASSUMED and "geometry" in metadata_of(Path(meta["source"])):
        return ASSUMED
    return study


def _set_of(meta: dict[str, Any]) -> _Set | None:
    said = {} if meta.get("view", BASELINE) == BASELINE else metadata_of(Path(meta["source"]))
    try:
        return msgspec.convert(said, _Set) if said else None
    except msgspec.ValidationError:  # which the reconstruction refuses, with its reason
        return None
