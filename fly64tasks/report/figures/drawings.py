"""The report's figures: scores against dose, the correlation curves, the reconstructions.

`figures` gives the four of `layout.FIGURE_NAMES`; `panels` gives the page's own, one small
figure each, so that they flow with its width. Those in files are 85 or 170 mm wide, as a column or
a page of a paper is.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence

from matplotlib.figure import Figure

from fly64tasks import plotstyle
from fly64tasks.report.draws import plain_of
from fly64tasks.report.figures.correlation import frc_curves, grid_of_frc, with_frc
from fly64tasks.report.figures.curves import (
    add_values,
    against_dose,
    drawn_doses,
    limits_of,
    lines_of,
    looks_of,
    methods_of,
    views_of,
)
from fly64tasks.report.figures.matrix import grid_of_reconstructions
from fly64tasks.report.files import FIGURE_FORMATS, FIGURE_NAMES
from fly64tasks.report.findings import RESOLUTION
from fly64tasks.report.results import Job, main_metric
from fly64tasks.score.metric import Metric
from fly64tasks.study.cases import SPLITS

_PANEL_IN = (4.6, 2.9)
_SMALL_PANEL_IN = (4.0, 2.7)
_PRINTED_PANEL_IN = 1.7


def figures(jobs: Sequence[Job]) -> dict[str, bytes]:
    """Return each figure as SVG and PDF, by file name.

    Correlations and pictures are those of the plain jobs.
    """
    metric, plain = main_metric(jobs), plain_of(jobs)
    drawings: dict[str, Callable[[], Figure]] = {
        "error_versus_dose": lambda: _of_splits(jobs, metric),
        "resolution_versus_dose": lambda: _of_splits(jobs, RESOLUTION),
        "frc_curves": lambda: grid_of_frc(plain),
        "reconstructions": lambda: grid_of_reconstructions(plain),
    }
    files = {}
    for name in FIGURE_NAMES:
        with plotstyle.applied(**plotstyle.PRINT):
            figure = drawings[name]()
        for suffix in FIGURE_FORMATS:
            files[f"{name}.{suffix}"] = plotstyle.printed(figure, f".{suffix}")
    return files


def panels(jobs: Sequence[Job]) -> dict[str, list[str]]:
    """Return the page's small figures as SVG elements.

    Returns
    -------
    dict
        ``error`` and ``resolution``: one per split, with methods one per view and split; ``frc``:
        one per dose and split, of the plain jobs. Those that would be empty are left out.
    """
    found: dict[str, list[str]] = {}
    for key, metric in (("error", main_metric(jobs)), ("resolution", RESOLUTION)):
        found[key] = []
        limits = limits_of(jobs, metric)
        for view, split in itertools.product(_views(jobs), SPLITS):
            lines = lines_of(jobs, split, view)
            if any(cell.values(metric) for line in lines for cell in line.cells):
                with plotstyle.applied():
                    figure = Figure(figsize=_PANEL_IN, layout="constrained")
                    axes = figure.add_subplot()
                    against_dose(axes, jobs, metric, split, limits, view)
                    add_values(axes, lines, metric)
                name = f"{key}-{split}" if view is None else f"{key}-{view}-{split}"
                found[key].append(plotstyle.themed_svg(figure, name))
    found["frc"] = []
    plain = plain_of(jobs)
    for split in SPLITS:
        for dose in drawn_doses(plain):
            members = with_frc(plain, dose, split)
            if members:
                with plotstyle.applied():
                    figure = Figure(figsize=_SMALL_PANEL_IN, layout="constrained")
                    frc_curves(figure.add_subplot(), members, looks_of(plain))
                name = f"frc-{int(dose)}-{split}"
                found["frc"].append(plotstyle.themed_svg(figure, name))
    return found


def _views(jobs: Sequence[Job]) -> list[str] | list[None]:
    """Return the views that have panels of their own: where there are methods, all."""
    return views_of(jobs) if len(methods_of(jobs)) > 1 else [None]


def _of_splits(jobs: Sequence[Job], metric: Metric) -> Figure:
    """Return a score against dose, on one scale: train over test in a column of a paper.

    With methods as wide as two: a row per view, train beside test.
    """
    views = _views(jobs)
    columns = 1 if views == [None] else len(SPLITS)
    panels = list(itertools.product(views, SPLITS))
    rows = len(panels) // columns
    width_in = plotstyle.COLUMN_IN if columns == 1 else plotstyle.PAGE_IN
    left_in, above_in, below_in = 0.62, 0.22, 0.36
    longest = max(len(line.name) for line in lines_of(jobs, SPLITS[0], views[0]))
    right_in = min(0.12 + 0.068 * longest, 1.2)
    row_in = above_in + _PRINTED_PANEL_IN
    height_in = row_in * rows + below_in
    figure = Figure(figsize=(width_in, height_in))
    limits = limits_of(jobs, metric)
    for index, (view, split) in enumerate(panels):
        row, column = divmod(index, columns)
        bottom_in = height_in - (row + 1) * row_in
        place_in = left_in + column * width_in / columns, bottom_in
        size_in = width_in / columns - left_in - right_in, _PRINTED_PANEL_IN
        axes = plotstyle.add_axes(figure, *place_in, *size_in)
        against_dose(axes, jobs, metric, split, limits, view)
        if row < rows - 1:
            axes.set_xlabel("")
            axes.tick_params(labelbottom=False)
        if column:
            axes.set_ylabel("")
    return figure
