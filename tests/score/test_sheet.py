"""The picture of a reconstruction: where all that it shows lies, and its bytes."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.axis import Tick
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.text import Text
from PIL import Image

from fly64tasks import plotstyle
from fly64tasks.data.readers.npz import read_dataset
from fly64tasks.physics.relaxation import Relaxation
from fly64tasks.recon.result import Reconstructed
from fly64tasks.score.picture import draw_comparison
from fly64tasks.score.sheet import Place, Scale, Sheet
from fly64tasks.study.recon_settings import ReconSpec
from fly64tasks.study.stages import Geometry

LONG = "no truth: the set does not say that it was simulated, and so this heading has a second line"
RNG = np.random.default_rng(0)


@pytest.fixture
def found(small_sets: dict[str, Path]) -> Reconstructed:
    """The truth of the small set, as if it had been found."""
    dataset = read_dataset(small_sets["train"])
    positions = dataset.positions_px
    return Reconstructed(
        None,
        dataset.object_guess.astype(complex),
        dataset.probe_guess.astype(complex),
        positions,
        positions,
        np.geomspace(0.3, 0.1, 7),
        {"spec": ReconSpec().resolved().to_dict(), "set": {"geometry": Geometry().to_dict()}},
    )


def with_all(found: Reconstructed) -> Reconstructed:
    """Return it with all that a picture may have, and numbers that take room."""
    n, size = len(found.positions_px), found.probe.shape[-1]
    modes = 1e-5 * (1 + RNG.random((3, size, size))).astype(complex)
    return replace(
        found,
        probe=np.concatenate([found.probe, 0.3 * found.probe]),
        positions_px=found.positions_px + RNG.random((n, 2)),
        loss=np.array([3e-7, 2.99999e-7, 2.99998e-7]),
        relaxation=Relaxation(modes, np.hstack([np.ones((n, 1)), RNG.random((n, 3))])),
        slices=np.stack([found.obj] * 5),
    )


def texts_of(figure: Figure) -> dict[str, Any]:
    """Return where each text of a figure lies, in px, as it is saved; what it says is the key."""
    figure.set_dpi(plotstyle.PRINT["savefig.dpi"])
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    hidden = {tick.label1 for axes in figure.axes for tick in ticks_not_drawn(axes)}
    shown = (text for text in figure.findobj(Text) if text.get_visible() and text.get_text())
    return {
        f"{index}: {text.get_text()}": text.get_window_extent(canvas.get_renderer())
        for index, text in enumerate(shown)
        if text not in hidden
    }


def ticks_not_drawn(axes: Axes) -> Iterator[Tick]:
    """Yield the ticks of axes that are off, and those beyond the ends of others."""
    for axis in (axes.xaxis, axes.yaxis):
        low, high = sorted(axis.get_view_interval())
        for tick in axis.get_major_ticks():
            if not (axes.axison and low <= tick.get_loc() <= high):
                yield tick


@pytest.mark.parametrize("shape", ["square", "tall", "wide"])
@pytest.mark.parametrize("truth", [True, False])
def test_no_text_lies_on_another_or_beyond_the_edge(
    found: Reconstructed,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    shape: str,
    truth: bool,
):
    drawn: list[Figure] = []
    monkeypatch.setattr(plotstyle, "save", lambda figure, path: drawn.append(figure))
    cut = {"square": np.s_[:], "tall": np.s_[:, 20:70], "wide": np.s_[20:70]}[shape]
    region = np.zeros(found.obj.shape, dtype=bool)
    region[cut] = True
    draw_comparison(
        tmp_path / "comparison.png",
        1000 * found.obj,
        with_all(found),
        truth=(1000 + 1e-9) * found.obj if truth else None,
        region=region,
        title="dose_100000_dense_train",
        note="" if truth else LONG,
    )
    with plotstyle.applied(**plotstyle.PRINT):
        places = texts_of(drawn[0])
    assert len(places) > 40
    for name, place in places.items():
        assert place.x0 >= 0, name
        assert place.y0 >= 0, name
        assert place.x1 <= drawn[0].bbox.width, name
        assert place.y1 <= drawn[0].bbox.height, name
    for (one, first), (other, second) in itertools.combinations(places.items(), 2):
        assert not first.overlaps(second), (one, other)


def test_picture_has_the_same_bytes_whatever_was_drawn_before(found: Reconstructed, tmp_path: Path):
    def drawn(name: str, found: Reconstructed) -> bytes:
        path = tmp_path / name
        given = {"truth": found.obj.conj(), "region": found.obj != 0}
        draw_comparison(path, found.obj, found, title="a", note="", **given)
        return path.read_bytes()

    before = drawn("a.png", found)
    assert drawn("b.png", with_all(found)) != before
    assert drawn("c.png", found) == before
    with Image.open(tmp_path / "a.png") as picture:
        assert picture.info["dpi"] == pytest.approx((240, 240), abs=0.1)
        assert picture.width == pytest.approx(170 / 25.4 * 240, abs=1)


def test_image_and_its_bar_are_drawn_where_they_are_told_to_lie(tmp_path: Path):
    with plotstyle.applied(**plotstyle.PRINT):
        sheet = Sheet(2.0, 1.0)
        image = np.array([[0.0, 1.0], [np.nan, 0.0]])
        lies = sheet.picture(image, Scale(0, 1, "viridis"), "", Place(0.25, 0.25, 1.0, 0.5))
        sheet.save(tmp_path / "sheet.png")
    assert lies == Place(0.25, 0.25, 0.5, 0.5)
    with Image.open(tmp_path / "sheet.png") as picture:
        assert picture.size == (480, 240)
        pixels = np.asarray(picture.convert("RGB"))
    low, high, paper = [68, 1, 84], [253, 231, 36], [255, 255, 255]
    middles = [pixels[y, x].tolist() for y in (90, 150) for x in (90, 150)]
    assert middles == [low, high, paper, low]
    bar = pixels[60:180, 209].astype(int)
    inside = bar[(bar != paper).any(axis=1)][3:-3]  # less its outline
    assert np.abs(inside[0] - high).max() < 25
    assert np.abs(inside[-1] - low).max() < 25
