"""What is known of one job besides its scores, in named groups, as the page lists it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from fly64tasks.report.outcome import Outcome
from fly64tasks.report.wording import NONE, bytes_text, duration_text, signed_text

Facts = list[tuple[str, str]]
Group = tuple[str, Facts]


def facts_of(job: Outcome) -> list[Group]:
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


def with_times(groups: Sequence[Group], took: Facts) -> list[Group]:
    """Return groups with the time of each task behind the run, where some are known."""
    if not took:
        return [*groups]
    place = 1 + max((i for i, (title, _) in enumerate(groups) if title == "Run"), default=-1)
    return [*groups[:place], ("Time of each task", took), *groups[place:]]


def geometry_text(job: Outcome) -> str:
    """Return the pixel size and energy of a job's set."""
    geometry = _set(job).get("geometry")
    if not isinstance(geometry, dict):
        return ""
    pixel, energy = geometry.get("pixel_size_m"), geometry.get("energy_ev")
    parts = [f"{pixel * 1e9:g} nm pixel"] if isinstance(pixel, int | float) else []
    parts += [f"{energy / 1e3:g} keV"] if isinstance(energy, int | float) else []
    return ", ".join(parts)


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


def pair_text(values: Sequence[float], unit: str, decimals: int) -> str:
    """Return a pair of numbers with its unit.

    >>> pair_text((0.25, -1.0), "px", 2)
    '0.25, −1.00 px'
    """
    return f"{', '.join(signed_text(value, decimals) for value in values)} {unit}"


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
        ("Scale", f"{signed_text(found.scale, 4)}, {signed_text(found.phase_rad, 4)} rad"),
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
