"""The search for a scan's orientation, by pty-chi itself."""

from __future__ import annotations

import json
import math
from itertools import product
from pathlib import Path

import numpy as np
import pytest
import written
from broken_sets import save
from doubtful_sets import good_set
from measured import known_of

from fly64tasks import cli, runner
from fly64tasks.data.readers.npz import read_dataset
from fly64tasks.inspect.orientations import Ranking, Tried
from fly64tasks.study.stages import Orientation

EIGHT = [
    Orientation(swap_xy=swap, flip_y=y, flip_x=x) for swap, y, x in product((False, True), repeat=3)
]


def ranking(*losses: float) -> Ranking:
    """Return a ranking of as-stored, flip_x, flip_y, both, and the same swapped."""
    tried = [Tried(one, loss) for one, loss in zip(EIGHT, losses, strict=True)]
    return Ranking(tuple(sorted(tried, key=lambda one: one.loss)), n_frames=100)


@pytest.mark.parametrize(
    ("stored", "flags"),
    [
        (lambda y, x: (84 - y, x), ["--flip-y"]),
        (lambda y, x: (84 - x, y), ["--swap-xy", "--flip-x"]),
    ],
    ids=["y round", "a quarter turn"],
)
def test_wrong_orientation_is_found_and_the_command_to_run_next_puts_it_right(
    tmp_path: Path, stored: object, flags: list[str], capsys: pytest.CaptureFixture[str]
):
    arrays = good_set(simulated=False)
    y, x = stored(arrays["ycoords"], arrays["xcoords"])  # type: ignore[operator]
    path = save(tmp_path / "a.npz", {**arrays, "ycoords": y, "xcoords": x})
    assert cli.main(["inspect", str(path), "--orientations"]) == 0
    shown = capsys.readouterr()
    assert shown.err == ""
    last = shown.out.splitlines()[-1]
    assert last.endswith(f"--output-dir out {' '.join(flags)}")
    assert f"{' '.join(flags)} fits best, " in shown.out
    assert cli.main(["inspect", str(path), "--orientations", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)["orientations"]
    assert found["factor"] > 5
    assert found["frames"] == 100
    assert len(found["tried"]) == 8
    output = str(tmp_path / "out")
    assert runner.main(["--input", str(path), "--output-dir", output, *flags]) == 0
    assert json.loads((tmp_path / "out/run.json").read_text())["fit"]["chi2"] < 1.04


def test_right_orientation_stays(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    assert cli.main(["inspect", str(save(tmp_path / "a.npz", good_set())), "--orientations"]) == 0
    shown = capsys.readouterr().out
    assert "as stored fits best" in shown
    assert shown.endswith("--output-dir out\n")


def test_a_probe_that_is_guessed_far_off_tells_nothing_and_nothing_is_turned(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    known = known_of(read_dataset(save(tmp_path / "a.npz", good_set())))
    path = written.cxi(tmp_path, known)
    assert cli.main(["inspect", str(path), "--orientations"]) == 0
    shown = capsys.readouterr().out
    assert "no orientation stands out" in shown
    assert shown.endswith("--output-dir out\n")


def test_refused_sets_are_not_searched(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    arrays = good_set()
    arrays["ycoords"] = arrays["xcoords"] = np.full(100, 40.0)
    path = save(tmp_path / "a.npz", arrays)
    assert cli.main(["inspect", str(path), "--orientations"]) == 3
    assert "all 100 positions are equal" in capsys.readouterr().err


def test_words_say_what_the_losses_tell():
    clear = ranking(2.0, 2.0, 0.2, 2.0, 2.0, 2.0, 2.0, 2.0)
    assert clear.words().startswith("--flip-y fits best, 10 times better than the next: give it")
    assert ranking(*(1.0 + 0.01 * i for i in range(8))).words().startswith("no orientation stands")
    twin = ranking(0.2, 2.0, 2.0, 0.21, 2.0, 2.0, 2.0, 2.0)
    assert twin.has_twin
    assert twin.words().startswith("as stored and --flip-y --flip-x fit alike")
    no_twin = ranking(0.2, 0.21, 2.0, 2.0, 2.0, 2.0, 2.0, 2.0)
    assert not no_twin.has_twin
    noisy = ranking(0.0720, 0.0719, 0.0629, 0.0725, 0.0724, 0.0723, 0.0722, 0.0721)
    assert noisy.words().startswith("--flip-y fits best, with a loss of 0.0629, the next 0.0719: g")


def test_failed_runs_rank_last_and_are_no_number():
    found = ranking(math.inf, 0.2, *[math.inf] * 6)
    assert found.tells
    assert found.said()["factor"] is None
    assert found.words().startswith("--flip-x fits best, the others fail: give it")
    assert not ranking(*[math.inf] * 8).tells
