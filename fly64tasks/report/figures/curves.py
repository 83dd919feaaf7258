"""A score against dose, on axes. Nothing here opens a file."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, LogLocator, NullFormatter, NullLocator
from matplotlib.transforms import ScaledTranslation

from fly64tasks import plotstyle
from fly64tasks.plotstyle import LIGHT
from fly64tasks.report.results import Job
from fly64tasks.report.wording import UNRESOLVED, dose_text
from fly64tasks.score.scorecard import Metric

_DOSES_NAMED = 6
_DOSES_DRAWN = 12


def against_dose(
    axes: Axes, jobs: Sequence[Job], metric: Metric, split: str, limits: tuple[float, float] | None
) -> None:
    """Draw a score against dose: a line per view, broken at a missing job, its name at its end.

    A value that is only a bound has an open marker; a job without one, because it is worse than
    could be seen, a cross at the edge where the scale is worst, and breaks the line. ``limits`` is
    the scale of all panels of the score (`limits_of`).
    """
    axes.set_title(split)
    assumed = metric.is_length and any(job.geometry_assumed for job in jobs)
    unit = f"{metric.unit}, assumed pixel size" if assumed else metric.unit
    axes.set_ylabel(f"{metric.label}\n({unit})" if unit else metric.label)
    axes.set_xlabel("dose (photons per frame)")
    axes.set_xscale("log")
    every = doses_of(jobs)
    ends: list[tuple[float, float, str, str]] = []
    crosses: list[tuple[str, list[float]]] = []
    for view, look in looks_of(jobs).items():
        line = {
            job.case.dose: (value, job.is_bound(metric))
            for job in jobs
            if (job.case.view, job.case.split) == (view, split)
            and (value := job.value(metric)) is not None
            and np.isfinite(value)
        }
        nowhere = [
            job.case.dose
            for job in jobs
            if (job.case.view, job.case.split) == (view, split) and job.is_unresolved(metric)
        ]
        crosses.append((look["color"], nowhere))
        if not line:
            continue
        axes.plot(every, [line.get(dose, (np.nan,))[0] for dose in every], **look, clip_on=False)
        for dose, (value, is_bound) in line.items():
            if is_bound:
                axes.plot(dose, value, **look, markerfacecolor=LIGHT["paper"], clip_on=False)
        last = max(line)
        ends.append((last, line[last][0], view, look["color"]))
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


def looks_of(jobs: Sequence[Job]) -> dict[str, dict[str, Any]]:
    """Return the colour and marker of each view."""
    return plotstyle.look_of(list(dict.fromkeys(job.case.view for job in jobs)))


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
