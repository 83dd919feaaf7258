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
