"""The correlation of the halves of each scan: a panel each, in files and on the page."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from fly64tasks import plotstyle
from fly64tasks.plotstyle import LIGHT
from fly64tasks.report.figures.curves import empty_figure
from fly64tasks.report.files import FIGURE_FORMATS, FRC_OF_HALVES
from fly64tasks.report.measured.scans import ScanJob

_PANEL_IN = (4.0, 2.7)
_COLUMNS = 3
_ROW_IN = 1.7
_DRAWN = 30


def write_figures(jobs: Sequence[ScanJob], folder: Path) -> None:
    """Write the correlation of all halves as SVG and PDF."""
    with plotstyle.applied(**plotstyle.PRINT):
        figure = _grid(_with_frc(jobs))
    for suffix in FIGURE_FORMATS:
        plotstyle.save(figure, folder / f"{FRC_OF_HALVES}.{suffix}")


def panels(jobs: Sequence[ScanJob]) -> list[str]:
    """Return the page's figures as SVG elements: one for each scan with halves, the first few."""
    found = []
    for index, job in enumerate(_with_frc(jobs)):
        with plotstyle.applied():
            figure = Figure(figsize=_PANEL_IN, layout="constrained")
            _draw(figure.add_subplot(), job)
        found.append(plotstyle.themed_svg(figure, f"halves-{index}"))
    return found


def _with_frc(jobs: Sequence[ScanJob]) -> list[ScanJob]:
    return [job for job in jobs if job.frc and job.frc.frequency][:_DRAWN]


def _grid(jobs: Sequence[ScanJob]) -> Figure:
    if not jobs:
        return empty_figure("no scan has two halves")
    columns = min(_COLUMNS, len(jobs))
    rows = math.ceil(len(jobs) / columns)
    figure = Figure(figsize=(plotstyle.PAGE_IN, _ROW_IN * rows), layout="constrained")
    grid = list(figure.subplots(rows, columns, squeeze=False).flat)
    for axes, job in zip(grid, jobs, strict=False):
        _draw(axes, job)
    for axes in grid[len(jobs) :]:
        axes.set_visible(False)
    return figure


def _draw(axes: Axes, job: ScanJob) -> None:
    curves = job.frc
    assert curves is not None
    axes.set_title(job.scan, parse_math=False)
    axes.plot(curves.frequency, curves.half_bit, ":", color=LIGHT["muted"], linewidth=0.9)
    axes.plot(curves.frequency, curves.frc, color=plotstyle.VIEW_COLOURS[0], linewidth=1.4)
    axes.set_xlim(0, 0.5)
    axes.set_ylim(min(0.0, *curves.frc), 1.02)
    axes.set_xlabel("spatial frequency (cycles/px)")
    axes.set_ylabel("FRC of halves")
