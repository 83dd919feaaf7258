"""Corrected positions: nearer to where the frames were, kept beside the given ones, and scored."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np
import pytest

from fly64tasks.data.dataset import PtychoDataset
from fly64tasks.data.writers.npz import write_dataset
from fly64tasks.physics.scan import patches_inside
from fly64tasks.recon.command import run
from fly64tasks.recon.files import PRODUCT, RECONSTRUCTION
from fly64tasks.recon.ptychi.options import ptychi_options
from fly64tasks.recon.ptychi.scan import LONGEST_MOVE_PX
from fly64tasks.recon.ptychi.task import new_task, positions_of
from fly64tasks.recon.result import read_reconstruction
from fly64tasks.recon.start import start_of
from fly64tasks.score.record import assess
from fly64tasks.study.recon_settings import ReconSpec
from fly64tasks.study.stages import ScoreSpec


@pytest.fixture
def misplaced(small_set: PtychoDataset) -> PtychoDataset:
    """The set with positions that are off by a pixel."""
    off = np.random.default_rng(3).normal(scale=0.7, size=small_set.positions_px.shape)
    return replace(small_set, positions_px=small_set.positions_px + off)


@pytest.mark.parametrize("settings", [{}, {"refine": "MAP", "num_epochs": 60}])
def test_positions_come_nearer_and_all_is_kept(
    settings: dict, small_set: PtychoDataset, misplaced: PtychoDataset, tmp_path: Path
):
    write_dataset(tmp_path / "set.npz", misplaced)
    errors = []
    for corrects in (False, True):
        spec = ReconSpec(algorithm="LSQML", correct_positions=corrects, **settings)
        record = run(tmp_path / "set.npz", tmp_path / "out", spec, device="cpu")
        found = read_reconstruction(tmp_path / "out" / RECONSTRUCTION)
        comparison = assess(found, misplaced, ScoreSpec())[1]
        assert comparison is not None
        errors.append(np.abs(comparison.aligned.obj - comparison.truth)[comparison.region].std())
    assert errors[1] < 0.95 * errors[0]
    before, after = (
        np.std(positions - small_set.positions_px, axis=0).mean()
        for positions in (found.given_positions_px, found.positions_px)
    )
    assert after < 0.9 * before
    np.testing.assert_array_equal(found.given_positions_px, misplaced.positions_px)
    moved = np.hypot(*(found.positions_px - found.given_positions_px).T)
    assert record["found"]["positions_moved_px"]["most"] == pytest.approx(moved.max())
    with h5py.File(tmp_path / "out" / PRODUCT) as product:
        shift = product["probe_position_x_m"][:] - product["given_position_x_m"][:]
    expected = (found.positions_px - found.given_positions_px)[:, 1] * 1e-8
    np.testing.assert_allclose(shift, expected, atol=1e-13)


def test_frames_of_a_measured_scan_have_room_to_move(small_set: PtychoDataset):
    measured = replace(small_set, metadata={})
    shapes = [
        start_of(measured, ReconSpec(correct_positions=corrects).resolved(), "set").obj.shape
        for corrects in (False, True)
    ]
    assert np.subtract(shapes[1], shapes[0]).tolist() == [16, 16]


@pytest.mark.parametrize("algorithm", ["MAP", "LSQML", "EPIE", "PIE", "BH", "AD", "DM"])
def test_every_algorithm_moves_positions(
    algorithm: str, small_sets: dict[str, Path], tmp_path: Path
):
    spec = ReconSpec(algorithm=algorithm, num_epochs=3, correct_positions=True)  # type: ignore
    run(small_sets["train"], tmp_path, spec, device="cpu")
    found = read_reconstruction(tmp_path / RECONSTRUCTION)
    assert (found.positions_px != found.given_positions_px).any()


def off_by_rms_px(positions: np.ndarray, truth: np.ndarray) -> float:
    off = positions - truth
    return float(np.hypot(*off.std(axis=0)))


def test_map_brings_back_most_of_what_misplaced_frames_cost(
    small_set: PtychoDataset, misplaced: PtychoDataset, tmp_path: Path
):
    errors = []
    for dataset, corrects in ((small_set, False), (misplaced, False), (misplaced, True)):
        write_dataset(tmp_path / "set.npz", dataset)
        spec = ReconSpec(correct_positions=corrects)
        run(tmp_path / "set.npz", tmp_path / "out", spec, device="cpu")
        found = read_reconstruction(tmp_path / "out" / RECONSTRUCTION)
        comparison = assess(found, dataset, ScoreSpec())[1]
        assert comparison is not None
        errors.append(np.abs(comparison.aligned.obj - comparison.truth)[comparison.region].std())
    undisturbed, misled, corrected = errors
    assert corrected - undisturbed < 0.3 * (misled - undisturbed)
    off = [
        off_by_rms_px(p, small_set.positions_px)
        for p in (misplaced.positions_px, found.positions_px)
    ]
    assert off[1] < 0.5 * off[0]
    drift = (found.positions_px - found.given_positions_px).mean(axis=0)
    assert np.abs(drift).max() < 0.02  # or the object would have moved with them


def test_map_takes_bounded_steps_and_leaves_no_frame_outside(small_set: PtychoDataset):
    """The outermost frames lie beyond the object, on which the set has them."""
    truth = small_set.positions_px
    inner = np.clip(truth, truth.min(axis=0) + 3, truth.max(axis=0) - 3)
    low = np.round(inner.min(axis=0)).astype(int) - 16
    high = np.round(inner.max(axis=0)).astype(int) + 16
    tight = replace(
        small_set,
        positions_px=inner - low,
        object_guess=small_set.object_guess[low[0] : high[0], low[1] : high[1]],
    )
    spec = ReconSpec(correct_positions=True).resolved()
    start = start_of(tight, spec, "set")
    assert start.obj.shape == tight.object_guess.shape
    options = ptychi_options(start, spec, "cpu")
    with new_task(options, start, start.obj, start.scale.to_ptychi(start.probe)) as task:
        before = positions_of(task)
        for _ in range(25):
            task.run(1)
            positions = positions_of(task)
            assert np.abs(positions - before).max() < LONGEST_MOVE_PX + 1e-5
            assert patches_inside(positions, 32, start.obj.shape).all()
            before = positions
    at_edge = np.abs(positions - (16 - 0.49)) < 1e-4
    assert at_edge.any()
