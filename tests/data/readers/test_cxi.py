"""CXI, written by cdtools, by ptychodus and by h5py from the format's text."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import h5py
import numpy as np
import pytest
import torch
import written
from measured import Known, holds

from fly64tasks.data.readers import open_measurement, read_dataset
from fly64tasks.errors import DatasetError


def test_by_the_text_of_the_format(tmp_path: Path, known: Known):
    holds(written.cxi(tmp_path, known), known, probe=False)


@pytest.mark.parametrize("turned", [False, True])
def test_positions_are_where_cdtools_puts_them(
    tmp_path: Path, known: Known, cdtools: SimpleNamespace, turned: bool
):
    """Also for a detector whose rows go along +x and columns along -y."""
    size = known.detector_pixel_m
    basis = np.array([[0, -size, 0], [-size, 0, 0]]).T
    if turned:
        basis = np.array([[size, 0, 0], [0, -size, 0]]).T
    wave_basis = cdtools.initializers.exit_wave_geometry(
        torch.tensor(basis), known.counts.shape[1:], known.wavelength_m, known.distance_m
    )
    wave_basis = wave_basis[0] if isinstance(wave_basis, tuple) else wave_basis
    # the probe's places in the laboratory, from those in pixels
    places = (known.positions_px - known.positions_px.mean(axis=0)) @ np.asarray(wave_basis).T
    path = tmp_path / "cdtools.cxi"
    with cdtools.data.create_cxi(path) as file:
        cdtools.data.add_source(file, known.wavelength_m)
        cdtools.data.add_detector(file, known.distance_m, basis)
        cdtools.data.add_mask(file, known.mask)
        cdtools.data.add_data(file, known.counts)
        cdtools.data.add_ptycho_translations(file, places)
    with h5py.File(path) as file:
        read = cdtools.data.get_ptycho_translations(file)
    theirs = np.asarray(
        cdtools.interactions.translations_to_pixel(
            wave_basis, torch.tensor(read, dtype=torch.float64)
        )
    )
    with open_measurement(path) as found:
        ours = found.positions_px - found.positions_px.mean(axis=0)
        # cdtools writes wavelength and distance in single precision
        assert ours == pytest.approx(theirs - theirs.mean(axis=0), abs=1e-4)
        assert np.array_equal(found.frames.array(), known.counts)
        assert np.array_equal(found.mask, known.mask)
        assert found.energy_ev == pytest.approx(known.energy_ev, rel=1e-6)


def test_of_ptychodus(tmp_path: Path, known: Known, ptychodus: SimpleNamespace):
    pixels = ptychodus.geometry.PixelGeometry(known.detector_pixel_m, known.detector_pixel_m)
    metadata = ptychodus.datasets.DiffractionMetadata(
        num_patterns_per_array=[len(known.counts)],
        pattern_dtype=known.counts.dtype,
        detector_distance_m=known.distance_m,
        detector_extent=ptychodus.geometry.ImageExtent(known.size, known.size),
        detector_pixel_geometry=pixels,
        photon_energy_eV=known.energy_ev,
    )
    array = ptychodus.datasets.SimpleDiffractionArray(
        "scan", np.arange(len(known.counts)), known.counts
    )
    tree = ptychodus.datasets.DiffractionDatasetLayoutNode.create_root()
    dataset = ptychodus.datasets.SimpleDiffractionDataset(
        metadata, tree, [array], bad_pixels=~known.mask
    )
    path = tmp_path / "diffraction.cxi"
    ptychodus.cxi.CXIDiffractionFileWriter().write(path, dataset)
    with pytest.raises(DatasetError, match="translation is missing"), open_measurement(path):
        pass
    y, x = known.relative_m.T
    with h5py.File(path, "r+") as file:  # its own product file has them there
        file["entry_1/sample_1/geometry_1/translation"] = np.column_stack([x, y, 0 * x])
    holds(path, known, probe=False)


def test_dark_is_taken_off_and_a_stack_of_masks_is_one(tmp_path: Path, known: Known):
    path = written.cxi(tmp_path, known)
    with h5py.File(path, "r+") as file:
        detector = file["entry_1/instrument_1/detector_1"]
        detector["data_dark"] = np.full((5, known.size, known.size), 3.0)
        mask = detector["mask"][()]
        del detector["mask"]
        detector["mask"] = np.broadcast_to(mask, known.counts.shape)
    with open_measurement(path) as found:
        expected = np.maximum(known.counts.astype(int) - 3, 0)
        assert np.array_equal(found.frames.array(), expected)
        assert np.array_equal(found.mask, known.mask)


def test_energy_of_nexus_is_the_beams_and_a_rings_is_refused(tmp_path: Path, known: Known):
    path = written.cxi(tmp_path, known)
    with h5py.File(path, "r+") as file:
        instrument = file["entry_1/instrument_1"]
        del instrument["source_1/energy"]
        instrument["source_1/energy"] = 3.0
        instrument["source_1/energy"].attrs["units"] = "GeV"
        instrument["beam_1/incident_beam_energy"] = known.energy_ev / 1e3
        instrument["beam_1/incident_beam_energy"].attrs["units"] = "keV"
    holds(path, known, probe=False)
    with h5py.File(path, "r+") as file:
        del file["entry_1/instrument_1/beam_1"]
        del file["entry_1/instrument_1/source_1/energy"]
        file["entry_1/instrument_1/source_1/energy"] = 3e9
    with pytest.raises(DatasetError, match=r"is 3e\+09 eV, expected a photon's: a ring's"):
        read_dataset(path)


def test_metres_without_a_distance_are_refused(tmp_path: Path, known: Known):
    path = written.cxi(tmp_path, known)
    with h5py.File(path, "r+") as file:
        del file["entry_1/instrument_1/detector_1/distance"]
    with pytest.raises(DatasetError, match="says no distance"):
        read_dataset(path)
    with h5py.File(path, "r+") as file:
        corner = [0.001, 0.002, known.distance_m]
        file["entry_1/instrument_1/detector_1/corner_position"] = corner
    holds(path, known, probe=False)


def test_probe_that_is_guessed_is_said_to_be(tmp_path: Path, known: Known):
    dataset = read_dataset(written.cxi(tmp_path, known))
    assert "CXI holds no probe: one is guessed from the mean frame, in focus" in dataset.warnings[0]
    good = (known.counts * known.mask).mean(axis=0).sum()
    assert (np.abs(dataset.probe_guess) ** 2).sum() == pytest.approx(good, rel=1e-5)
