"""The report as one HTML page that asks the network for nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
from markupsafe import Markup

from fly64tasks.physics.frc import MIN_RING_PIXELS
from fly64tasks.recon.files import PROGRAM_LOG, TRAINING_TARGETS
from fly64tasks.report import exposure, page_tables, times
from fly64tasks.report.draws import draws_of, plain_of
from fly64tasks.report.files import FIGURE_NAMES, FIGURES
from fly64tasks.report.findings import RESOLUTION, headline
from fly64tasks.report.outcome import Outcome
from fly64tasks.report.page_facts import (
    facts_of,
    frames_text,
    geometry_text,
    setting_text,
    with_times,
)
from fly64tasks.report.page_job import (
    COMPARISON_PX,
    THUMBNAIL_PX,
    absent_of,
    anchor,
    best_of,
    cells_of,
    sheet_of,
    spark_points,
    title_of,
    verdicts,
    words_of_absent,
)
from fly64tasks.report.pictures import EMBED_LIMIT, Album, linked
from fly64tasks.report.results import Job, main_metric
from fly64tasks.report.template import filled_in
from fly64tasks.report.tiles import columns_of
from fly64tasks.report.wording import (
    counted,
    dose_text,
    duration_text,
    in_sentence,
    listed,
    unit_text,
    with_unit,
)
from fly64tasks.score.metric import Metric
from fly64tasks.score.scorecard import METRICS
from fly64tasks.study.cases import BASELINE, MAIN, SPLITS
from fly64tasks.study.paths import Layout
from fly64tasks.study.study import PLACES, Study


def render(contents: Mapping[str, Any], panels: Mapping[str, Sequence[str]]) -> str:
    """Return the page: `contents`, and `drawings.panels` as SVG elements."""
    svgs = {key: [Markup(svg) for svg in svgs] for key, svgs in panels.items()}
    scripts = ("report.js", "compare.js", "values.js")
    return filled_in("report.html.j2", scripts=scripts, panels=svgs, **contents)


def contents(
    study: Study,
    layout: Layout,
    jobs: Sequence[Job],
    album: Album,
    took: times.Times | None = None,
) -> dict[str, Any]:
    """Return what the page shows besides its figures.

    Parameters
    ----------
    jobs : sequence of Job
        Of every method and draw.
    album : Album
        Of the page; what it makes may still be under way.
    took : mapping of str to float, optional
        The seconds that each task took, by its name.
    """
    metric, plain, took = main_metric(jobs), plain_of(jobs), took or {}
    first = [job for job in jobs if job.case.repeat == 1]
    best, absent = best_of(jobs), absent_of(jobs, METRICS)
    views = list(dict.fromkeys(job.case.view for job in jobs))
    return {
        "study": study,
        "sentences": headline(jobs),
        "key_numbers": _key_numbers(jobs),
        "metric": metric,
        "metric_name": in_sentence(metric.label),
        "metrics": METRICS,
        "shown": [each for each in METRICS if each not in absent],
        "absent": words_of_absent(absent),
        "units": {each.key: unit_of(each, jobs) for each in METRICS},
        "views": [(view, _overlap_of(view, study)) for view in views],
        "view_names": views,
        "splits": SPLITS,
        "methods": list(study.all_methods),
        "draws": study.repeats,
        "doses": len(study.doses),
        "filters": page_tables.filters(jobs),
        "jobs": [
            _job(job, layout, metric, best, album, took, plain=study.is_plain)
            | {"view_index": views.index(job.case.view)}
            for job in jobs
        ],
        "rows": page_tables.matrix(jobs, metric),
        "columns": [page_tables.column_of(each, album) for each in columns_of(first)],
        "against_main": page_tables.against_main(jobs, (metric, RESOLUTION)),
        "remarks": exposure.remarks(study, plain),
        "resolution": RESOLUTION,
        "exposures": page_tables.exposures(plain),
        "overlap_rows": exposure.overlap_rows(plain),
        "fewest": MIN_RING_PIXELS,
        "embeds": album.embeds,
        "embed_limit": EMBED_LIMIT,
        "assumed": assumed_geometry(jobs),
        "seeded": sum(job.truth_seeded for job in jobs),
        "settings": _sections(study, jobs),
        "times": times.of_study((job.case for job in jobs), took),
        "versions": versions(jobs),
        "figure_names": FIGURE_NAMES,
        "figures_folder": FIGURES,
    }


def _job(
    job: Job,
    layout: Layout,
    metric: Metric,
    best: Mapping[str, float],
    album: Album,
    took: times.Times,
    *,
    plain: bool,
) -> dict[str, Any]:
    """Return what the template shows of a job; its main score is ``metric``, else what it has."""
    root, metric_cells = layout.artifact_root, cells_of(job, best)
    main = next(cell for cell in metric_cells if cell.metric == metric)
    known = (cell for cell in metric_cells if cell.sort is not None)
    losses = [loss for loss in job.losses if loss == loss]
    return {
        "case": job.case,
        "anchor": anchor(job.case),
        "dose": dose_text(job.case.dose),
        "title": title_of(job.case, plain=plain),
        "state": job.state,
        "why": job.why,
        "truth_seeded": job.truth_seeded,
        "verdicts": verdicts(job),
        "warnings": job.warnings,
        "frames": frames_text(job),
        "light": exposure.exposure_of(job).light_texts,
        "cells": metric_cells,
        "main": main if main.sort is not None else next(known, main),
        "facts": with_times(facts_of(job), times.of_case(job.case, took)),
        "thumbnail": album.on_screen(job.thumbnail, THUMBNAIL_PX),
        "sheet": sheet_of(job, album),
        "comparison": album.on_screen(job.comparison, COMPARISON_PX),
        "no_truth": job.scores.truth.reason or "no comparable truth"
        if job.scores and not job.scores.truth.comparable
        else None,
        "spark": spark_points(job.losses),
        "losses": (f"{losses[0]:.4g}", f"{losses[-1]:.4g}", len(job.losses)) if losses else None,
        "log_tail": job.log_tail,
        "files": [(name, linked(job.folder / name, root)) for name in job.files],
        "trained": [
            (path.name, linked(path, root))
            for name in (*TRAINING_TARGETS, PROGRAM_LOG)
            if (path := layout.model_dir(job.case) / name).is_file()
        ],
    }


def _overlap_of(view: str, study: Study) -> str:
    return "all frames" if view == BASELINE else study.view_spec(view).rule


def _key_numbers(jobs: Sequence[Job]) -> list[tuple[str, str, str]]:
    """Return the few numbers on top: label, value, what it is of."""
    scored = sum(job.scores is not None for job in jobs)
    numbers = [("Jobs scored", f"{scored} of {len(jobs)}", "")]
    for metric in (main_metric(jobs), RESOLUTION):
        found = [(spread.mean, each) for each in draws_of(jobs) if (spread := each.spread(metric))]
        if found and metric.needs_truth:
            _, best = min(found, key=lambda pair: metric.badness(pair[0]))
            case, text = best.case, with_unit(best.text(metric), best.jobs[0].unit(metric))
            by = f", {case.method}" if any(job.case.method != MAIN for job in jobs) else ""
            where = f"{dose_text(case.dose)} photons, {case.view}, {case.split}{by}"
            numbers.append((f"Best {in_sentence(metric.label)}", text, where))
    seconds = [job.run.seconds for job in jobs if job.run and job.run.seconds is not None]
    if seconds:
        devices = dict.fromkeys(job.run.device.get("hardware") for job in jobs if job.run)
        hardware = listed([name for name in devices if name])
        numbers.append(("Reconstructing took", duration_text(sum(seconds)), f"on {hardware}"))
    return numbers


def assumed_geometry(jobs: Sequence[Outcome]) -> str:
    """Return the assumed geometries in words, empty where all were measured."""
    texts = dict.fromkeys(geometry_text(job) for job in jobs if job.geometry_assumed)
    return listed(list(texts))


def unit_of(metric: Metric, jobs: Sequence[Outcome]) -> str:
    """Return the unit above a column of scores."""
    return unit_text(metric, assumed=any(job.geometry_assumed for job in jobs))


def _sections(study: Study, jobs: Sequence[Job]) -> list[tuple[str, list[tuple[str, str]]]]:
    """Return the study's settings, section by section as the study file has them.

    The geometry is that of the jobs, where sets of the user's say others than the study.
    """
    table = msgspec.structs.replace(study, recon=study.recon.resolved()).to_dict()
    for key in table["geometry"]:
        used: list[Any] = []
        for job in jobs:
            if key in job.geometry and job.geometry[key] not in used:
                used.append(job.geometry[key])
        table["geometry"][key] = used or table["geometry"][key]
    for place in PLACES:
        del table["paths"][place]
    for name, method in table.get("methods", {}).items():
        table["methods"][name] = _method_text(method)
    plain = {key: value for key, value in table.items() if not isinstance(value, dict)}
    sections = {"study": plain, **{k: v for k, v in table.items() if isinstance(v, dict)}}
    return [
        (name, [(key, setting_text(value)) for key, value in section.items()])
        for name, section in sections.items()
    ]


def _method_text(method: Mapping[str, Any]) -> str:
    """Return what a method says, the words of a program as a command line has them."""
    words = {key: " ".join(method[key]) for key in ("train", "command") if method.get(key)}
    return "; ".join(f"{key} {setting_text(value)}" for key, value in {**method, **words}.items())


def versions(jobs: Sequence[Outcome]) -> list[tuple[str, str]]:
    """Return each set of versions that was run with, and how many jobs it ran."""
    found: dict[str, int] = {}
    for job in jobs:
        if job.run and job.run.versions:
            text = ", ".join(f"{name} {version}" for name, version in job.run.versions.items())
            found[text] = found.get(text, 0) + 1
    return [(counted(count, "job"), text) for text, count in found.items()]
