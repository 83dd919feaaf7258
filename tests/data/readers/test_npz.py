"""The contract, and fifty ways to break it: each ends in one line that names file and key."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from broken_sets import Arrays, expect_refusal, save, valid_arrays

from fly64tasks.convert import convert
from fly64tasks.data.dataset import PtychoDataset
from fly64tasks.data.readers.npz import read_base, read_dataset
from fly64tasks.data.writers.npz import write_dataset
from fly64tasks.errors import DatasetError


def test_valid_set_is_read_as_it_is(tmp_path: Path):
    arrays = valid_arrays()
    dataset = read_dataset(save(tmp_path / "set.npz", arrays))
    assert np.array_equal(dataset.diffraction_amplitude, arrays["diffraction"])
    assert dataset.diffraction_amplitude.dtype == np.float32
    assert dataset.probe_guess.shape == (1, 16, 16)
    assert np.array_equal(dataset.positions_px[:, 0], arrays["ycoords"])
    assert np.array_equal(dataset.positions_px[:, 1], arrays["xcoords"])
    assert dataset.metadata == {"dose_photons_per_frame": 1e3}
    assert not dataset.is_simulated


def test_set_survives_writing_and_reading(tmp_path: Path):
    dataset = read_dataset(save(tmp_path / "set.npz", valid_arrays()))
    write_dataset(tmp_path / "again.npz", dataset)
    again = read_dataset(tmp_path / "again.npz")
    assert np.array_equal(again.diffraction_amplitude, dataset.diffraction_amplitude)
    assert np.array_equal(again.positions_px, dataset.positions_px)
    assert np.array_equal(again.filenames, dataset.filenames)
    assert again.metadata == {"writer": "fly64tasks", **dataset.metadata}


def test_same_set_gives_the_same_bytes(tmp_path: Path):
    dataset = read_dataset(save(tmp_path / "set.npz", valid_arrays()))
    for name in ("a.npz", "b.npz"):
        write_dataset(tmp_path / name, dataset)
    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()


def test_selection_is_by_index_on_the_per_frame_keys_only(tmp_path: Path):
    arrays = valid_arrays(n=16, size=16)
    arrays["_metadata"] = np.array(json.dumps({"diffraction_order": "NHW"}))
    dataset = read_dataset(save(tmp_path / "set.npz", arrays))
    chosen = dataset.select(np.array([3, 1]))
    assert np.array_equal(chosen.positions_px, dataset.positions_px[[3, 1]])
    assert chosen.diffraction_amplitude.shape == (2, 16, 16)
    assert chosen.filenames is not None
    assert chosen.filenames.tolist() == ["frame_3", "frame_1"]
    assert chosen.probe_guess.shape == (1, 16, 16)


def change(**changed: Any) -> Callable[[Arrays], None]:
    def edit(arrays: Arrays) -> None:
        arrays.update(changed)

    return edit


def drop(key: str) -> Callable[[Arrays], None]:
    return lambda arrays: arrays.pop(key)


def at(key: str, index: Any, value: float) -> Callable[[Arrays], None]:
    def edit(arrays: Arrays) -> None:
        arrays[key][index] = value

    return edit


def through(key: str, function: Callable[[Any], Any]) -> Callable[[Arrays], None]:
    def edit(arrays: Arrays) -> None:
        arrays[key] = function(arrays[key])

    return edit


def in_simulated(edit: Callable[[Arrays], None]) -> Callable[[Arrays], None]:
    """Break a set whose object is the truth: of others it is not looked at."""

    def both(arrays: Arrays) -> None:
        arrays["_metadata"] = np.array(json.dumps({"simulated": True}))
        edit(arrays)

    return both


ACCEPTED = {
    "double precision": lambda a: a.update(
        diffraction=a["diffraction"].astype(np.float64),
        objectGuess=a["objectGuess"].astype(np.complex128),
        probeGuess=a["probeGuess"].astype(np.complex128),
    ),
    "diff3d for diffraction": lambda a: a.update(diff3d=a.pop("diffraction")),
    "frames last, unambiguous": through("diffraction", lambda d: np.moveaxis(d, 0, 2)),
    "modes": change(probeGuess=np.ones((3, 16, 16), np.complex64)),
    "whole-pixel positions": through("xcoords", lambda x: np.round(x).astype(int)),
    "no patches": drop("Y"),
    "no names": drop("filenames"),
    "no metadata": drop("_metadata"),
    "patches of another size": change(Y=np.ones((12, 20, 20), np.complex64)),
    "names, an object array": through("filenames", lambda f: f.astype(object)),
    "an object of one slice": through("objectGuess", lambda o: o[None]),
    "a probe of one OPR mode": through("probeGuess", lambda p: p[None, None]),
    "positions in two dimensions": through("xcoords", lambda x: x[:, None]),
    "a channel axis": through("diffraction", lambda d: d[..., None]),
    "measured, no object": drop("objectGuess"),
    "counts": through("diffraction", lambda d: np.round(d**2).astype(np.uint16)),
    "counts as floats": through("diffraction", lambda d: np.round(d.astype(float) ** 2)),
    "other keys, pickled too": change(extra=np.array([None], dtype=object)),
}


@pytest.mark.parametrize("edit", ACCEPTED.values(), ids=ACCEPTED.keys())
def test_what_real_files_hold_is_accepted(tmp_path: Path, edit: Callable[[Arrays], None]):
    arrays = valid_arrays()
    expected = arrays["diffraction"].copy()
    edit(arrays)
    dataset = read_dataset(save(tmp_path / "set.npz", arrays))
    assert np.array_equal(dataset.diffraction_amplitude, expected)
    assert dataset.mask is None


def test_all_that_a_set_lacks_is_named_at_once(tmp_path: Path):
    path = tmp_path / "names.npz"
    np.savez(path, data=np.ones((3, 8, 8)), probe=np.ones((8, 8), complex), x=[1.0], y=[1.0])
    lacks = "xcoords, ycoords, probeGuess, diffraction or diff3d are missing, found data, probe"
    with pytest.raises(DatasetError, match=lacks):
        read_dataset(path)
    with pytest.raises(DatasetError, match="xcoords, ycoords, diffraction or diff3d are missing"):
        convert(path, tmp_path / "set.npz")


def test_probe_that_is_missing_is_guessed_by_convert_as_the_error_says(tmp_path: Path):
    arrays = valid_arrays()
    del arrays["probeGuess"]
    path = save(tmp_path / "bare.npz", arrays)
    with pytest.raises(DatasetError, match=r"probeGuess is missing, found .*; fly64tasks convert"):
        read_dataset(path)
    written, _, (warning, *_) = convert(path, tmp_path / "guessed.npz")
    assert warning.startswith("NPZ holds no probe: one is guessed from the mean frame")
    guessed = read_dataset(written[0])
    assert guessed.probe_guess.shape == (1, 16, 16)
    assert np.array_equal(guessed.diffraction_amplitude, arrays["diffraction"])


BROKEN = {
    "no diffraction": (drop("diffraction"), "diffraction or diff3d is missing, found objectGuess"),
    "no object": (in_simulated(drop("objectGuess")), "objectGuess is missing"),
    "no probe": (drop("probeGuess"), "probeGuess is missing"),
    "no xcoords": (drop("xcoords"), "xcoords is missing"),
    "no ycoords": (drop("ycoords"), "ycoords is missing"),
    "complex diffraction": (
        through("diffraction", lambda d: d.astype(np.complex64)),
        "diffraction has dtype complex64, expected float amplitude",
    ),
    "text diffraction": (
        through("diffraction", lambda d: d.astype(str)),
        "diffraction has dtype <U32, expected float",
    ),
    "amplitude past single precision": (
        through("diffraction", lambda d: d.astype(np.float64) * 1e200),
        "diffraction holds magnitudes up to .*e\\+200, expected at most 1e\\+09",
    ),
    "probe past single precision": (
        change(probeGuess=np.full((16, 16), 1e60 + 0j)),
        "probeGuess holds magnitudes up to 1e\\+60",
    ),
    "dark": (
        through("diffraction", np.zeros_like),
        "diffraction is zero everywhere, expected measured amplitudes",
    ),
    "no frames": (
        lambda a: a.update(
            diffraction=np.zeros((0, 16, 16), np.float32), xcoords=np.zeros(0), ycoords=np.zeros(0)
        ),
        r"coords is empty \(shape \(0,\)\), expected at least one frame",
    ),
    "frames flattened": (
        through("diffraction", lambda d: d.reshape(12, -1)),
        r"diffraction has shape \(12, 256\), expected \(n, N, N\)",
    ),
    "frames not square": (
        through("diffraction", lambda d: d[:, :, :12].copy()),
        r"has shape \(12, 16, 12\), expected \(12, N, N\) with square frames|both fit",
    ),
    "frames last, ambiguous": (
        lambda a: a.update(valid_arrays(n=16, size=16)),
        r"has shape \(16, 16, 16\) with 16 positions: \(n, N, N\) and \(N, N, n\) both fit",
    ),
    "more frames than positions": (
        lambda a: a.update(xcoords=a["xcoords"][:11], ycoords=a["ycoords"][:11]),
        r"diffraction has shape \(12, 16, 16\), expected \(11, N, N\)",
    ),
    "x and y of different length": (
        through("xcoords", lambda x: x[:11]),
        r"xcoords has shape \(11,\), expected \(12,\) to match ycoords",
    ),
    "complex positions": (
        through("ycoords", lambda y: y + 0j),
        "ycoords has dtype complex128, expected float positions",
    ),
    "NaN position": (at("xcoords", 2, np.nan), "xcoords holds 1 NaN or infinite values"),
    "probe of another size": (
        change(probeGuess=np.ones((20, 20), np.complex64)),
        "probeGuess is 1 x 20 x 20, expected N = 16 to match diffraction",
    ),
    "probe not square": (
        change(probeGuess=np.ones((16, 12), np.complex64)),
        r"probeGuess has shape \(16, 12\), expected \(N, N\) or \(modes, N, N\)",
    ),
    "real probe": (
        through("probeGuess", lambda p: p.real),
        "probeGuess has dtype float32, expected complex",
    ),
    "zero probe": (through("probeGuess", np.zeros_like), "probeGuess is zero everywhere"),
    "NaN probe": (at("probeGuess", (1, 1), np.nan), "probeGuess holds 1 NaN"),
    "real object": (
        in_simulated(through("objectGuess", np.abs)),
        "objectGuess has dtype float32, expected complex",
    ),
    "NaN object": (in_simulated(at("objectGuess", (1, 1), np.nan)), "objectGuess holds 1 NaN"),
    "pickled diffraction": (
        through("diffraction", lambda d: d.astype(object)),
        "diffraction is a pickled object array, expected plain numbers or text",
    ),
    "metadata with a broken geometry": (
        change(_metadata=np.array('{"geometry": {"pixel_size_m": -1}}')),
        "pixel_size_m is -1, expected `float` >= 1e-15",
    ),
    "one position": (
        lambda a: a.update(valid_arrays(n=1)),
        "1 scan position, expected at least 2",
    ),
    "position off the object": (
        in_simulated(at("xcoords", 2, 40.0)),
        r"1 of 12 positions put their 16 px patch off the 40 x 44 object \(first: frame 2",
    ),
    "stray position": (at("ycoords", 7, 5000.0), "position 7 .* px from its nearest neighbour"),
}
BROKEN |= {
    "both keys": (
        lambda a: a.update(diff3d=np.round(a["diffraction"] ** 2)),
        "diffraction and diff3d are both there, expected one of them: say which with --diffraction",
    ),
    "a gap without a mask": (
        at("diffraction", np.s_[:, 3:5], np.nan),
        "values that are no counts: 384 x NaN or infinite, 32 pixels in every frame",
    ),
    "a gap of marks": (
        at("diffraction", np.s_[:, 3:5], np.sqrt(2**32 - 1)),
        r"384 x 65536 = sqrt\(2\^32 - 1\) \(a detector's mark\), 32 pixels in every frame",
    ),
    "a mask of another detector": (
        change(mask=np.ones((20, 20), bool)),
        r"mask has shape \(20, 20\), expected \(16, 16\) or \(12, 16, 16\)",
    ),
    "a mask of NaN": (
        change(mask=np.full((16, 16), np.nan)),
        "mask holds NaN, which is neither good nor bad, expected 0 or 1",
    ),
    "a mask that leaves nothing": (
        change(mask=np.zeros((16, 16), bool)),
        "diffraction has no pixel left that its mask lets count",
    ),
    "three OPR modes": (
        change(probeGuess=np.ones((3, 1, 16, 16), np.complex64)),
        r"probeGuess has shape \(3, 1, 16, 16\)",
    ),
}
BROKEN_BYTES = {
    "not a zip": (lambda content: b"hello, I am text", "not an NPZ"),
    "empty file": (lambda content: b"", "not an NPZ"),
    "truncated": (lambda content: content[: len(content) // 2], "damaged or truncated NPZ"),
    "bit flipped": (
        lambda content: content[:2000] + bytes([content[2000] ^ 255]) + content[2001:],
        "diffraction is damaged",
    ),
}


@pytest.mark.parametrize(("edit", "message"), BROKEN.values(), ids=BROKEN.keys())
def test_broken_set_exits_with_3_and_one_line_and_leaves_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], edit: Callable[[Arrays], None], message: str
):
    arrays = valid_arrays()
    edit(arrays)
    expect_refusal(save(tmp_path / "set.npz", arrays), message, capsys)


@pytest.mark.parametrize(("damage", "message"), BROKEN_BYTES.values(), ids=BROKEN_BYTES.keys())
def test_damaged_file_exits_with_3_and_one_line_and_leaves_nothing(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    damage: Callable[[bytes], bytes],
    message: str,
):
    path = save(tmp_path / "set.npz", valid_arrays())
    path.write_bytes(damage(path.read_bytes()))
    expect_refusal(path, message, capsys)


def test_pixels_that_measured_nothing_are_masked_and_counted(tmp_path: Path):
    arrays = valid_arrays()
    arrays["diffraction"][3, 4, 5] = np.nan
    arrays["diffraction"][4, 5, 6] = -1
    dataset = read_dataset(save(tmp_path / "set.npz", arrays))
    assert dataset.mask is not None
    assert np.argwhere(~dataset.mask).tolist() == [[3, 4, 5], [4, 5, 6]]
    assert not dataset.diffraction_amplitude[~dataset.mask].any()
    (said,) = dataset.warnings
    assert "1 x NaN or infinite, 1 x negative (0.00065 of all); they are masked" in said


@pytest.mark.parametrize("dtype", [np.uint16, np.uint32, np.int32, np.float64])
def test_marks_of_a_counter_are_masked(tmp_path: Path, dtype: type):
    arrays = valid_arrays()
    counts = np.round(arrays["diffraction"] ** 2).astype(dtype)
    counts[:, 0, :2] = 65535 if dtype != np.int32 else -1
    arrays["diffraction"] = counts
    dataset = read_dataset(save(tmp_path / "set.npz", arrays))
    assert dataset.mask is not None
    assert np.argwhere(~dataset.mask).tolist() == [[0, 0], [0, 1]]
    assert "2 pixels in every frame" in dataset.warnings[0]
    assert dataset.diffraction_from == f"diffraction: {np.dtype(dtype)} counts, square root taken"


def test_a_full_counter_has_measured_nothing_and_65535_floats_may_have(tmp_path: Path):
    for dtype, bad in ((np.uint16, [[3, 4, 5]]), (np.uint32, []), (np.float64, [])):
        arrays = valid_arrays()
        counts = np.round(arrays["diffraction"] ** 2).astype(dtype)
        counts[3, 4, 5] = 65535
        arrays["diffraction"] = counts
        mask = read_dataset(save(tmp_path / f"{np.dtype(dtype)}.npz", arrays)).mask
        assert bad == [] if mask is None else np.argwhere(~mask).tolist() == bad


def test_mask_and_bad_pixels_say_the_same_the_other_way_round(tmp_path: Path):
    bad = np.zeros((16, 16), bool)
    bad[3:5] = True
    for keys in ({"mask": ~bad}, {"bad_pixels": bad.astype(np.uint8)}, {"mask": 1.0 - bad}):
        arrays = valid_arrays()
        arrays["diffraction"][:, bad] = np.nan
        dataset = read_dataset(save(tmp_path / "set.npz", {**arrays, **keys}))
        assert np.array_equal(dataset.mask, ~bad)
        assert not dataset.diffraction_amplitude[:, bad].any()
        assert dataset.warnings == ()


def test_one_of_two_diffractions_is_taken_where_it_is_named(tmp_path: Path):
    arrays = valid_arrays()
    other = np.round(arrays["diffraction"] ** 2)[::-1]
    path = save(tmp_path / "set.npz", {**arrays, "diff3d": other})
    amplitude = read_dataset(path, diffraction="amplitude").diffraction_amplitude
    assert np.array_equal(amplitude, arrays["diffraction"])
    counts = read_dataset(path, diffraction="intensity")
    assert np.array_equal(counts.diffraction_amplitude, np.sqrt(other).astype(np.float32))
    assert counts.diffraction_from == "diff3d: float32 counts, square root taken"


def test_optional_keys_of_ptychopinn_s_own_tools_are_left_out_with_two_warnings(tmp_path: Path):
    arrays = valid_arrays()
    arrays["_metadata"] = np.array({"a": 1}, dtype=object)
    arrays["Y"] = arrays["Y"][None, ..., 0, None]
    arrays["filenames"] = arrays["filenames"].astype(object)
    path = save(tmp_path / "set.npz", arrays)
    for read in (read_dataset, read_base):
        first, second = read(path).warnings
        assert first.startswith("_metadata is a pickled object array")
        assert second.startswith("Y has dtype complex64, shape (1, 12, 16, 1), expected (12, M, M)")
        assert "filenames is a pickled object array" in second
    assert read_dataset(path).object_patches is None


@pytest.mark.parametrize("text", ["{", "[1]"])
def test_metadata_that_are_no_object_are_left_out_with_a_warning(tmp_path: Path, text: str):
    arrays = {**valid_arrays(), "_metadata": np.array(text)}
    dataset = read_dataset(save(tmp_path / "set.npz", arrays))
    assert dataset.metadata == {}
    assert dataset.warnings[0].startswith("_metadata is not readable")


def test_object_of_a_measured_set_and_patches_are_not_read_where_nobody_wants_them(tmp_path: Path):
    arrays = valid_arrays()
    arrays["objectGuess"][0, 0] = np.nan
    path = save(tmp_path / "set.npz", arrays)
    dataset = read_dataset(path, obj=False, extras=False)
    assert dataset.object_guess is None
    assert dataset.object_patches is None
    assert dataset.filenames is None
    with pytest.raises(DatasetError, match="objectGuess holds 1 NaN"):
        read_dataset(path)


def test_set_with_a_mask_and_without_an_object_survives_writing(tmp_path: Path):
    mask = np.ones((16, 16), bool)
    mask[2] = False
    arrays = {key: value for key, value in valid_arrays().items() if key != "objectGuess"}
    dataset = read_dataset(save(tmp_path / "set.npz", {**arrays, "mask": mask}))
    write_dataset(tmp_path / "again.npz", dataset)
    again = read_dataset(tmp_path / "again.npz")
    assert np.array_equal(again.mask, mask)
    assert again.object_guess is None


def test_zip_of_other_files_exits_with_3(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    path = save(tmp_path / "set.npz", valid_arrays())
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    del members["diffraction.npy"]
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in {**members, "diffraction": b"no array"}.items():
            archive.writestr(name, content)
    expect_refusal(path, "diffraction is not an array", capsys)


def test_missing_file_exits_with_3(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    expect_refusal(tmp_path / "absent.npz", "no such file or directory", capsys)


def test_folder_for_a_file_exits_with_3(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    (tmp_path / "set.npz").mkdir()
    expect_refusal(tmp_path / "set.npz", "is a directory", capsys)


def test_file_of_another_is_never_overwritten(tmp_path: Path):
    path = save(tmp_path / "set.npz", valid_arrays())
    before = path.read_bytes()
    with pytest.raises(DatasetError, match=r"exists and was not written by fly64tasks"):
        write_dataset(path, read_dataset(path))
    assert path.read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == ["set.npz"]


def test_file_of_ours_is_overwritten(tmp_path: Path):
    dataset = read_dataset(save(tmp_path / "set.npz", valid_arrays()))
    write_dataset(tmp_path / "ours.npz", dataset)
    write_dataset(tmp_path / "ours.npz", replace(dataset, filenames=None))
    assert read_dataset(tmp_path / "ours.npz").filenames is None


def test_base_needs_no_diffraction(tmp_path: Path):
    arrays = valid_arrays()
    del arrays["diffraction"]
    base = read_base(save(tmp_path / "base.npz", arrays))
    assert base.probe_guess.shape == (1, 16, 16)
    assert len(base.positions_px) == 12


def test_dataset_is_what_the_runner_reads(small_set: PtychoDataset):
    assert small_set.is_simulated
    assert small_set.frame_size_px == 32
