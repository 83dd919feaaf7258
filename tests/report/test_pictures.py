"""Pictures for the page: which are made, by whom, and what is said of those that can not be."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest
from PIL import Image

from fly64tasks.errors import Fly64Error
from fly64tasks.report.pictures import Album, opened


def written(path: Path, *shades: tuple[int, int, int, int]) -> Path:
    picture = Image.new("RGBA", (len(shades), 1))
    picture.putdata(shades)
    picture.save(path)
    return path


def test_only_a_picture_that_is_transparent_somewhere_keeps_its_transparency(tmp_path: Path):
    opaque = opened(written(tmp_path / "a.png", (1, 2, 3, 255), (4, 5, 6, 255)))
    assert (opaque.mode, opaque.getpixel((1, 0))) == ("RGB", (4, 5, 6))
    through = opened(written(tmp_path / "b.png", (1, 2, 3, 255), (4, 5, 6, 254)))
    assert (through.mode, through.getpixel((1, 0))) == ("RGBA", (4, 5, 6, 254))


def test_album_makes_its_pictures_elsewhere_and_leaves_no_thread(tmp_path: Path):
    path = written(tmp_path / "a.png", (1, 2, 3, 255))
    before = threading.active_count()
    with Album(tmp_path, 1) as album:
        source, on_paper = album.on_both(path, 10, 10)
        assert threading.active_count() > before
        assert str(source).startswith("data:image/webp;base64,")
        assert str(on_paper).startswith("data:image/jpeg;base64,")
    assert threading.active_count() == before


def test_damaged_picture_is_named_where_its_address_is_asked_for(tmp_path: Path):
    path = tmp_path / "a.png"
    path.write_text("no picture")
    with Album(tmp_path, 1) as album:
        for address in (album.on_screen(path, 10), *album.on_both(path, 10, 10)):
            with pytest.raises(Fly64Error, match="damaged picture"):
                str(address)


def test_page_of_many_jobs_links_to_its_pictures(tmp_path: Path):
    with Album(tmp_path, 61) as album:
        assert album.on_screen(tmp_path / "a b.png", 10) == "a%20b.png"
        assert album.on_both(tmp_path / "a b.png", 10, 10) == ("a%20b.png", None)
        assert album.on_screen(None, 10) is None
