import tracemalloc
from dataclasses import replace

import numpy as np
import pytest

from fly64tasks.data.dataset import PtychoDataset
from fly64tasks.errors import DatasetError
from fly64tasks.recon.scale import ASSUMED_PHOTONS_PER_FRAME
from fly64tasks.recon.start import start_of
from fly64tasks.study.recon_settings import ReconSpec


def test_object_starts_from_ones_on_the_truth_s_canvas(small_set: PtychoDataset):
    start = start_of(small_set, ReconSpec(), "set")
    assert start.obj.shape == small_set.object_guess.shape
    assert (start.obj == 1).all()
    assert not start.truth_seeded


def test_truth_enters_only_when_asked_for_and_is_marked(small_set: PtychoDataset):
    start = start_of(small_set, ReconSpec(object_init="guess"), "set")
    assert np.array_equal(start.obj, small_set.object_guess)
    assert start.truth_seeded
    measured = replace(small_set, metadata={})
    assert not start_of(measured, ReconSpec(object_init="guess"), "set").truth_seeded


def test_counts_are_kept_and_the_probe_is_scaled_to_the_mean_frame(small_set: PtychoDataset):
    dim = replace(small_set, probe_guess=small_set.probe_guess * 1e-3)
    start = start_of(dim, ReconSpec(), "set")
    assert start.scale.counts
    assert start.scale.intensity == 1
    assert np.allclose(start.intensity, np.round(start.intensity), atol=1e-2)
    mean_photons = start.intensity.sum(axis=(1, 2)).mean()
    assert np.sum(np.abs(start.probe) ** 2) == pytest.approx(mean_photons, rel=1e-4)


@pytest.mark.parametrize("factor", [1e-4, 7.3])
def test_normalised_set_is_brought_to_a_stated_scale(small_set: PtychoDataset, factor: float):
    normalised = replace(
        small_set, diffraction_amplitude=small_set.diffraction_amplitude * np.float32(factor)
    )
    start = start_of(normalised, ReconSpec(), "set")
    assert not start.scale.counts
    assert start.intensity.sum(axis=(1, 2)).mean() == pytest.approx(ASSUMED_PHOTONS_PER_FRAME)


def test_subset_is_drawn_by_its_seed_and_stays_in_order(small_set: PtychoDataset):
    start = start_of(small_set, ReconSpec(n_images=10), "set")
    assert len(start.frames) == len(set(start.frames)) == 10
    assert (np.diff(start.frames) > 0).all()
    assert np.array_equal(start.positions_px, small_set.positions_px[start.frames])
    all_of_them = start_of(small_set, ReconSpec(n_images=1000), "set")
    assert len(all_of_them.frames) == len(small_set.positions_px)
    other = start_of(small_set, ReconSpec(n_images=10, subsampling_seed=1), "set")
    assert not np.array_equal(start.frames, other.frames)


def test_guess_needs_a_scan_in_the_object_s_frame(small_set: PtychoDataset):
    centred = replace(
        small_set, positions_px=small_set.positions_px - small_set.positions_px.mean(axis=0)
    )
    assert start_of(centred, ReconSpec(), "set").canvas.frame == "scan"
    with pytest.raises(DatasetError, match="object_init 'guess' needs positions in the frame"):
        start_of(centred, ReconSpec(object_init="guess"), "set")


def test_start_takes_little_more_memory_than_its_intensity():
    tile = np.sqrt(np.random.default_rng(0).poisson(2.0, (128, 64, 64))).astype(np.float32)
    frames = np.tile(tile, (20, 1, 1))  # 42 MB
    grid = np.stack(np.divmod(np.arange(len(frames)), 51), axis=1)
    probe = np.zeros((1, 64, 64), np.complex64)
    probe[0, 24:40, 24:40] = 1
    dataset = PtychoDataset(frames, None, probe, 4.0 * grid + 32)
    tracemalloc.start()
    try:
        start = start_of(dataset, ReconSpec(), "set")
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert len(start.frames) == len(frames)
    assert peak < start.intensity.nbytes + 160e6  # blocks of 32 MiB, a few at a time


def test_halves_share_the_canvas_and_no_frame(small_set: PtychoDataset):
    whole, even, odd = (
        start_of(small_set, ReconSpec(half=half), "set") for half in (None, "even", "odd")
    )
    assert even.frames.tolist() == list(range(0, len(small_set.positions_px), 2))
    assert sorted([*even.frames, *odd.frames]) == whole.frames.tolist()
    assert even.canvas == odd.canvas == whole.canvas


def test_halves_of_a_draw_are_those_of_the_frames_that_it_drew(small_set: PtychoDataset):
    drawn, even, odd = (
        start_of(small_set, ReconSpec(n_images=20, half=half), "set").frames.tolist()
        for half in (None, "even", "odd")
    )
    assert (even, odd) == (drawn[::2], drawn[1::2])


@pytest.mark.parametrize("size", [8, 9])
def test_frames_are_cornered_for_pty_chi_and_come_centred(size: int):
    amplitude = np.sqrt(np.random.default_rng(0).poisson(2.0, (9, size, size))).astype(np.float32)
    amplitude[:, size // 2, size // 2] = 100
    positions = np.stack(np.divmod(np.arange(9), 3), axis=1) + 0.0
    dataset = PtychoDataset(amplitude, None, np.ones((1, size, size), np.complex64), positions)
    start = start_of(dataset, ReconSpec(), "set")
    assert (start.intensity[:, 0, 0] == 1e4).all()
    assert np.allclose(list(start.centred()), amplitude**2)
