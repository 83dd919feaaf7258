"""The picture of one reconstruction beside the truth, and the panels that it is made of."""

from __future__ import annotations

import itertools
import math
import textwrap
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from fly64tasks import plotstyle
from fly64tasks.physics.alignment import BoolArray, ComplexArray, FloatArray, bounding_box
from fly64tasks.physics.image_quality import phase_near
from fly64tasks.recon.result import Reconstructed
from fly64tasks.score import context
from fly64tasks.score.sheet import BESIDE_IN, LEFT_IN, LINE_IN, TITLE_IN, Place, Scale, Sheet
from fly64tasks.study.stages import ASSUMED, Geometry

CYCLIC_FROM_RAD = 1.8 * math.pi
"""A range of phases from which on they are taken to go round: 2 pi, less what few pixels miss."""
_ABOVE_IN = 0.08
_BELOW_IN = 0.13
"""Free below a row, where the scale bar goes."""


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
    if truth is None:
        rows = [list(itertools.chain(*rows))]
    sizes = geometry or (found.geometry if found else ASSUMED)
    heading = _heading(title, note, sizes)
    height, width = (side.stop - side.start for side in box)
    column_in = plotstyle.PAGE_IN / len(rows[0])
    wide_in = column_in - BESIDE_IN
    high_in = float(np.clip(height / width, 0.3, 1.2)) * wide_in
    row_in = TITLE_IN + high_in + _BELOW_IN
    top_in = _ABOVE_IN + LINE_IN * len(heading)
    images_end_in = top_in + row_in * len(rows)
    context_in = context.height_in(found) if found else 0.0
    with plotstyle.applied(**plotstyle.PRINT, **{"axes.grid": False}):
        sheet = Sheet(plotstyle.PAGE_IN, images_end_in + context_in)
        sheet.heading(heading)
        lie = [
            sheet.picture(
                np.where(seen, panel.image, np.nan)[box],
                panel.scale,
                panel.title,
                Place(LEFT_IN + x * column_in, top_in + y * row_in + TITLE_IN, wide_in, high_in),
            )
            for y, row in enumerate(rows)
            for x, panel in enumerate(row)
        ]
        sheet.scale_bar(lie[0], width * sizes.pixel_size_m)
        if found:
            context.draw(sheet, found, box, images_end_in)
        sheet.save(path)


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


def _heading(title: str, note: str, sizes: Geometry) -> list[str]:
    """Return the lines of a heading."""
    text = title + (f": {note}" if note else "")
    return textwrap.wrap(text + ("   (pixel size assumed)" if sizes.assumed else ""), 100)
