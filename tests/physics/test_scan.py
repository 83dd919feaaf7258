import numpy as np
import pytest

from fly64tasks.errors import DatasetError
from fly64tasks.physics.scan import canvas_of, raster_positions, split_at_median
from fly64tasks.physics.thinning import select_view
from fly64tasks.study.stages import BaseSpec
from fly64tasks.study.study import Study


def line(*x: float) -> np.ndarray:
    return np.array([[0.0, value] for value in x])


def test_raster_keeps_every_patch_inside_the_object():
    spec = BaseSpec()
    start = np.round(raster_positions(spec)) - spec.probe_size_px // 2
    assert start.min() >= 0
    assert (start + spec.probe_size_px).max() <= spec.object_size_px


def test_default_scan_keeps_enough_frames_in_every_view_and_split():
    study = Study()
    positions = raster_positions(study.base)
    for frames in split_at_median(positions, "y").values():
        assert len(frames) >= 300
        sparse = select_view(positions[frames], study.view_spec("sparse"), 64, "sparse")
        assert len(sparse.kept) >= 16


def test_split_shares_no_frame_and_loses_none():
    positions = raster_positions(BaseSpec())
    frames = split_at_median(positions, "y")
    assert sorted([*frames["train"], *frames["test"]]) == list(range(len(positions)))
    assert positions[frames["train"], 0].max() < positions[frames["test"], 0].min()


def test_positions_inside_the_object_keep_its_frame():
    canvas = canvas_of(np.array([[32.0, 32], [96, 96]]), 64, (128, 128), "set")
    assert (canvas.frame, canvas.origin_px, canvas.shape) == ("object", (0.0, 0.0), (128, 128))


@pytest.mark.parametrize(
    "positions",
    [
        np.random.default_rng(0).random((8, 2)),
        np.random.default_rng(0).uniform(-60, 60, (50, 2)),
    ],
    ids=["within a pixel", "centred on zero"],
)
def test_scan_of_its_own_frame_gets_a_canvas_that_holds_every_patch(positions):
    canvas = canvas_of(positions, 64, (232, 232), "set")
    assert canvas.frame == "scan"
    start = np.round(positions + canvas.origin_px) - 32
    assert start.min() >= 0
    assert (start + 64 <= canvas.shape).all()


@pytest.mark.parametrize(
    ("positions", "message"),
    [
        (np.array([[50.0, 50]]), "1 scan position, expected at least 2"),
        (
            np.array([[50.0, 50], [51, 50], [52, 50], [20, 50]]),
            r"1 of 4 positions put their 64 px patch off the 128 x 128 object \(first: frame 3",
        ),
        (
            np.array([[50.0, 50], [51, 50], [52, 50], [900, 50]]),
            r"position 3 \(y 900, x 50\) lies 848 px from its nearest neighbour",
        ),
    ],
    ids=["one position", "patch off the object", "stray position"],
)
def test_scan_that_can_not_be_meant_is_refused(positions, message):
    with pytest.raises(DatasetError, match=message):
        canvas_of(positions, 64, (128, 128), "set")
