"""Key maps: any HDF5 file, and what is done to it; every key is held against what it should be."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np
import pytest
import written
from measured import Known, holds, opened
from others import installed

from fly64tasks.data.readers import read_dataset
from fly64tasks.errors import DatasetError


def with_lines(path: Path, *lines: str) -> Path:
    path.write_text(path.read_text() + "\n".join(lines) + "\n")
    return path


def without(path: Path, name: str) -> Path:
    lines = [line for line in path.read_text().splitlines() if not line.startswith(f"{name} =")]
    path.write_text("\n".join(lines) + "\n")
    return path


def test_a_beamlines_file_of_its_own(tmp_path: Path, known: Known):
    holds(written.any_hdf5(tmp_path, known), known, probe=False)


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ('positons_y = "/a"', "unknown key 'positons_y'; did you mean 'positions_y'?"),
        ("rebinn = 2", "unknown key 'rebinn'; did you mean 'rebin'?"),
        ("rebin = 0", "rebin is 0, expected `int` >= 1"),
        ("crop_px = 2.5", "crop_px is 2.5, expected a whole number"),
        ('positions = "/p"', "expected either positions, or positions_y and positions_x"),
        ('mask = "/entry/detector/bad"', "has mask and bad_pixels, expected one of them"),
        ('format = "cxy"', "format is 'cxy', expected one of hdf5, training, ptychodus"),
        ('format = "cxi"', "frames is for format = 'hdf5', expected none with 'cxi'"),
        ('dark = "/entry/detector/bat"', "/entry/detector/bat is missing; did you mean /entry/det"),
        ("first_frame = 500", r"has \d+ frames, expected first_frame <= last_frame < "),
        ("crop_px = 30\nrebin = 4", "frames of 30 x 30 px, expected a multiple of rebin = 4"),
        ("centre_px = [900, 3]", r"expected centre_px \[900.0, 3.0\] inside"),
        ("flat = 3", "flat is 3, expected text"),
    ],
)
def test_wrong_keys_and_values_are_named(tmp_path: Path, known: Known, line: str, said: str):
    path = written.any_hdf5(tmp_path, known)
    with pytest.raises(DatasetError, match=said.replace("|", r"\|") if "null" in said else said):
        read_dataset(with_lines(path, line))


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("frames", "frames is missing, expected the key of the counts"),
        ("file", "Object missing required field `file`"),
        ("positions_x", "expected either positions, or positions_y and positions_x"),
        ("distance", "positions_unit is um, expected pixel_size, or energy"),
    ],
)
def test_missing_keys_are_named(tmp_path: Path, known: Known, name: str, said: str):
    with pytest.raises(DatasetError, match=said):
        read_dataset(without(written.any_hdf5(tmp_path, known), name))


def test_key_that_is_not_there_names_the_nearest(tmp_path: Path, known: Known):
    path = written.any_hdf5(tmp_path, known)
    path.write_text(path.read_text().replace("/stages/fine_x", "/stages/finex"))
    with pytest.raises(
        DatasetError, match=r"h5: /stages/finex is missing; did you mean /stages/fine_x\?"
    ):
        read_dataset(path)


def test_frames_are_cut_out_about_their_centre(tmp_path: Path, known: Known):
    path = with_lines(written.any_hdf5(tmp_path, known), "crop_px = 16")
    with opened(path) as (found, counts):
        assert np.array_equal(counts, known.counts[:, 8:24, 8:24])
        assert np.array_equal(found.mask, known.mask[8:24, 8:24])
        # half the detector sees pixels of twice the size
        assert found.pixel_size_m == pytest.approx(2 * known.pixel_m)
        ours = found.positions_px - found.positions_px.mean(axis=0)
        expected = (known.positions_px - known.positions_px.mean(axis=0)) / 2
        assert ours == pytest.approx(expected, abs=1e-6)


def test_centre_that_is_not_the_middle_becomes_it(tmp_path: Path, known: Known):
    path = with_lines(written.any_hdf5(tmp_path, known), "centre_px = [18, 13]")
    with opened(path) as (found, counts):
        assert np.array_equal(counts[:, :-2, 3:], known.counts[:, 2:, :-3])
        assert not found.mask[-2:].any()  # beyond the detector
        assert not found.mask[:, :3].any()


def test_rebinned_pixels_are_sums_and_bad_ones_stay_bad(tmp_path: Path, known: Known):
    counts = known.counts.copy()
    counts[0, 0, 0] = 65535
    path = written.any_hdf5(tmp_path, replace(known, counts=counts))
    with opened(with_lines(path, "rebin = 2")) as (found, read):
        n = len(counts)
        expected = known.counts.astype(int).reshape(n, 16, 2, 16, 2).sum(axis=(2, 4))
        expected[0, 0, 0] = -1
        assert np.array_equal(read, expected)
        assert found.pixel_size_m == pytest.approx(known.pixel_m)
        assert found.detector_pixel_size_m == pytest.approx(2 * known.detector_pixel_m)
        assert not found.mask[1, 2]
        assert found.mask.sum() == 16 * 16 - 3
    dataset = read_dataset(path)
    assert not dataset.mask[0, 0, 0]
    assert dataset.mask[1, 0, 0]


def test_frames_are_chosen(tmp_path: Path, known: Known):
    path = written.any_hdf5(tmp_path, known)
    good = np.ones(len(known.counts), np.uint8)
    good[[3, 50]] = 0
    with h5py.File(tmp_path / "scan_0042.h5", "r+") as file:
        file["good"] = good
    lines = ('good_frames = "/good"', "first_frame = 2", "last_frame = 60", "every = 3")
    with opened(with_lines(path, *lines)) as (found, counts):
        kept = np.flatnonzero(good)[2:61:3]
        assert np.array_equal(counts, known.counts[kept])
        assert len(found.positions_px) == len(kept)


def test_frames_and_axes_are_turned(tmp_path: Path, known: Known):
    path = written.any_hdf5(tmp_path, known)
    lines = ("detector_transpose = true", "detector_flip_x = true", "swap_xy = true")
    with opened(with_lines(path, *lines, "flip_y = true")) as (found, counts):
        turned = known.counts.transpose(0, 2, 1)[:, :, ::-1]
        # the zero frequency stays at pixel N // 2: the first column is beyond the detector
        assert np.array_equal(counts[:, :, 1:], turned[:, :, :-1])
        assert not found.mask[:, 0].any()
        ours = found.positions_px - found.positions_px.mean(axis=0)
        expected = (known.positions_px - known.positions_px.mean(axis=0))[:, ::-1] * [-1, 1]
        assert ours == pytest.approx(expected, abs=1e-6)


def test_dark_flat_and_gain_make_counts(tmp_path: Path, known: Known):
    path = written.any_hdf5(tmp_path, known)
    flat = np.ones((known.size, known.size))
    flat[:, :16] = 3.0
    with h5py.File(tmp_path / "scan_0042.h5", "r+") as file:
        file["dark"] = np.full((2, known.size, known.size), 2)
        file["flat"] = flat
    lines = ('dark = "/dark"', 'flat = "/flat"', "counts_per_photon = 4")
    with opened(with_lines(path, *lines)) as (_, counts):
        expected = np.maximum(known.counts.astype(float) - 2, 0) / 4 / (flat / 2)
        assert counts == pytest.approx(expected, rel=1e-6)
    assert (
        read_dataset(path).diffraction_from
        == "HDF5 by a key map: float32 counts, square root taken"
    )


def test_amplitudes_with_the_zero_frequency_in_the_corner(tmp_path: Path, known: Known):
    """As NSLS-II HXN has them: points (2, n), x first, in um."""
    with h5py.File(tmp_path / "hxn.h5", "w") as file:
        file["diffamp"] = np.fft.fftshift(np.sqrt(known.counts), axes=(1, 2)).astype(np.float32)
        file["points"] = known.relative_m.T[::-1] * 1e6
        file["ccd_pixel_um"], file["lambda_nm"] = 75.0, known.wavelength_m * 1e9
        file["z_m"], file["angle"] = known.distance_m, 0.0
    path = tmp_path / "hxn.toml"
    path.write_text("""
file = "hxn.h5"
frames = "/diffamp"
frames_are = "amplitude"
zero_frequency = "corner"
positions = "/points"
positions_unit = "um"
swap_xy = true
wavelength = "/lambda_nm"
wavelength_unit = "nm"
distance = "/z_m"
detector_pixel_size = "/ccd_pixel_um"
detector_pixel_size_unit = "um"
""")
    holds(path, known, probe=False, mask=False)


def test_raster_of_frames_and_slow_and_fast_axes(tmp_path: Path):
    rng = np.random.default_rng(0)
    counts = rng.poisson(3, (4, 5, 8, 8)).astype(np.uint32)
    with h5py.File(tmp_path / "raster.nxs", "w") as file:
        file.create_dataset("entry/data", data=counts, chunks=(1, 1, 8, 8), compression="gzip")
        file["entry/y"], file["entry/x"] = np.arange(4.0), 10 + np.arange(5.0)
    path = tmp_path / "raster.toml"
    path.write_text("""
file = "raster.nxs"
frames = "/entry/data"
positions_y = "/entry/y"
positions_x = "/entry/x"
positions_unit = "px"
positions_of = "sample"
last_frame = 18
""")
    with opened(path) as (found, read):
        assert np.array_equal(read, counts.reshape(20, 8, 8)[:19])
        assert found.positions_px[7].tolist() == [-1.0, -12.0]


def test_another_readers_format_can_be_edited(tmp_path: Path, known: Known):
    written.cxi(tmp_path, known)
    path = tmp_path / "cut.toml"
    path.write_text('file = "scan.cxi"\nformat = "cxi"\ncrop_px = 24\ndefocus = 20\n')
    dataset = read_dataset(path)
    assert dataset.frame_size_px == 24
    assert "20 um out of focus" in dataset.warnings[0]


def test_file_of_no_known_layout_says_to_write_a_key_map(tmp_path: Path, known: Known):
    written.any_hdf5(tmp_path, known)
    with pytest.raises(DatasetError, match=r"is HDF5 of no known layout .* write a key map"):
        read_dataset(tmp_path / "scan_0042.h5")


@pytest.fixture(scope="module")
def plugin(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of hdf5plugin, which is not imported here: it stays for the process."""
    folder = tmp_path_factory.mktemp("hdf5plugin")
    installed("hdf5plugin>=5", folder)
    return folder


def converted(source: Path, *paths: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "fly64tasks", "convert", str(source), str(source.parent / "a.npz")],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(map(str, [*paths, *sys.path]))},
        capture_output=True,
        text=True,
        check=False,
    )


EIGER = """
import sys, h5py, hdf5plugin, numpy
with h5py.File(sys.argv[1], "r+") as file:
    for name in list(file["entry/data"]):
        frames = file["entry/data"][name][()]
        del file["entry/data"][name]
        file["entry/data"].create_dataset(
            name, data=frames, chunks=(1, *frames.shape[1:]), **hdf5plugin.Bitshuffle(cname="lz4")
        )
"""


def test_frames_of_an_eiger_need_what_unpacks_them(tmp_path: Path, known: Known, plugin: Path):
    path = written.any_hdf5(tmp_path, known)
    subprocess.run(
        [sys.executable, "-c", EIGER, str(tmp_path / "scan_0042.h5")],
        env={**os.environ, "PYTHONPATH": str(plugin)},
        check=True,
    )
    hidden = tmp_path / "hidden"
    hidden.mkdir()
    (hidden / "hdf5plugin.py").write_text("raise ModuleNotFoundError('hdf5plugin')")
    done = converted(path, hidden)
    assert done.returncode == 3
    assert done.stderr.endswith(
        "is compressed by HDF5 filter 32008 (bitshuffle); install what unpacks it: pip install "
        "hdf5plugin\n"
    )
    done = converted(path, plugin)
    assert done.returncode == 0, done.stderr
    with np.load(tmp_path / "a.npz") as arrays:
        assert np.array_equal(arrays["diffraction"], known.counts)


def test_truncated_file_is_one_line(tmp_path: Path, known: Known):
    path = written.any_hdf5(tmp_path, known)
    source = tmp_path / "scan_0042.h5"
    source.write_bytes(source.read_bytes()[:40_000])
    with pytest.raises(DatasetError, match=r"scan_0042.h5: can not be opened as HDF5"):
        read_dataset(path)
