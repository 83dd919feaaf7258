import numpy as np
import pytest

from fly64tasks.errors import DatasetError
from fly64tasks.physics.scan import (
    canvas_of,
    disc_overlap,
    overlap_metrics,
    raster_positions,
    select_view,
    split_at_median,
    thin,
)
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


@pytest.mark.parametrize(
    ("x", "spacing", "kept", "strategy"),
    [
        ((0, 10, 20), 10, [0, 1, 2], "direct"),
        ((0, 9, 20), 10, [0, 2], "greedy"),
        ((20, 9, 0), 10, [0, 2], "greedy"),
        ((0, 0, 0), 1, [0], "greedy"),
        ((5,), 10, [0], "direct"),
    ],
)
def test_thinning_keeps_the_frames_far_enough_apart(x, spacing, kept, strategy):
    thinning = thin(line(*x), spacing)
    assert thinning.kept.tolist() == kept
    assert thinning.strategy == strategy


def test_thinned_frames_are_spaced_and_no_other_fits_between():
    positions = np.random.default_rng(0).uniform(0, 100, (400, 2))
    kept = thin(positions, 12.0).kept
    distance = np.hypot(*(positions[:, None] - positions[None, kept]).transpose(2, 0, 1))
    distance[kept, np.arange(len(kept))] = np.inf
    assert distance[kept].min() >= 12.0
    assert (np.delete(distance, kept, axis=0).min(axis=1) < 12.0).all()


def test_view_with_too_few_frames_fails_with_counts_and_spacing():
    spec = Study().view_spec("sparse")
    with pytest.raises(
        DatasetError, match=r"set: view 'sparse' keeps 1 of 3 positions .* 51.2 px .* at least 2"
    ):
        select_view(line(0, 10, 20), spec, 64, "set")


@pytest.mark.parametrize(("distance", "overlap"), [(0, 1), (5, 0.391), (10, 0), (25, 0)])
def test_disc_overlap_has_its_known_values(distance, overlap):
    assert disc_overlap(np.array(distance), 10.0) == pytest.approx(overlap, abs=5e-4)


def test_disc_overlap_is_the_area_counted_on_a_grid():
    y, x = np.mgrid[-12:12:0.02, -12:20:0.02]
    first, second = np.hypot(y, x) < 5, np.hypot(y, x - 3.0) < 5
    counted = (first & second).sum() / first.sum()
    assert disc_overlap(np.array(3.0), 10.0) == pytest.approx(counted, abs=1e-3)


def test_metrics_of_two_frames_half_a_diameter_apart_are_those_of_the_pair():
    metrics = overlap_metrics(line(0, 5), diameter_px=10, gridsize=1, neighbor_count=1)
    assert metrics["overlap_group_members"] is None
    assert metrics["overlap_neighbors"] == pytest.approx(0.391, abs=5e-4)
    assert metrics["overlap_groups"] == pytest.approx(0.391, abs=5e-4)


def test_group_members_overlap_is_the_mean_over_the_pairs_of_each_group():
    square = np.array([[0.0, 0], [0, 4], [4, 0], [4, 4]])
    metrics = overlap_metrics(square, diameter_px=10, gridsize=2, neighbor_count=3)
    side, diagonal = disc_overlap(np.array([4, 4 * np.sqrt(2)]), 10)
    assert metrics["overlap_group_members"] == pytest.approx((4 * side + 2 * diagonal) / 6)
    assert metrics["overlap_neighbors"] == pytest.approx((2 * side + diagonal) / 3)
    assert metrics["overlap_groups"] == 1.0


def test_overlap_is_zero_beyond_one_diameter():
    metrics = overlap_metrics(line(0, 50, 100), diameter_px=10, gridsize=1, neighbor_count=2)
    assert metrics["overlap_neighbors"] == 0
    assert metrics["overlap_groups"] == 0


def test_repeated_positions_count_once():
    once = overlap_metrics(line(0, 5), diameter_px=10, gridsize=1, neighbor_count=1)
    twice = overlap_metrics(line(0, 5, 5), diameter_px=10, gridsize=1, neighbor_count=1)
    assert once == twice


def test_too_few_positions_for_a_group_are_said_and_give_no_number():
    metrics = overlap_metrics(line(0, 5), diameter_px=10, gridsize=2, neighbor_count=7)
    assert metrics["overlap_group_members"] is None
    assert metrics["overlap_groups"] is None
    assert metrics["overlap_notes"] == [
        "only 1 neighbours exist, neighbor_count is 7",
        "2 positions form no group of 4 (gridsize 2)",
    ]


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
