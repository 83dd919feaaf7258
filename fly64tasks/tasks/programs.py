"""Case to doit task, for methods that are programs of others: pure, as those of `graph`."""

from __future__ import annotations

import os
from functools import partial
from pathlib import Path
from typing import Any

from msgspec.structs import replace

from fly64tasks.doitext.spec import SpecUnchanged
from fly64tasks.recon import files
from fly64tasks.study.cases import BASELINE, MAIN, Case
from fly64tasks.study.methods import ProgramSpec
from fly64tasks.study.paths import Layout
from fly64tasks.study.recon_settings import ReconSpec
from fly64tasks.study.stages import ASSUMED, said_of_reading
from fly64tasks.study.study import Study
from fly64tasks.tasks import actions, of_case, roots

TaskDict = dict[str, Any]


def train(study: Study, layout: Layout, case: Case) -> TaskDict:
    """Return the task that trains a case's method on its set, which is of the train split."""
    folder, spec = layout.model_dir(case), _program(study, case)
    targets = [f"{folder}/{name}" for name in files.TRAINING_TARGETS]
    task = _task(study, layout, case, folder, targets, spec.settings("train"))
    task |= {
        "name": case.model_name,
        "actions": [
            actions.on_worker(actions.train, targets, **_arguments(study, layout, case, folder))
        ],
        "clean": _clean(folder, files.TRAINING_MARKS),
        "doc": f"Train {case.method} on {of_case.words(replace(case, method=MAIN))}",
    }
    return task


def reconstruction(study: Study, layout: Layout, case: Case) -> TaskDict:
    """Return the task that has a case reconstructed by a program."""
    folder, spec = layout.recon_dir(case), _program(study, case)
    targets = [f"{folder}/{name}" for name in files.TARGETS]
    task = _task(study, layout, case, folder, targets, spec.settings("command"))
    model = layout.model_dir(case) / files.MODEL if spec.train else None
    if model is not None:
        task["file_dep"].append(str(model))
    arguments = _arguments(study, layout, case, folder)
    task |= {
        "name": case.name,
        "actions": [actions.on_worker(actions.run_program, targets, model=model, **arguments)],
        "clean": _clean(folder, files.MARKS),
        "doc": f"Reconstruct {of_case.words(case)}: {spec.in_words}",
    }
    task["meta"] |= {
        "record": f"{folder}/{files.RUN_RECORD}",
        "source": str(layout.dataset(case)),
        "output_dir": str(folder),
        "spec": spec,
    }
    return task


def _program(study: Study, case: Case) -> ProgramSpec:
    spec = study.method_of(case)
    assert isinstance(spec, ProgramSpec)
    return spec


def _files(layout: Layout, spec: ProgramSpec) -> dict[str, Path]:
    """Return where the files of a program lie: beside the study file."""
    beside = layout.study_file.parent if layout.study_file else Path()
    return {name: Path(os.path.normpath(beside / name)) for name in spec.files_used}


def _task(
    study: Study,
    layout: Layout,
    case: Case,
    folder: Path,
    targets: list[str],
    settings: dict[str, Any],
) -> TaskDict:
    """Return what trainings and reconstructions have in common."""
    source, spec = layout.dataset(case), _program(study, case)
    geometry, data = of_case.read_with(study, layout, case)
    if geometry != ASSUMED:
        settings["geometry"] = geometry.to_dict()
    settings |= said_of_reading(data.diffraction, data)
    meta = {
        "log": f"{folder}/{files.PROGRAM_LOG}",
        "claim": roots.results(layout),
        **of_case.filtered_by(study, case),
    }
    if not of_case.is_ours(layout, case.view):
        meta["check_inputs"] = partial(actions.problems, source, ReconSpec(), geometry, data)
        if case.view != BASELINE:
            meta["optional"] = "phase_d"
    return {
        "file_dep": [str(source), *map(str, _files(layout, spec).values())],
        "targets": targets,
        "uptodate": [SpecUnchanged(settings)],
        "meta": meta,
    }


def _arguments(study: Study, layout: Layout, case: Case, folder: Path) -> dict[str, Any]:
    spec = _program(study, case)
    geometry, data = of_case.read_with(study, layout, case)
    return {
        "source": layout.dataset(case),
        "folder": folder,
        "method": case.method,
        "spec": spec,
        "program_files": _files(layout, spec),
        "geometry": geometry,
        "data": data,
        "asked": of_case.asked_of(study, layout, case.dose, case.view, case.repeat),
    }


def _clean(folder: Path, marks: Any) -> list[Any]:
    return [
        (actions.remove_kept, [folder / files.KEPT]),
        (actions.remove, [str(folder), marks]),
    ]
