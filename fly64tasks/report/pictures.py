"""Pictures for the page: within it as WebP, or beside it by relative path."""

from __future__ import annotations

import base64
import io
from pathlib import Path
from urllib.parse import quote

from PIL import Image

from fly64tasks.errors import Fly64Error

QUALITY = 82
PAPER_QUALITY = 75


def opened(path: Path) -> Image.Image:
    """Return a picture as RGB, or RGBA where it is transparent.

    Raises
    ------
    Fly64Error
        The file is no picture.
    """
    try:
        with Image.open(path, formats=["PNG"]) as picture:  # some others start a program
            return picture.convert("RGBA" if "A" in picture.getbands() else "RGB")
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise Fly64Error(
            f"{path}: damaged picture ({error}); remove it and run `doit` again"
        ) from None


def embedded(path: Path, max_width_px: int) -> str:
    """Return a picture as a data URI: WebP, at most so wide."""
    shown = opened(path)
    shown.thumbnail((max_width_px, 4 * max_width_px))
    buffer = io.BytesIO()
    shown.save(buffer, "WEBP", quality=QUALITY, method=2)  # 4 takes twice the time for 0.5 %
    return "data:image/webp;base64," + base64.b64encode(buffer.getvalue()).decode("ascii")


def for_paper(path: Path, max_width_px: int) -> str:
    """Return a picture as a data URI for print: JPEG on white, which a PDF holds as it is."""
    shown = opened(path).convert("RGBA")
    shown.thumbnail((max_width_px, 4 * max_width_px))
    paper = Image.new("RGB", shown.size, "white")
    paper.paste(shown, mask=shown.getchannel("A"))
    buffer = io.BytesIO()
    paper.save(buffer, "JPEG", quality=PAPER_QUALITY)
    return "data:image/jpeg;base64," + base64.b64encode(buffer.getvalue()).decode("ascii")


def linked(path: Path, root: Path) -> str:
    """Return the address of a file under the page's folder, relative to it.

    >>> linked(Path("/a/dose 1/x#.png"), Path("/a"))
    'dose%201/x%23.png'
    """
    return quote(path.relative_to(root).as_posix())
