"""Case to doit task: pure functions that open no file.

Nothing here imports numpy, torch or pty-chi: `doit list` pays for none of them.
"""

from __future__ import annotations

import functools
from functools import partial
from pathlib import Path
from typing import Any

from fly64tasks.data.lineage import AskedSet, MadeAsAsked, lineage_of_base, lineage_of_set
from fly64tasks.doitext.spec import SpecUnchanged
from fly64tasks.doitext.state.claims import Claim
from fly64tasks.recon import files
from fly64tasks.report.files import MARKS as REPORT_MARKS
from fly64tasks.report.files import REPORT_FILES
from fly64tasks.score.files import MARKS as SCORE_MARKS
from fly64tasks.score.files import SCORE_FILES
from fly64tasks.study.cases import BASELINE, SPLITS, Case, set_name
from fly64tasks.study.measured import MeasuredStudy
from fly64tasks.study.methods import ProgramSpec
from fly64tasks.study.paths import Layout
from fly64tasks.study.recon_settings import ReconSpec
from fly64tasks.study.run_settings import CheckpointSpec
from fly64tasks.study.stages import ASSUMED, DataSpec, Geometry, said_of_reading
from fly64tasks.study.study import PLACES, Study
from fly64tasks.tasks import actions, of_case, programs, roots

TaskDict = dict[str, Any]


def base(study: Study, layout: Layout) -> TaskDict:
    """Return the task that writes the built-in base."""
    spec, geometry = study.base, study.geometry
    made_from = lineage_of_base(spec, geometry)
    return {
        "actions": [
            actions.on_worker(actions.make_base, [layout.base], target=layout.base, study=study)
        ],
        "targets": [str(layout.base)],
        "uptodate": [
            SpecUnchanged({**spec.to_dict(), "geometry": geometry.to_dict()}),
            MadeAsAsked([layout.base], lambda: made_from),
        ],
        "clean": [(actions.remove, [".", {str(layout.base): None}])],
        "meta": {"claim": roots.data(layout)},
        "doc": (
            f"Write the built-in base: {spec.probe_size_px} px zone-plate probe, "
            f"{spec.object_size_px} px object, scan"
        ),
    }


def simulate(study: Study, layout: Layout, dose: float, repeat: int = 1) -> TaskDict:
    """Return the task that simulates one dose, with one draw of the noise."""
    spec, geometry = study.simulation_of(repeat), study.geometry
    settings = {"dose": dose, **spec.to_dict(), "geometry": geometry.to_dict()}
    targets = {split: layout.phase_c(dose, split, repeat) for split in SPLITS}
    return {
        "name": set_name(dose, repeat=repeat),
        "actions": [
            actions.on_worker(
                actions.simulate,
                targets.values(),
                base=layout.base,
                outputs=targets,
                dose=dose,
                spec=spec,
                geometry=geometry,
                base_lineage=of_case.base_lineage(study, layout),
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
        "clean": [(actions.remove, [".", dict.fromkeys(map(str, targets.values()))])],
        "meta": {"claim": roots.data(layout)},
        "doc": (
            f"Simulate diffraction at {dose:g} photons per frame, train and test"
            f"{of_case.drawn(repeat)}"
        ),
    }


def views(study: Study, layout: Layout, dose: float, view: str, repeat: int = 1) -> TaskDict:
    """Return the task that thins one dose to one view, in one draw of the noise."""
    spec = study.view_spec(view)
    data = of_case.data_of(study, made_by_us=layout.makes_phase_c)
    sources = {split: layout.phase_c(dose, split, repeat) for split in SPLITS}
    targets = {split: layout.phase_d(dose, view, split, repeat) for split in SPLITS}
    made_as_asked, asked = [], None
    if layout.makes_phase_c:  # else the sources are the user's, and say what they like
        asked = of_case.asked_of(study, layout, dose, BASELINE, repeat)
        made_from = (layout.base, dose, study.simulation_of(repeat), study.geometry, spec)
        made_as_asked.append(MadeAsAsked(targets.values(), partial(lineage_of_set, *made_from)))
    return {
        "name": set_name(dose, view, repeat),
        "actions": [
            actions.on_worker(
                actions.make_view,
                targets.values(),
                sources=sources,
                outputs=targets,
                spec=spec,
                data=data,
                asked=asked,
            )
        ],
        "file_dep": [str(path) for path in sources.values()],
        "targets": [str(path) for path in targets.values()],
        "uptodate": [
            SpecUnchanged({**spec.to_dict(), **said_of_reading(data.diffraction, data)}),
            *made_as_asked,
        ],
        "clean": [(actions.remove, [".", dict.fromkeys(map(str, targets.values()))])],
        "meta": {"claim": roots.data(layout)},
        "doc": (
            f"Thin {dose:g} photons per frame to the {view} view, {spec.rule}"
            f"{of_case.drawn(repeat)}"
        ),
    }


def recon(study: Study, layout: Layout, case: Case) -> TaskDict:
    """Return the task that reconstructs one case."""
    spec = study.method_of(case)
    if isinstance(spec, ProgramSpec):
        return programs.reconstruction(study, layout, case)
    source, folder = layout.dataset(case), layout.recon_dir(case)
    geometry, data = of_case.read_with(study, layout, case)
    task = reconstruction(
        case.name,
        source,
        folder,
        spec,
        geometry,
        data,
        study.checkpoint,
        roots.results(layout),
        asked=of_case.asked_of(study, layout, case.dose, case.view, case.repeat),
    )
    task["meta"] |= of_case.filtered_by(study, case)
    if not of_case.is_ours(layout, case.view):
        task["meta"]["check_inputs"] = partial(actions.problems, source, spec, geometry, data)
        if case.view != BASELINE:
            task["meta"]["optional"] = "phase_d"
    task["doc"] = f"Reconstruct {of_case.words(case)}: {spec.in_words}"
    return task


def reconstruction(
    name: str,
    source: Path,
    folder: Path,
    spec: ReconSpec,
    geometry: Geometry,
    data: DataSpec,
    checkpoint: CheckpointSpec,
    claim: Claim,
    asked: AskedSet | None = None,
) -> TaskDict:
    """Return the task that reconstructs a set into a folder, with every choice of ``spec`` made.

    Parameters
    ----------
    claim : Claim
        On the folder of the results.
    asked : AskedSet, optional
        What the set is to be made from, where it is ours.
    """
    # Strings, as joining a hundred thousand paths takes longer than all the rest of `doit list`.
    place = str(folder)
    targets = [f"{place}/{file}" for file in files.TARGETS]
    arguments = {
        "source": source,
        "folder": folder,
        "spec": spec,
        "geometry": geometry,
        "data": data,
        "checkpoint": checkpoint,
        "asked": asked,
        "writes": [*targets, f"{place}/{files.CHECKPOINT}"],
    }
    return {
        "name": name,
        "actions": [(actions.reconstruct, [], arguments)],
        "file_dep": [str(source)],
        "targets": targets,
        "uptodate": [SpecUnchanged(_settings(spec, geometry, data))],
        "clean": [(actions.remove, [place, files.MARKS])],
        "meta": {
            "record": f"{place}/{files.RUN_RECORD}",
            "log": f"{place}/{files.LOG}",
            "source": str(source),
            "output_dir": place,
            "claim": claim,
            "spec": spec,
            "geometry": geometry,
            "read_as": said_of_reading(data.diffraction, data),
        },
    }


@functools.lru_cache(maxsize=64)  # of thousands of cases that differ in nothing of it
def _settings(spec: ReconSpec, geometry: Geometry, data: DataSpec) -> dict[str, Any]:
    """Return what a reconstruction depends on besides its set; not to be written to."""
    sizes = {} if geometry == ASSUMED else {"geometry": geometry.to_dict()}
    return {**spec.to_dict(), **sizes, **said_of_reading(data.diffraction, data)}


def score(study: Study, layout: Layout, case: Case) -> TaskDict:
    """Return the task that scores one case against the truth and its data."""
    source, folder = layout.dataset(case), layout.recon_dir(case)
    settings = study.score.to_dict()
    if study.data.truth:
        settings["truth"] = study.data.truth
    place = str(folder)
    targets = [f"{place}/{name}" for name in SCORE_FILES]
    return {
        "name": case.name,
        "actions": [
            actions.on_worker(
                actions.score,
                targets,
                source=source,
                folder=folder,
                spec=study.score,
                case=case,
                data=study.data,
                asked=of_case.asked_of(study, layout, case.dose, case.view, case.repeat),
                recon=study.method_of(case),
            )
        ],
        "file_dep": [str(source), f"{place}/{files.RECONSTRUCTION}"],
        "targets": targets,
        "uptodate": [SpecUnchanged(settings)],
        "clean": [(actions.remove, [place, SCORE_MARKS])],
        "meta": {
            "claim": roots.results(layout),
            **of_case.filtered_by(study, case),
        },
        "doc": f"Score {of_case.words(case)} against the truth",
    }


def report(study: Study, layout: Layout) -> TaskDict:
    """Return the task that writes the report, of whatever part of the study there is."""
    root = layout.artifact_root
    parts = (files.LOSSES, files.RUN_RECORD, *SCORE_FILES)
    folders = [str(layout.recon_dir(case)) for case in study.cases()]
    targets = [f"{root}/{name}" for name in REPORT_FILES]
    return {
        "basename": "report",
        "actions": [(actions.report, [], {"study": study, "layout": layout})],
        "file_dep": [f"{folder}/{name}" for folder in folders for name in parts],
        "targets": targets,
        "uptodate": [whole(study)],
        "clean": [(actions.remove, [str(root), REPORT_MARKS])],
        "meta": {"partial": True, "times": True, "claim": roots.results(layout)},
        "doc": "Write the report: a page, tables and figures of every score",
    }


def whole(study: Study | MeasuredStudy) -> SpecUnchanged:
    """Return what a report depends on besides files: all of its study, but where things lie."""
    said = {**study.to_dict(), "recon": study.recon.resolved().to_dict()}
    return SpecUnchanged(said, besides=[f"paths.{place}" for place in PLACES])
