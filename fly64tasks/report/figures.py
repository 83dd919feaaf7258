"""The report's figures: scores against dose, the correlation curves, the reconstructions.

`write_figures` saves the four of `layout.FIGURE_NAMES`; `panels` gives the page's own, one small
figure each, so that they flow with its width.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from fly64tasks import plotstyle
from fly64tasks.plotstyle import LIGHT
from fly64tasks.report import pictures
from fly64tasks.report.curves import (
    against_dose,
    doses_of,
    frc_curves,
    limits_of,
    looks_of,
    say_empty,
)
from fly64tasks.report.files import FIGURE_FORMATS, FIGURE_NAMES
from fly64tasks.report.findings import RESOLUTION
from fly64tasks.report.results import Job, main_metric
from fly64tasks.report.wording import dose_text
from fly64tasks.score.scorecard import Metric
from fly64tasks.study.cases import SPLITS

_PANEL_IN = (5.4, 3.2)
_SMALL_PANEL_IN = (4.0, 2.7)
_DOSES_DRAWN = 12


def write_figures(jobs: Sequence[Job], folder: Path) -> None:
    """Write each figure as SVG and PDF."""
    metric = main_metric(jobs)
    drawings: dict[str, Callable[[], Figure]] = {
        "error_versus_dose": lambda: _of_splits(jobs, metric),
        "resolution_versus_dose": lambda: _of_splits(jobs, RESOLUTION),
        "frc_curves": lambda: _grid_of_frc(jobs),
        "reconstructions": lambda: _grid_of_thumbnails(jobs),
    }
    for name in FIGURE_NAMES:
        with plotstyle.applied():
            figure = drawings[name]()
        for suffix in FIGURE_FORMATS:
            plotstyle.save(figure, folder / f"{name}.{suffix}")


def panels(jobs: Sequence[Job]) -> dict[str, list[str]]:
    """Return the page's small figures as SVG elements.

    Returns
    -------
    dict
        ``error`` and ``resolution``: one per split; ``frc``: one per dose and split. Those that
        would be empty are left out.
    """
    found: dict[str, list[str]] = {}
    for key, metric in (("error", main_metric(jobs)), ("resolution", RESOLUTION)):
        found[key] = []
        limits = limits_of(jobs, metric)
        for split in SPLITS:
            if any(job.value(metric) is not None for job in jobs if job.case.split == split):
                with plotstyle.applied():
                    figure = Figure(figsize=_PANEL_IN, layout="constrained")
                    axes = figure.add_subplot()
                    against_dose(axes, jobs, metric, split, limits)
                found[key].append(plotstyle.themed_svg(figure, f"{key}-{split}"))
    found["frc"] = []
    for split in SPLITS:
        for dose in drawn_doses(jobs):
            members = _with_frc(jobs, dose, split)
            if members:
                with plotstyle.applied():
                    figure = Figure(figsize=_SMALL_PANEL_IN, layout="constrained")
                    frc_curves(figure.add_subplot(), members, looks_of(jobs))
                name = f"frc-{int(dose)}-{split}"
                found["frc"].append(plotstyle.themed_svg(figure, name))
    return found


def _of_splits(jobs: Sequence[Job], metric: Metric) -> Figure:
    """Return a score against dose: one panel per split, on one scale."""
    width, height = _PANEL_IN
    figure = Figure(figsize=(width * len(SPLITS), height), layout="constrained")
    limits = limits_of(jobs, metric)
    for axes, split in zip(figure.subplots(1, len(SPLITS)), SPLITS, strict=True):
        against_dose(axes, jobs, metric, split, limits)
    return figure


def _grid_of_frc(jobs: Sequence[Job]) -> Figure:
    """Return the correlation curves: a row per dose, a column per split."""
    doses = [dose for dose in drawn_doses(jobs) if any(_with_frc(jobs, dose, s) for s in SPLITS)]
    if not doses:
        return _empty_figure("no Fourier ring correlation: no set has a truth to compare with")
    figure = Figure(figsize=(7.2, 2.5 * len(doses)), layout="constrained")
    grid = figure.subplots(len(doses), len(SPLITS), squeeze=False)
    drawn = []
    for row, dose in zip(grid, doses, strict=True):
        for axes, split in zip(row, SPLITS, strict=True):
            members = _with_frc(jobs, dose, split)
            if members:
                frc_curves(axes, members, looks_of(jobs))
                drawn.append(axes)
            else:
                axes.set_title(f"{dose_text(dose)} photons, {split}")
                say_empty(axes, "not scored")
    drawn[0].legend(fontsize=7, loc="best")
    return figure


def _grid_of_thumbnails(jobs: Sequence[Job]) -> Figure:
    """Return the dose x view matrix of reconstructed phases, train and test side by side."""
    doses, metric = drawn_doses(jobs), main_metric(jobs)
    columns = [(view, split) for view in looks_of(jobs) for split in SPLITS]
    by_key = {(job.case.dose, job.case.view, job.case.split): job for job in jobs}
    shown = {
        job.case: pictures.opened(job.thumbnail)
        for job in jobs
        if job.thumbnail and job.case.dose in doses
    }
    aspect = max((image.height / image.width for image in shown.values()), default=0.6)
    height = (1.5 * aspect + 0.35) * len(doses) + 0.3
    figure = Figure(figsize=(1.5 * len(columns), height), layout="constrained")
    grid = figure.subplots(len(doses), len(columns), squeeze=False)
    for row, dose in zip(grid, doses, strict=True):
        for axes, (view, split) in zip(row, columns, strict=True):
            job = by_key[dose, view, split]
            if dose == doses[0]:
                axes.set_title(f"{view}, {split}", fontsize=8)
            axes.grid(False)
            axes.spines[:].set_visible(False)
            if job.case in shown:
                axes.imshow(np.asarray(shown[job.case]))
                axes.set_aspect("equal", adjustable="datalim")
            else:
                say_empty(axes, "no picture" if job.scores else job.state)
            axes.set(xticks=[], yticks=[])
            axes.set_box_aspect(aspect)
            axes.set_xlabel(job.text(metric), fontsize=8)
        row[0].set_ylabel(f"{dose_text(dose)} photons", fontsize=8)
    return figure


def drawn_doses(jobs: Sequence[Job]) -> tuple[float, ...]:
    """Return the doses that have a panel of their own: all, or so many spread evenly over them."""
    doses = doses_of(jobs)
    if len(doses) <= _DOSES_DRAWN:
        return doses
    chosen = np.linspace(0, len(doses) - 1, _DOSES_DRAWN).round().astype(int)
    return tuple(doses[index] for index in chosen)


def _with_frc(jobs: Sequence[Job], dose: float, split: str) -> list[Job]:
    return [j for j in jobs if (j.case.dose, j.case.split) == (dose, split) and j.frc]


def _empty_figure(text: str) -> Figure:
    figure = Figure(figsize=(6, 2))
    figure.text(0.5, 0.5, text, ha="center", color=LIGHT["muted"])
    return figure
