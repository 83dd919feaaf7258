"""The report as one HTML page that asks the network for nothing.

Jinja2 escapes every string; what is inserted as it is are the package's own style sheet and script
and figures drawn from the study. The script is allowed by its digest, so that not even a string
that escaped the escaping could run.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping, Sequence
from importlib import resources
from pathlib import Path
from typing import Any

import msgspec
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from fly64tasks import plotstyle
from fly64tasks.physics.frc import MIN_RING_PIXELS
from fly64tasks.report import exposure, pictures
from fly64tasks.report.files import FIGURE_NAMES, FIGURES, PAGE_MARK
from fly64tasks.report.findings import RESOLUTION, headline
from fly64tasks.report.page_job import (
    best_of,
    cells_of,
    facts_of,
    frames_text,
    geometry_text,
    setting_text,
    spark_points,
)
from fly64tasks.report.results import Job, Outcome, main_metric
from fly64tasks.report.tiles import Column, columns_of
from fly64tasks.report.wording import (
    ASSUMED,
    MINUS,
    counted,
    dose_text,
    duration_text,
    in_sentence,
    listed,
    unit_text,
    with_unit,
)
from fly64tasks.score.scorecard import METRICS, Metric
from fly64tasks.study.cases import BASELINE, SPLITS
from fly64tasks.study.paths import Layout
from fly64tasks.study.study import PLACES, Study

EMBED_LIMIT = 60
"""Above so many jobs the page links to their pictures and does not hold them."""

THUMBNAIL_PX = 240
COMPARISON_PX = 1400


def render(
    study: Study, layout: Layout, jobs: Sequence[Job], panels: Mapping[str, Sequence[str]]
) -> str:
    """Return the page.

    Parameters
    ----------
    panels : mapping
        SVG elements as `figures.panels` draws them.
    """
    every, jobs = jobs, [job for job in jobs if not job.case.variant]
    metric = main_metric(jobs)
    embeds = len(jobs) <= EMBED_LIMIT
    best = best_of(jobs)
    views = list(dict.fromkeys(job.case.view for job in jobs))
    return filled_in(
        "report.html.j2",
        study=study,
        sentences=headline(every),
        key_numbers=_key_numbers(jobs),
        metric=metric,
        metric_name=in_sentence(metric.label),
        metrics=METRICS,
        units={each.key: unit_of(each, jobs) for each in METRICS},
        views=[(view, _overlap_of(view, study)) for view in views],
        splits=SPLITS,
        jobs=[
            _job(job, layout, metric, best, embeds) | {"view_index": views.index(job.case.view)}
            for job in jobs
        ],
        rows=_matrix(jobs),
        columns=[_column(column, layout, embeds) for column in columns_of(jobs)],
        remarks=exposure.remarks(study, jobs),
        panels={key: [Markup(svg) for svg in svgs] for key, svgs in panels.items()},
        resolution=RESOLUTION,
        overlap_rows=exposure.overlap_rows(jobs),
        fewest=MIN_RING_PIXELS,
        embeds=embeds,
        embed_limit=EMBED_LIMIT,
        assumed=assumed_geometry(jobs),
        seeded=sum(job.truth_seeded for job in jobs),
        settings=_sections(study, jobs),
        versions=versions(jobs),
        figure_names=FIGURE_NAMES,
        figures_folder=FIGURES,
    )


def filled_in(template: str, **values: Any) -> str:
    """Return a page: a template filled in, with our mark, style sheet and script."""
    environment = Environment(
        loader=PackageLoader("fly64tasks.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    script = _text("report.js")
    digest = base64.b64encode(hashlib.sha256(script.encode("utf-8")).digest()).decode("ascii")
    page = environment.get_template(template).render(
        mark=Markup(PAGE_MARK),
        style=Markup(_variables() + _text("report.css")),
        script=Markup(script),
        script_digest=digest,
        **values,
    )
    return page + "\n"


def _text(name: str) -> str:
    return (resources.files("fly64tasks.report") / "templates" / name).read_text("utf-8")


def _variables() -> str:
    """Return the style's colours as style-sheet variables, by day and by night."""

    def block(colours: Mapping[str, str]) -> str:
        return " ".join(f"--{name}: {colour};" for name, colour in colours.items())

    return (
        f":root {{ {block(plotstyle.LIGHT)} }}\n"
        "@media screen and (prefers-color-scheme: dark) "
        f"{{ :root {{ {block(plotstyle.DARK)} }} }}\n"
    )


def _job(
    job: Job, layout: Layout, metric: Metric, best: Mapping[str, float], embeds: bool
) -> dict[str, Any]:
    """Return what the template shows of a job; its main score is ``metric``, else what it has."""
    root, metric_cells = layout.artifact_root, cells_of(job, best)
    main = next(cell for cell in metric_cells if cell.metric == metric)
    known = (cell for cell in metric_cells if cell.sort is not None)
    losses = [loss for loss in job.losses if loss == loss]
    return {
        "case": job.case,
        "anchor": f"job-{job.case.name}",
        "dose": dose_text(job.case.dose),
        "state": job.state,
        "why": job.why,
        "truth_seeded": job.truth_seeded,
        "verdicts": verdicts(job),
        "warnings": job.warnings,
        "frames": frames_text(job),
        "light": exposure.exposure_of(job).light_texts,
        "cells": metric_cells,
        "main": main if main.sort is not None else next(known, main),
        "facts": facts_of(job),
        "thumbnail": picture(job.thumbnail, THUMBNAIL_PX, root, embeds),
        "comparison": picture(job.comparison, COMPARISON_PX, root, embeds),
        "no_truth": job.scores.truth.reason or "no comparable truth"
        if job.scores and not job.scores.truth.comparable
        else None,
        "spark": spark_points(job.losses),
        "losses": (f"{losses[0]:.4g}", f"{losses[-1]:.4g}", len(job.losses)) if losses else None,
        "log_tail": job.log_tail,
        "files": [(name, pictures.linked(job.folder / name, root)) for name in job.files],
    }


def verdicts(job: Outcome) -> list[str]:
    """Return what a reader must see of a job before its numbers."""
    found = {
        "worse than a flat object": job.is_worse_than_flat,
        "does not fit": job.does_not_fit,
        counted(len(job.warnings), "warning"): bool(job.warnings),
    }
    return [words for words, holds in found.items() if holds]


def picture(path: Path | None, width: int, root: Path, embeds: bool) -> str | None:
    """Return the address of a picture, which holds it where the page does."""
    if path is None:
        return None
    return pictures.embedded(path, width) if embeds else pictures.linked(path, root)


def _column(column: Column, layout: Layout, embeds: bool) -> dict[str, Any]:
    """Return what the template shows of a view and split: truth, scan, colours, lengths."""
    scans = {exposure.exposure_of(job).scan_text for job in column.jobs if job.scores}
    scale = column.picture
    return {
        "view": column.view,
        "split": column.split,
        "truth": picture(column.truth, THUMBNAIL_PX, layout.artifact_root, embeds),
        "aspect": f"{1 / column.aspect:.3f}",
        "scan": scans.pop().split("\n") if len(scans) == 1 else [],
        "gradient": column.gradient,
        "ends": [f"{end:.2f}".replace("-", MINUS) for end in (scale.low, scale.high)]
        if scale
        else None,
        "bar": column.scale_bar and (column.scale_bar[0], _length(column)),
    }


def _length(column: Column) -> str:
    """Return the length of a column's scale bar, which says where it is an assumed one."""
    text = column.scale_bar[1] if column.scale_bar else ""
    return f"{text} {ASSUMED}" if any(job.geometry_assumed for job in column.jobs) else text


def _matrix(jobs: Sequence[Job]) -> list[tuple[str, list[list[int]]]]:
    """Return the dose x view matrix: for each dose and view the indices of its jobs."""
    rows: dict[float, dict[str, list[int]]] = {}
    for index, job in enumerate(jobs):
        rows.setdefault(job.case.dose, {}).setdefault(job.case.view, []).append(index)
    return [(dose_text(dose), list(cells.values())) for dose, cells in rows.items()]


def _overlap_of(view: str, study: Study) -> str:
    return "all frames" if view == BASELINE else f"overlap {study.views.overlap[view]:g}"


def _key_numbers(jobs: Sequence[Job]) -> list[tuple[str, str, str]]:
    """Return the few numbers on top: label, value, what it is of."""
    scored = sum(job.scores is not None for job in jobs)
    numbers = [("Jobs scored", f"{scored} of {len(jobs)}", "")]
    for metric in (main_metric(jobs), RESOLUTION):
        found = [(value, job) for job in jobs if (value := job.value(metric)) is not None]
        if found and metric.needs_truth:
            _, job = min(found, key=lambda pair: metric.badness(pair[0]))
            text = with_unit(job.text(metric), job.unit(metric))
            where = f"{dose_text(job.case.dose)} photons, {job.case.view}, {job.case.split}"
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
    plain = {key: value for key, value in table.items() if not isinstance(value, dict)}
    sections = {"study": plain, **{k: v for k, v in table.items() if isinstance(v, dict)}}
    return [
        (name, [(key, setting_text(value)) for key, value in section.items()])
        for name, section in sections.items()
    ]


def versions(jobs: Sequence[Outcome]) -> list[tuple[str, str]]:
    """Return each set of versions that was run with, and how many jobs it ran."""
    found: dict[str, int] = {}
    for job in jobs:
        if job.run and job.run.versions:
            text = ", ".join(f"{name} {version}" for name, version in job.run.versions.items())
            found[text] = found.get(text, 0) + 1
    return [(counted(count, "job"), text) for text, count in found.items()]
