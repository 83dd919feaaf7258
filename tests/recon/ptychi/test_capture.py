"""What is recorded and replayed: the same bytes, or the function by itself, and it is said.

There need be no GPU: `Tape` stands for a CUDA graph.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from launches import Launches, Tape, raster, running
from torch import Tensor
from torch.utils._pytree import tree_leaves

from fly64tasks.recon import command, files
from fly64tasks.recon.ptychi import state
from fly64tasks.recon.ptychi.capture import Captured, Function
from fly64tasks.recon.ptychi.map import MAPReconstructor
from fly64tasks.recon.ptychi.task import arrays_of
from fly64tasks.study.recon_settings import ReconSpec

EPOCHS = 24


def recorded(task: Any, record: Any) -> Any:
    """Have a task's epochs recorded; return its reconstructor."""
    reconstructor = task.reconstructor
    reconstructor.evaluate.record = reconstructor.descend.record = record
    return reconstructor


def end_of(task: Any) -> list[bytes]:
    positions = task.get_data("probe_positions").numpy()
    losses = repr(task.reconstructor.nats).encode()
    return [*(array.tobytes() for array in (*arrays_of(task), positions)), losses]


def outcome(record: Any, **settings: Any) -> tuple[list[bytes], list[str]]:
    """Return the bytes of all that a run of MAP ends with, and its doubts."""
    with running(raster(8), **settings) as task:
        reconstructor = recorded(task, record)
        task.run(EPOCHS)
        return end_of(task), reconstructor.doubts


@pytest.mark.parametrize(
    "settings", [{}, {"probe_modes": 2}, {"update_probe": False}, {"correct_positions": True}]
)
def test_recorded_run_ends_in_the_same_bytes(settings: dict[str, Any]):
    alone, _ = outcome(None, **settings)
    assert outcome(Tape.of, **settings) == (alone, [])


def test_recording_follows_windows_that_move():
    ends = []
    for record in (None, Tape.of):
        with running(raster(8), correct_positions=True) as task:
            reconstructor = recorded(task, record)
            task.run(4)
            positions = reconstructor.parameter_group.probe_positions
            moved = positions.data.detach().clone()
            moved[20] += 1.4
            with torch.no_grad():
                positions.set_data(moved)
            before = reconstructor.nearest.clone()
            task.run(6)
            assert not torch.equal(reconstructor.nearest, before)
            assert reconstructor.doubts == []
            ends.append(end_of(task))
    assert ends[0] == ends[1]


def test_recorded_run_that_is_cut_off_ends_in_the_same_bytes():
    positions = raster(8).positions_px
    with running(raster(8)) as task:
        recorded(task, Tape.of)
        task.run(7)
        kept = copy.deepcopy(state.capture(task, positions))
        task.run(EPOCHS)
        whole = end_of(task)
    with running(raster(8), epochs=0) as task:
        recorded(task, Tape.of)
        state.restore(task, kept)
        task.run(EPOCHS)
        assert task.reconstructor.doubts == []
        assert end_of(task) == whole


def test_captured_state_is_the_task_s_own_and_no_copy():
    with running(raster(8)) as task:
        kept = tree_leaves(state.capture(task, raster(8).positions_px)["reconstructor"])
        pairs = task.reconstructor.pairs
        there = {each.data_ptr() for each in kept if isinstance(each, Tensor)}
        assert {pairs["steps"].data_ptr(), pairs["changes"].data_ptr()} <= there


def test_recorded_epoch_launches_little_else_and_waits_once():
    with running(raster(8)) as task:
        recorded(task, Tape.of)
        task.run(3)
        counts = []
        for _ in range(5):
            with Launches() as launches:
                task.run(1)
            counts.append(len(launches.operations))
    assert min(counts) <= 40, counts  # of 164


class Asks(Tape):
    """A graph of a function that makes the host wait: CUDA refuses it."""

    @classmethod
    def of(cls, function: Function, inputs: Sequence[Tensor]) -> Function:
        def asking(*given: Tensor) -> tuple[Tensor, ...]:
            found = function(*given)
            float(found[0].sum())
            return found

        return super().of(asking, inputs)


def test_run_that_can_not_be_recorded_goes_on_by_itself_and_says_so():
    alone, _ = outcome(None)
    found, [doubt] = outcome(Asks.of)
    assert found == alone
    assert doubt.startswith("no CUDA graph of the epochs, ")
    assert doubt.endswith(": operation not permitted when stream is capturing")


def test_recording_that_finds_other_numbers_is_not_used():
    def stale(function: Function, inputs: Sequence[Tensor]) -> Function:
        return lambda x: (x + 1,)

    twice = Captured(lambda x: (2 * x,), stale)
    assert [float(twice(torch.tensor(3.0))[0]) for _ in range(4)] == [6.0] * 4
    assert twice.refusal == "its recording finds other numbers"


def test_what_a_recording_returned_stays_as_it_was():
    twice = Captured(lambda x: (2 * x,), Tape.of)
    found = [twice(torch.tensor([float(i)]))[0] for i in range(5)]
    assert torch.cat(found).tolist() == [0, 2, 4, 6, 8]


def test_inputs_of_another_shape_are_recorded_anew():
    calls = []
    counted = Captured(lambda x: (calls.append(x.shape), x.sum())[1:], Tape.of)
    for size in (2, 2, 2, 2, 3, 3, 3):
        assert float(counted(torch.ones(size))[0]) == size
    assert [len(shape) and shape[0] for shape in calls] == [2, 2, 2, 3, 3, 3]


def test_doubt_of_how_a_run_went_is_in_its_record(
    small_sets: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(MAPReconstructor, "doubts", ["no CUDA graph"])
    command.run(small_sets["train"], tmp_path, ReconSpec(num_epochs=2), device="cpu")
    said = json.loads((tmp_path / files.RUN_RECORD).read_text("utf-8"))
    assert "no CUDA graph" in said["warnings"]


def test_graphs_are_one_setting_and_change_nothing_on_a_cpu(
    small_sets: dict[str, Path], tmp_path: Path
):
    ends = []
    for wanted in (True, False):
        spec = ReconSpec(num_epochs=3, cuda_graph=wanted)
        command.run(small_sets["train"], tmp_path / str(wanted), spec, device="cpu")
        with np.load(tmp_path / str(wanted) / files.RECONSTRUCTION) as found:
            ends.append(found["object"].tobytes())
    assert ends[0] == ends[1]
    assert "cuda_graph" not in ReconSpec().to_dict()
