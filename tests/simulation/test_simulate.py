import hashlib
import json
import logging
from pathlib import Path

import numpy as np
import pytest
from small_study import SMALL_BASE

from fly64tasks.data.dataset import PtychoDataset
from fly64tasks.data.readers.npz import read_dataset
from fly64tasks.errors import DatasetError
from fly64tasks.physics.optics import exit_waves, zone_plate_probe
from fly64tasks.simulation.simulate import make_base, simulate, simulate_amplitude
from fly64tasks.study.stages import Geometry, SimulationSpec


def small_simulation(folder: Path, dose: float = 1e3, **spec: object) -> dict[str, Path]:
    make_base(folder / "base.npz", spec=SMALL_BASE, geometry=Geometry())
    targets = {split: folder / f"{split}.npz" for split in ("train", "test")}
    simulate(
        folder / "base.npz",
        targets,
        dose=dose,
        spec=SimulationSpec(**spec),  # type: ignore[arg-type]
        geometry=Geometry(),
    )
    return targets


@pytest.mark.parametrize("dose", [1e3, 1e5])
def test_mean_counts_are_the_dose_times_the_transmission(tmp_path: Path, dose: float):
    dataset = read_dataset(small_simulation(tmp_path, dose)["train"])
    waves = exit_waves(dataset.probe_guess, dataset.object_guess, dataset.positions_px)
    transmitted = np.concatenate([np.sum(np.abs(block) ** 2, axis=(1, 2, 3)) for block in waves])
    assert np.sum(np.abs(dataset.probe_guess) ** 2) == pytest.approx(dose, rel=1e-5)
    assert 0.3 * dose < transmitted.mean() < dose
    counted = (dataset.diffraction_amplitude.astype(float) ** 2).sum(axis=(1, 2))
    error_of_mean = np.sqrt(transmitted.mean() / len(counted))
    assert abs(counted.mean() - transmitted.mean()) < 4 * error_of_mean


def test_counts_are_whole_and_scatter_as_poisson(tmp_path: Path):
    noisy = read_dataset(small_simulation(tmp_path)["train"])
    (tmp_path / "clean").mkdir()
    clean = read_dataset(small_simulation(tmp_path / "clean", noise="none")["train"])
    counts = noisy.diffraction_amplitude.astype(float) ** 2
    expected = clean.diffraction_amplitude.astype(float) ** 2
    assert np.abs(counts - np.round(counts)).max() < 1e-3
    bright = expected > 0.5
    chi_squared = ((counts - expected)[bright] ** 2 / expected[bright]).mean()
    assert chi_squared == pytest.approx(1, abs=0.03)


def test_train_and_test_share_no_position_and_no_frame_name(small_sets: dict[str, Path]):
    train, test = (read_dataset(small_sets[split]) for split in ("train", "test"))
    assert train.positions_px[:, 0].max() < test.positions_px[:, 0].min()
    assert train.filenames is not None
    assert test.filenames is not None
    assert not set(train.filenames) & set(test.filenames)


def test_same_seed_gives_the_same_bytes_and_another_seed_others(tmp_path: Path):
    for name, seed in (("a", 42), ("b", 42), ("c", 43)):
        (tmp_path / name).mkdir()
        small_simulation(tmp_path / name, seed=seed)
    first, again, other = ((tmp_path / n / "train.npz").read_bytes() for n in "abc")
    assert first == again
    assert first != other


def test_doses_and_splits_draw_noise_of_their_own():
    probe = zone_plate_probe(SMALL_BASE, Geometry())[None] * 30
    obj = np.ones((64, 64), complex)
    positions = np.array([[32.0, 32.0]])
    draws = [
        simulate_amplitude(probe, obj, positions, np.random.default_rng([42, dose, split]))
        for dose in (1000, 10000)
        for split in (0, 1)
    ]
    assert len({draw.tobytes() for draw in draws}) == 4


def test_metadata_says_how_the_set_was_made(small_set: PtychoDataset):
    metadata = small_set.metadata
    assert metadata["writer"] == "fly64tasks"
    assert metadata["dose_photons_per_frame"] == 1e4
    assert metadata["lineage"]["simulation"]["seed"] == 42
    assert len(metadata["lineage"]["base_sha256"]) == 64
    assert metadata["geometry"]["assumed"] is True
    assert metadata["subpixel_shift_of"] == "probe"
    assert metadata["base"]["lineage"]["base"]["seed"] == 1
    json.dumps(metadata, allow_nan=False)


def test_patches_are_the_object_around_each_position_where_a_study_asks_for_them(
    small_sets: dict[str, Path], small_set: PtychoDataset, tmp_path: Path
):
    with np.load(small_sets["train"]) as without:
        assert "Y" not in without
    targets = {split: tmp_path / f"{split}.npz" for split in ("train", "test")}
    base = small_sets["train"].parent / "base.npz"
    simulate(base, targets, dose=1e4, spec=SimulationSpec(patches=True), geometry=Geometry())
    asked = read_dataset(targets["train"])
    assert asked.object_patches is not None
    assert asked.object_patches.shape == (len(asked.positions_px), 32, 32)
    y, x = np.round(asked.positions_px[5]).astype(int)
    assert abs(asked.object_patches[5, 16, 16] - asked.object_guess[y, x]) < 0.3
    assert np.array_equal(asked.diffraction_amplitude, small_set.diffraction_amplitude)


def test_sizes_that_a_base_says_are_those_of_its_sets(tmp_path: Path):
    sizes = {"pixel_size_m": 4e-9, "energy_ev": 6e3, "assumed": False}
    said = np.array(json.dumps({"geometry": sizes}))
    base = write_base(tmp_path / "base.npz", np.ones((16, 16), complex), GRID, _metadata=said)
    targets = {split: tmp_path / f"{split}.npz" for split in ("train", "test")}
    simulate(base, targets, dose=1e3, spec=SimulationSpec(), geometry=Geometry())
    assert read_dataset(targets["train"]).metadata["geometry"] == Geometry(**sizes).to_dict()


def write_base(path: Path, probe: np.ndarray, positions: np.ndarray, **more: np.ndarray) -> Path:
    np.savez(
        path,
        **more,
        objectGuess=np.ones((64, 64), complex),
        probeGuess=probe,
        xcoords=positions[:, 1],
        ycoords=positions[:, 0],
    )
    return path


GRID = np.column_stack([a.ravel() for a in np.meshgrid([24.0, 30.3, 36], [24.0, 30, 36.8])])


def test_probe_that_wraps_around_is_said_and_the_object_shifted(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
):
    base = write_base(tmp_path / "base.npz", np.ones((16, 16), complex), GRID)
    targets = {split: tmp_path / f"{split}.npz" for split in ("train", "test")}
    with caplog.at_level(logging.WARNING):
        simulate(base, targets, dose=1e3, spec=SimulationSpec(), geometry=Geometry())
    assert "the object is shifted instead" in caplog.text
    assert read_dataset(targets["train"]).metadata["subpixel_shift_of"] == "object"


def test_base_with_a_scan_off_its_object_is_refused_and_nothing_written(tmp_path: Path):
    base = write_base(tmp_path / "base.npz", np.ones((16, 16), complex), GRID - 30)
    targets = {split: tmp_path / f"{split}.npz" for split in ("train", "test")}
    with pytest.raises(DatasetError, match=r"base.npz: the scan lies off the object"):
        simulate(base, targets, dose=1e3, spec=SimulationSpec(), geometry=Geometry())
    assert [p.name for p in tmp_path.iterdir()] == ["base.npz"]


WIDE = (np.abs(np.indices((32, 32)) - 15.5) ** 2).sum(axis=0)

DIGESTS = {
    "base": (
        "51dd7f19869b7746e00904681abe9e2cffa8e6ed73691ebc7dbbe121a0635176",
        "a52bc7de70f712c57def22f047415ab1e623acb6a8979db1b7a5efda77e6db5f",
    ),
    "wide": (
        "88108798c84eaef0546d2a30d69b265f67f6f16b645499b2bed3242708b7110d",
        "82d551626fa1739e6a3966c82b6c447acd18e56e749e571aeb38a4e82b598ee0",
    ),
}
"""SHA-256 of the diffraction of train and test, as they came when each frame was made by itself."""


@pytest.mark.parametrize("name", DIGESTS)
def test_diffraction_has_the_bytes_that_it_has_always_had(tmp_path: Path, name: str):
    """The probe is shifted, or the object where two modes that wrap around light it."""
    base = tmp_path / "base.npz"
    make_base(base, spec=SMALL_BASE, geometry=Geometry())
    if name == "wide":
        with np.load(base) as arrays:
            obj, y, x = (arrays[key] for key in ("objectGuess", "ycoords", "xcoords"))
        for along in (y, x):  # half of them share their coordinates, some are whole
            along[: len(along) // 2] = np.round(along[: len(along) // 2] * 4) / 4
        mode = np.exp(-WIDE / 200) * np.exp(0.02j * WIDE)
        tilted = mode * ((np.indices((32, 32))[0] - 15.5) / 20)
        base = tmp_path / "wide.npz"
        np.savez(base, probeGuess=[mode, tilted], objectGuess=obj, ycoords=y, xcoords=x)
    targets = {split: tmp_path / f"{split}.npz" for split in ("train", "test")}
    simulate(base, targets, dose=1e4, spec=SimulationSpec(), geometry=Geometry())
    for split, digest in zip(("train", "test"), DIGESTS[name], strict=True):
        diffraction = read_dataset(targets[split]).diffraction_amplitude
        assert hashlib.sha256(diffraction.tobytes()).hexdigest() == digest
