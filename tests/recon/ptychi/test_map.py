"""MAP on real small sets: what it is given, what it ends in, and that it always ends alike."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from simulated_sets import error_of, simulated, simulated_of

from fly64tasks.data.dataset import PtychoDataset
from fly64tasks.physics.scan import raster_positions
from fly64tasks.recon.found import Reconstruction
from fly64tasks.recon.ptychi.map import LONGEST_STEP, STOP_EPOCHS, MAPReconstructor
from fly64tasks.recon.ptychi.map_task import MAPTask
from fly64tasks.recon.ptychi.options import ptychi_options
from fly64tasks.recon.ptychi.task import new_task
from fly64tasks.recon.stages import reconstruct
from fly64tasks.recon.start import Start, start_of
from fly64tasks.study.recon_settings import ReconSpec
from fly64tasks.study.stages import BaseSpec


def spec_of(**settings: Any) -> ReconSpec:
    return ReconSpec(**{"algorithm": "MAP", "num_epochs": 60, **settings}).resolved()


def run(dataset: PtychoDataset, **settings: Any) -> tuple[Start, Reconstruction]:
    spec = spec_of(**settings)
    start = start_of(dataset, spec, "set")
    return start, reconstruct(start, spec)


@pytest.fixture
def dataset() -> PtychoDataset:
    return simulated(seed=1)


@pytest.mark.parametrize("size", [32, 33])
def test_truth_explains_noiseless_frames(size: int):
    """Simulation, pty-chi and MAP agree on where a frame lies: even and odd N, sub-pixel scan."""
    dataset = simulated(size)
    spec = spec_of(object_init="guess", num_epochs=1, prior=0.0)
    truth = start_of(dataset, spec, "set")
    start = replace(truth, probe=dataset.probe_guess * np.float32(np.sqrt(truth.scale.intensity)))
    assert reconstruct(start, spec).loss[0] < 1e-4


@pytest.mark.parametrize("size", [32, 33])
def test_noiseless_set_reconstructs_to_the_truth(size: int):
    dataset = simulated(size, dose=1e6)
    start, result = run(dataset, num_epochs=150, tolerance_nats=1e-5, prior=0.0)
    assert error_of(dataset, start, result) < 0.02


@pytest.mark.parametrize("dose", [1e2, 1e3, 1e4, 1e5])
def test_result_is_better_than_a_flat_object_at_every_dose(dose: float):
    dataset = simulated(dose=dose, seed=1)
    start, result = run(dataset)
    flat = replace(result, obj=np.ones_like(result.obj))
    assert error_of(dataset, start, result) < 0.9 * error_of(dataset, start, flat)


def test_prior_holds_noise_back_and_none_is_maximum_likelihood():
    dataset = simulated(dose=1e3, seed=1)
    errors, losses = [], []
    for prior in (70.0, 0.0):
        start, result = run(dataset, prior=prior, num_epochs=100)
        errors.append(error_of(dataset, start, result))
        losses.append(result.loss[-1])
        assert np.isfinite(result.obj).all()
    assert errors[0] < 0.8 * errors[1] < 0.5
    assert losses[1] < losses[0]  # what the noise is worth to the fit


def test_no_pixel_leaps_in_an_epoch(dataset: PtychoDataset):
    """From a rough start the first full step would: into wrapped phase, which is never left."""
    spec = spec_of()
    start = start_of(dataset, spec, "set")
    rng = np.random.default_rng(0)
    rough = (start.obj + rng.normal(0, 2, (*start.obj.shape, 2)) @ [1, 1j]).astype(np.complex64)
    options = ptychi_options(start, spec, "cpu")
    with new_task(options, start, rough, start.scale.to_ptychi(start.probe)) as task:
        for _ in range(5):
            before = task.get_data("object").detach().clone()
            task.run(1)
            longest = float((task.get_data("object").detach() - before).abs().max())
            assert 0 < longest <= LONGEST_STEP * (1 + 1e-5)


def test_loss_never_rises_and_the_run_ends_where_it_has_converged(dataset: PtychoDataset):
    _, result = run(dataset)
    assert STOP_EPOCHS < len(result.loss) < 60
    assert (np.diff(result.loss) <= 0).all()
    _, longer = run(dataset, tolerance_nats=5e-4)
    assert len(longer.loss) > len(result.loss)
    assert longer.loss[: len(result.loss)] == result.loss
    _, shorter = run(dataset, num_epochs=4)
    assert shorter.loss == result.loss[:4]


def test_result_is_the_same_bits_again(dataset: PtychoDataset):
    first, again = (run(dataset, num_epochs=12)[1] for _ in range(2))
    assert np.array_equal(first.obj, again.obj)
    assert np.array_equal(first.probe, again.probe)
    assert first.loss == again.loss


def test_frames_at_a_time_change_rounding_alone(dataset: PtychoDataset):
    _, whole = run(dataset, num_epochs=6)
    _, parts = run(dataset, num_epochs=6, batch_size=7)
    assert parts.loss == pytest.approx(whole.loss, rel=1e-4)
    assert np.abs(parts.obj - whole.obj).max() < 1e-2


def test_probe_can_be_held_and_else_stays_near_its_guess(dataset: PtychoDataset):
    guess = dataset.probe_guess
    _, held = run(dataset, update_probe=False)
    assert np.allclose(held.probe, guess, rtol=1e-4, atol=1e-4)
    _, result = run(dataset, probe_trust=0.01)
    off = np.linalg.norm(result.probe - guess) / np.linalg.norm(guess)
    assert 0 < off < 0.02


def test_two_modes_explain_a_partially_coherent_beam():
    coherent = simulated(seed=1)
    spec = BaseSpec(probe_size_px=32, object_size_px=96, scan_step_px=5.0, scan_jitter_px=0.8)
    first = coherent.probe_guess[0].astype(complex)
    second = 0.7 * np.roll(first, 4, axis=1)
    positions = raster_positions(spec)
    two = simulated_of(
        np.stack([first, second]), coherent.object_guess.astype(complex), positions, 1
    )
    errors = []
    for probe in (two.probe_guess, two.probe_guess[:1]):
        dataset = replace(two, probe_guess=probe)
        start, result = run(dataset)
        assert result.probe.shape == probe.shape
        errors.append(error_of(dataset, start, result))
    assert errors[0] < 0.75 * errors[1]


def test_set_that_is_not_counts_reconstructs(dataset: PtychoDataset):
    normalised = replace(
        dataset, diffraction_amplitude=dataset.diffraction_amplitude * np.float32(1e-3)
    )
    start, result = run(normalised)
    assert not start.scale.counts
    assert error_of(normalised, start, result) < 0.12


def test_masked_pixels_are_not_counted(dataset: PtychoDataset):
    mask = np.ones((32, 32), bool)
    mask[14:17, 18:22] = False
    start = start_of(replace(dataset, mask=mask), spec_of(num_epochs=1), "set")
    options = ptychi_options(start, spec_of(num_epochs=1), "cpu")
    with new_task(options, start, start.obj, start.scale.to_ptychi(start.probe)) as task:
        n_valid = task.reconstructor.posterior._likelihood.n_valid
    assert n_valid == mask.sum() * len(start.frames)


def test_running_in_slices_is_running_at_once(dataset: PtychoDataset):
    spec = spec_of(num_epochs=6)
    start = start_of(dataset, spec, "set")
    options = ptychi_options(start, spec, "cpu")
    objects = []
    for slices in ([6], [1, 2, 3]):
        with new_task(options, start, start.obj, start.scale.to_ptychi(start.probe)) as task:
            for epochs in slices:
                task.run(epochs)
            assert isinstance(task.reconstructor, MAPReconstructor)
            assert task.reconstructor.current_epoch == 6
            objects.append(task.get_data("object"))
    assert torch.equal(*objects)


def test_run_says_its_settings(dataset: PtychoDataset):
    _, result = run(dataset, num_epochs=1, prior=3.0, probe_trust=0.2, low_frequency=0.01)
    (options,) = result.options
    assert options["options_class_name"] == "MAPOptions"
    told = options["reconstructor_options"]
    assert [told[key] for key in ("prior", "probe_trust", "low_frequency")] == [3.0, 0.2, 0.01]


@pytest.mark.parametrize("algorithm", ["MAP", "LSQML"])
def test_frames_are_held_once_and_stay_as_they_are(dataset: PtychoDataset, algorithm: str):
    spec = ReconSpec(algorithm=algorithm).resolved()
    start = start_of(dataset, spec, "set")
    before = start.intensity.copy()
    options = ptychi_options(start, spec, "cpu")
    probe = start.scale.to_ptychi(start.probe)
    with new_task(options, start, start.layers, probe) as task:
        assert np.shares_memory(task.dataset.patterns.numpy(), start.intensity)
        task.run(2)
    assert np.array_equal(start.intensity, before)
    assert start.layers.strides[1:] == (0, 0)  # ones, which take no memory


def test_what_the_posterior_has_no_term_for_is_refused(dataset: PtychoDataset):
    spec = spec_of()
    start = start_of(dataset, spec, "set")
    options = ptychi_options(start, spec, "cpu")
    options.object_options.slice_spacings_m = [1e-6]
    slices = np.stack([start.obj, start.obj])
    with pytest.raises(NotImplementedError, match="MAP reconstructs objects of one slice"):
        MAPTask(
            options,
            probe_guess=start.probe,
            positions_guess=start.positions_px,
            diffraction_data=start.intensity,
            object_data=slices,
            probe_data=start.probe[None],
            probe_position_y_px=start.positions_px[:, 0],
            probe_position_x_px=start.positions_px[:, 1],
        )
