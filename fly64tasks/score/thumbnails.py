"""The small pictures of a reconstruction, for tables and a page: PNG, blank outside the region."""

from __future__ import annotations

import itertools
import zlib
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
from numpy.typing import NDArray
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from fly64tasks.data.ownership import WRITER
from fly64tasks.doitext.atomic import replaced
from fly64tasks.physics.alignment import BoolArray, ComplexArray, bounding_box
from fly64tasks.score.picture import Panel, panels_of

THUMBNAIL_PX = 240
PANEL_PX = 360


def draw_thumbnails(
    path: Path,
    truth_path: Path | None,
    obj: ComplexArray,
    *,
    truth: ComplexArray | None,
    seen: BoolArray,
) -> dict[str, Any]:
    """Write the phase within the region, and the truth's, as PNG at most `THUMBNAIL_PX` wide.

    Without a truth its picture is one transparent pixel; without a path for it there is none.

    Returns
    -------
    dict
        What the colours and sizes mean: ``quantity``, the ends ``low`` and ``high`` of the scale in
        rad from the mean phase, ``colour_map``, and ``height_px`` and ``width_px``, of the object.
    """
    panels = panels_of(obj, truth, seen)[1]
    box = bounding_box(seen)
    shown = panels[0] if truth is None else panels[1]
    _write_png(path, _picture(shown, seen, box, THUMBNAIL_PX))
    if truth_path is None:
        pass
    elif truth is None:
        _write_png(truth_path, Image.new("RGBA", (1, 1)))
    else:
        _write_png(truth_path, _picture(panels[0], seen, box, THUMBNAIL_PX))
    return {
        "quantity": "phase_rad",
        "low": shown.scale.low,
        "high": shown.scale.high,
        "colour_map": shown.scale.colour_map,
        "height_px": box[0].stop - box[0].start,
        "width_px": box[1].stop - box[1].start,
    }


def draw_panels(
    path: Path, obj: ComplexArray, *, truth: ComplexArray | None, seen: BoolArray
) -> dict[str, Any]:
    """Write truth, reconstruction and difference side by side, amplitude over phase, as one PNG.

    Without a truth the reconstruction's amplitude beside its phase. Each panel shows the region's
    box, at most `PANEL_PX` wide and high.

    Returns
    -------
    dict
        ``columns`` and ``rows`` of panels, and ``scales``: of each column and row what its
        colours mean, by ``low``, ``high`` and ``colour_map``.
    """
    rows = panels_of(obj, truth, seen)
    if truth is None:
        rows = [list(itertools.chain(*rows))]
    box = bounding_box(seen)
    pictures = [[_picture(panel, seen, box, PANEL_PX) for panel in row] for row in rows]
    width, height = pictures[0][0].size
    sheet = Image.new("RGBA", (width * len(rows[0]), height * len(rows)))
    for y, row in enumerate(pictures):
        for x, picture in enumerate(row):
            sheet.paste(picture, (x * width, y * height))
    _write_png(path, sheet)
    scales = [[panel.scale for panel in row] for row in rows]
    return {
        "columns": len(rows[0]),
        "rows": len(rows),
        "scales": [
            [{"low": s.low, "high": s.high, "colour_map": s.colour_map} for s in row]
            for row in scales
        ],
    }


def _picture(panel: Panel, seen: BoolArray, box: tuple[slice, slice], size_px: int) -> Image.Image:
    """Return what a panel shows within a box, at most so wide and high."""
    scale = panel.scale
    shade = np.clip((panel.image[box] - scale.low) / (scale.high - scale.low), 0, 1)
    colours: NDArray[np.uint8] = matplotlib.colormaps[scale.colour_map](shade, bytes=True)
    colours[~seen[box], 3] = 0
    image = Image.fromarray(colours)
    image.thumbnail((size_px, size_px), Image.Resampling.LANCZOS)
    return image


def _write_png(path: Path, image: Image.Image) -> None:
    made = PngInfo()
    made.add_text("Software", WRITER)
    with replaced(path) as temporary:
        # Noise does not deflate: runs alone take a fifteenth of the time, for 8 % more bytes.
        image.save(temporary, format="png", compress_type=zlib.Z_RLE, pnginfo=made)
