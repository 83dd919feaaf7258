"""The picture of one reconstruction beside the truth, and the small one for tables."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.patches import Rectangle
from numpy.typing import NDArray
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from fly64tasks import plotstyle
from fly64tasks.data.ownership import WRITER
from fly64tasks.doitext.atomic import replaced
from fly64tasks.physics.alignment import BoolArray, ComplexArray, FloatArray, bounding_box
from fly64tasks.physics.image_quality import phase_near
from fly64tasks.recon.result import Reconstructed

THUMBNAIL_PX = 240


def draw_comparison(
    path: Path,
    obj: ComplexArray,
    found: Reconstructed,
    *,
    truth: ComplexArray | None,
    region: BoolArray | None,
    title: str,
    note: str,
) -> None:
    """Write truth, reconstruction and difference, in amplitude and phase; probe, loss and scan.

    Truth and reconstruction share one scale, that of the truth within the region; what lies
    outside the region is left blank. Without a truth the reconstruction stands alone.

    Parameters
    ----------
    obj : (H, W) complex
        The reconstruction, aligned with the truth where there is one.
    note : str
        Why there is no truth; empty where there is one.
    """
    box = _whole(obj) if region is None else bounding_box(region)
    seen = np.ones(obj.shape, dtype=bool) if region is None else region
    rows = _rows(obj, truth, seen)
    with plotstyle.applied(**{"axes.grid": False}):
        figure = plt.figure(figsize=(10.6, 6.8), layout="constrained")
        try:
            halves: Any = figure.subfigures(2, 1, height_ratios=[2.2, 1])
            upper, lower = halves
            _draw_images(upper, rows, seen, box, found.geometry.pixel_size_m)
            _draw_context(lower, found, box)
            heading = title + (f": {note}" if note else "")
            if found.geometry.assumed:
                heading += "   (pixel size assumed)"
            look = {"fontsize": 11, "fontweight": "bold", "parse_math": False}
            figure.suptitle(heading, x=0.01, ha="left", **look)
            plotstyle.save(figure, path)
        finally:
            plt.close(figure)


def draw_thumbnail(
    path: Path, obj: ComplexArray, *, truth: ComplexArray | None, region: BoolArray | None
) -> None:
    """Write the phase within the region as a PNG at most `THUMBNAIL_PX` wide and high."""
    seen = np.ones(obj.shape, dtype=bool) if region is None else region
    phase, low, high = _rows(obj, truth, seen)[1][1][:3]
    box = bounding_box(seen)
    shade = np.clip((phase[box] - low) / (high - low), 0, 1)
    colours: NDArray[np.uint8] = plt.get_cmap(plotstyle.PHASE_MAP)(shade, bytes=True)
    colours[~seen[box], 3] = 0
    image = Image.fromarray(colours)
    image.thumbnail((THUMBNAIL_PX, THUMBNAIL_PX), Image.Resampling.LANCZOS)
    made = PngInfo()
    made.add_text("Software", WRITER)
    with replaced(path) as temporary:
        image.save(temporary, format="png", optimize=True, pnginfo=made)


Panel = tuple[FloatArray, float, float, str, str]
"""An image, the ends of its scale, its colour map and its title."""


def _rows(obj: ComplexArray, truth: ComplexArray | None, seen: BoolArray) -> list[list[Panel]]:
    """Return the panels of amplitude and of phase: truth, reconstruction, difference."""
    reference = obj if truth is None else truth
    mean = np.angle(reference[seen].sum())
    phase, true_phase = (phase_near(image, reference, seen) - mean for image in (obj, reference))
    images = {
        "amplitude": (np.abs(obj), np.abs(reference), plotstyle.AMPLITUDE_MAP, ""),
        "phase": (phase, true_phase, plotstyle.PHASE_MAP, ", rad"),
    }
    rows = []
    for name, (image, true, colour_map, unit) in images.items():
        if name == "phase":
            # symmetric, so that the middle of a cyclic map is the mean phase
            high = float(np.clip(1.25 * np.abs(true[seen]).max(), 1e-3, np.pi))
            low = -high
        else:
            low, high = (float(end) for end in np.percentile(true[seen], [0, 100]))
            high = max(high, low + 1e-3)
        found = (image, low, high, colour_map, f"reconstruction: {name}{unit}")
        if truth is None:
            rows.append([found, found])
            continue
        difference = np.abs(image - true)
        top = max(float(np.percentile(difference[seen], 99)), 1e-6)
        rows.append(
            [
                (true, low, high, colour_map, f"truth: {name}{unit}"),
                found,
                (difference, 0.0, top, plotstyle.DIFFERENCE_MAP, f"|difference|: {name}{unit}"),
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
    panels = [row if has_truth else row[:1] for row in rows]
    axes = (
        figure.subplots(2, 3, squeeze=False) if has_truth else figure.subplots(1, 2).reshape(2, 1)
    )
    for axis, panel in zip(axes.flat, itertools.chain(*panels), strict=True):
        image, low, high, colour_map, title = panel
        shown = axis.imshow(
            np.where(seen, image, np.nan)[box], vmin=low, vmax=high, cmap=colour_map
        )
        axis.set_title(title)
        axis.set_axis_off()
        figure.colorbar(shown, ax=axis, shrink=0.85, aspect=18)
    _add_scale_bar(axes.flat[0], box[1].stop - box[1].start, pixel_size_m)


def _add_scale_bar(axis: Axes, width_px: int, pixel_size_m: float) -> None:
    """Draw a bar of a round length, about a quarter of the image, below its left end."""
    quarter_m = width_px * pixel_size_m / 4
    decade = 10.0 ** np.floor(np.log10(quarter_m))
    length_m = decade * max(step for step in (1, 2, 5) if step * decade <= quarter_m)
    label = f"{length_m * 1e6:g} µm" if length_m >= 1e-6 else f"{length_m * 1e9:g} nm"
    transform = axis.get_xaxis_transform()
    axis.add_patch(
        Rectangle(
            (0, -0.05),
            length_m / pixel_size_m,
            0.02,
            transform=transform,
            color=plotstyle.LIGHT["ink"],
            clip_on=False,
        )
    )
    axis.text(
        length_m / pixel_size_m * 1.06, -0.04, label, transform=transform, va="center", fontsize=8
    )


def _draw_context(figure: Any, found: Reconstructed, box: tuple[slice, slice]) -> None:
    """Draw the probe's first mode in amplitude and phase, the loss and the scan."""
    amplitude, phase, loss, scan = figure.subplots(1, 4)
    mode = found.probe[0]
    for axis, image, colour_map, title in (
        (amplitude, np.abs(mode), plotstyle.AMPLITUDE_MAP, "probe: amplitude, √photons"),
        (phase, np.angle(mode), plotstyle.PHASE_MAP, "probe: phase, rad"),
    ):
        limits = {"vmin": -np.pi, "vmax": np.pi} if axis is phase else {}
        shown = axis.imshow(image, cmap=colour_map, **limits)
        axis.set_title(title)
        axis.set_axis_off()
        figure.colorbar(shown, ax=axis, shrink=0.85, aspect=18)
    loss.semilogy(np.arange(1, len(found.loss) + 1), found.loss, color=plotstyle.VIEW_COLOURS[0])
    loss.set(title="loss", xlabel="epoch")
    y, x = found.positions_px.T
    scan.plot(x, y, ".", markersize=2, color=plotstyle.VIEW_COLOURS[0])
    scan.set(
        title=f"scan: {len(x)} positions, px",
        xlim=(box[1].start, box[1].stop),
        ylim=(box[0].stop, box[0].start),
        aspect="equal",
    )
