"""Fourier ring correlation: curves and thresholds of one dose and split, and all of them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from fly64tasks import plotstyle
from fly64tasks.plotstyle import LIGHT
from fly64tasks.report.figures.curves import drawn_doses, empty_figure, looks_of, say_empty
from fly64tasks.report.results import Job
from fly64tasks.report.wording import dose_text
from fly64tasks.study.cases import SPLITS

_COLUMNS = 3
_ROW_IN = 1.55
_THRESHOLDS: dict[str, Any] = {"1-bit": "--", "½-bit": ":"}


def frc_curves(axes: Axes, jobs: Sequence[Job], looks: dict[str, dict[str, Any]]) -> None:
    """Draw the correlation of one dose and split, a line per view, each with its own thresholds.

    Thresholds fall with the number of pixels in a ring, and so with the size of a view's region:
    they have their view's colour. Rings that do not count are in no line.
    """
    case = jobs[0].case
    axes.set_title(f"{dose_text(case.dose)} photons, {case.split}")
    for job in jobs:
        if job.frc is None:
            continue
        colour, curves = looks[job.case.view]["color"], job.frc
        for threshold, style in zip(
            (curves.one_bit, curves.half_bit), _THRESHOLDS.values(), strict=True
        ):
            axes.plot(curves.frequency, threshold, color=colour, linewidth=0.8, linestyle=style)
        axes.plot(curves.frequency, curves.frc, color=colour, linewidth=1.2)
    axes.set_xlim(0, 0.5)
    lowest = min((min(job.frc.frc, default=0.0) for job in jobs if job.frc), default=0.0)
    axes.set_ylim(min(0.0, lowest), 1.02)
    axes.set_xlabel("spatial frequency (cycles/px)")
    axes.set_ylabel("FRC")


def grid_of_frc(jobs: Sequence[Job]) -> Figure:
    """Return the correlation curves: a panel per dose and split, three in a row."""
    doses = [dose for dose in drawn_doses(jobs) if any(with_frc(jobs, dose, s) for s in SPLITS)]
    if not doses:
        return empty_figure("no Fourier ring correlation: no set has a truth to compare with")
    columns = min(_COLUMNS, len(doses))
    rows = math.ceil(len(doses) / columns)
    size = (plotstyle.PAGE_IN, _ROW_IN * rows * len(SPLITS) + 0.25)
    figure = Figure(figsize=size, layout="constrained")
    grid = figure.subplots(rows * len(SPLITS), columns, squeeze=False)
    for index, split in enumerate(SPLITS):
        panels = grid[index * rows : (index + 1) * rows].flat
        for axes, dose in zip(panels, doses, strict=False):
            members = with_frc(jobs, dose, split)
            if members:
                frc_curves(axes, members, looks_of(jobs))
            else:
                axes.set_title(f"{dose_text(dose)} photons, {split}")
                say_empty(axes, "not scored")
            axes.label_outer()
        for axes in list(panels)[len(doses) :]:
            axes.set_visible(False)
    lines = {view: look["color"] for view, look in looks_of(jobs).items()}
    handles = [Line2D([], [], color=colour, label=view) for view, colour in lines.items()]
    look: dict[str, Any] = {"color": LIGHT["muted"], "linewidth": 0.8}
    handles += [
        Line2D([], [], **look, linestyle=style, label=f"{name} threshold")
        for name, style in _THRESHOLDS.items()
    ]
    figure.legend(handles=handles, loc="outside upper center", ncols=len(handles))
    return figure


def with_frc(jobs: Sequence[Job], dose: float, split: str) -> list[Job]:
    """Return the jobs of a dose and split that have a curve."""
    return [job for job in jobs if (job.case.dose, job.case.split) == (dose, split) and job.frc]
