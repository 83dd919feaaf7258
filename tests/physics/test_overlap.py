import numpy as np
import pytest

from fly64tasks.physics.overlap import disc_overlap, overlap_metrics


def line(*x: float) -> np.ndarray:
    return np.array([[0.0, value] for value in x])


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
