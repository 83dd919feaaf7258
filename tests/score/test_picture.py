"""The scale of pictures: whose range it is, and where it is cyclic."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from fly64tasks import plotstyle
from fly64tasks.score.picture import phase_scale
from fly64tasks.score.thumbnails import draw_panels, draw_thumbnails


@pytest.mark.parametrize(
    ("low", "high", "colour_map"),
    [
        (-0.5, 0.7, plotstyle.PHASE_MAP),
        (-2.7, 2.7, plotstyle.PHASE_MAP),
        (-3.0, 3.0, plotstyle.CYCLIC_PHASE_MAP),
    ],
)
def test_phase_is_on_a_cyclic_map_only_where_it_goes_round(
    low: float, high: float, colour_map: str
):
    scale = phase_scale(np.linspace(low, high, 5))
    assert scale.colour_map == colour_map
    assert scale.low < low
    assert scale.high > high


def test_cyclic_scale_is_one_turn_and_a_constant_phase_has_a_scale():
    turn = phase_scale(np.linspace(-3.1, 3.1, 5))
    assert (turn.low, turn.high) == (-np.pi, np.pi)
    flat = phase_scale(np.zeros(3))
    assert flat.low < 0 < flat.high


def test_sequential_map_gets_lighter_all_the_way_and_the_cyclic_one_returns():
    def lightness(name: str) -> np.ndarray:
        colours = plotstyle.colours_of(name, 32)
        rgb = np.array([[int(colour[i : i + 2], 16) for i in (1, 3, 5)] for colour in colours])
        return rgb @ [0.2126, 0.7152, 0.0722]

    assert (np.diff(lightness(plotstyle.PHASE_MAP)) > 0).all()
    cyclic = lightness(plotstyle.CYCLIC_PHASE_MAP)
    assert abs(cyclic[0] - cyclic[-1]) < 3


def test_truth_and_reconstruction_share_the_truth_s_scale(tmp_path: Path):
    seen = np.ones((20, 40), dtype=bool)
    seen[0] = False
    truth = np.exp(1j * np.linspace(-0.5, 0.5, 800).reshape(20, 40))
    paths = tmp_path / "thumbnail.png", tmp_path / "truth.png"
    found = draw_thumbnails(*paths, truth * np.exp(0.2j), truth=truth, seen=seen)
    assert found["high"] - found["low"] == pytest.approx(1.1 * 0.95, rel=0.01)
    assert (found["height_px"], found["width_px"]) == (19, 40)
    assert found["colour_map"] == "viridis"
    reconstructed, true = (np.asarray(Image.open(path)).astype(int) for path in paths)
    assert reconstructed.shape == true.shape == (19, 40, 4)
    assert (reconstructed[:, :, 1] >= true[:, :, 1]).all()  # 0.2 rad higher is lighter


def test_without_a_truth_its_picture_is_empty_and_the_scale_is_the_reconstruction_s(
    tmp_path: Path,
):
    obj = np.exp(1j * np.linspace(-0.1, 0.1, 100).reshape(10, 10))
    paths = tmp_path / "thumbnail.png", tmp_path / "truth.png"
    found = draw_thumbnails(*paths, obj, truth=None, seen=np.ones((10, 10), dtype=bool))
    assert found["high"] == pytest.approx(0.11, abs=1e-3)
    with Image.open(paths[1]) as empty:
        assert empty.size == (1, 1)


def test_panels_are_truth_reconstruction_and_difference_amplitude_over_phase(tmp_path: Path):
    seen = np.ones((20, 40), dtype=bool)
    seen[0] = False
    truth = np.linspace(0.5, 1, 40) * np.exp(1j * np.linspace(-0.5, 0.5, 800).reshape(20, 40))
    found = draw_panels(tmp_path / "panels.png", truth, truth=truth, seen=seen)
    assert (found["columns"], found["rows"]) == (3, 2)
    amplitude, phase = found["scales"]
    assert (amplitude[0]["low"], amplitude[0]["high"]) == pytest.approx((0.5, 1.0))
    assert amplitude[0] == amplitude[1]
    assert phase[0]["colour_map"] == "viridis"
    shown = np.asarray(Image.open(tmp_path / "panels.png"))
    assert shown.shape == (2 * 19, 3 * 40, 4)
    assert (shown[:, :40] == shown[:, 40:80]).all()
    assert (shown[:, 80:, :3] == shown[0, 80, :3]).all()  # no difference is one colour


def test_panels_without_a_truth_are_amplitude_beside_phase(tmp_path: Path):
    obj = np.exp(1j * np.linspace(-0.5, 0.5, 800).reshape(20, 40))
    found = draw_panels(tmp_path / "p.png", obj, truth=None, seen=np.ones((20, 40), dtype=bool))
    assert (found["columns"], found["rows"]) == (2, 1)
    with Image.open(tmp_path / "p.png") as picture:
        assert picture.size == (80, 20)
