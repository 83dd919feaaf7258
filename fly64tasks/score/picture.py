"""The picture of one reconstruction beside the truth, and the panels that it is made of."""

from __future__ import annotations

import itertools
import math
import textwrap
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from fly64tasks import plotstyle
from fly64tasks.physics.alignment import BoolArray, ComplexArray, FloatArray, bounding_box
from fly64tasks.physics.image_quality import phase_near
from fly64tasks.recon.result import Reconstructed
from fly64tasks.score import context
from fly64tasks.study.stages import ASSUMED, Geometry

CYCLIC_FROM_RAD = 1.8 * math.pi
"""A range of phases from which on they are taken to go round: 2 pi, less what few pixels miss."""
_HEADING_IN = 0.35


@dataclass(frozen=True)
class Scale:
    """The ends of a colour scale, and its map's name."""

    low: float
    high: float
    colour_map: str


def phase_scale(phase: FloatArray) -> Scale:
    """Return the scale of phases in rad: cyclic only where they go round.

    Phases of less than `CYCLIC_FROM_RAD` from end to end never wrap: on a cyclic map their two ends
    would look alike and neighbours in the middle apart.

    >>> phase_scale(np.array([-0.5, 0.5]))
    Scale(low=-0.55, high=0.55, colour_map='viridis')
    >>> phase_scale(np.array([-3.1, 3.1])).colour_map
    'twilight'
    """
    low, high = float(phase.min()), float(phase.max())
    if high - low >= CYCLIC_FROM_RAD:
        return Scale(-math.pi, math.pi, plotstyle.CYCLIC_PHASE_MAP)
    margin = max(0.05 * (high - low), 1e-3)
    return Scale(low - margin, high + margin, plotstyle.PHASE_MAP)


def draw_comparison(
    path: Path,
    obj: ComplexArray,
    found: Reconstructed | None,
    *,
    geometry: Geometry | None = None,
    truth: ComplexArray | None,
    region: BoolArray | None,
    title: str,
    note: str,
) -> None:
    """Write truth, reconstruction and difference, in amplitude and phase; probe, loss and scan.

    Truth and reconstruction share one scale, that of the truth within the region; what lies
    outside the region is left blank. Without a truth the reconstruction stands alone. As wide as
    two columns of a paper.

    Parameters
    ----------
    obj : (H, W) complex
        The reconstruction, aligned with the truth where there is one.
    found : Reconstructed or None
        What has the probe, the loss and the scan; they are left out where it is None.
    geometry : Geometry, optional
        The sizes of ``obj``; those of ``found`` unless given.
    note : str
        Why there is no truth; empty where there is one.
    """
    box = _whole(obj) if region is None else bounding_box(region)
    seen = np.ones(obj.shape, dtype=bool) if region is None else region
    rows = panels_of(obj, truth, seen)
    height, width = (side.stop - side.start for side in box)
    columns, lines = (2, 1) if truth is None else (3, 2)
    sizes = geometry or (found.geometry if found else ASSUMED)
    row_in = float(np.clip(height / width, 0.3, 1.2)) * (plotstyle.PAGE_IN / columns - 0.7) + 0.3
    with plotstyle.applied(**plotstyle.PRINT, **{"axes.grid": False}):
        below_in = context.height_in(found) if found else 0.0
        size = (plotstyle.PAGE_IN, lines * row_in + below_in + _HEADING_IN)
        figure = Figure(figsize=size, layout="constrained")
        halves: Any = (figure, None)
        if found:
            halves = figure.subfigures(2, 1, height_ratios=[lines * row_in, below_in])
        upper, lower = halves
        _draw_images(upper, rows, seen, box, sizes.pixel_size_m)
        if found:
            context.draw(lower, found, box)
        heading = title + (f": {note}" if note else "")
        if sizes.assumed:
            heading += "   (pixel size assumed)"
        look = {"fontsize": 8, "fontweight": "bold", "parse_math": False}
        figure.suptitle(textwrap.fill(heading, 110), x=0.01, ha="left", **look)
        plotstyle.save(figure, path)


@dataclass(frozen=True)
class Panel:
    """An image with its scale and title."""

    image: FloatArray
    scale: Scale
    title: str


def panels_of(obj: ComplexArray, truth: ComplexArray | None, seen: BoolArray) -> list[list[Panel]]:
    """Return the panels of amplitude and of phase: truth, reconstruction, difference."""
    reference = obj if truth is None else truth
    mean = np.angle(reference[seen].sum())
    phase, true_phase = (phase_near(image, reference, seen) - mean for image in (obj, reference))
    amplitude, true_amplitude = np.abs(obj), np.abs(reference)
    low, high = float(true_amplitude[seen].min()), float(true_amplitude[seen].max())
    amplitudes = Scale(low, max(high, low + 1e-3), plotstyle.AMPLITUDE_MAP)
    rows = []
    for name, image, true, scale in (
        ("amplitude", amplitude, true_amplitude, amplitudes),
        ("phase, rad", phase, true_phase, phase_scale(true_phase[seen])),
    ):
        found = Panel(image, scale, f"reconstruction: {name}")
        if truth is None:
            rows.append([found])
            continue
        difference = np.abs(image - true)
        top = max(float(np.percentile(difference[seen], 99)), 1e-6)
        rows.append(
            [
                Panel(true, scale, f"truth: {name}"),
                found,
                Panel(
                    difference, Scale(0.0, top, plotstyle.DIFFERENCE_MAP), f"|difference|: {name}"
                ),
            ]
        )
    return rows


def _whole(obj: ComplexArray) -> tuple[slice, slice]:
    return slice(0, obj.shape[0]), slice(0, obj.shape[1])


def _draw_images(
    figure: Any,
    rows: list[list[Panel]],
    seen: BoolArray,
    box: tuple[slice, slice],
    pixel_size_m: float,
) -> None:
    has_truth = len(rows[0]) == 3
    axes = figure.subplots(2, 3) if has_truth else figure.subplots(1, 2)
    for axis, panel in zip(axes.flat, itertools.chain(*rows), strict=True):
        scale = panel.scale
        shown = axis.imshow(
            np.where(seen, panel.image, np.nan)[box],
            vmin=scale.low,
            vmax=scale.high,
            cmap=scale.colour_map,
        )
        axis.set_title(panel.title)
        axis.set_axis_off()
        figure.colorbar(shown, ax=axis, shrink=0.85, aspect=14)
    _add_scale_bar(axes.flat[0], box[1].stop - box[1].start, pixel_size_m)


def _add_scale_bar(axis: Axes, width_px: int, pixel_size_m: float) -> None:
    """Draw a bar of a round length, about a quarter of the image, below its left end."""
    length_m, label = plotstyle.scale_bar(width_px * pixel_size_m)
    length_px = length_m / pixel_size_m
    transform = axis.get_xaxis_transform()
    ink = plotstyle.LIGHT["ink"]
    bar = Rectangle((0, -0.06), length_px, 0.025, transform=transform, color=ink, clip_on=False)
    axis.add_patch(bar)
    axis.text(length_px + 0.02 * width_px, -0.05, label, transform=transform, va="center")
