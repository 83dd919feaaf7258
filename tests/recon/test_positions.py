"""Corrected positions: nearer to where the frames were, kept beside the given ones, and scored."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np
import pytest

from fly64tasks.data.dataset import PtychoDataset
from fly64tasks.data.writers.npz import write_dataset
from fly64tasks.errors import StudyError
from fly64tasks.recon.command import run
from fly64tasks.recon.files import PRODUCT, RECONSTRUCTION
from fly64tasks.recon.result import read_reconstruction
from fly64tasks.score.command import assess
from fly64tasks.study.recon_settings import ReconSpec
from fly64tasks.study.spec import parse_spec
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


@pytest.mark.parametrize("algorithm", ["LSQML", "EPIE", "PIE", "BH", "AD", "DM"])
def test_every_algorithm_but_map_moves_positions(
    algorithm: str, small_sets: dict[str, Path], tmp_path: Path
):
    spec = ReconSpec(algorithm=algorithm, num_epochs=3, correct_positions=True)  # type: ignore
    run(small_sets["train"], tmp_path, spec, device="cpu")
    found = read_reconstruction(tmp_path / RECONSTRUCTION)
    assert (found.positions_px != found.given_positions_px).any()


def test_map_refuses_by_name():
    with pytest.raises(StudyError, match="correct_positions is true, expected false for MAP"):
        parse_spec(ReconSpec, {"correct_positions": True}, "study.toml")
