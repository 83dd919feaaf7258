"""One job as the page shows it: its scores, its facts in groups, its loss as a line."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fly64tasks.report import pictures
from fly64tasks.report.results import Outcome
from fly64tasks.report.wording import MINUS, NONE, bytes_text, counted, duration_text
from fly64tasks.score.metric import Metric
from fly64tasks.score.scorecard import METRICS
from fly64tasks.study.cases import Case

Facts = list[tuple[str, str]]

THUMBNAIL_PX = 240
COMPARISON_PX = 1400
PANELS_PX = 1080


@dataclass(frozen=True)
class Cell:
    """A score in a table: its text, its unit, its rank (None last), why it is absent, the best."""

    metric: Metric
    text: str
    unit: str
    sort: float | None
    note: str
    best: bool


def cells_of(
    job: Outcome, best: Mapping[str, float], metrics: Sequence[Metric] = METRICS
) -> list[Cell]:
    """Return a job's scores in the scorecard's order; ``best`` has the best value of each."""
    cells = []
    for metric in metrics:
        value, note = job.value(metric), job.note(metric)
        if job.is_bound(metric) and not note:
            note = "only a bound: the correlation never falls below the threshold"
        is_best = value is not None and value == best.get(metric.key)
        cells.append(Cell(metric, job.text(metric), job.unit(metric), value, note, is_best))
    return cells


def best_of(jobs: Sequence[Outcome]) -> dict[str, float]:
    """Return the best value of each score against the truth that at least two jobs have.

    Those of the data alone have none: fewer photons or frames to agree with can lower the R-factor
    and help nobody, and a fit is one or is none.
    """
    best = {}
    for metric in (metric for metric in METRICS if metric.needs_truth):
        values = [value for job in jobs if (value := job.value(metric)) is not None]
        if len(values) > 1:
            best[metric.key] = min(values, key=metric.badness)
    return best


def facts_of(job: Outcome) -> list[tuple[str, Facts]]:
    """Return what is known of a job, in named groups, none of them empty."""
    groups = [
        ("Fit to the counts", _fit(job)),
        ("Beam and scan", _found(job)),
        ("Alignment", _alignment(job)),
        ("Region", _region(job)),
        ("Input", _input(job)),
        ("Run", _run(job)),
        ("Reconstruction", _settings(job.run.spec if job.run else {})),
        ("Scoring", _settings(job.scores.settings if job.scores else {})),
        ("Versions", _settings(job.run.versions if job.run else {})),
    ]
    return [(title, facts) for title, facts in groups if facts]


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


def sheet_of(job: Outcome, root: Path, embeds: bool) -> dict[str, Any] | None:
    """Return amplitudes and phases of a job as the page shows them, None where there are none."""
    panels = job.scores.panels if job.scores else None
    if job.panels is None or panels is None:
        return None
    if panels.has_truth:
        (_, amplitude, amplitude_off), (_, phase, phase_off) = panels.scales
        named = [("Amplitude", amplitude, ""), ("Phase", phase, " rad")]
        named += [
            ("Amplitude, difference", amplitude_off, ""),
            ("Phase, difference", phase_off, " rad"),
        ]
    else:
        amplitude, phase = panels.scales[0]
        named = [("Amplitude", amplitude, ""), ("Phase", phase, " rad")]
    return {
        "source": picture(job.panels, PANELS_PX, root, embeds),
        "columns": panels.columns,
        "rows": panels.rows,
        "heads": ("Truth", "Reconstruction", "Difference")
        if panels.has_truth
        else ("Amplitude", "Phase"),
        "scales": [
            (
                name,
                scale.colour_map,
                f"{scale.low:.2f}".replace("-", MINUS),
                f"{scale.high:.2f}{unit}".replace("-", MINUS),
            )
            for name, scale, unit in named
        ],
    }


def anchor(case: Case) -> str:
    """Return the id of a job's section."""
    return f"job-{case.name}"


def title_of(case: Case, *, plain: bool) -> str:
    """Return what a job is called behind its dose and view; methods and draws where there are some.

    >>> from fly64tasks.study.cases import Case
    >>> title_of(Case(1e3, "dense", "train", 2), plain=True)
    'train'
    >>> title_of(Case(1e3, "dense", "train", 2, "epie", 2), plain=False)
    'train, epie, draw 2'
    """
    return case.split if plain else f"{case.split}, {case.method}, draw {case.repeat}"


def geometry_text(job: Outcome) -> str:
    """Return the pixel size and energy of a job's set."""
    geometry = _set(job).get("geometry")
    if not isinstance(geometry, dict):
        return ""
    pixel, energy = geometry.get("pixel_size_m"), geometry.get("energy_ev")
    parts = [f"{pixel * 1e9:g} nm pixel"] if isinstance(pixel, int | float) else []
    parts += [f"{energy / 1e3:g} keV"] if isinstance(energy, int | float) else []
    return ", ".join(parts)


def spark_points(losses: Sequence[float], width: float = 100, height: float = 28) -> str:
    """Return the loss on a log scale as the points of an SVG polyline, empty where there is none.

    By hand, because a plotting library takes longer and 40 times the bytes for a line without axes.

    >>> spark_points([100.0, 10.0, 1.0])
    '0.0,1.0 50.0,14.0 100.0,27.0'
    """
    logs = [(i, math.log(loss)) for i, loss in enumerate(losses) if 0 < loss < math.inf]
    if len(logs) < 2:
        return ""
    values = [value for _, value in logs]
    low, span = min(values), (max(values) - min(values)) or 1.0
    last = logs[-1][0] - logs[0][0]
    points = (
        ((i - logs[0][0]) / last * width, 1 + (1 - (value - low) / span) * (height - 2))
        for i, value in logs
    )
    return " ".join(f"{x:.1f},{y:.1f}" for x, y in points)


def frames_text(job: Outcome) -> str:
    """Return how many frames were used, of how many in the set where these are more."""
    found = _set(job)
    start = job.run.start if job.run else {}
    used = found.get("n_frames", start.get("n_frames"))
    there = found.get("n_frames_in_set", start.get("n_frames_in_set"))
    if used is None:
        return NONE
    return str(used) if used == there or there is None else f"{used} of {there}"


def setting_text(value: Any) -> str:
    """Return a setting as a study file would say it, more or less.

    >>> setting_text(True), setting_text(None), setting_text({"dense": 0.7}), setting_text([1, 2])
    ('true', '–', 'dense 0.7', '1, 2')
    """
    if value is None:
        return NONE
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float):
        return f"{value:g}"
    if isinstance(value, dict):
        return ", ".join(f"{key} {setting_text(item)}" for key, item in value.items())
    if isinstance(value, list | tuple):
        return ", ".join(map(setting_text, value))
    return str(value)


def _set(job: Outcome) -> dict[str, Any]:
    return job.scores.set if job.scores else job.run.set if job.run else {}


def _fit(job: Outcome) -> Facts:
    fit = job.fit
    if fit is None:
        return []
    facts = [("In words", fit.words)]
    if fit.chi2 is not None:
        facts.insert(0, ("χ²", f"{fit.chi2:.2f}"))
    if fit.worst_frame is not None:
        facts.append(("Worst frame", f"{fit.worst_frame.index}, χ² {fit.worst_frame.chi2:.2f}"))
    if fit.worst_pixel is not None:
        y, x = fit.worst_pixel.yx
        facts.append(("Worst pixel", f"y {y}, x {x}, χ² {fit.worst_pixel.chi2:.2f}"))
    return facts


def _found(job: Outcome) -> Facts:
    found = job.run.found if job.run else None
    facts = []
    if found and found.probe_mode_shares:
        shares = ", ".join(f"{share:.1%}" for share in found.probe_mode_shares)
        facts.append(("Shares of the probe's modes", shares))
    if found and found.opr_mode_shares:
        shares = ", ".join(f"{share:.2%}" for share in found.opr_mode_shares)
        facts.append(("Shares of its OPR modes", shares))
    if found and found.slices > 1:
        facts.append(("Layers of the object", f"{found.slices}; scores are of their product"))
    if found and found.positions_moved_px:
        moved = found.positions_moved_px
        facts.append(("Positions moved", f"{moved.rms:.2f} px rms, {moved.most:.2f} px at most"))
    return facts


def _alignment(job: Outcome) -> Facts:
    found = job.scores.alignment if job.scores else None
    if found is None:
        return []
    facts = [
        ("Shift removed (y, x)", pair_text(found.shift_px, "px", 4)),
        ("Phase ramp removed (y, x)", pair_text(found.ramp_rad_per_px, "rad/px", 5)),
        ("Scale", f"{found.scale:.4f}, {found.phase_rad:.4f} rad"),
    ]
    if found.residual_shift_px is not None:
        facts.insert(1, ("Shift left (y, x)", pair_text(found.residual_shift_px, "px", 4)))
    return facts


def _region(job: Outcome) -> Facts:
    region = job.scores.region if job.scores else None
    if region is None:
        return []
    y0, y1, x0, x1 = region.box_px
    return [
        ("Illuminated above", f"{region.threshold:g} of the maximum"),
        ("Pixels", f"{region.pixels:,} ({region.share_of_object:.0%} of the object)"),
        ("Box", f"y {y0} to {y1}, x {x0} to {x1}"),
    ]


def _input(job: Outcome) -> Facts:
    if job.run is None:
        return []
    given, start = job.run.input, job.run.start
    facts = [
        ("Set", given.get("path")),
        ("SHA-256", given.get("sha256")),
        ("Frames", frames_text(job)),
        ("Frame size", f"{start['frame_size_px']} px" if "frame_size_px" in start else None),
        ("Frame of reference", start.get("frame_of_reference")),
        ("Geometry", geometry_text(job) + (", assumed" if job.geometry_assumed else "")),
    ]
    return [(key, str(value)) for key, value in facts if value]


def _run(job: Outcome) -> Facts:
    run = job.run
    if run is None:
        return []
    names = [name for key in ("name", "hardware") if (name := run.device.get(key))]
    memory = {key: size for key, size in run.peak_memory_bytes.items() if size}
    facts = [
        (
            "State",
            run.state if run.exit_code is None else f"{run.state}, exit code {run.exit_code}",
        ),
        ("Started", run.started),
        ("Host", run.host),
        ("Commit of fly64tasks", run.commit),
        ("Took", None if run.seconds is None else duration_text(run.seconds)),
        ("Device", " · ".join(names) or None),
        ("Peak memory", ", ".join(f"{bytes_text(s)} ({k})" for k, s in memory.items()) or None),
    ]
    return [(key, str(value)) for key, value in facts if value is not None]


def _settings(table: Mapping[str, Any]) -> Facts:
    return [(key, setting_text(value)) for key, value in table.items()]


def pair_text(values: Sequence[float], unit: str, decimals: int) -> str:
    """Return a pair of numbers with its unit.

    >>> pair_text((0.25, -1.0), "px", 2)
    '0.25, −1.00 px'
    """
    return f"{', '.join(f'{value:.{decimals}f}' for value in values)} {unit}".replace("-", MINUS)
