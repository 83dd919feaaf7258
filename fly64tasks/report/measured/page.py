"""The report on measured scans as one HTML page that asks the network for nothing."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
from markupsafe import Markup

from fly64tasks.physics.frc import MIN_RING_PIXELS
from fly64tasks.report.exposure import exposure_of
from fly64tasks.report.files import FIGURES, FRC_OF_HALVES
from fly64tasks.report.measured.findings import headline
from fly64tasks.report.measured.scans import ScanJob, metrics_of
from fly64tasks.report.page import assumed_geometry, unit_of, versions
from fly64tasks.report.page_facts import (
    Facts,
    facts_of,
    frames_text,
    pair_text,
    setting_text,
    with_times,
)
from fly64tasks.report.page_job import (
    COMPARISON_PX,
    THUMBNAIL_PX,
    cells_of,
    spark_points,
    verdicts,
)
from fly64tasks.report.pictures import EMBED_LIMIT, Album, linked
from fly64tasks.report.template import filled_in
from fly64tasks.report.times import Times
from fly64tasks.report.wording import duration_text, listed, signed_text
from fly64tasks.study.measured import MeasuredLayout, MeasuredStudy


def render(
    study: MeasuredStudy,
    layout: MeasuredLayout,
    jobs: Sequence[ScanJob],
    panels: Sequence[str],
    took: Times | None = None,
) -> str:
    """Return the page; ``panels`` are SVG elements as `figure.panels` draws them."""
    metrics = metrics_of(study)
    with Album(layout.artifact_root, len(jobs)) as album:
        return filled_in(
            "measured.html.j2",
            study=study,
            sentences=headline(jobs),
            key_numbers=_key_numbers(jobs),
            metrics=metrics,
            units={each.key: unit_of(each, jobs) for each in metrics},
            jobs=[_job(job, study, layout, album, took or {}) for job in jobs],
            panels=[Markup(svg) for svg in panels],
            fewest=MIN_RING_PIXELS,
            embeds=album.embeds,
            embed_limit=EMBED_LIMIT,
            assumed=assumed_geometry(jobs),
            settings=_sections(study),
            versions=versions(jobs),
            figure=f"{FIGURES}/{FRC_OF_HALVES}",
        )


def _job(
    job: ScanJob, study: MeasuredStudy, layout: MeasuredLayout, album: Album, took: Times
) -> dict[str, Any]:
    """Return what the template shows of a scan."""
    root = layout.artifact_root
    losses = [loss for loss in job.losses if loss == loss]
    size = job.scores.picture if job.scores else None
    halves = [("Halves", found)] if (found := _halves(job)) else []
    return {
        "scan": job.scan,
        "anchor": f"job-{job.scan}",
        "state": job.state,
        "why": job.why,
        "verdicts": verdicts(job),
        "warnings": job.warnings,
        "frames": frames_text(job),
        "light": exposure_of(job).light_texts,
        "overlap": exposure_of(job).scan_text.split("\n")[1:],
        "words": job.fit.words if job.fit else "",
        "cells": cells_of(job, {}, metrics_of(study)),
        "facts": with_times([*halves, *facts_of(job)], _times(job, study, took)),
        "thumbnail": album.on_screen(job.thumbnail, THUMBNAIL_PX),
        "aspect": f"{size.width_px / size.height_px:.3f}" if size else "1",
        "comparison": album.on_screen(job.comparison, COMPARISON_PX),
        "spark": spark_points(job.losses),
        "losses": (f"{losses[0]:.4g}", f"{losses[-1]:.4g}", len(job.losses)) if losses else None,
        "log_tail": job.log_tail,
        "files": [(name, linked(job.folder / name, root)) for name in job.files],
        "trained": [],
    }


def _times(job: ScanJob, study: MeasuredStudy, took: Times) -> Facts:
    """Return how long each reconstruction of a scan took, and its scoring."""
    tasks = {
        f"reconstructing{f', {part.half}' if part.half else ''}": f"recon:{part.name}"
        for part in study.parts_of(job.scan)
    }
    tasks["scoring"] = f"score:{job.scan}"
    return [(kind, duration_text(took[task])) for kind, task in tasks.items() if task in took]


def _halves(job: ScanJob) -> Facts:
    """Return what was removed from the odd half before it was held against the even one."""
    found = job.scores.halves if job.scores else None
    if found is None:
        return []
    return [
        ("Shift removed (y, x)", pair_text(found.shift_px, "px", 4)),
        ("Phase ramp removed (y, x)", pair_text(found.ramp_rad_per_px, "rad/px", 5)),
        ("Scale", f"{signed_text(found.scale, 4)}, {signed_text(found.phase_rad, 4)} rad"),
        ("Pixels compared", f"{found.pixels:,}"),
    ]


def _key_numbers(jobs: Sequence[ScanJob]) -> list[tuple[str, str, str]]:
    """Return the few numbers on top: label, value, what it is of."""
    scored = sum(job.scores is not None for job in jobs)
    numbers = [("Scans scored", f"{scored} of {len(jobs)}", "")]
    frames = [job.run.start.get("n_frames") for job in jobs if job.run]
    known = [count for count in frames if isinstance(count, int)]
    if known:
        numbers.append(("Frames", f"{sum(known):,}", ""))
    seconds = [job.run.seconds for job in jobs if job.run and job.run.seconds is not None]
    if seconds:
        devices = dict.fromkeys(job.run.device.get("hardware") for job in jobs if job.run)
        hardware = listed([name for name in devices if name])
        numbers.append(("Reconstructing took", duration_text(sum(seconds)), f"on {hardware}"))
    return numbers


def _sections(study: MeasuredStudy) -> list[tuple[str, list[tuple[str, str]]]]:
    """Return the study's settings, section by section as the study file has them."""
    table = msgspec.structs.replace(study, recon=study.recon.resolved()).to_dict()
    scans = {
        scan: [
            listed(study.files_of(scan)),
            *(f"{key}: {setting_text(value)}" for key, value in _said(study, scan)),
        ]
        for scan in study.scans
    }
    del table["paths"]  # where the results lie: what the study is does not depend on it
    table["scans"] = {scan: "; ".join(said) for scan, said in scans.items()}
    plain = {key: value for key, value in table.items() if not isinstance(value, dict)}
    sections = {"study": plain, **{k: v for k, v in table.items() if isinstance(v, dict)}}
    return [
        (name, [(key, setting_text(value)) for key, value in section.items()])
        for name, section in sections.items()
    ]


def _said(study: MeasuredStudy, scan: str) -> list[tuple[str, Any]]:
    """Return what a scan changes of the study."""
    spec = study.spec_of(scan)
    changed = {"geometry": spec.geometry, "recon": spec.recon}
    return [*spec.data.items(), *((key, value) for key, value in changed.items() if value)]
