"""The report's figures: scores against dose, the correlation curves, the reconstructions.

Each drawing takes axes or makes a figure and opens no file; `write_figures` saves the four of
`layout.FIGURE_NAMES`, and `panels` gives the page's own, one small figure each, so that they
flow with its width.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, LogLocator, NullFormatter, NullLocator

from fly64tasks import layout as names
from fly64tasks import pictures, plotstyle
from fly64tasks.findings import RESOLUTION
from fly64tasks.plotstyle import LIGHT
from fly64tasks.results import Job, main_metric
from fly64tasks.scorecard import Metric
from fly64tasks.study import SPLITS
from fly64tasks.wording import dose_text, score_text

_PANEL_IN = (5.4, 3.2)
_SMALL_PANEL_IN = (4.0, 2.7)
_DOSES_NAMED = 6
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
    for name in names.FIGURE_NAMES:
        with plotstyle.applied():
            figure = drawings[name]()
        for suffix in names.FIGURE_FORMATS:
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
        limits = _limits(jobs, metric)
        for split in SPLITS:
            if any(job.value(metric) is not None for job in jobs if job.case.split == split):
                with plotstyle.applied():
                    figure = Figure(figsize=_PANEL_IN, layout="constrained")
                    axes = figure.add_subplot()
                    _against_dose(axes, jobs, metric, split, limits)
                found[key].append(plotstyle.themed_svg(figure, f"{key}-{split}"))
    found["frc"] = []
    for split in SPLITS:
        for dose in drawn_doses(jobs):
            members = _with_frc(jobs, dose, split)
            if members:
                with plotstyle.applied():
                    figure = Figure(figsize=_SMALL_PANEL_IN, layout="constrained")
                    _frc(figure.add_subplot(), members, _looks(jobs))
                name = f"frc-{int(dose)}-{split}"
                found["frc"].append(plotstyle.themed_svg(figure, name))
    return found


def drawn_doses(jobs: Sequence[Job]) -> tuple[float, ...]:
    """Return the doses that have a panel of their own: all, or so many spread evenly over them."""
    doses = _doses(jobs)
    if len(doses) <= _DOSES_DRAWN:
        return doses
    chosen = np.linspace(0, len(doses) - 1, _DOSES_DRAWN).round().astype(int)
    return tuple(doses[index] for index in chosen)


def _of_splits(jobs: Sequence[Job], metric: Metric) -> Figure:
    """Return a score against dose: one panel per split, on one scale."""
    width, height = _PANEL_IN
    figure = Figure(figsize=(width * len(SPLITS), height), layout="constrained")
    limits = _limits(jobs, metric)
    for axes, split in zip(figure.subplots(1, len(SPLITS)), SPLITS, strict=True):
        _against_dose(axes, jobs, metric, split, limits)
    return figure


def _against_dose(
    axes: Axes, jobs: Sequence[Job], metric: Metric, split: str, limits: tuple[float, float] | None
) -> None:
    """Draw a score against dose, a line per view, its name at its end.

    A value that is only a bound has an open marker.
    """
    axes.set_title(split)
    assumed = metric.unit == "nm" and any(job.geometry_assumed for job in jobs)
    unit = f"{metric.unit}, assumed pixel size" if assumed else metric.unit
    axes.set_ylabel(f"{metric.label}\n({unit})" if unit else metric.label)
    axes.set_xlabel("dose (photons per frame)")
    axes.set_xscale("log")
    ends: list[tuple[float, float, str, str]] = []
    for view, look in _looks(jobs).items():
        line = [
            (job.case.dose, value, job.is_bound(metric))
            for job in jobs
            if (job.case.view, job.case.split) == (view, split)
            and (value := job.value(metric)) is not None
            and np.isfinite(value)
        ]
        if not line:
            continue
        doses, values, _ = zip(*line, strict=True)
        axes.plot(doses, values, **look, clip_on=False)
        for dose, value, is_bound in line:
            if is_bound:
                axes.plot(dose, value, **look, markerfacecolor=LIGHT["paper"], clip_on=False)
        ends.append((doses[-1], values[-1], view, look["color"]))
    if limits is None or not ends:
        _say_empty(axes, f"no {metric.label} here")
        return
    if limits[0] > 0:
        axes.set_yscale("log")
        axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axes.yaxis.set_minor_formatter(NullFormatter())
        axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.set_ylim(*limits)
    every = _doses(jobs)
    axes.set_xlim(every[0] / 1.25, every[-1] * 1.25)
    ticks = every if len(every) <= _DOSES_NAMED else (every[0], every[len(every) // 2], every[-1])
    axes.xaxis.set_major_locator(FixedLocator(list(ticks)))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: dose_text(round(value))))
    _name_ends(axes, ends)


def _name_ends(axes: Axes, ends: Sequence[tuple[float, float, str, str]]) -> None:
    """Write each line's name right of its end, moved apart where ends meet."""
    to_pixels, gap = axes.transAxes.inverted().transform, 0.075
    placed: list[float] = []
    for dose, value, view, colour in sorted(ends, key=lambda end: end[1]):
        height = float(to_pixels(axes.transData.transform((dose, value)))[1])
        if placed:
            height = max(height, placed[-1] + gap)
        placed.append(height)
        axes.annotate(
            view,
            (1, height),
            xycoords="axes fraction",
            xytext=(4, 0),
            textcoords="offset points",
            color=colour,
            va="center",
            weight="bold",
        )


def _grid_of_frc(jobs: Sequence[Job]) -> Figure:
    """Return the correlation curves: a row per dose, a column per split."""
    doses = [dose for dose in drawn_doses(jobs) if any(_with_frc(jobs, dose, s) for s in SPLITS)]
    if not doses:
        return _empty_figure("no Fourier ring correlation: no set has a truth to compare with")
    figure = Figure(figsize=(7.2, 2.5 * len(doses)), layout="constrained")
    grid = figure.subplots(len(doses), len(SPLITS), squeeze=False)
    for row, dose in zip(grid, doses, strict=True):
        for axes, split in zip(row, SPLITS, strict=True):
            members = _with_frc(jobs, dose, split)
            if members:
                _frc(axes, members, _looks(jobs))
            else:
                axes.set_title(f"{dose_text(dose)} photons, {split}")
                _say_empty(axes, "not scored")
    grid[0][0].legend(fontsize=7, loc="best")
    return figure


def _frc(axes: Axes, jobs: Sequence[Job], looks: dict[str, dict[str, Any]]) -> None:
    """Draw the correlation of one dose and split, a line per view, and the thresholds.

    The thresholds depend on the number of pixels in a ring: those of the first view are drawn.
    """
    case = jobs[0].case
    axes.set_title(f"{dose_text(case.dose)} photons, {case.split}")
    for job in jobs:
        if job.frc is None:
            continue
        look = looks[job.case.view] | {"marker": ""}
        axes.plot(job.frc.frequency, job.frc.frc, **look, linewidth=1.5, label=job.case.view)
    curves = jobs[0].frc
    if curves is not None:
        dotted: dict[str, Any] = {"color": LIGHT["muted"], "linewidth": 0.9}
        axes.plot(curves.frequency, curves.one_bit, **dotted, linestyle="--", label="1-bit")
        axes.plot(curves.frequency, curves.half_bit, **dotted, linestyle=":", label="½-bit")
    axes.set_xlim(0, 0.5)
    axes.set_ylim(0, 1.02)
    axes.set_xlabel("spatial frequency (cycles/px)")
    axes.set_ylabel("FRC")


def _grid_of_thumbnails(jobs: Sequence[Job]) -> Figure:
    """Return the dose x view matrix of reconstructed phases, train and test side by side."""
    doses, looks, metric = drawn_doses(jobs), _looks(jobs), main_metric(jobs)
    columns = [(view, split) for view in looks for split in SPLITS]
    by_key = {(job.case.dose, job.case.view, job.case.split): job for job in jobs}
    figure = Figure(figsize=(1.5 * len(columns), 1.35 * len(doses) + 0.3), layout="constrained")
    grid = figure.subplots(len(doses), len(columns), squeeze=False)
    for row, dose in zip(grid, doses, strict=True):
        for axes, (view, split) in zip(row, columns, strict=True):
            job = by_key[dose, view, split]
            text = score_text(metric, job.value(metric), is_bound=job.is_bound(metric))
            axes.set_title(f"{view}, {split}\n" if dose == doses[0] else "", fontsize=8)
            axes.set_xlabel(text if job.scores else job.state, fontsize=8)
            axes.grid(False)
            axes.set(xticks=[], yticks=[])
            axes.spines[:].set_visible(False)
            if job.thumbnail:
                axes.imshow(np.asarray(pictures.opened(job.thumbnail)))
        row[0].set_ylabel(f"{dose_text(dose)} photons", fontsize=8)
    return figure


def _doses(jobs: Sequence[Job]) -> tuple[float, ...]:
    return tuple(dict.fromkeys(job.case.dose for job in jobs))


def _looks(jobs: Sequence[Job]) -> dict[str, dict[str, Any]]:
    return plotstyle.look_of(list(dict.fromkeys(job.case.view for job in jobs)))


def _with_frc(jobs: Sequence[Job], dose: float, split: str) -> list[Job]:
    return [j for j in jobs if (j.case.dose, j.case.split) == (dose, split) and j.frc]


def _limits(jobs: Sequence[Job], metric: Metric) -> tuple[float, float] | None:
    """Return the scale that all panels of a score share, None where no job has it."""
    values = [value for job in jobs if (value := job.value(metric)) is not None]
    values = [value for value in values if np.isfinite(value)]
    if not values:
        return None
    low, high = min(values), max(values)
    return (low / 1.3, high * 1.3) if low > 0 else (min(0.0, low * 1.1), high * 1.1 or 1.0)


def _say_empty(axes: Axes, text: str) -> None:
    axes.text(0.5, 0.5, text, transform=axes.transAxes, ha="center", color=LIGHT["muted"])
    axes.set(xticks=[], yticks=[])


def _empty_figure(text: str) -> Figure:
    figure = Figure(figsize=(6, 2))
    figure.text(0.5, 0.5, text, ha="center", color=LIGHT["muted"])
    return figure
