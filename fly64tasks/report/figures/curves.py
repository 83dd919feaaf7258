"""A score against dose, on axes. Nothing here opens a file."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, LogLocator, NullFormatter, NullLocator
from matplotlib.transforms import ScaledTranslation

from fly64tasks import plotstyle
from fly64tasks.plotstyle import LIGHT
from fly64tasks.report.draws import Draws, draws_of
from fly64tasks.report.results import Job
from fly64tasks.report.wording import UNRESOLVED, dose_text
from fly64tasks.score.metric import Metric
from fly64tasks.study.cases import MAIN

_DOSES_NAMED = 6
_DOSES_DRAWN = 12


@dataclass(frozen=True)
class Line:
    """A line against dose: its name, look and the draws of each dose."""

    name: str
    look: dict[str, Any]
    cells: tuple[Draws, ...]


def lines_of(jobs: Sequence[Job], split: str, view: str | None = None) -> list[Line]:
    """Return a line for each view of main, or for each method within ``view``."""
    if view is None:
        found = draws_of(job for job in jobs if job.case.method == MAIN)
        looks, key = looks_of(jobs), "view"
    else:
        found = draws_of(job for job in jobs if job.case.view == view)
        looks, key = plotstyle.look_of(methods_of(jobs)), "method"
    found = [cell for cell in found if cell.case.split == split]
    return [
        Line(name, look, tuple(cell for cell in found if getattr(cell.case, key) == name))
        for name, look in looks.items()
    ]


def against_dose(
    axes: Axes,
    jobs: Sequence[Job],
    metric: Metric,
    split: str,
    limits: tuple[float, float] | None,
    view: str | None = None,
) -> None:
    """Draw a score against dose: a line per view, broken at a missing job, its name at its end.

    With a ``view``, a line per method in its place. Of several draws the line is their mean, in a
    band of a standard deviation. A value that is only a bound has an open marker; a job without
    one, because it is worse than could be seen, a cross at the edge where the scale is worst, and
    breaks the line. ``limits`` is the scale of all panels of the score (`limits_of`).
    """
    axes.set_title(split if view is None else f"{view}, {split}")
    assumed = metric.is_length and any(job.geometry_assumed for job in jobs)
    unit = f"{metric.unit}, assumed pixel size" if assumed else metric.unit
    axes.set_ylabel(f"{metric.label}\n({unit})" if unit else metric.label)
    axes.set_xlabel("dose (photons per frame)")
    axes.set_xscale("log")
    every = doses_of(jobs)
    ends: list[tuple[float, float, str, str]] = []
    crosses: list[tuple[str, list[float]]] = []
    for line in lines_of(jobs, split, view):
        look = line.look
        points = {
            cell.case.dose: (spread, cell.is_bound(metric))
            for cell in line.cells
            if (spread := cell.spread(metric)) is not None and np.isfinite(spread.mean)
        }
        nowhere = [
            cell.case.dose
            for cell in line.cells
            if any(job.is_unresolved(metric) for job in cell.jobs)
        ]
        crosses.append((look["color"], nowhere))
        if not points:
            continue
        means = [points[dose][0].mean if dose in points else np.nan for dose in every]
        axes.plot(every, means, **look, clip_on=False)
        for dose, (spread, is_bound) in points.items():
            if is_bound:
                axes.plot(dose, spread.mean, **look, markerfacecolor=LIGHT["paper"], clip_on=False)
        if any(spread.sd for spread, _ in points.values()):
            sds = [(points[dose][0].sd or 0.0) if dose in points else np.nan for dose in every]
            band = np.subtract(means, sds), np.add(means, sds)
            axes.fill_between(every, *band, color=look["color"], alpha=0.16, linewidth=0)
        last = max(points)
        ends.append((last, points[last][0].mean, line.name, look["color"]))
    if limits is None or not (ends or any(doses for _, doses in crosses)):
        say_empty(axes, f"no {metric.label} here")
        return
    _cross(axes, crosses, worst=0.0 if metric.better == "higher" else 1.0)
    if limits[0] > 0:
        axes.set_yscale("log")
        axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axes.yaxis.set_minor_formatter(NullFormatter())
        axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.set_ylim(*limits)
    axes.set_xlim(every[0] / 1.25, every[-1] * 1.25)
    ticks = every if len(every) <= _DOSES_NAMED else (every[0], every[len(every) // 2], every[-1])
    axes.xaxis.set_major_locator(FixedLocator(list(ticks)))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: dose_text(round(value))))
    _name_ends(axes, ends, every[-1])


def add_values(axes: Axes, lines: Sequence[Line], metric: Metric) -> None:
    """Lay over each point what a page says of it where the pointer rests (`themed_svg`)."""
    for line in lines:
        for cell in line.cells:
            spread = cell.spread(metric)
            if spread is None or not np.isfinite(spread.mean):
                continue
            unit = cell.jobs[0].unit(metric)
            text = f"{line.name}, {dose_text(cell.case.dose)} photons: {cell.text(metric)} {unit}"
            draws = f" ({spread.n} draws)" if spread.n > 1 else ""
            look: dict[str, Any] = {"marker": "o", "markersize": 12, "alpha": 0.0}
            gid = f"{plotstyle.VALUE}{text.rstrip()}{draws}"
            axes.plot(cell.case.dose, spread.mean, **look, gid=gid)


def _cross(axes: Axes, crosses: Sequence[tuple[str, list[float]]], *, worst: float) -> None:
    """Mark doses without a score at one edge of the axes, views side by side and not in a heap."""
    for index, (colour, doses) in enumerate(crosses):
        aside_in = 0.08 * (index - (len(crosses) - 1) / 2)
        aside = ScaledTranslation(aside_in, 0, axes.figure.dpi_scale_trans)
        place = axes.get_xaxis_transform() + aside
        look: dict[str, Any] = {"color": colour, "marker": "x", "linestyle": "", "clip_on": False}
        axes.plot(doses, [worst] * len(doses), transform=place, **look, markeredgewidth=1.5)
    if any(doses for _, doses in crosses):
        look = {"xycoords": "axes fraction", "textcoords": "offset points", "va": "center"}
        axes.annotate(f"× {UNRESOLVED}", (1, worst), xytext=(4, 0), color=LIGHT["muted"], **look)


def _name_ends(axes: Axes, ends: Sequence[tuple[float, float, str, str]], last_dose: float) -> None:
    """Write each line's name right of its end; those at the last dose are moved apart."""
    from_pixels = axes.transAxes.inverted().transform
    figure = axes.get_figure(root=True)
    assert figure is not None
    height_px = axes.get_window_extent().height
    gap = 1.25 * matplotlib.rcParams["font.size"] * figure.dpi / 72 / height_px
    placed: list[float] = []
    for dose, value, view, colour in sorted(ends, key=lambda end: end[1]):
        x, height = map(float, from_pixels(axes.transData.transform((dose, value))))
        if dose == last_dose:
            x, height = 1.0, max(height, placed[-1] + gap) if placed else height
            placed.append(height)
        axes.annotate(
            view,
            (x, height),
            xycoords="axes fraction",
            xytext=(4 if x == 1 else 9, 0),
            textcoords="offset points",
            color=colour,
            va="center",
            weight="bold",
        )


def doses_of(jobs: Sequence[Job]) -> tuple[float, ...]:
    """Return the doses, in order."""
    return tuple(dict.fromkeys(job.case.dose for job in jobs))


def drawn_doses(jobs: Sequence[Job]) -> tuple[float, ...]:
    """Return the doses that have a panel of their own: all, or so many spread evenly over them."""
    doses = doses_of(jobs)
    if len(doses) <= _DOSES_DRAWN:
        return doses
    chosen = np.linspace(0, len(doses) - 1, _DOSES_DRAWN).round().astype(int)
    return tuple(doses[index] for index in chosen)


def methods_of(jobs: Sequence[Job]) -> list[str]:
    """Return the names of the methods, main first."""
    return list(dict.fromkeys(job.case.method for job in jobs))


def views_of(jobs: Sequence[Job]) -> list[str]:
    """Return the views, in order."""
    return list(dict.fromkeys(job.case.view for job in jobs))


def looks_of(jobs: Sequence[Job]) -> dict[str, dict[str, Any]]:
    """Return the colour and marker of each view."""
    return plotstyle.look_of(views_of(jobs))


def limits_of(jobs: Sequence[Job], metric: Metric) -> tuple[float, float] | None:
    """Return the scale that all panels of a score share, None where no job has it."""
    values = [value for job in jobs if (value := job.value(metric)) is not None]
    values = [value for value in values if np.isfinite(value)]
    if not values:
        return None
    low, high = min(values), max(values)
    return (low / 1.3, high * 1.3) if low > 0 else (min(0.0, low * 1.1), high * 1.1 or 1.0)


def empty_figure(text: str) -> Figure:
    """Return a figure that says why it has nothing to show."""
    figure = Figure(figsize=(plotstyle.PAGE_IN, 1.2))
    figure.text(0.5, 0.5, text, ha="center", color=LIGHT["muted"])
    return figure


def say_empty(axes: Axes, text: str) -> None:
    """Write in the middle of axes that have nothing to show."""
    axes.text(0.5, 0.5, text, transform=axes.transAxes, ha="center", color=LIGHT["muted"])
    axes.set(xticks=[], yticks=[])
