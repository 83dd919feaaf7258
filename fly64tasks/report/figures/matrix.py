"""The dose x view matrix of reconstructed phases, with the truth and what its colours mean."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.ticker import MaxNLocator

from fly64tasks import plotstyle
from fly64tasks.plotstyle import LIGHT
from fly64tasks.report import pictures
from fly64tasks.report.exposure import exposure_of
from fly64tasks.report.figures.curves import drawn_doses, looks_of, say_empty
from fly64tasks.report.results import Job, main_metric
from fly64tasks.report.tiles import Column, columns_of
from fly64tasks.report.wording import dose_text, in_sentence, quantity_text

_LEFT_IN, _GAP_IN = 0.2, 0.06
_LINE_IN, _BELOW_IN, _BARS_IN, _NOTE_IN = 0.13, 0.31, 0.5, 0.15
"""Room for a heading's line, below a tile for its numbers, below the last for scales and a note."""
_COLUMNS_WITH_SCAN = 8
"""Above so many columns there is no room for their frames and overlap."""


def grid_of_reconstructions(jobs: Sequence[Job]) -> Figure:
    """Return a row per dose below the truth, and a column per view and split.

    One scale of colours and one of length hold for a column, and stand below it.
    """
    doses, looks, columns = drawn_doses(jobs), looks_of(jobs), columns_of(jobs)
    metric = main_metric(jobs)
    by_key = {(job.case.dose, job.case.view, job.case.split): job for job in jobs}
    width_in = (plotstyle.PAGE_IN - _LEFT_IN) / len(columns) - _GAP_IN
    tile_in = width_in * max(column.aspect for column in columns)
    truth_in = tile_in + _GAP_IN if any(column.truth for column in columns) else 0.0
    row_in = tile_in + _BELOW_IN
    headings = [_heading(column, len(columns)) for column in columns]
    above_in = 0.05 + _LINE_IN * max(heading.count("\n") + 1 for heading in headings)
    bars_in = _BARS_IN if any(column.picture for column in columns) else 0.0
    height_in = above_in + truth_in + row_in * len(doses) + bars_in + _NOTE_IN
    figure = Figure(figsize=(plotstyle.PAGE_IN, height_in))

    def axes_at(column: int, top_in: float, high_in: float) -> Axes:
        left_in = _LEFT_IN + column * (width_in + _GAP_IN)
        bottom_in = height_in - top_in - high_in
        return plotstyle.add_axes(figure, left_in, bottom_in, width_in, high_in)

    for index, column in enumerate(columns):
        left_in, colour = _LEFT_IN + index * (width_in + _GAP_IN), looks[column.view]["color"]
        place = (left_in / plotstyle.PAGE_IN, 1 - 0.03 / height_in)
        figure.text(*place, headings[index], fontsize=7, color=colour, va="top")
        if truth_in:
            axes = axes_at(index, above_in, tile_in)
            _show(axes, column.truth, "no truth", "" if index else "truth")
        for row, dose in enumerate(doses):
            job = by_key[dose, column.view, column.split]
            axes = axes_at(index, above_in + truth_in + row * row_in, tile_in)
            otherwise = "no picture" if job.scores else job.state
            _show(axes, job.thumbnail, otherwise, "" if index else f"{dose_text(dose)} photons")
            light = exposure_of(job).photons_per_px
            below = "" if light is None else f"\n{quantity_text(light)} photons/px"
            text = job.text(metric) + below
            bottom_in = height_in - above_in - truth_in - row * row_in - tile_in
            place = (left_in / plotstyle.PAGE_IN, (bottom_in - 0.02) / height_in)
            figure.text(*place, text, fontsize=7, va="top")
        if bars_in:
            _add_scales(axes_at(index, height_in - bars_in - _NOTE_IN, bars_in), column)
    note = f"Below each tile: {in_sentence(metric.label)}; photons per pixel of the region."
    if any(exposure_of(job).spacing_diameters is not None for job in jobs):
        note += " D: diameter of the probe."
    if any(job.geometry_assumed for job in jobs):
        note += " Lengths are of an assumed pixel size."
    place = (_LEFT_IN / plotstyle.PAGE_IN, 0.04 / height_in)
    figure.text(*place, note, fontsize=7, color=LIGHT["muted"], va="bottom")
    return figure


def _heading(column: Column, columns: int) -> str:
    first = f"{column.view}, {column.split}"
    if columns > _COLUMNS_WITH_SCAN:
        return first.replace(", ", "\n")
    texts = {exposure_of(job).scan_text for job in column.jobs if job.scores}
    return "\n".join([first, *(texts if len(texts) == 1 else ())])


def _show(axes: Axes, picture: Path | None, otherwise: str, label: str) -> None:
    """Show a picture, or words in its place, with a label to its left."""
    axes.grid(False)
    axes.spines[:].set_visible(False)
    if picture is None:
        say_empty(axes, otherwise)
    else:
        axes.imshow(np.asarray(pictures.opened(picture)))
        axes.set_anchor("NW")
    axes.set(xticks=[], yticks=[])
    axes.set_ylabel(label, labelpad=2)
    axes.xaxis.set_visible(False)  # what has nothing to show takes its time to draw too
    axes.yaxis.set_visible(bool(label))


def _add_scales(axes: Axes, column: Column) -> None:
    """Draw a column's bar of length and bar of colours."""
    axes.set_axis_off()
    picture, bar = column.picture, column.scale_bar
    if bar is not None:
        share, text = bar
        ink = LIGHT["ink"]
        axes.add_patch(Rectangle((0, 0.87), share, 0.06, transform=axes.transAxes, color=ink))
        axes.text(share + 0.04, 0.9, text, transform=axes.transAxes, fontsize=7, va="center")
    if picture is not None:
        colours = axes.inset_axes((0.0, 0.58, 1.0, 0.14))
        ends = (picture.low, picture.high)
        ramp = np.linspace(*ends, 256)[np.newaxis]
        colours.imshow(ramp, cmap=picture.colour_map, extent=(*ends, 0, 1), aspect="auto")
        colours.grid(False)
        colours.spines[:].set_visible(True)
        colours.set_yticks([])
        colours.xaxis.set_major_locator(MaxNLocator(3))
        colours.tick_params(labelsize=7, length=2, pad=1.5)
        colours.set_xlabel("phase (rad)", fontsize=7, labelpad=1)
