"""The report's figures: scores against dose, the correlation curves, the reconstructions.

`write_figures` saves the four of `layout.FIGURE_NAMES`; `panels` gives the page's own, one small
figure each, so that they flow with its width. Those in files are 85 or 170 mm wide, as a column or
a page of a paper is.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from matplotlib.figure import Figure

from fly64tasks import plotstyle
from fly64tasks.report.figures.correlation import frc_curves, grid_of_frc, with_frc
from fly64tasks.report.figures.curves import against_dose, drawn_doses, limits_of, looks_of
from fly64tasks.report.figures.matrix import grid_of_reconstructions
from fly64tasks.report.files import FIGURE_FORMATS, FIGURE_NAMES
from fly64tasks.report.findings import RESOLUTION
from fly64tasks.report.results import Job, main_metric
from fly64tasks.score.scorecard import Metric
from fly64tasks.study.cases import SPLITS

_PANEL_IN = (4.6, 2.9)
_SMALL_PANEL_IN = (4.0, 2.7)
_PRINTED_PANEL_IN = 1.7


def write_figures(jobs: Sequence[Job], folder: Path) -> None:
    """Write each figure as SVG and PDF."""
    metric = main_metric(jobs)
    drawings: dict[str, Callable[[], Figure]] = {
        "error_versus_dose": lambda: _of_splits(jobs, metric),
        "resolution_versus_dose": lambda: _of_splits(jobs, RESOLUTION),
        "frc_curves": lambda: grid_of_frc(jobs),
        "reconstructions": lambda: grid_of_reconstructions(jobs),
    }
    for name in FIGURE_NAMES:
        with plotstyle.applied(**plotstyle.PRINT):
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
            members = with_frc(jobs, dose, split)
            if members:
                with plotstyle.applied():
                    figure = Figure(figsize=_SMALL_PANEL_IN, layout="constrained")
                    frc_curves(figure.add_subplot(), members, looks_of(jobs))
                name = f"frc-{int(dose)}-{split}"
                found["frc"].append(plotstyle.themed_svg(figure, name))
    return found


def _of_splits(jobs: Sequence[Job], metric: Metric) -> Figure:
    """Return a score against dose: one panel per split, on one scale, one over the other."""
    left_in, above_in, below_in = 0.62, 0.22, 0.36
    right_in = min(0.12 + 0.068 * max(len(job.case.view) for job in jobs), 1.2)
    row_in = above_in + _PRINTED_PANEL_IN
    height_in = row_in * len(SPLITS) + below_in
    figure = Figure(figsize=(plotstyle.COLUMN_IN, height_in))
    limits = limits_of(jobs, metric)
    for index, split in enumerate(SPLITS):
        bottom_in = height_in - (index + 1) * row_in
        width_in = plotstyle.COLUMN_IN - left_in - right_in
        axes = plotstyle.add_axes(figure, left_in, bottom_in, width_in, _PRINTED_PANEL_IN)
        against_dose(axes, jobs, metric, split, limits)
        if index < len(SPLITS) - 1:
            axes.set_xlabel("")
            axes.tick_params(labelbottom=False)
    return figure
