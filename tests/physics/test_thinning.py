import numpy as np
import pytest

from fly64tasks.errors import DatasetError
from fly64tasks.physics.thinning import select_view, thin
from fly64tasks.study.study import Study


def line(*x: float) -> np.ndarray:
    return np.array([[0.0, value] for value in x])


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
        DatasetError, match=r"set: view 'sparse' keeps 1 of 3 positions at 51.2 px, .* at least 2"
    ):
        select_view(line(0, 10, 20), spec, 64, "set")
