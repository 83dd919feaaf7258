"""Measured scan to doit task: pure functions that open no file, as those of `graph`."""

from __future__ import annotations

from functools import partial

from fly64tasks.doitext.spec import SpecUnchanged
from fly64tasks.recon import files
from fly64tasks.report.files import MEASURED_MARKS as REPORT_MARKS
from fly64tasks.score.files import MEASURED_MARKS as SCORE_MARKS
from fly64tasks.study.measured import MeasuredLayout, MeasuredStudy, Part
from fly64tasks.tasks import actions, roots
from fly64tasks.tasks.graph import TaskDict, reconstruction, whole


def recon_part(study: MeasuredStudy, layout: MeasuredLayout, part: Part) -> TaskDict:
    """Return the task that reconstructs one scan, or half of it."""
    sources, folder = layout.files(study, part.scan), layout.recon_dir(part)
    spec = study.recon_of(part.scan, part.half).resolved()
    geometry = study.geometry_of(part.scan)
    data = study.data_of(part.scan)
    claim = roots.results_of_scans(layout)
    task = reconstruction(
        part.name, sources[0], folder, spec, geometry, data, study.checkpoint, claim
    )
    task["file_dep"] = list(map(str, sources))
    task["meta"] |= {"scan": part.scan, "half": part.half or "whole"}
    if part.half is None:  # a half is of the same files, and reading them takes its time
        task["meta"]["check_inputs"] = partial(
            actions.problems_of_scan, sources, spec, geometry, data
        )
    frames = f"the {part.half} frames of {part.scan}" if part.half else part.scan
    task["doc"] = f"Reconstruct {frames}: {spec.in_words}"
    return task


def score_scan(study: MeasuredStudy, layout: MeasuredLayout, scan: str) -> TaskDict:
    """Return the task that scores one scan against its data, and its halves against each other."""
    sources = layout.files(study, scan)
    folder, *halves = (layout.recon_dir(part) for part in study.parts_of(scan))
    found = [f"{path}/{files.RECONSTRUCTION}" for path in (folder, *halves)]
    targets = [f"{folder}/{name}" for name in SCORE_MARKS]
    return {
        "name": scan,
        "actions": [
            actions.on_worker(
                actions.score_scan,
                targets,
                files=sources,
                folder=folder,
                halves=halves,
                spec=study.score,
                recon=study.recon_of(scan),
            )
        ],
        "file_dep": [*map(str, sources), *found],
        "targets": targets,
        "uptodate": [SpecUnchanged(study.score.to_dict())],
        "clean": [(actions.remove, [str(folder), SCORE_MARKS])],
        "meta": {"claim": roots.results_of_scans(layout), "scan": scan},
        "doc": f"Score {scan} against its data" + (", its halves by FRC" if halves else ""),
    }


def report_scans(study: MeasuredStudy, layout: MeasuredLayout) -> TaskDict:
    """Return the task that writes the report, of whatever scans there are."""
    root = layout.artifact_root
    parts = (files.LOSSES, files.RUN_RECORD, *SCORE_MARKS)
    folders = [layout.recon_dir(Part(scan)) for scan in study.scans]
    targets = [f"{root}/{name}" for name in REPORT_MARKS]
    return {
        "basename": "report",
        "actions": [(actions.report_scans, [], {"study": study, "layout": layout})],
        "file_dep": [f"{folder}/{name}" for folder in folders for name in parts],
        "targets": targets,
        "uptodate": [whole(study)],
        "clean": [(actions.remove, [str(root), REPORT_MARKS])],
        "meta": {"partial": True, "times": True, "claim": roots.results_of_scans(layout)},
        "doc": "Write the report: a page and tables of every scan",
    }
