"""The scan with the probe's disc: as a figure, and in characters."""

from __future__ import annotations

from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import EllipseCollection
from matplotlib.colors import LogNorm
from matplotlib.patches import Circle
from numpy.typing import NDArray
from scipy.spatial import KDTree

from fly64tasks import plotstyle
from fly64tasks.data.ownership import refuse_foreign
from fly64tasks.errors import StudyError
from fly64tasks.inspect.facts import Inspection

SUFFIXES = (".png", ".svg", ".pdf")
MOST_DISCS = 20_000
_SHADES = " .:-=+*#@"
_COLUMNS, _ROWS = 56, 16
_CELL = 2.0  # a character's height over its width


def draw(path: Path, found: Inspection) -> None:
    """Write the scan with the probe's disc at each position, beside probe and mean frame.

    Raises
    ------
    StudyError
        The name asks for no format that is drawn.
    DatasetError
        A file of somebody else's has it.
    """
    if path.suffix not in SUFFIXES:
        raise StudyError(f"{path}: expected a name that ends in {', '.join(SUFFIXES)}")
    refuse_foreign(path)
    width_in, height_in = plotstyle.PAGE_IN, 4.3
    with plotstyle.applied(**plotstyle.PRINT):
        figure = plt.figure(figsize=(width_in, height_in))
        _draw_scan(plotstyle.add_axes(figure, 0.55, 0.45, 3.75, 3.45), found)
        probe = np.sqrt((np.abs(found.dataset.probe_guess) ** 2).sum(axis=0))
        _draw_probe(plotstyle.add_axes(figure, 4.75, 2.3, 1.6, 1.6), probe, found)
        _draw_mean_frame(plotstyle.add_axes(figure, 4.75, 0.25, 1.6, 1.6), found)
        try:
            plotstyle.save(figure, path)
        finally:
            plt.close(figure)


def _draw_scan(axes: Axes, found: Inspection) -> None:
    unit, per_px = _unit(found)
    positions = found.dataset.positions_px * per_px
    n, diameter = len(positions), found.probe_diameter_px * per_px
    shown = positions
    if n > MOST_DISCS:  # at random: every so-manieth would draw a raster that there is not
        shown = positions[np.random.default_rng(0).choice(n, MOST_DISCS, replace=False)]
    sizes = np.full(len(shown), diameter)
    axes.add_collection(
        EllipseCollection(
            sizes,
            sizes,
            np.zeros(len(shown)),
            units="xy",
            offsets=shown[:, ::-1],
            offset_transform=axes.transData,
            facecolors=plotstyle.LIGHT["view-0"],
            edgecolors="none",
            alpha=max(0.25 / max(_discs_over_a_place(found), 1), 0.02),
        )
    )
    size = min(2.0, 60 / np.sqrt(len(shown)))
    axes.plot(shown[:, 1], shown[:, 0], ".", color=plotstyle.LIGHT["ink"], markersize=size)
    first = positions[0]
    axes.add_patch(
        Circle(
            (first[1], first[0]), diameter / 2, fill=False, color=plotstyle.LIGHT["view-1"], lw=1.2
        )
    )
    low, high = positions.min(axis=0) - diameter / 2, positions.max(axis=0) + diameter / 2
    margin = 0.03 * float((high - low).max())
    axes.set(
        xlim=(low[1] - margin, high[1] + margin),
        ylim=(high[0] + margin, low[0] - margin),
        aspect="equal",
        xlabel=f"x ({unit})",
        ylabel=f"y ({unit})",
    )
    axes.set_anchor("NW")
    some = "" if len(shown) == n else f" ({len(shown):,} drawn)"
    axes.set_title(f"{n:,} frames{some}, discs as wide as the probe")


def _draw_probe(axes: Axes, probe: NDArray[np.floating], found: Inspection) -> None:
    axes.imshow(probe, cmap=plotstyle.AMPLITUDE_MAP)
    middle = probe.shape[-1] // 2
    axes.add_patch(
        Circle((middle, middle), found.probe_diameter_px / 2, fill=False, color="w", lw=0.8)
    )
    axes.set_axis_off()
    axes.set_title(f"probe, {found.probe_diameter_px:.3g} px across")


def _draw_mean_frame(axes: Axes, found: Inspection) -> None:
    mean = np.mean(found.dataset.diffraction_amplitude.astype(np.float64) ** 2, axis=0)
    lit = mean[mean > 0]
    if lit.size:
        most = float(lit.max())
        norm = LogNorm(max(float(lit.min()), most * 1e-5), most * 1.001)
        axes.imshow(np.where(mean > 0, mean, np.nan), cmap=plotstyle.AMPLITUDE_MAP, norm=norm)
    axes.set_axis_off()
    axes.set_title("mean frame, logarithmic")


def _unit(found: Inspection) -> tuple[str, float]:
    """Return the unit that a scan is drawn in, and its size per pixel of the object."""
    if found.geometry.assumed:
        return "px", 1.0
    return "µm", found.geometry.pixel_size_m * 1e6


def _discs_over_a_place(found: Inspection) -> float:
    """Return over how many discs the middle frame's position lies."""
    positions = found.dataset.positions_px
    middle = positions[len(positions) // 2]
    within = np.hypot(*(positions - middle).T) <= found.probe_diameter_px / 2
    return float(within.sum())


def in_characters(found: Inspection) -> list[str]:
    """Return lines that show how many frames see each place, and one that says what a sign is."""
    positions, radius = found.dataset.positions_px, found.probe_diameter_px / 2
    low, high = positions.min(axis=0) - radius, positions.max(axis=0) + radius
    height, width = high - low
    step = max(width / _COLUMNS, height / (_ROWS * _CELL))
    if not 0 < step < np.inf:
        return []
    rows, columns = (max(round(extent), 1) for extent in (height / step / _CELL, width / step))
    y = low[0] + (np.arange(rows) + 0.5) * height / rows
    x = low[1] + (np.arange(columns) + 0.5) * width / columns
    places = np.stack(np.meshgrid(y, x, indexing="ij"), axis=-1).reshape(-1, 2)
    drawn = max(radius, step * float(np.hypot(1, _CELL)) / 2)  # else discs fall between places
    seen = KDTree(positions).query_ball_point(places, drawn, return_length=True)
    most = int(seen.max())
    last = len(_SHADES) - 1
    shade = np.ceil(seen / most * last).astype(int).reshape(rows, columns)
    lines = ["".join(_SHADES[level] for level in row).rstrip() for row in shade]
    what = "frames that see a place" if drawn == radius else "frames near a place"
    return [*lines, f"{what}: {_SHADES[1]} few, {_SHADES[-1]} {most}"]
