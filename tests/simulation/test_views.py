import tracemalloc
from pathlib import Path

import numpy as np
import pytest

from fly64tasks.data.dataset import PtychoDataset
from fly64tasks.data.readers.npz import read_dataset
from fly64tasks.data.writers.npz import write_dataset
from fly64tasks.errors import DatasetError
from fly64tasks.simulation.views import make_view
from fly64tasks.study.stages import ViewsSpec
from fly64tasks.study.study import Study


def targets(folder: Path) -> dict[str, Path]:
    return {split: folder / f"dense_{split}.npz" for split in ("train", "test")}


def test_view_holds_the_chosen_frames_and_says_how(small_sets: dict[str, Path], tmp_path: Path):
    made = targets(tmp_path)
    make_view(small_sets, made, spec=Study().view_spec("dense"))
    source, view = read_dataset(small_sets["train"]), read_dataset(made["train"])
    metadata = view.metadata
    assert metadata["overlap_view"] == "dense"
    assert metadata["spacing_threshold"] == pytest.approx(0.3 * 32)
    assert metadata["selection_strategy"] == "greedy"
    assert metadata["n_accepted"] == len(view.positions_px) < len(source.positions_px)
    assert metadata["n_accepted"] + metadata["n_rejected"] == len(source.positions_px)
    assert metadata["acceptance_rate"] == pytest.approx(
        len(view.positions_px) / len(source.positions_px)
    )
    assert 10 < metadata["probe_diameter_px"] < 15
    assert 0 < metadata["overlap_neighbors"] < 1
    assert metadata["dose_photons_per_frame"] == 1e4

    assert source.filenames is not None
    assert view.filenames is not None
    frames = [source.filenames.tolist().index(name) for name in view.filenames]
    assert np.array_equal(view.positions_px, source.positions_px[frames])
    assert np.array_equal(view.diffraction_amplitude, source.diffraction_amplitude[frames])


def test_view_where_all_frames_pass_is_direct(small_sets: dict[str, Path], tmp_path: Path):
    spec = Study(views=ViewsSpec(overlap={"dense": 0.95})).view_spec("dense")
    make_view(small_sets, targets(tmp_path), spec=spec)
    metadata = read_dataset(targets(tmp_path)["train"]).metadata
    assert metadata["selection_strategy"] == "direct"
    assert metadata["n_rejected"] == 0


def test_view_that_keeps_too_few_writes_neither_split(small_sets: dict[str, Path], tmp_path: Path):
    spec = Study(views=ViewsSpec(min_positions=50)).view_spec("sparse")
    with pytest.raises(DatasetError, match=r"keeps 6 of 128 positions .* at least 50"):
        make_view(small_sets, targets(tmp_path), spec=spec)
    assert list(tmp_path.iterdir()) == []


def test_random_share_is_drawn_by_its_seed_and_has_its_light(
    small_sets: dict[str, Path], tmp_path: Path
):
    """A quarter of the frames at four times the dose got the light of all of them at one."""
    positions = {}
    for name, seed in (("first", 1), ("again", 1), ("other", 2)):
        study = Study(views=ViewsSpec(share={"quarter": 0.25}, share_seed=seed))
        made = targets(tmp_path / name)
        made["train"].parent.mkdir()
        make_view(small_sets, made, spec=study.view_spec("quarter"))
        view = read_dataset(made["train"])
        positions[name] = view.positions_px
        assert view.metadata["selection_strategy"] == "share"
        assert view.metadata["spacing_threshold"] is None
        assert (view.metadata["n_accepted"], view.metadata["n_rejected"]) == (32, 96)
    first = (tmp_path / "first/dense_train.npz").read_bytes()
    assert first == (tmp_path / "again/dense_train.npz").read_bytes()
    assert not np.array_equal(positions["first"], positions["other"])
    whole = read_dataset(small_sets["train"]).positions_px
    assert np.ptp(positions["first"], axis=0) == pytest.approx(np.ptp(whole, axis=0), rel=0.2)


def test_every_kth_frame_is_taken_in_the_order_of_the_scan(
    small_sets: dict[str, Path], tmp_path: Path
):
    spec = Study(views=ViewsSpec(every={"fourth": 4})).view_spec("fourth")
    make_view(small_sets, targets(tmp_path), spec=spec)
    view, whole = (read_dataset(path) for path in (targets(tmp_path)["train"], small_sets["train"]))
    assert np.array_equal(view.positions_px, whole.positions_px[::4])
    assert view.metadata["selection_strategy"] == "every"
    few = Study(views=ViewsSpec(every={"few": 60}, min_positions=5)).view_spec("few")
    with pytest.raises(DatasetError, match=r"keeps 3 of 128 positions by every = 60.*lower every"):
        make_view(small_sets, targets(tmp_path), spec=few)


def test_diameter_of_the_probe_that_the_study_says_is_used(
    small_sets: dict[str, Path], tmp_path: Path
):
    overlaps = []
    for diameter in (None, 12.0, 24.0):
        spec = Study(views=ViewsSpec(probe_diameter_px=diameter)).view_spec("dense")
        make_view(small_sets, targets(tmp_path), spec=spec)
        metadata = read_dataset(targets(tmp_path)["train"]).metadata
        assert diameter is None or metadata["probe_diameter_px"] == diameter
        overlaps.append(metadata["overlap_neighbors"])
    assert overlaps[1] < overlaps[0] < overlaps[2]


def test_view_takes_the_memory_of_one_set_and_of_what_it_keeps(tmp_path: Path):
    frames = np.ones((1024, 64, 64), np.float32)
    y, x = np.divmod(np.arange(1024), 32)
    dataset = PtychoDataset(
        diffraction_amplitude=frames,
        object_guess=None,
        probe_guess=np.ones((1, 64, 64), np.complex64),
        positions_px=np.column_stack([y, x]) * 2.0 + 32,
    )
    sources = {split: tmp_path / f"{split}.npz" for split in ("train", "test")}
    for source in sources.values():
        write_dataset(source, dataset)
    tracemalloc.start()
    make_view(sources, targets(tmp_path), spec=Study().view_spec("sparse"))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 1.5 * frames.nbytes
