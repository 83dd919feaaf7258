"""Pictures for the page: within it as WebP, or beside it by relative path."""

from __future__ import annotations

import base64
import io
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Self
from urllib.parse import quote

from PIL import Image

from fly64tasks.errors import Fly64Error

EMBED_LIMIT = 60
"""Above so many jobs a page links to their pictures and does not hold them."""
QUALITY = 82
PAPER_QUALITY = 75
_THREADS = 2
"""More would leave less of two cores to the one that draws."""


@dataclass(frozen=True)
class Address:
    """The address of a picture, as a string once it is known: `str` waits for it."""

    found: Future[str]

    def __str__(self) -> str:
        """Return the address.

        Raises
        ------
        Fly64Error
            The file is no picture.
        """
        return self.found.result()


class Album:
    """The pictures of a page, made by threads while the one that asked for them goes on.

    Pillow lets others run while it reads, scales and writes. A page of more than `EMBED_LIMIT` jobs
    links to its pictures.
    """

    def __init__(self, root: Path, jobs: int) -> None:
        """Begin an album for the page of so many jobs in the folder ``root``."""
        self.embeds = jobs <= EMBED_LIMIT
        self._root = root
        self._threads = ThreadPoolExecutor(_THREADS)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self._threads.shutdown(cancel_futures=True)

    def on_screen(self, path: Path | None, max_width_px: int) -> Address | str | None:
        """Return the address of a picture, which holds it where the page does."""
        if path is None:
            return None
        if not self.embeds:
            return linked(path, self._root)
        return self._made(lambda: embedded(opened(path), max_width_px))

    def on_both(
        self, path: Path, max_width_px: int, paper_width_px: int
    ) -> tuple[Address | str, Address | None]:
        """Return the address of a picture on the screen, and for print where the page holds it."""
        if not self.embeds:
            return linked(path, self._root), None
        picture = self._threads.submit(opened, path)  # before its uses: one thread is enough
        return (
            self._made(lambda: embedded(picture.result(), max_width_px)),
            self._made(lambda: for_paper(picture.result(), paper_width_px)),
        )

    def _made(self, make: Callable[[], str]) -> Address:
        return Address(self._threads.submit(make))


def opened(path: Path) -> Image.Image:
    """Return a picture as RGB, or RGBA where it is transparent.

    Raises
    ------
    Fly64Error
        The file is no picture.
    """
    try:
        with Image.open(path, formats=["PNG"]) as picture:  # some others start a program
            if "A" in picture.getbands() and picture.getchannel("A").getextrema() != (255, 255):
                return picture.convert("RGBA")
            return picture.convert("RGB")
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise Fly64Error(
            f"{path}: damaged picture ({error}); remove it and run `doit` again"
        ) from None


def embedded(picture: Image.Image, max_width_px: int) -> str:
    """Return a picture as a data URI: WebP, at most so wide."""
    shown = _at_most(picture, max_width_px)
    buffer = io.BytesIO()
    shown.save(buffer, "WEBP", quality=QUALITY, method=2)  # 4 takes twice the time for 0.5 %
    return "data:image/webp;base64," + base64.b64encode(buffer.getvalue()).decode("ascii")


def for_paper(picture: Image.Image, max_width_px: int) -> str:
    """Return a picture as a data URI for print: JPEG on white, which a PDF holds as it is."""
    paper = Image.new("RGB", picture.size, "white")
    paper.paste(picture, mask=picture if picture.mode == "RGBA" else None)
    buffer = io.BytesIO()
    _at_most(paper, max_width_px).save(buffer, "JPEG", quality=PAPER_QUALITY)
    return "data:image/jpeg;base64," + base64.b64encode(buffer.getvalue()).decode("ascii")


def _at_most(picture: Image.Image, max_width_px: int) -> Image.Image:
    """Return a picture that is at most so wide."""
    shown = picture.copy()
    shown.thumbnail((max_width_px, 4 * max_width_px), Image.Resampling.HAMMING)
    return shown


def linked(path: Path, root: Path) -> str:
    """Return the address of a file under the page's folder, relative to it.

    >>> linked(Path("/a/dose 1/x#.png"), Path("/a"))
    'dose%201/x%23.png'
    """
    return quote(path.relative_to(root).as_posix())
