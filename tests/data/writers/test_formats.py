"""Sets of ours in other tools' formats, as those tools read them, and back again."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import h5py
import numpy as np
import pytest
import tifffile
from measured import Known, holds, opened

from fly64tasks.convert import convert
from fly64tasks.data.metadata import geometry_of
from fly64tasks.data.readers import open_measurement, read_dataset
from fly64tasks.errors import DatasetError, MachineError
from fly64tasks.recon import command as recon
from fly64tasks.study.recon_settings import ReconSpec
from fly64tasks.study.stages import ASSUMED

GEOMETRY = {"pixel_size_m": 10e-9, "energy_ev": 8800.0, "detector_pixel_size_m": 75e-6}


@pytest.fixture
def counts_npz(tmp_path: Path, known: Known) -> Path:
    """A set of counts with a mask, as a detector's NPZ has it."""
    path = tmp_path / "counts.npz"
    np.savez(
        path,
        diffraction=known.counts,
        probeGuess=known.probe[0].astype(np.complex64),
        objectGuess=known.obj.astype(np.complex64),
        ycoords=known.positions_px[:, 0],
        xcoords=known.positions_px[:, 1],
        mask=known.mask,
        _metadata=np.array(
            f'{{"geometry": {{"pixel_size_m": {known.pixel_m}, "assumed": false}}}}'
        ),
    )
    return path


BACK = {
    "scan_dp.hdf5": {"energy": False, "mask": False},
    "diffraction.h5": {},
    "scan.cxi": {},
    "again.npz": {"energy": False},
}


@pytest.mark.parametrize("name", BACK)
def test_round_trip_keeps_counts_and_places(
    tmp_path: Path, counts_npz: Path, known: Known, name: str
):
    there, _, _ = convert(counts_npz, tmp_path / "there" / name)
    settings: dict[str, Any] = BACK[name]
    holds(there[0], known, absolute=name != "scan.cxi", **settings)
    back, _, _ = convert(there[0], tmp_path / "back.npz")
    settings = {**settings, "energy": False}
    holds(back[0], known, absolute=name != "scan.cxi", **settings)
    with np.load(back[0]) as arrays:
        assert arrays["diffraction"].dtype.kind == "u"


def test_ptychopinn_gets_counts_and_bad_pixels(tmp_path: Path, counts_npz: Path, known: Known):
    (path,), _, _ = convert(counts_npz, tmp_path / "pinn.npz", "ptychopinn")
    with np.load(path) as arrays:
        assert np.array_equal(arrays["diff3d"], known.counts)
        assert np.array_equal(arrays["bad_pixels"], ~known.mask)
        assert np.array_equal(arrays["xcoords_start"], known.positions_px[:, 1])
        assert arrays["objectGuess"].shape == known.obj.shape
        assert arrays["scan_index"].tolist() == [0] * len(known.counts)
    holds(path, known, absolute=True, energy=False)


def test_ptychodus_reads_its_diffraction_and_product(
    tmp_path: Path, counts_npz: Path, known: Known, ptychodus: SimpleNamespace
):
    written, _, _ = convert(counts_npz, tmp_path / "diffraction.h5")
    assert [path.name for path in written] == ["diffraction.h5", "product.h5"]
    data = ptychodus.io.load_diffraction_data(written[0])
    product = ptychodus.io.load_product(written[1])
    assert np.array_equal(data.get_patterns(), known.counts)
    assert np.array_equal(data.get_bad_pixels(), ~known.mask)
    assert data.get_pixel_geometry().width_m == known.detector_pixel_m
    geometry = product.object_.get_geometry()
    y = geometry.map_probe_positions_to_object_y_px(product.probe_positions) + 0.5
    x = geometry.map_probe_positions_to_object_x_px(product.probe_positions) + 0.5
    assert np.column_stack([y, x]) == pytest.approx(known.positions_px, abs=1e-6)


@pytest.mark.filterwarnings("ignore:Passing more than 2 positional:DeprecationWarning")
def test_cdtools_reads_the_cxi(
    tmp_path: Path, counts_npz: Path, known: Known, cdtools: SimpleNamespace
):
    (path,), _, _ = convert(counts_npz, tmp_path / "scan.cxi")
    dataset = cdtools.datasets.Ptycho2DDataset.from_cxi(path)
    assert np.array_equal(dataset.patterns.numpy(), known.counts)
    assert np.array_equal(dataset.mask.numpy(), known.mask)
    assert float(dataset.wavelength) == pytest.approx(known.wavelength_m, rel=1e-6)
    detector = dataset.detector_geometry
    assert float(detector["distance"]) == pytest.approx(known.distance_m, rel=1e-6)
    basis = cdtools.initializers.exit_wave_geometry(
        detector["basis"], known.counts.shape[1:], known.wavelength_m, known.distance_m
    )
    pixels = cdtools.interactions.translations_to_pixel(basis, dataset.translations).numpy()
    relative = known.positions_px - known.positions_px.mean(axis=0)
    assert pixels - pixels.mean(axis=0) == pytest.approx(relative, abs=1e-4)


def test_ptychodus_reads_the_cxi(
    tmp_path: Path, counts_npz: Path, known: Known, ptychodus: SimpleNamespace
):
    (path,), _, _ = convert(counts_npz, tmp_path / "scan.cxi")
    dataset = ptychodus.cxi.CXIDiffractionFileReader().read(path)
    (array,) = list(dataset)
    assert np.array_equal(array.get_patterns(), known.counts)
    assert dataset.get_metadata().photon_energy_eV == pytest.approx(known.energy_ev)
    product = ptychodus.cxi.CXIProductFileIO().read(path)
    y = np.array([point.y_m for point in product.probe_positions]) / known.pixel_m
    assert y - y.mean() == pytest.approx(
        known.positions_px[:, 0] - known.positions_px[:, 0].mean(), abs=1e-6
    )


def test_scan_without_object_or_probe_gets_ones_and_a_guess(tmp_path: Path, known: Known):
    with h5py.File(tmp_path / "a.cxi", "w") as file:
        detector = file.create_group("entry_1/instrument_1/detector_1")
        detector["data"], detector["distance"] = known.counts, known.distance_m
        detector["x_pixel_size"] = known.detector_pixel_m
        file["entry_1/instrument_1/source_1/wavelength"] = known.wavelength_m
        y, x = known.relative_m.T
        file["entry_1/data_1/translation"] = np.column_stack([x, y])
    (path, _), _, notes = convert(tmp_path / "a.cxi", tmp_path / "a_dp.hdf5")
    assert "CXI holds no probe: one is guessed" in notes[0]
    with open_measurement(path) as found:
        assert (found.obj == 1).all()
        ours = found.positions_px - found.positions_px.mean(axis=0)
        assert ours == pytest.approx(known.relative_m / known.pixel_m, abs=1e-6)
    (path,), _, _ = convert(tmp_path / "a.cxi", tmp_path / "a.npz")
    dataset = read_dataset(path)
    assert dataset.object_guess is None
    assert np.array_equal(dataset.diffraction_amplitude, np.sqrt(known.counts.astype(np.float32)))


def test_floats_that_are_no_counts_become_amplitudes(tmp_path: Path, known: Known):
    with h5py.File(tmp_path / "scan.h5", "w") as file:
        frames = known.counts * 0.37
        frames[0, 1, 2] = np.nan
        file["frames"], file["places"] = frames, known.positions_px
        file["probe"], file["mask"] = known.probe, known.mask
    (tmp_path / "scan.toml").write_text(
        'file = "scan.h5"\nframes = "frames"\npositions = "places"\npositions_unit = "px"\n'
        'probe = "probe"\nmask = "mask"\n'
    )
    (path,), _, _ = convert(tmp_path / "scan.toml", tmp_path / "scan.npz")
    dataset = read_dataset(path)
    whole = read_dataset(tmp_path / "scan.toml")
    assert dataset.mask is not None
    assert not dataset.mask[0, 1, 2]
    assert np.array_equal(dataset.mask, whole.mask)
    assert dataset.diffraction_amplitude == pytest.approx(whole.diffraction_amplitude, rel=1e-6)


def test_bad_pixels_of_single_frames_are_kept(tmp_path: Path, known: Known):
    counts = known.counts.astype(np.float32)
    counts[3, 4, 5] = np.nan
    with h5py.File(tmp_path / "scan.h5", "w") as file:
        file["frames"], file["places"], file["probe"] = counts, known.positions_px, known.probe
    (tmp_path / "scan.toml").write_text(
        'file = "scan.h5"\nframes = "frames"\npositions = "places"\npositions_unit = "px"\n'
        'probe = "probe"\n'
    )
    (path,), _, _ = convert(tmp_path / "scan.toml", tmp_path / "scan.npz")
    with np.load(path) as arrays:
        assert arrays["diffraction"].dtype == np.int32
    dataset = read_dataset(path)
    assert np.argwhere(~dataset.mask).tolist() == [[3, 4, 5]]


def test_nothing_of_others_is_written_over(tmp_path: Path, counts_npz: Path):
    for name, beside in (
        ("scan_dp.hdf5", "scan_para.hdf5"),
        ("diffraction.h5", "product.h5"),
        ("scan.cxi", "scan.cxi"),
        ("set.npz", "set.npz"),
    ):
        folder = tmp_path / name
        folder.mkdir()
        (folder / beside).write_bytes(b"theirs")
        with pytest.raises(DatasetError, match=f"{beside}: exists and was not written by"):
            convert(counts_npz, folder / name)
        assert [path.name for path in folder.iterdir()] == [beside]


@pytest.mark.parametrize("name", ["scan_dp.hdf5", "scan.cxi", "diffraction.h5", "object_phase.tif"])
def test_a_file_that_only_names_us_is_somebody_elses(tmp_path: Path, counts_npz: Path, name: str):
    """Whoever cloned the project has its name in every path that a program writes down."""
    source, target = counts_npz, tmp_path / "theirs" / name
    target.parent.mkdir()
    if target.suffix == ".tif":
        (_, source), _, _ = convert(counts_npz, tmp_path / "diffraction.h5")
        tifffile.imwrite(target, np.ones((9, 9), np.float32), description="/home/me/fly64tasks/a")
    else:
        with h5py.File(target, "w") as file:
            file.attrs["raw"] = "/home/me/fly64tasks/raw/scan.h5"
    before = target.read_bytes()
    with pytest.raises(DatasetError, match=f"{name}: exists and was not written by"):
        convert(source, target.with_name("object.tif") if target.suffix == ".tif" else target)
    assert target.read_bytes() == before
    assert list(target.parent.iterdir()) == [target]


def test_a_conversion_is_written_over_conversions_alone(
    tmp_path: Path, counts_npz: Path, small_sets: dict[str, Path]
):
    out = tmp_path / "out"
    recon.run(small_sets["train"], out, ReconSpec(num_epochs=1))
    shutil.copy(small_sets["train"], tmp_path / "set.npz")
    for target, to in (
        (out / "reconstruction.npz", "npz"),
        (out / "reconstruction.npz", "ptychopinn"),
        (tmp_path / "set.npz", "npz"),
        (out / "diffraction.h5", "ptychodus"),
        (out / "product.h5", "cxi"),
    ):
        before = {path: path.read_bytes() for path in out.iterdir()}
        with pytest.raises(DatasetError, match="exists and is no conversion"):
            convert(counts_npz, target, to)
        assert {path: path.read_bytes() for path in out.iterdir()} == before
    shutil.copy(out / "reconstruction.npz", tmp_path / "other.npz")
    with pytest.raises(DatasetError, match="exists and is no conversion"):
        convert(out / "reconstruction.npz", tmp_path / "other.npz", "comparison")


@pytest.mark.parametrize(("name", "to"), [("scan.h5", "pair"), ("product.h5", "ptychodus")])
def test_two_files_are_not_written_under_one_name(
    tmp_path: Path, counts_npz: Path, name: str, to: str
):
    with pytest.raises(DatasetError, match=rf"{name}: is .*; expected "):
        convert(counts_npz, tmp_path / name, to)
    assert not (tmp_path / name).exists()


def test_no_file_of_the_source_is_written_over(tmp_path: Path, counts_npz: Path):
    convert(counts_npz, tmp_path / "scan_dp.hdf5")
    convert(counts_npz, tmp_path / "diffraction.h5")
    before = {path: path.read_bytes() for path in tmp_path.iterdir()}
    for source, target in (
        ("scan_dp.hdf5", "scan_para.hdf5"),
        ("product.h5", "diffraction.h5"),
        ("diffraction.h5", "product.h5"),
    ):
        to = "pair" if "scan" in source else "ptychodus"
        with pytest.raises(DatasetError, match="is read from, and would be written over"):
            convert(tmp_path / source, tmp_path / target, to)
    assert {path: path.read_bytes() for path in tmp_path.iterdir()} == before


@pytest.mark.parametrize("target", ["scan_dp.hdf5", "diffraction.h5", "scan.cxi", "set.npz"])
def test_bad_pixels_that_a_format_can_not_say_are_said(
    tmp_path: Path, counts_npz: Path, target: str
):
    with np.load(counts_npz) as arrays:
        changed = dict(arrays)
    changed["diffraction"] = changed["diffraction"].astype(np.uint16)
    y, x = np.argwhere(changed["mask"])[0]
    changed["diffraction"][3, y, x] = 65535
    np.savez(counts_npz, **changed)
    _, _, notes = convert(counts_npz, tmp_path / target)
    said = [note for note in notes if note.startswith("1 bad pixels of single frames are written")]
    assert len(said) == (target != "set.npz")


def test_sizes_that_are_assumed_stay_so(tmp_path: Path, small_sets: dict[str, Path]):
    assert read_dataset(small_sets["train"]).metadata["geometry"]["assumed"] is True
    (path,), said, _ = convert(small_sets["train"], tmp_path / "again.npz")
    assert "(assumed" in said
    assert read_dataset(path).metadata["geometry"]["assumed"] is True
    _, _, notes = convert(small_sets["train"], tmp_path / "again.cxi")
    assert any("take them for measured" in note for note in notes)


def test_written_again_over_our_own(tmp_path: Path, counts_npz: Path):
    for name in ("scan_dp.hdf5", "diffraction.h5", "scan.cxi", "set.npz"):
        first, _, _ = convert(counts_npz, tmp_path / name)
        again, _, _ = convert(counts_npz, tmp_path / name)
        assert first == again


def test_no_room_is_said_before_anything_is_written(
    tmp_path: Path, counts_npz: Path, monkeypatch: pytest.MonkeyPatch
):
    full = SimpleNamespace(free=1000)
    monkeypatch.setattr("shutil.disk_usage", lambda path: full)
    for name in ("scan_dp.hdf5", "diffraction.h5", "scan.cxi", "set.npz"):
        with pytest.raises(MachineError, match=r"no space left on device"):
            convert(counts_npz, tmp_path / "full" / name)
    assert list((tmp_path / "full").iterdir()) == []


def test_tiff_has_the_pixel_for_imagej(tmp_path: Path, counts_npz: Path, known: Known):
    (_, product), _, _ = convert(counts_npz, tmp_path / "diffraction.h5")
    written, said, _ = convert(product, tmp_path / "object.tif")
    assert [path.name for path in written] == ["object_phase.tif", "object_amplitude.tif"]
    assert said.endswith("pixel 10 nm (assumed)")  # as the product says: it has no energy
    with tifffile.TiffFile(written[0]) as file:
        assert file.asarray() == pytest.approx(np.angle(known.obj), abs=1e-6)
        assert file.imagej_metadata["unit"] == "um"
        per_um, whole = file.pages[0].tags["XResolution"].value
        assert per_um / whole == pytest.approx(1 / (known.pixel_m * 1e6))
    assert tifffile.imread(written[1]) == pytest.approx(np.abs(known.obj), abs=1e-6)


def test_comparison_of_ptychopinn_is_cut_to_the_scans_box(
    tmp_path: Path, counts_npz: Path, known: Known
):
    (_, product), _, _ = convert(counts_npz, tmp_path / "diffraction.h5")
    (path,), _, _ = convert(product, tmp_path / "ptychi_reconstruction.npz")
    low, high = known.positions_px.min(axis=0), known.positions_px.max(axis=0)
    with np.load(path) as arrays:
        box = arrays["reconstructed_object"]
        assert str(arrays["algorithm"]) == "Ptychodus product"
    assert box.ndim == 2
    assert np.array_equal(
        box,
        known.obj.astype(np.complex64)[
            int(np.floor(low[0])) : int(np.ceil(high[0])) + 1,
            int(np.floor(low[1])) : int(np.ceil(high[1])) + 1,
        ],
    )


def test_streamed_npz_has_the_bytes_of_numpys(tmp_path: Path, known: Known):
    from fly64tasks.data.archive import write_npz
    from fly64tasks.data.frame_stack import FrameStack

    write_npz(tmp_path / "a.npz", {"d": FrameStack.of(known.counts), "x": np.ones(3)}, {"k": 1})
    text = np.array('{"writer": "fly64tasks", "k": 1}')
    np.savez(tmp_path / "b.npz", _metadata=text, d=known.counts, x=np.ones(3))
    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()


@pytest.mark.parametrize("name", ["again.npz", "scan.cxi", "diffraction.h5", "scan_dp.hdf5"])
@pytest.mark.parametrize(
    "said", [{}, {**GEOMETRY, "assumed": True}, {**GEOMETRY, "assumed": False}]
)
def test_sizes_stay_assumed_or_measured_through_a_conversion(
    tmp_path: Path, known: Known, said: dict[str, Any], name: str
):
    path = tmp_path / "scan.npz"
    np.savez(
        path,
        diffraction=known.counts,
        probeGuess=known.probe[0],
        ycoords=known.positions_px[:, 0],
        xcoords=known.positions_px[:, 1],
        _metadata=np.array(json.dumps({"geometry": said})),
    )
    assumed = said.get("assumed", True) or name == "scan_dp.hdf5"  # which has no energy
    there, words, notes = convert(path, tmp_path / "there" / name)
    assert ("(assumed" in words) == said.get("assumed", True)
    back, words, _ = convert(there[0], tmp_path / "back.npz")
    assert ("(assumed" in words) == assumed
    for file in (there[0], back[0]):
        assert geometry_of(read_dataset(file).metadata, ASSUMED, "it").assumed is assumed
    assert bool(notes) == (said.get("assumed", True) and name != "again.npz")


def test_known_sizes_are_no_longer_assumed(tmp_path: Path, known: Known):
    odd = replace(known, counts=known.counts[:, 1:, 1:], probe=known.probe[:, 1:, 1:])
    path = tmp_path / "odd.npz"
    np.savez(
        path,
        diffraction=odd.counts,
        probeGuess=odd.probe[0],
        ycoords=odd.positions_px[:, 0],
        xcoords=odd.positions_px[:, 1],
    )
    (there,), _, notes = convert(path, tmp_path / "odd.cxi")
    assert notes == (
        "pixel 10 nm, 8800 eV (assumed, at least in part): other programs will take them for "
        "measured",
    )
    with opened(there) as (found, counts):
        assert np.array_equal(counts, odd.counts)
        assert found.positions_px - found.positions_px[0] == pytest.approx(
            odd.positions_px - odd.positions_px[0], abs=1e-6
        )
