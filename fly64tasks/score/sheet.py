"""A sheet on which pictures lie at places in inches, each with its title and its colour bar.

One pair of axes in inches holds them all. Axes for each picture and each bar, and a layout engine
that draws all of them to find where they fit, would take as long as all scores.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.ticker import MaxNLocator, ScalarFormatter
from numpy.typing import NDArray

from fly64tasks import plotstyle

LEFT_IN = 0.1
"""Between the left end of a column and its picture."""
TITLE_IN = 0.22
BESIDE_IN = 0.63
"""What a column is wider than its picture, for `LEFT_IN`, the colour bar and its labels."""
LINE_IN = 0.135
"""Of a heading."""
_TITLE_GAP_IN = 0.08
_BAR_GAP_IN = 0.09
_BAR_IN = 0.06
_BAR_SHARE = 0.85
_LABEL_GAP_IN = 0.05
_FACTOR_GAP_IN = 0.065
_TITLE: dict[str, Any] = {"fontsize": 8, "fontweight": "bold", "parse_math": False}
_LABEL_PT = plotstyle.PRINT["ytick.labelsize"]


@dataclass(frozen=True)
class Scale:
    """The ends of a colour scale, and its map's name."""

    low: float
    high: float
    colour_map: str

    def spread(self) -> Scale:
        """Return it with its ends apart, which those of an image of one value are not.

        >>> Scale(2.0, 2.0, "viridis").spread()
        Scale(low=1.8, high=2.2, colour_map='viridis')
        """
        most = max(abs(self.low), abs(self.high))
        if self.high - self.low > 1e-9 * most:
            return self
        margin = 0.1 * most or 0.1
        return Scale(self.low - margin, self.high + margin, self.colour_map)


@dataclass(frozen=True)
class Place:
    """A box on a sheet, in inches from its upper left corner."""

    left: float
    top: float
    width: float
    height: float

    def fitted(self, shape: tuple[int, ...]) -> Place:
        """Return the part that an image of a shape, (h, w), fills: at the left, midway down.

        >>> Place(0, 0, 2, 1).fitted((10, 40))
        Place(left=0, top=0.25, width=2.0, height=0.5)
        """
        inch_per_px = min(self.height / shape[0], self.width / shape[1])
        height, width = (size * inch_per_px for size in shape)
        return Place(self.left, self.top + (self.height - height) / 2, width, height)


class Sheet:
    """A figure of a size in inches. To be drawn on in `plotstyle.PRINT`."""

    def __init__(self, width_in: float, height_in: float):
        self._figure = Figure(figsize=(width_in, height_in))
        self._size_in = width_in, height_in
        self._ground = self._figure.add_axes((0, 0, 1, 1), xlim=(0, width_in), ylim=(height_in, 0))
        self._ground.set_axis_off()
        self._ground.autoscale(False)

    def heading(self, lines: Sequence[str]) -> None:
        """Write lines, of `LINE_IN` each, at the top."""
        self._ground.text(LEFT_IN, 0.07, "\n".join(lines), va="top", **_TITLE)

    def picture(
        self, image: NDArray[Any], scale: Scale, title: str, place: Place, *, bar: bool = True
    ) -> Place:
        """Draw an image with its title above and a colour bar beside; return where it lies itself.

        Parameters
        ----------
        image : (h, w) float
            Blank where it is not a number.
        place : Place
            For the image alone; its title is above and its bar to the right of it.
        """
        lies = place.fitted(image.shape)
        scale = scale.spread()
        self._image(image, lies, vmin=scale.low, vmax=scale.high, cmap=scale.colour_map)
        self._ground.text(place.left, place.top - _TITLE_GAP_IN, title, **_TITLE)
        if bar:
            left, height = lies.left + lies.width + _BAR_GAP_IN, _BAR_SHARE * place.height
            top = place.top + (place.height - height) / 2
            self._bar(scale, Place(left, top, _BAR_IN, height))
        return lies

    def _image(self, image: NDArray[Any], lies: Place, **how: Any) -> None:
        extent = (lies.left, lies.left + lies.width, lies.top + lies.height, lies.top)
        self._ground.imshow(image, extent=extent, aspect="auto", **how)

    def _bar(self, scale: Scale, lies: Place) -> None:
        ink = plotstyle.LIGHT["muted"]
        self._image(np.linspace(1, 0, 256)[:, None], lies, cmap=scale.colour_map)
        self._rectangle(lies, fill=False, edgecolor=ink, linewidth=0.5)
        values, labels, factor = _ticks(scale, lies.height)
        right, look = lies.left + lies.width + _LABEL_GAP_IN, {"fontsize": _LABEL_PT, "color": ink}
        for value, label in zip(values, labels, strict=True):
            y = lies.top + lies.height * (scale.high - value) / (scale.high - scale.low)
            self._ground.text(right, y, label, va="center_baseline", **look)
        below = lies.top + lies.height + _FACTOR_GAP_IN
        self._ground.text(lies.left, below, factor, va="top", **look)

    def scale_bar(self, lies: Place, width_m: float) -> None:
        """Draw a bar of a round length below the left end of an image so wide, and say how long."""
        length_m, label = plotstyle.scale_bar(width_m)
        length, below = length_m / width_m * lies.width, lies.top + lies.height + 0.05
        ink = plotstyle.LIGHT["ink"]
        self._rectangle(Place(lies.left, below, length, 0.025), color=ink, linewidth=0)
        self._ground.text(lies.left + length + 0.04, below + 0.0125, label, va="center_baseline")

    def _rectangle(self, place: Place, **look: Any) -> None:
        self._ground.add_patch(
            Rectangle((place.left, place.top), place.width, place.height, **look)
        )

    def axes(self, place: Place) -> Axes:
        """Add axes of their own at a place, for a plot."""
        bottom_in = self._size_in[1] - place.top - place.height
        return plotstyle.add_axes(self._figure, place.left, bottom_in, place.width, place.height)

    def save(self, path: Path) -> None:
        """Write it."""
        plotstyle.save(self._figure, path)


def _ticks(scale: Scale, height_in: float) -> tuple[list[float], list[str], str]:
    """Return the round values to be named on a bar, their labels, and a factor of all of them.

    As matplotlib's own axes have them: lines two apart, 9 steps at most.

    >>> _ticks(Scale(0.0, 1.2e-7, "viridis"), 0.7)
    ([0.0, 5e-08, 1e-07], ['0.0', '0.5', '1.0'], '1e−7')
    """
    most = min(max(math.floor(height_in * 72 / (2 * _LABEL_PT)), 1), 9)
    low, high = scale.low, scale.high
    slack = 1e-9 * (high - low)
    found = MaxNLocator(most, steps=[1, 2, 2.5, 5, 10]).tick_values(low, high)
    values = [float(value) for value in found if low - slack <= value <= high + slack]
    formatter: Any = ScalarFormatter()
    formatter.create_dummy_axis()
    formatter.axis.set_view_interval(low, high)
    return values, formatter.format_ticks(values), formatter.get_offset()
