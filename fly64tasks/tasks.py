"""Case to doit task: pure functions that open no file, and the actions that they name.

Nothing here imports numpy, torch or pty-chi when it is loaded: `doit list` pays for none of them.
Actions import their command when they run.
"""

from __future__ import annotations

import difflib
import os
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import msgspec
from doit import doit_cmd, get_initial_workdir, get_var
from doit.exceptions import InvalidDodoFile

from fly64tasks import engine
from fly64tasks.data.lineage import MadeAsAsked, lineage_of_base, lineage_of_set
from fly64tasks.doitext import progress
from fly64tasks.doitext.spec import SpecUnchanged
from fly64tasks.errors import DatasetError, StudyError
from fly64tasks.recon.epochs import EpochCallback
from fly64tasks.study import paths as names
from fly64tasks.study.cases import BASELINE, SPLITS, Case, dose_name
from fly64tasks.study.paths import Layout
from fly64tasks.study.recon import CheckpointSpec, ReconSpec
from fly64tasks.study.stages import ScoreSpec, ViewSpec
from fly64tasks.study.study import Study, read_study

TaskDict = dict[str, Any]
Share = Annotated[float, msgspec.Meta(ge=0, le=1)]

VARIABLES = (
    "study",
    "base_npz",
    "phase_c_root",
    "phase_d_root",
    "data_root",
    "artifact_root",
    "device",
)


def load_study() -> tuple[Study, Layout]:
    """Return the study and layout that the command line asks for (`doit study=other.toml ...`).

    Paths given there are relative to the folder that doit was called in.

    Raises
    ------
    InvalidDodoFile
        The study can not be used, or there is no such variable; doit prints it and exits with 3.
    """
    # Read by the numerical libraries when an action imports them. The arrays are small: more
    # threads gain little on an idle machine and lose much on a busy one.
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    try:
        _refuse_unknown_variables()
        study_path = _path_variable("study") or Path("study.toml")
        study = read_study(study_path)
        base = _path_variable("base_npz")
        if base is not None:
            study = msgspec.structs.replace(study, base_npz=str(base))
        layout = Layout.of(
            study,
            study_folder=study_path.parent,
            project=Path(),
            phase_c_root=_path_variable("phase_c_root"),
            phase_d_root=_path_variable("phase_d_root"),
            data_root=_path_variable("data_root"),
            artifact_root=_path_variable("artifact_root"),
        )
    except StudyError as error:
        raise InvalidDodoFile(str(error)) from None
    return study, layout


def base(study: Study, layout: Layout) -> TaskDict:
    """Return the task that writes the built-in base."""
    spec, geometry = study.base, study.geometry
    made_from = lineage_of_base(spec, geometry)
    return {
        "actions": [_on_worker(_make_base, [layout.base], target=layout.base, study=study)],
        "targets": [str(layout.base)],
        "uptodate": [
            SpecUnchanged({**spec.to_dict(), "geometry": geometry.to_dict()}),
            MadeAsAsked([layout.base], lambda: made_from),
        ],
        "clean": [(_remove, [[layout.base]])],
        "doc": (
            f"Write the built-in base: {spec.probe_size_px} px zone-plate probe, "
            f"{spec.object_size_px} px object, scan"
        ),
    }


def simulate(study: Study, layout: Layout, dose: float) -> TaskDict:
    """Return the task that simulates one dose."""
    spec, geometry = study.simulation, study.geometry
    settings = {"dose": dose, **spec.to_dict(), "geometry": geometry.to_dict()}
    targets = {split: layout.phase_c(dose, split) for split in SPLITS}
    return {
        "name": dose_name(dose),
        "actions": [
            _on_worker(
                _simulate,
                targets.values(),
                base=layout.base,
                outputs=targets,
                dose=dose,
                study=study,
            )
        ],
        "file_dep": [str(layout.base)],
        "targets": [str(path) for path in targets.values()],
        "uptodate": [
            SpecUnchanged(settings),
            MadeAsAsked(
                targets.values(), partial(lineage_of_set, layout.base, dose, spec, geometry)
            ),
        ],
        "clean": [(_remove, [targets.values()])],
        "doc": f"Simulate diffraction at {dose:g} photons per frame, train and test",
    }


def views(study: Study, layout: Layout, dose: float, view: str) -> TaskDict:
    """Return the task that thins one dose to one view."""
    spec = study.view_spec(view)
    sources = {split: layout.phase_c(dose, split) for split in SPLITS}
    targets = {split: layout.phase_d(dose, view, split) for split in SPLITS}
    made_as_asked = []
    if layout.makes_phase_c:  # else the sources are the user's, and say what they like
        made_from = (layout.base, dose, study.simulation, study.geometry, spec)
        made_as_asked.append(MadeAsAsked(targets.values(), partial(lineage_of_set, *made_from)))
    return {
        "name": f"{dose_name(dose)}_{view}",
        "actions": [
            _on_worker(_make_view, targets.values(), sources=sources, outputs=targets, spec=spec)
        ],
        "file_dep": [str(path) for path in sources.values()],
        "targets": [str(path) for path in targets.values()],
        "uptodate": [SpecUnchanged(spec.to_dict()), *made_as_asked],
        "clean": [(_remove, [targets.values()])],
        "doc": f"Thin {dose:g} photons per frame to the {view} view, overlap {spec.overlap:g}",
    }


def recon(study: Study, layout: Layout, case: Case) -> TaskDict:
    """Return the task that reconstructs one case."""
    source, folder = layout.dataset(case), layout.recon_dir(case)
    # Strings, as joining a hundred thousand paths takes longer than all the rest of `doit list`.
    record, log = f"{folder}/{names.RUN_RECORD}", f"{folder}/{names.LOG}"
    results = (names.RECONSTRUCTION, names.PRODUCT, names.LOSSES)
    targets = [*(f"{folder}/{name}" for name in results), record]
    spec = study.recon.resolved()
    meta = {
        "dose": case.dose,
        "view": case.view,
        "split": case.split,
        "gridsize": case.gridsize,
        "record": record,
        "log": log,
        "algorithm": spec.algorithm,
        "num_epochs": spec.num_epochs,
        "output_dir": str(folder),
    }
    made_by_us = layout.makes_phase_c if case.view == BASELINE else layout.makes_phase_d
    if not made_by_us:
        meta["check_inputs"] = partial(_problems, source, spec)
        if case.view != BASELINE:
            meta["optional"] = "phase_d"
    left = [f"{folder}/{name}" for name in (names.LOG, names.OLDER_LOG, names.CHECKPOINT)]
    arguments = {
        "source": source,
        "folder": folder,
        "spec": spec,
        "checkpoint": study.checkpoint,
        "writes": [*targets, f"{folder}/{names.CHECKPOINT}"],
    }
    return {
        "name": case.name,
        "actions": [(_reconstruct, [f"recon:{case.name}"], arguments)],
        "file_dep": [str(source)],
        "targets": targets,
        "uptodate": [SpecUnchanged(spec.to_dict())],
        "clean": [(_remove, [[*targets, *left]])],
        "meta": meta,
        "doc": (
            f"Reconstruct {case.dose:g} photons per frame, {case.view}, {case.split}: "
            f"{spec.algorithm}, {spec.num_epochs} epochs"
        ),
    }


def score(study: Study, layout: Layout, case: Case) -> TaskDict:
    """Return the task that scores one case against the truth and its data."""
    source, folder = layout.dataset(case), layout.recon_dir(case)
    targets = [f"{folder}/{name}" for name in names.SCORE_FILES]
    return {
        "name": case.name,
        "actions": [
            _on_worker(_score, targets, source=source, folder=folder, spec=study.score, case=case)
        ],
        "file_dep": [str(source), f"{folder}/{names.RECONSTRUCTION}"],
        "targets": targets,
        "uptodate": [SpecUnchanged(study.score.to_dict())],
        "clean": [(_remove, [targets])],
        "meta": {key: getattr(case, key) for key in ("dose", "view", "split", "gridsize")},
        "doc": (
            f"Score {case.dose:g} photons per frame, {case.view}, {case.split} against the truth"
        ),
    }


def report(study: Study, layout: Layout) -> TaskDict:
    """Return the task that writes the report, of whatever part of the study there is."""
    root = layout.artifact_root
    parts = (names.LOSSES, names.RUN_RECORD, *names.SCORE_FILES)
    folders = [layout.recon_dir(case) for case in study.cases()]
    targets = [f"{root}/{name}" for name in names.REPORT_FILES]
    return {
        "basename": "report",
        "actions": [(_report, [], {"study": study, "layout": layout})],
        "file_dep": [f"{folder}/{name}" for folder in folders for name in parts],
        "targets": targets,
        "uptodate": [SpecUnchanged({**study.to_dict(), "recon": study.recon.resolved().to_dict()})],
        "clean": [(_remove, [targets])],
        "meta": {"partial": True},
        "doc": "Write the report: a page, tables and figures of every score",
    }


class _Device(msgspec.Struct, frozen=True):
    name: str | None = None


class _Set(msgspec.Struct, frozen=True):
    selection_strategy: str | None = None
    acceptance_rate: Share | None = None


class _Record(msgspec.Struct, frozen=True):
    """``run.json``, as far as the manifest has it."""

    exit_code: int | None = None
    device: _Device = _Device()
    input: dict[str, str] | None = None
    set: _Set = _Set()


def describe(task: Any, record: dict[str, Any] | None) -> dict[str, Any]:
    """Return what the manifest says of a job besides what doit knows.

    Parameters
    ----------
    task : doit.task.Task
    record : dict or None
        The job's ``run.json``, None where there is none.

    Raises
    ------
    ValueError
        The record is none of the runner's.
    """
    found = msgspec.convert(record or {}, _Record)
    return {
        "algorithm": task.meta["algorithm"],
        "num_epochs": task.meta["num_epochs"],
        "output_dir": task.meta["output_dir"],
        "return_code": found.exit_code,
        "device": found.device.name,
        "input": found.input,
        "selection_strategy": found.set.selection_strategy,
        "acceptance_rate": found.set.acceptance_rate,
    }


def _refuse_unknown_variables() -> None:
    given = getattr(doit_cmd, "_CMDLINE_VARS", None) or {}
    for name in given:
        if name not in VARIABLES:
            near = difflib.get_close_matches(name, VARIABLES, n=1)
            hint = f"did you mean {near[0]}=?" if near else f"known: {', '.join(VARIABLES)}"
            raise StudyError(f"unknown variable {name}={given[name]}; {hint}")


def _path_variable(name: str) -> Path | None:
    value = get_var(name)
    if value is None:
        return None
    if not value:
        raise StudyError(f"{name}= is empty, expected a path")
    return Path(get_initial_workdir(), Path(value).expanduser())


def _on_worker(
    fn: Callable[..., None], writes: Iterable[str | Path], **arguments: Any
) -> tuple[Callable[..., None], list[Any], dict[str, Any]]:
    """Return the action that calls a function of this module through the engine."""
    return engine.run, [fn], {**arguments, "writes": list(writes)}


def _make_base(target: Path, study: Study) -> None:
    from fly64tasks.simulation import simulate as command

    command.make_base(target, spec=study.base, geometry=study.geometry)


def _simulate(base: Path, outputs: dict[str, Path], dose: float, study: Study) -> None:
    from fly64tasks.simulation import simulate as command

    command.simulate(base, outputs, dose=dose, spec=study.simulation, geometry=study.geometry)


def _make_view(sources: dict[str, Path], outputs: dict[str, Path], spec: ViewSpec) -> None:
    from fly64tasks.simulation import views as command

    command.make_view(sources, outputs, spec=spec)


def _reconstruct(
    task_name: str,
    source: Path,
    folder: Path,
    spec: ReconSpec,
    checkpoint: CheckpointSpec,
    writes: list[str],
) -> None:
    def on_event(epoch: int, num_epochs: int, loss: float) -> None:
        progress.report(task_name, epoch, num_epochs, loss=loss)

    device = get_var("device", "auto")
    engine.run(_ptychi, source, folder, spec, device, checkpoint, writes=writes, on_event=on_event)


def _ptychi(
    source: Path,
    folder: Path,
    spec: ReconSpec,
    device: str,
    checkpoint: CheckpointSpec,
    on_event: EpochCallback,
) -> None:
    from fly64tasks.recon import command

    command.run(
        source,
        folder,
        spec,
        device=device,
        on_epoch=on_event,
        checkpoint=checkpoint,
        other_checkpoint="discard",  # what to make is the study's to say
    )


def _score(source: Path, folder: Path, spec: ScoreSpec, case: Case) -> None:
    from fly64tasks.score import command

    command.score(source, folder, spec, case)


def _report(study: Study, layout: Layout, dependencies: list[str], task: Any) -> None:
    scores = [Path(path) for path in dependencies if Path(path).name == names.SCORES]
    without = task.meta.get("without", {})
    engine.run(_write_report, study, layout, scores, without, writes=task.targets)


def _write_report(
    study: Study, layout: Layout, scores: list[Path], without: dict[str, str]
) -> None:
    from fly64tasks import report as command

    command.write_report(study, layout, scores, without)


def _problems(source: Path, spec: ReconSpec) -> list[str]:
    """Return what keeps a set of the user's from being reconstructed, before anything runs."""
    from fly64tasks.data.readers.npz import read_dataset
    from fly64tasks.recon.start import start_of

    try:
        start_of(read_dataset(source), spec, str(source))
    except DatasetError as error:
        return [str(error)]
    return []


def _remove(targets: Iterable[str | Path]) -> None:
    """Remove files and the folders that this empties."""
    paths = [Path(target) for target in targets]
    for path in paths:
        path.unlink(missing_ok=True)
    for folder in {path.parent for path in paths}:
        while folder.is_dir() and folder != Path() and not any(folder.iterdir()):
            folder.rmdir()
            folder = folder.parent
