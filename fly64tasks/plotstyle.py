"""One look for every figure and for the page: colours, colour maps, fonts.

Views take the colours of Okabe and Ito (*Color Universal Design*, 2008), which stay apart for
colour-blind readers, darkened where they have to be read as text; and a marker each, so that no
line is known by its colour alone. Files are the same bytes for the same figure: no date, ids from a
fixed salt.
"""

from __future__ import annotations

import contextlib
import io
import itertools
import math
import re
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import matplotlib
from matplotlib.axes import Axes
from matplotlib.colors import to_hex
from matplotlib.figure import Figure

from fly64tasks.data.ownership import WRITER
from fly64tasks.doitext.atomic import replaced

AMPLITUDE_MAP = "cividis"
PHASE_MAP = "viridis"
"""For phases that do not go round: its ends differ, as those of a cyclic map do not."""
CYCLIC_PHASE_MAP = "twilight"
DIFFERENCE_MAP = "magma"
COLOUR_MAPS = (AMPLITUDE_MAP, PHASE_MAP, CYCLIC_PHASE_MAP, DIFFERENCE_MAP)

COLUMN_IN = 85 / 25.4
PAGE_IN = 170 / 25.4
"""Widths of a figure over one column and over two, in inches: 85 and 170 mm."""

LIGHT = {
    "paper": "#ffffff",
    "wash": "#f6f7f8",
    "ink": "#1b1f24",
    "muted": "#5a636d",
    "rule": "#dfe3e7",
    "accent": "#0a5fa5",
    "warn": "#974500",
    "view-0": "#0072b2",
    "view-1": "#c05000",
    "view-2": "#00865f",
    "view-3": "#b0568c",
    "view-4": "#8a6d00",
    "view-5": "#33709b",
}
"""Colours by name, on paper and in daylight."""

DARK = {
    "paper": "#14171a",
    "wash": "#1c2024",
    "ink": "#e8eaed",
    "muted": "#a0a9b3",
    "rule": "#30363d",
    "accent": "#7db9f0",
    "warn": "#f0a35e",
    "view-0": "#56b4e9",
    "view-1": "#f58d4a",
    "view-2": "#3fc796",
    "view-3": "#e08fbd",
    "view-4": "#e3c34a",
    "view-5": "#9cc9e6",
}
"""The same names on a dark page."""

VALUE = "value: "
"""How the ``gid`` of a drawn point begins, which goes on with what a page is to say of it."""

VIEW_COLOURS = tuple(colour for name, colour in LIGHT.items() if name.startswith("view-"))
VIEW_MARKERS = ("o", "s", "^", "D", "v", "P")

STYLE: dict[str, Any] = {
    "font.family": ["DejaVu Sans", "sans-serif"],
    "font.size": 9,
    "axes.titlesize": 9,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.titley": 1.0,  # nothing of ours stands above axes: it need not be looked for
    "axes.labelcolor": LIGHT["muted"],
    "axes.edgecolor": LIGHT["muted"],
    "axes.linewidth": 0.7,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "axes.grid": True,
    "axes.grid.axis": "y",
    "grid.color": LIGHT["rule"],
    "grid.linewidth": 0.7,
    "text.color": LIGHT["ink"],
    "xtick.color": LIGHT["muted"],
    "ytick.color": LIGHT["muted"],
    "xtick.direction": "out",
    "xtick.major.width": 0.7,
    "ytick.major.size": 0,
    "ytick.minor.size": 0,
    "xtick.minor.size": 0,
    "lines.linewidth": 1.8,
    "lines.markersize": 5.5,
    "legend.frameon": False,
    "image.cmap": AMPLITUDE_MAP,
    "image.interpolation": "nearest",
    "figure.facecolor": "none",
    "axes.facecolor": "none",
    "savefig.facecolor": "none",
    "savefig.dpi": 150,
    "svg.fonttype": "none",
    "svg.hashsalt": "fly64tasks",
    "pdf.fonttype": 42,
}

PRINT: dict[str, Any] = {
    "font.size": 7.5,
    "axes.titlesize": 8,
    "axes.labelsize": 7.5,
    "xtick.labelsize": 7,
    "ytick.labelsize": 7,
    "legend.fontsize": 7,
    "axes.linewidth": 0.5,
    "grid.linewidth": 0.5,
    "xtick.major.width": 0.5,
    "xtick.major.size": 2.5,
    "lines.linewidth": 1.2,
    "lines.markersize": 4,
    "savefig.dpi": 240,
}
"""What differs in files: type of 7 to 8 pt at the width that they are printed in."""


@contextlib.contextmanager
def applied(**more: Any) -> Iterator[None]:
    """Draw and save in the style within the block, whatever the user's own settings are."""
    settings: Any = STYLE | more
    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        matplotlib.rcParams.update(settings)
        yield


def look_of(views: Sequence[str]) -> dict[str, dict[str, Any]]:
    """Return the plot options of each view's line, in the order of the views.

    >>> look_of(["baseline", "dense"])["dense"]
    {'color': '#c05000', 'marker': 's'}
    """
    looks = itertools.cycle(zip(VIEW_COLOURS, VIEW_MARKERS, strict=True))
    return {
        view: {"color": colour, "marker": marker}
        for view, (colour, marker) in zip(views, looks, strict=False)
    }


def add_axes(
    figure: Figure, left_in: float, bottom_in: float, width_in: float, height_in: float
) -> Axes:
    """Add axes to a figure at a place given in inches."""
    width, height = figure.get_size_inches()
    return figure.add_axes(
        (left_in / width, bottom_in / height, width_in / width, height_in / height)
    )


def colours_of(colour_map: str, count: int) -> list[str]:
    """Return so many colours of a map, evenly spread from end to end.

    >>> colours_of("viridis", 2)
    ['#440154', '#fde725']
    """
    found = matplotlib.colormaps[colour_map]
    return [to_hex(found(index / (count - 1))) for index in range(count)]


def scale_bar(width_m: float) -> tuple[float, str]:
    """Return a round length, an eighth to a quarter of a width, in m and in words.

    >>> scale_bar(3.3e-6), scale_bar(1e-7)
    ((5e-07, '500 nm'), (2e-08, '20 nm'))
    """
    quarter_m = width_m / 4
    decade = float(f"1e{math.floor(math.log10(quarter_m))}")
    length_m = decade * max(step for step in (1, 2, 5) if step * decade <= quarter_m)
    text = f"{length_m * 1e6:g} µm" if length_m >= 1e-6 else f"{length_m * 1e9:g} nm"
    return length_m, text


def lay_out(figure: Figure) -> None:
    """Have a figure's layout engine place its axes for good, where it has one.

    Once for all formats; `Figure.savefig` would do it again for each, and draw all twice for that.
    """
    engine = figure.get_layout_engine()
    if engine is not None:
        figure.set_dpi(PRINT["savefig.dpi"])
        engine.execute(figure)
        figure.set_layout_engine("none")


def save(figure: Figure, path: Path) -> None:
    """Write a figure that was drawn in `PRINT`, as SVG, PDF or PNG, whole or not at all."""
    look = PRINT | {"savefig.facecolor": LIGHT["paper"]}
    with applied(**look), replaced(path) as temporary:
        lay_out(figure)
        # pictures of noise hardly deflate: by runs alone they are about as small, sooner written
        by_runs = {"pil_kwargs": {"compress_type": zlib.Z_RLE}}
        how: dict[str, Any] = by_runs if path.suffix == ".png" else {}
        figure.savefig(temporary, metadata=_metadata(path.suffix), **how)
        if path.suffix == ".pdf":
            temporary.write_bytes(_marked(temporary.read_bytes()))


def _marked(pdf: bytes) -> bytes:
    """Return matplotlib's PDF with who wrote it near its beginning too, where a cut leaves it.

    A comment below the two lines of the header (ISO 32000-1, 7.2.4 and 7.5.2); the table of where
    objects lie (7.5.4) is moved by its length.
    """
    comment = f"%{WRITER}\n".encode()
    header = pdf.index(b"\n", pdf.index(b"\n") + 1) + 1
    objects, xref, table = pdf[header:].rpartition(b"\nxref\n")

    def moved(place: re.Match[bytes]) -> bytes:
        return str(int(place[0]) + len(comment)).encode().rjust(len(place[0]), b"0")

    table = re.sub(rb"(?m)^\d{10}(?= \d{5} n)|(?<=startxref\n)\d+", moved, table)
    return pdf[:header] + comment + objects + xref + table


def themed_svg(figure: Figure, name: str) -> str:
    """Return a figure as an SVG element for a page, its colours those of the page.

    Every colour of `LIGHT` becomes the style-sheet variable of its name, so that the figure follows
    the page into the dark; what was drawn with a gid of `VALUE` says it on hover; ids
    start with ``name``, so that several figures fit on one page.
    """
    buffer = io.StringIO()
    with applied():
        lay_out(figure)
        figure.savefig(buffer, format="svg", metadata=_metadata(".svg"))
    svg = buffer.getvalue()
    # Without what is for files: metadata, and a style sheet that would reach the whole page
    svg = re.sub("<metadata>.*?</metadata>|<style.*?</style>", "", svg, flags=re.DOTALL)
    svg = svg[svg.index("<svg") :]
    svg = re.sub(f'<g id="{VALUE}([^"]*)">', r'<g class="value"><title>\1</title>', svg)
    for colour_name, colour in LIGHT.items():
        svg = svg.replace(colour, f"var(--{colour_name})")
    for reference in ('id="', "url(#", 'href="#'):
        svg = svg.replace(reference, f"{reference}{name}-")
    return svg


def _metadata(suffix: str) -> dict[str, Any]:
    """Return the metadata of a figure: who wrote it, and no date."""
    by_suffix: dict[str, dict[str, Any]] = {
        ".svg": {"Creator": WRITER, "Date": None},
        ".pdf": {"Creator": WRITER, "CreationDate": None},
        ".png": {"Software": WRITER},
    }
    return by_suffix[suffix]
