"""Real pty-chi on real small sets: the shared pixel frame, the start, and what must fail."""

from __future__ import annotations

import weakref
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from simulated_sets import error_of, simulated

from fly64tasks.data.dataset import PtychoDataset
from fly64tasks.data.readers import read_dataset
from fly64tasks.errors import StudyError
from fly64tasks.physics import alignment
from fly64tasks.recon import stages
from fly64tasks.recon.found import Reconstruction
from fly64tasks.recon.ptychi import device
from fly64tasks.recon.stages import reconstruct
from fly64tasks.recon.start import Start, start_of
from fly64tasks.study.algorithms import ALGORITHMS
from fly64tasks.study.recon_settings import ReconSpec
from fly64tasks.study.spec import parse_spec


def run(dataset: PtychoDataset, **settings: object) -> tuple[Start, Reconstruction]:
    spec = ReconSpec(**settings)  # type: ignore[arg-type]
    start = start_of(dataset, spec, "set")
    return start, reconstruct(start, spec)


@pytest.mark.parametrize("size", [32, 33])
def test_simulation_and_ptychi_agree_on_where_a_frame_lies(size: int):
    """Given the truth, pty-chi predicts our noiseless frames: even and odd N, sub-pixel scan."""
    dataset = simulated(size)
    truth = start_of(dataset, ReconSpec(object_init="guess"), "set")
    start = replace(truth, probe=dataset.probe_guess * np.float32(np.sqrt(truth.scale.intensity)))
    spec = ReconSpec(algorithm="LSQML", num_epochs=1, momentum=0.0)
    loss = reconstruct(start, spec).loss[0]
    per_frame = start.intensity.sum(axis=(1, 2)).mean()
    assert loss < 1e-9 * per_frame / size**2


def test_noiseless_set_reconstructs_to_the_truth():
    dataset = simulated()
    start, result = run(dataset, num_epochs=150)
    assert result.loss[-1] < 0.05 * result.loss[0]
    assert error_of(dataset, start, result, within_px=0.2) < 0.02


def test_more_photons_give_less_error():
    errors = []
    for dose in (1e3, 1e4, 1e5):
        dataset = simulated(dose=dose, seed=1)
        errors.append(error_of(dataset, *run(dataset, num_epochs=60), within_px=0.2))
    assert errors[0] > 1.3 * errors[1] > 1.3**2 * errors[2]


@pytest.mark.parametrize("algorithm", ["MAP", "LSQML"])
def test_object_never_starts_from_the_truth(small_set: PtychoDataset, algorithm: str):
    """Garbage for ``objectGuess`` gives the same reconstruction, bit for bit."""
    rng = np.random.default_rng(0)
    shape = small_set.object_guess.shape
    garbage = (rng.standard_normal(shape) + 1j * rng.standard_normal(shape)).astype(np.complex64)
    settings = {"algorithm": algorithm, "num_epochs": 4}
    _, result = run(small_set, **settings)
    _, other = run(replace(small_set, object_guess=garbage), **settings)
    assert np.array_equal(result.obj, other.obj)
    assert np.array_equal(result.probe, other.probe)
    assert result.loss == other.loss


@pytest.mark.parametrize("algorithm", ["LSQML", "EPIE", "MAP"])
def test_result_comes_out_in_the_scale_that_is_known(small_set: PtychoDataset, algorithm: str):
    """The set's own probe, in photons: and with it the object has the truth's magnitude."""
    start, result = run(small_set, algorithm=algorithm, num_epochs=30)
    assert start.scale.known_from == "probe"
    power = np.sum(np.abs(small_set.probe_guess) ** 2)
    assert np.sum(np.abs(result.probe) ** 2) == pytest.approx(power, rel=1e-5)
    truth = small_set.object_guess
    region = alignment.illuminated_region(start.probe, start.positions_px, truth.shape)
    magnitudes = [np.abs(obj)[region].mean() for obj in (result.obj, truth)]
    assert magnitudes[0] == pytest.approx(magnitudes[1], rel=0.05)


def test_probe_that_is_not_in_photons_comes_out_with_those_of_the_mean_frame(
    small_set: PtychoDataset,
):
    dim = replace(small_set, probe_guess=small_set.probe_guess * np.float32(1e-3))
    start, result = run(dim, num_epochs=10)
    assert start.scale.known_from == "frames"
    mean_photons = start.intensity.sum(axis=(1, 2)).mean()
    assert np.sum(np.abs(result.probe) ** 2) == pytest.approx(mean_photons, rel=1e-4)


def test_scale_changes_no_frame(small_set: PtychoDataset):
    """The object is divided by what multiplies the probe."""
    dim = replace(small_set, probe_guess=small_set.probe_guess * np.float32(1e-3))
    settings = {"algorithm": "LSQML", "num_epochs": 5}
    (_, known), (_, frames) = (run(each, **settings) for each in (small_set, dim))
    ratio = known.factor / frames.factor
    assert ratio > 1
    for one, other in ((known.obj * ratio, frames.obj), (known.probe, frames.probe * ratio)):
        assert np.linalg.norm(one - other) < 1e-2 * np.linalg.norm(other)


def test_probe_can_be_held(small_set: PtychoDataset):
    _, result = run(small_set, num_epochs=3, update_probe=False)
    assert np.allclose(result.probe, small_set.probe_guess, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("dose", [30.0, 100.0, 300.0, 700.0, 850.0])
def test_few_photons_are_no_divergence(dose: float):
    _, result = run(simulated(dose=dose, seed=1), num_epochs=50)
    assert np.isfinite(result.obj).all()


def test_modes_are_all_reconstructed(small_set: PtychoDataset):
    two = np.concatenate([small_set.probe_guess, 0.1 * small_set.probe_guess[:, ::-1]])
    _, result = run(replace(small_set, probe_guess=two), num_epochs=3)
    assert result.probe.shape == (2, 32, 32)
    assert np.isfinite(result.probe).all()


def test_positions_within_a_pixel_give_finite_arrays(payload):
    dataset = read_dataset(payload)
    start, result = run(dataset, num_epochs=100)
    assert start.canvas.frame == "scan"
    assert np.isfinite(result.obj).all()
    assert np.isfinite(result.probe).all()


@pytest.mark.parametrize(
    ("algorithm", "error"),
    [
        ("MAP", 0.1),
        ("LSQML", 0.1),
        ("PIE", 0.1),
        ("EPIE", 0.2),
        ("RPIE", 0.2),
        ("DM", 0.6),  # its iterates wander on noisy counts
        ("BH", 0.1),
        ("AD", 0.15),
    ],
)
def test_algorithm_reconstructs_with_the_settings_that_suit_it(algorithm: str, error: float):
    dataset = simulated(seed=1)
    start, result = run(dataset, algorithm=algorithm, num_epochs=30)
    assert error_of(dataset, start, result) < error


def test_every_algorithm_offered_is_tested():
    (mark,) = test_algorithm_reconstructs_with_the_settings_that_suit_it.pytestmark
    assert [name for name, _ in mark.args[1]] == list(ALGORITHMS)


def test_pie_with_a_free_probe_is_refused_where_ptychi_fails():
    with pytest.raises(StudyError, match="update_probe is true, expected false for PIE"):
        parse_spec(ReconSpec, {"algorithm": "PIE", "update_probe": True}, "study.toml")


def test_two_epochs_at_once_are_two_of_more(small_set: PtychoDataset):
    losses = [run(small_set, num_epochs=n)[1].loss for n in (2, 4)]
    assert losses[0] == losses[1][:2]


def test_stage_lets_go_of_its_frames_before_the_next_one_copies_them(
    small_set: PtychoDataset, monkeypatch: pytest.MonkeyPatch
):
    made: list[weakref.ref[Any]] = []
    left = []

    def new_task(*arguments: Any) -> Any:
        left.extend(task() for task in made)
        task = stages_new_task(*arguments)
        made.append(weakref.ref(task))
        return task

    stages_new_task = stages.new_task
    monkeypatch.setattr(stages, "new_task", new_task)
    run(small_set, algorithm="LSQML", num_epochs=2, warmup_epochs=1)
    assert left == [None]


def test_stages_are_one_run(small_set: PtychoDataset):
    """Epochs are counted through, the same loss goes on, and the same bits come out again."""
    spec = ReconSpec(algorithm="LSQML", num_epochs=6, warmup_epochs=3)
    start, seen = start_of(small_set, spec, "set"), []
    result = reconstruct(start, spec, on_epoch=lambda *epoch: seen.append(epoch))
    assert seen == list(enumerate(result.loss, start=1))
    assert len(seen) == 6
    assert [stage["reconstructor_options"]["batching_mode"] for stage in result.options] == [
        "random",
        "compact",
    ]
    assert result.loss[3] < result.loss[2] < result.loss[0]
    again = reconstruct(start, spec)
    assert again.loss == result.loss
    assert np.array_equal(again.obj, result.obj)
    assert np.array_equal(again.probe, result.probe)
    _, warmup = run(small_set, algorithm="LSQML", num_epochs=3, warmup_epochs=3)
    assert warmup.loss == result.loss[:3]


@pytest.mark.parametrize("settings", [{}, {"warmup_epochs": 0}, {"noise_model": "POISSON"}])
def test_two_frames_are_enough(small_set: PtychoDataset, settings: dict[str, object]):
    _, result = run(small_set, n_images=2, num_epochs=12, **settings)
    assert len(result.loss) == 12
    assert result.loss[-1] < result.loss[0]


def test_no_batch_is_left_with_a_frame_or_two(small_set: PtychoDataset):
    """33 frames in batches of at most 32: 17 and 16, not 32 and 1."""
    _, result = run(small_set, algorithm="LSQML", n_images=33, num_epochs=2, warmup_epochs=2)
    assert result.options[0]["reconstructor_options"]["batch_size"] == 17


def test_run_stops_early_on_a_plateau_and_only_there(small_set: PtychoDataset):
    settings = {"algorithm": "LSQML", "num_epochs": 60, "warmup_epochs": 4}
    _, whole = run(small_set, **settings)
    _, stopped = run(small_set, **settings, plateau_epochs=5, plateau_tolerance=0.01)
    n = len(stopped.loss)
    assert 4 + 5 < n < 60
    assert stopped.loss == whole.loss[:n]
    after = stopped.loss[4:]
    assert min(after[-5:]) > 0.99 * min(after[:-5])
    assert min(after[-6:-1]) <= 0.99 * min(after[:-6])


@pytest.mark.parametrize("name", ["cuda:", "cuda:x", "gpu", "cuda:99", ""])
def test_device_that_is_not_there_is_refused(name: str):
    with pytest.raises(StudyError, match=r"device .* (is unknown|asked for)"):
        device.resolve(name)


def test_map_goes_on_from_a_warm_up(small_set: PtychoDataset):
    """In the known scale, and it is judged by its own losses, in their own unit."""
    settings = {"algorithm": "LSQML", "warmup_epochs": 4, "refine": "MAP"}
    _, result = run(small_set, **settings)
    assert [stage["options_class_name"] for stage in result.options] == [
        "LSQMLOptions",
        "MAPOptions",
    ]
    assert result.comparable_from == 4
    _, warmup = run(small_set, algorithm="LSQML", num_epochs=4, warmup_epochs=4)
    assert result.loss[:4] == warmup.loss
    assert (np.diff(result.loss[4:]) <= 0).all()
    assert len(result.loss) < 100


def test_map_without_a_warm_up_is_map_alone(small_set: PtychoDataset):
    _, alone = run(small_set, algorithm="MAP", num_epochs=5)
    _, refined = run(small_set, algorithm="LSQML", refine="MAP", warmup_epochs=0, num_epochs=5)
    assert refined.loss == alone.loss
    assert np.array_equal(refined.obj, alone.obj)
