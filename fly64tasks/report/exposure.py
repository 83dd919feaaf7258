"""The light that each job's set got, its overlap, and what is to be known before comparing them."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from fly64tasks.report.outcome import Outcome
from fly64tasks.report.results import Job
from fly64tasks.report.wording import ASSUMED, HARD_SPACE, NONE, dose_text, listed, quantity_text
from fly64tasks.study.cases import BASELINE
from fly64tasks.study.study import Study


@dataclass(frozen=True)
class Exposure:
    """Numbers that views can be compared by; None where they are not known.

    Attributes
    ----------
    frames : int
    photons_total : float
        Of all frames: incident ones where ``are`` says so, else detected ones.
    photons_per_px, photons_per_nm2 : float
        Over the illuminated region.
    assumed : bool
        Whether the nm are of an assumed pixel size.
    spacing_diameters : float
        Mean distance to the nearest frame, over the probe's diameter.
    disc_overlap : float
        Mean overlap of two discs of that diameter at that distance.
    """

    frames: int | None
    photons_total: float | None
    are: str | None
    photons_per_px: float | None
    photons_per_nm2: float | None
    assumed: bool
    spacing_diameters: float | None
    disc_overlap: float | None

    @property
    def linear_overlap(self) -> float | None:
        """Return the share of a diameter that two discs have in common at that distance."""
        return None if self.spacing_diameters is None else max(0.0, 1 - self.spacing_diameters)

    @property
    def scan_text(self) -> str:
        """Return frames and overlap, as a column's heading has them; empty if not known."""
        parts = [] if self.frames is None else [f"{self.frames} frames"]
        if self.spacing_diameters is not None and self.disc_overlap is not None:
            overlap = f"{self.disc_overlap:.0%}" if self.disc_overlap else "none"
            parts += [f"spacing {self.spacing_diameters:.2f} D", f"disc overlap {overlap}"]
        return "\n".join(parts)

    @property
    def light_texts(self) -> list[str]:
        """Return photons in all and over the region, as a tile has them; empty if not known."""
        if self.photons_total is None:
            return []
        per_nm2 = f"/nm² {ASSUMED}" if self.assumed else "/nm²"
        density = ((self.photons_per_px, "/px"), (self.photons_per_nm2, per_nm2))
        texts = [f"{quantity_text(value)}{HARD_SPACE}{unit}" for value, unit in density if value]
        kind = " detected" if self.are == "detected" else ""
        total = f"{quantity_text(self.photons_total)}{HARD_SPACE}photons{kind}"
        return [total, ", ".join(texts)] if texts else [total]


def exposure_of(job: Outcome) -> Exposure:
    """Return the exposure of a job's set; of scores that lack it, what follows from the others."""
    table: Mapping[str, Any] = job.scores.set if job.scores else {}
    frames, total = _number(table, "n_frames"), _number(table, "photons_total")
    dose = _number(table, "dose_photons_per_frame")
    are = table.get("photons_are")
    if total is None and frames is not None and dose is not None:
        total, are = frames * dose, "incident"
    pixels = _number(table, "illuminated_px")
    if pixels is None and job.scores and job.scores.region:
        pixels = job.scores.region.pixels
    per_px = total / pixels if total is not None and pixels else None
    size_m = job.pixel_size_m
    return Exposure(
        frames=None if frames is None else int(frames),
        photons_total=total,
        are=are if isinstance(are, str) else None,
        photons_per_px=per_px,
        photons_per_nm2=per_px / (size_m * 1e9) ** 2 if per_px is not None and size_m else None,
        assumed=job.geometry_assumed,
        spacing_diameters=_number(table, "nearest_spacing_diameters"),
        disc_overlap=_number(table, "nearest_disc_overlap"),
    )


def remarks(study: Study, jobs: Sequence[Job]) -> list[str]:
    """Return what is to be known before comparing splits, jobs, doses and views, in sentences."""
    scored = [job for job in jobs if job.scores]
    simulated = [job for job in scored if job.scores and job.scores.set.get("simulated")]
    found = []
    if simulated:
        axis = study.simulation.split_axis
        where = "" if study.paths.phase_c_root else f", up to the median of {axis} and past it"
        found.append(
            f"Train and test are two halves of the scan{where}: two objects, not one measured "
            "twice. Nothing is trained here, and a difference between them is not one of noise "
            "alone."
        )
        if study.repeats > 1:
            found.append(
                f"The noise is drawn {study.repeats} times: scores are the mean ± standard "
                "deviation of the draws, pictures and correlations are those of the first."
            )
        elif study.simulation.noise == "poisson":
            found.append(
                "Each job is one draw of the noise: how far its scores would scatter from draw to "
                "draw is not known, and a small difference may be chance."
            )
    return found + _of_doses(scored) + _of_views(study, scored)


def overlap_rows(jobs: Sequence[Job]) -> list[list[str]]:
    """Return the overlap of each view and split, doses with the same numbers in one row."""
    doses: dict[tuple[str, ...], list[str]] = {}
    for job in jobs:
        if job.scores is not None:
            row = (job.case.view, job.case.split, *_overlap(job.scores.set))
            doses.setdefault(row, []).append(dose_text(job.case.dose))
    return [[row[0], row[1], ", ".join(found), *row[2:]] for row, found in doses.items()]


def _of_doses(jobs: Sequence[Job]) -> list[str]:
    """Return how much light the views got at the lowest dose that has two of them."""
    for first in jobs:
        case = first.case
        alike = [j for j in jobs if (j.case.dose, j.case.split) == (case.dose, case.split)]
        lights = [(job, light) for job in alike if (light := exposure_of(job)).photons_total]
        totals = [light.photons_total or 0.0 for _, light in lights]
        if len(lights) < 2 or max(totals) < 1.5 * min(totals):
            continue
        each = listed([f"{job.case.view} {', '.join(light.light_texts)}" for job, light in lights])
        return [
            f"Equal photons per frame are not equal doses: at {dose_text(case.dose)} photons per "
            f"frame ({case.split}) {each}, a factor of {max(totals) / min(totals):.2g}."
        ]
    return []


def _of_views(study: Study, jobs: Sequence[Job]) -> list[str]:
    """Return what each view's overlap fraction means for the probe's disc."""
    sentences = []
    for view in dict.fromkeys(job.case.view for job in jobs if job.case.view != BASELINE):
        job = next(job for job in jobs if job.case.view == view)
        table: Mapping[str, Any] = job.scores.set if job.scores else {}
        least_px, diameter_px = (
            _number(table, key) for key in ("spacing_threshold", "probe_diameter_px")
        )
        fraction = study.views.overlap.get(view)
        if least_px is None or fraction is None or not diameter_px:
            continue
        overlap = exposure_of(job).disc_overlap
        if least_px >= diameter_px or overlap == 0:
            means = "there the discs do not overlap at all"
        elif overlap is None:
            means = "there the discs overlap"
        else:
            means = f"nearest frames overlap in {overlap:.0%} of a disc's area on the mean"
        sentences.append(
            f"Overlap {fraction:g} ({view}) is that of windows of {least_px / (1 - fraction):.0f} "
            f"px: frames lie at least {least_px:.1f} px apart, {least_px / diameter_px:.2f} "
            f"diameters of the probe (D = {diameter_px:.1f} px), and {means}."
        )
    return sentences


def _number(table: Mapping[str, Any], key: str) -> float | None:
    """Return a number that can be shown, None for anything else."""
    value = table.get(key)
    if not isinstance(value, int | float) or isinstance(value, bool):
        return None
    return value if math.isfinite(value) and 0 <= value < 1e30 else None


def _overlap(table: Mapping[str, Any]) -> list[str]:
    def said(key: str, form: str = "") -> str:
        value = table.get(key)
        if isinstance(value, int | float):
            return f"{value:{form}}"
        return NONE if value is None else str(value)

    kept, rejected = table.get("n_accepted"), table.get("n_rejected")
    frames = said("n_frames_in_set")
    if isinstance(kept, int) and isinstance(rejected, int):
        frames = f"{kept} of {kept + rejected}"
    notes = table.get("overlap_notes")
    return [
        frames,
        said("acceptance_rate", ".1%"),
        said("selection_strategy"),
        said("spacing_threshold", ".1f"),
        said("probe_diameter_px", ".1f"),
        said("gridsize"),
        said("neighbor_count"),
        said("overlap_group_members", ".3f"),
        said("overlap_neighbors", ".3f"),
        said("overlap_groups", ".3f"),
        "; ".join(map(str, notes)) if isinstance(notes, list | tuple) else "",
    ]
