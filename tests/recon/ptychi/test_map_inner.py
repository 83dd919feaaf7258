"""What an epoch of MAP asks of a device, counted without one: launches, transforms and waits."""

from __future__ import annotations

import pytest
from launches import Launches, Waits, epoch_of, raster, running


def test_host_waits_once_for_a_step_that_is_tried():
    with running(raster(8)) as task, Waits() as waits, Launches() as launches:
        task.run(6)
    tried = [name for name, _ in launches.operations].count("segment_reduce")
    assert sum(waits.seen.values()) == waits.seen["tolist"] == tried >= 6


def test_host_waits_once_more_an_epoch_where_positions_may_change():
    with running(raster(8), correct_positions=True) as task, Waits() as waits:
        task.run(1)
    waits.seen.pop("numpy", None)  # of new windows, on this CPU
    assert waits.seen == {"tolist": 2}


def test_launches_do_not_grow_with_frames_and_modes():
    counts = []
    for frames_y, modes in [(4, 1), (16, 1), (16, 3)]:
        with running(raster(frames_y, modes=modes)) as task:
            counts.append(len(epoch_of(task).operations))
    assert counts[0] == counts[1]
    assert abs(counts[2] - counts[1]) <= 4  # sums over modes
    assert max(counts) < 170, counts


def test_epochs_are_alike_so_that_a_graph_could_hold_them():
    with running(raster(8)) as task:
        assert epoch_of(task).operations == epoch_of(task).operations


@pytest.mark.parametrize("modes", [1, 3])
def test_four_transforms_a_frame_and_two_where_frames_share_their_shift(modes: int):
    """And those of the probe itself, of the one shift, and back."""
    n = 8 * 6
    with running(raster(8, modes=modes)) as task:
        assert epoch_of(task).transformed == (4 * n + 2) * modes
    with running(raster(8, modes=modes, jitter_px=0)) as task:
        assert epoch_of(task).transformed == (2 * n + 4) * modes


def test_frames_that_share_their_shift_reconstruct_as_others():
    shared, own = (raster(8, jitter_px=jitter) for jitter in (0.0, 1e-3))
    losses = []
    for dataset in (shared, own):
        with running(dataset) as task:
            losses.append(task.reconstructor.nats)
    assert losses[0] == pytest.approx(losses[1], rel=0.03)
