"""Masked pixels have no part in a reconstruction, its loss and its fit, whatever they hold."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from fly64tasks.data.dataset import PtychoDataset
from fly64tasks.data.writers.npz import write_dataset
from fly64tasks.errors import ReconstructionError
from fly64tasks.recon.command import run
from fly64tasks.recon.found import Reconstruction
from fly64tasks.recon.ptychi.options import ptychi_options
from fly64tasks.recon.ptychi.task import new_task, run_epoch
from fly64tasks.recon.stages import reconstruct
from fly64tasks.recon.start import start_of
from fly64tasks.score.command import score
from fly64tasks.study.recon_settings import ReconSpec
from fly64tasks.study.stages import ScoreSpec

QUICK = {"num_epochs": 4, "warmup_epochs": 2}


def gap(n: int, *, of_frames: bool) -> NDArray[np.bool_]:
    """Return a mask of a gap through the beam, and of a pixel here and there in each frame."""
    mask = np.ones((32, 32), bool)
    mask[15:17] = False
    if of_frames:
        mask = np.repeat(mask[None], n, axis=0)
        mask[np.arange(n), np.arange(n) % 32, 5] = False
    return mask


def reconstructed(
    dataset: PtychoDataset, mask: NDArray[np.bool_] | None, spec: ReconSpec
) -> Reconstruction:
    return reconstruct(start_of(replace(dataset, mask=mask), spec, "set"), spec)


def filled(dataset: PtychoDataset, mask: NDArray[np.bool_], value: float) -> PtychoDataset:
    """Return a set whose pixels hold a value where a mask says that they are not to count."""
    held = np.where(mask, dataset.diffraction_amplitude, np.float32(value))
    return replace(dataset, diffraction_amplitude=held)


@pytest.mark.parametrize("of_frames", [False, True], ids=["of all frames", "of each frame"])
@pytest.mark.parametrize("algorithm", ["MAP", "LSQML", "EPIE", "DM", "BH", "AD"])
def test_result_does_not_depend_on_what_masked_pixels_hold(
    small_set: PtychoDataset, algorithm: str, of_frames: bool
):
    spec = ReconSpec(algorithm=algorithm, **QUICK)
    mask = gap(len(small_set.positions_px), of_frames=of_frames)
    one, other = (
        reconstructed(filled(small_set, mask, value), mask, spec) for value in (0.0, 300.0)
    )
    dark = reconstructed(filled(small_set, mask, 0.0), None, spec)
    assert np.array_equal(one.obj, other.obj)
    assert not np.allclose(one.obj, dark.obj, atol=1e-2)


@pytest.mark.parametrize("of_frames", [False, True], ids=["of all frames", "of each frame"])
@pytest.mark.parametrize("algorithm", ["MAP", "LSQML", "EPIE", "BH", "AD"])
def test_loss_is_over_the_pixels_that_count(
    small_set: PtychoDataset, algorithm: str, of_frames: bool
):
    spec = ReconSpec(algorithm=algorithm, **QUICK)
    mask = gap(len(small_set.positions_px), of_frames=of_frames)
    masked = reconstructed(small_set, mask, spec)
    whole = reconstructed(small_set, None, spec)
    assert masked.loss[-1] == pytest.approx(whole.loss[-1], rel=0.5)


def test_gap_with_a_mask_costs_little_and_without_one_much(
    small_set: PtychoDataset, tmp_path: Path
):
    mask = gap(0, of_frames=False)
    dark = filled(small_set, mask, 0.0)
    errors = {}
    for name, dataset in (
        ("whole", small_set),
        ("masked", replace(dark, mask=mask)),
        ("dark", dark),
    ):
        path = tmp_path / f"{name}.npz"
        write_dataset(path, dataset)
        record = run(path, tmp_path / name, ReconSpec())
        scores = score(path, tmp_path / name, ScoreSpec())
        errors[name] = scores["metrics"]["complex_nrmse"]
        if name == "masked":
            assert record["fit"]["fits"]
            assert record["set"]["masked_share"] == pytest.approx(2 / 32)
            assert scores["fit"]["chi2"] == pytest.approx(record["fit"]["chi2"], rel=1e-3)
    assert errors["masked"] < 1.3 * errors["whole"] < errors["dark"]


def test_photons_under_a_beam_stop_are_reckoned_with(small_set: PtychoDataset):
    mask = np.ones((32, 32), bool)
    mask[12:20, 12:20] = False
    power = float((np.abs(small_set.probe_guess) ** 2).sum())
    unitless = replace(small_set, probe_guess=small_set.probe_guess * np.float32(1e-3))
    whole = start_of(unitless, ReconSpec(), "set").scale
    stopped = start_of(replace(unitless, mask=mask), ReconSpec(), "set").scale
    assert whole.known_photons < power
    assert stopped.known_photons == pytest.approx(whole.known_photons, rel=0.05)


def test_what_pty_chi_raises_is_one_line(small_set: PtychoDataset):
    spec = ReconSpec(algorithm="LSQML", **QUICK)
    start = start_of(small_set, spec, "set")
    options = ptychi_options(start, spec, "cpu")
    short = replace(start, positions_px=start.positions_px[:-1])
    probe = start.scale.to_ptychi(start.probe)
    with pytest.raises(ReconstructionError, match=r"pty-chi failed before epoch 1: \w+Error: "):
        new_task(options, short, start.obj, probe)
    with new_task(options, start, start.obj, probe) as task:
        task.reconstructor.run_minibatch = None
        with pytest.raises(ReconstructionError, match=r"pty-chi failed in epoch 7: TypeError: "):
            run_epoch(task, 7)
