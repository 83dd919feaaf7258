"""What tasks do when they run: each imports its command then, and calls it through the engine."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from doit import get_var

from fly64tasks import engine
from fly64tasks.data import ownership
from fly64tasks.data.lineage import AskedSet
from fly64tasks.data.ownership import Mark
from fly64tasks.doitext import progress
from fly64tasks.doitext.running import signals
from fly64tasks.doitext.running.runner import MADE, TOOK
from fly64tasks.errors import DatasetError
from fly64tasks.recon.epochs import EpochCallback
from fly64tasks.score.files import SCORES
from fly64tasks.study.cases import Case
from fly64tasks.study.measured import MeasuredLayout, MeasuredStudy
from fly64tasks.study.methods import Method
from fly64tasks.study.paths import Layout
from fly64tasks.study.recon_settings import ReconSpec
from fly64tasks.study.run_settings import CheckpointSpec
from fly64tasks.study.stages import DataSpec, Geometry, ScoreSpec, SimulationSpec, ViewSpec
from fly64tasks.study.study import Study


def on_worker(
    fn: Callable[..., None], writes: Iterable[str | Path], **arguments: Any
) -> tuple[Callable[..., None], list[Any], dict[str, Any]]:
    """Return the action that calls a function of this module through the engine."""
    arguments["writes"] = list(writes)
    return _through_the_engine, [fn], arguments


def _through_the_engine(fn: Callable[..., None], *arguments: Any, task: Any, **named: Any) -> None:
    """Call a function where the engine does, once it knows what its task has made before."""
    engine.run(_owning, fn, _made_by(task), *arguments, **named)


def _made_by(task: Any) -> list[str]:
    made: list[str] = (task.meta or {}).get(MADE, [])
    return made


def _owning(fn: Callable[..., None], made: list[str], *arguments: Any, **named: Any) -> None:
    with ownership.recorded(made):
        fn(*arguments, **named)


def make_base(target: Path, study: Study) -> None:
    from fly64tasks.simulation import simulate as command

    command.make_base(target, spec=study.base, geometry=study.geometry)


def simulate(
    base: Path,
    outputs: dict[str, Path],
    dose: float,
    spec: SimulationSpec,
    geometry: Geometry,
    base_lineage: dict[str, Any] | None,
) -> None:
    from fly64tasks.simulation import simulate as command

    command.simulate(
        base, outputs, dose=dose, spec=spec, geometry=geometry, base_lineage=base_lineage
    )


def make_view(
    sources: dict[str, Path],
    outputs: dict[str, Path],
    spec: ViewSpec,
    data: DataSpec,
    asked: AskedSet | None,
) -> None:
    from fly64tasks.simulation import views as command

    command.make_view(
        sources,
        outputs,
        spec=spec,
        diffraction=data.diffraction,
        orientation=data,
        asked=asked,
    )


def reconstruct(
    source: Path,
    folder: Path,
    spec: ReconSpec,
    geometry: Geometry,
    data: DataSpec,
    checkpoint: CheckpointSpec,
    asked: AskedSet | None,
    writes: list[str],
    task: Any,
) -> None:
    def on_event(epoch: int, num_epochs: int, loss: float) -> None:
        progress.report(task.name, epoch, num_epochs, loss=loss)

    device = get_var("device", "auto")
    arguments = (source, folder, spec, geometry, data, device, checkpoint, asked)
    _through_the_engine(_ptychi, *arguments, task=task, writes=writes, on_event=on_event)


def _ptychi(
    source: Path,
    folder: Path,
    spec: ReconSpec,
    geometry: Geometry,
    data: DataSpec,
    device: str,
    checkpoint: CheckpointSpec,
    asked: AskedSet | None,
    on_event: EpochCallback,
) -> None:
    from fly64tasks.recon import command

    with signals.held():
        command.run(
            source,
            folder,
            spec,
            diffraction=data.diffraction,
            orientation=data,
            device=device,
            geometry=geometry,
            on_epoch=on_event,
            checkpoint=checkpoint,
            other_checkpoint="discard",  # what to make is the study's to say
            why_stop=signals.why_stop,
            asked=asked,
        )


def train(**arguments: Any) -> None:
    from fly64tasks.recon.programs import command

    command.train(**arguments, why_stop=signals.why_stop)


def run_program(**arguments: Any) -> None:
    from fly64tasks.recon.programs import command

    command.reconstruct(**arguments, why_stop=signals.why_stop)


def score(
    source: Path,
    folder: Path,
    spec: ScoreSpec,
    case: Case,
    data: DataSpec,
    asked: AskedSet | None,
    recon: Method,
) -> None:
    from fly64tasks.score import command

    command.score(source, folder, spec, case, truth=data.truth, asked=asked, recon=recon)


def score_scan(
    files: list[Path], folder: Path, halves: list[Path], spec: ScoreSpec, recon: ReconSpec
) -> None:
    from fly64tasks.score import measured

    measured.score_scan(files, folder, halves, spec, recon)


def report(study: Study, layout: Layout, dependencies: list[str], task: Any) -> None:
    _report(_write_report, study, layout, dependencies, task)


def report_scans(
    study: MeasuredStudy, layout: MeasuredLayout, dependencies: list[str], task: Any
) -> None:
    _report(_write_report_on_scans, study, layout, dependencies, task)


def _report(
    write: Callable[..., None], study: Any, layout: Any, dependencies: list[str], task: Any
) -> None:
    """Write a report of the scores that there are, with what there is not and what tasks took."""
    scores = [Path(path) for path in dependencies if Path(path).name == SCORES]
    arguments = (study, layout, scores, task.meta.get("without", {}), task.meta.get(TOOK, {}))
    _through_the_engine(write, *arguments, task=task, writes=task.targets)


def _write_report(study: Study, layout: Layout, *found: Any) -> None:
    from fly64tasks.report import command

    command.write_report(study, layout, *found)


def _write_report_on_scans(study: MeasuredStudy, layout: MeasuredLayout, *found: Any) -> None:
    from fly64tasks.report.measured import command

    command.write_report(study, layout, *found)


def problems(source: Path, spec: ReconSpec, geometry: Geometry, data: DataSpec) -> list[str]:
    """Return what keeps a set of the user's from being reconstructed, before anything runs."""
    from fly64tasks.recon.start import read_start

    try:
        read_start(source, spec, geometry, diffraction=data.diffraction, orientation=data)
    except DatasetError as error:
        return [str(error)]
    return []


def problems_of_scan(
    files: list[Path], spec: ReconSpec, geometry: Geometry, data: DataSpec
) -> list[str]:
    """Return what keeps a scan from being reconstructed: files that nobody named, too."""
    from fly64tasks.recon.start import read_start

    try:
        start = read_start(files[0], spec, geometry, diffraction=data.diffraction, orientation=data)
    except DatasetError as error:
        return [str(error)]
    named = {path.resolve() for path in files}
    others = [path for path in start.files if path.resolve() not in named]
    if not others:
        return []
    said = json.dumps([path.name for path in (*files, *others)], ensure_ascii=False)
    return [
        f"{files[0]}: is read with {', '.join(map(str, others))}, which the study does not name; "
        f"say so, that a change of it is seen: file = {said}, each with its folder"
    ]


def remove_kept(folder: Path, task: Any, dryrun: bool = False) -> None:
    """Remove the folder that a program of others failed in; print that."""
    from fly64tasks.recon.programs import job

    if not folder.exists():
        return
    try:
        if not dryrun:
            job.remove_kept(folder)
        print(f"{'would remove' if dryrun else 'removed'} {folder}")
    except DatasetError as error:
        print(f"kept {error}")


def remove(folder: str, marks: Mapping[str, Mark | None], task: Any, dryrun: bool = False) -> None:
    """Remove files that are ours, and the folders that this empties; print what is removed.

    Parameters
    ----------
    folder : str
    marks : mapping of str to mark
        The paths in it, with what `fly64tasks.data.ownership` knows each by.
    task : doit.task.Task
        What it has made before is ours too.
    dryrun : bool
        Print what would be removed, and remove nothing.
    """
    word = "would remove" if dryrun else "removed"
    paths = []
    with ownership.recorded(_made_by(task)):
        for name, mark in marks.items():
            path = Path(folder, name)
            if ownership.is_ours(path, mark):
                print(f"{word} {path}")
                paths.append(path)
            elif os.path.lexists(path):
                print(f"kept {path}: was not written by {ownership.WRITER}")
    if dryrun:
        return
    for path in paths:
        path.unlink(missing_ok=True)
    for emptied in {path.parent for path in paths}:
        while emptied.is_dir() and emptied != Path() and not any(emptied.iterdir()):
            emptied.rmdir()
            emptied = emptied.parent
