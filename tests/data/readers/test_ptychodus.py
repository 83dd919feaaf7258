"""Ptychodus' files, written by ptychodus itself."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import h5py
import numpy as np
import pytest
from measured import Known, holds, opened

from fly64tasks.convert import convert
from fly64tasks.data.readers import read_dataset
from fly64tasks.errors import DatasetError
from fly64tasks.recon import command as recon
from fly64tasks.study.recon_settings import ReconSpec


def product_of(ptychodus: SimpleNamespace, known: Known, **settings: Any) -> Any:
    """Return a product whose positions are where `known` has pixel N // 2 of each patch."""
    pixels = ptychodus.geometry.PixelGeometry(known.pixel_m, known.pixel_m)
    obj = ptychodus.object.Object(
        array=known.obj,
        pixel_geometry=pixels,
        center=ptychodus.object.ObjectCenter(3e-6, -2e-6),
        layer_spacing_m=[],
    )
    geometry = obj.get_geometry()
    middle = known.positions_px - 0.5  # of a patch of an even number of pixels
    points = [
        geometry.map_coordinates_object_to_probe(ptychodus.object.ObjectPosition(index, x, y))
        for index, (y, x) in enumerate(middle)
    ]
    return ptychodus.product.Product(
        metadata=ptychodus.product.ProductMetadata(
            **{
                "name": "scan",
                "comments": "",
                "detector_distance_m": known.distance_m,
                "photon_energy_eV": known.energy_ev,
                "probe_photon_count": 0.0,
                "exposure_time_s": 0.0,
                "mass_attenuation_m2_per_kg": 0.0,
                "tomography_angle_deg": 0.0,
                **settings,
            }
        ),
        probe_positions=ptychodus.positions.ProbePositionSequence(points),
        probes=ptychodus.probe.ProbeSequence(
            array=known.probe, opr_weights=None, pixel_geometry=pixels
        ),
        object_=obj,
        losses=[],
    )


def save(folder: Path, ptychodus: SimpleNamespace, known: Known, **settings: Any) -> None:
    pixels = ptychodus.geometry.PixelGeometry(known.detector_pixel_m, known.detector_pixel_m)
    data = ptychodus.assemble.AssembledDiffractionData(
        np.arange(len(known.counts)), known.counts, pixels, ~known.mask
    )
    ptychodus.io.save_diffraction_data(folder / "diffraction.h5", data)
    ptychodus.io.save_product(folder / "product.h5", product_of(ptychodus, known, **settings))


@pytest.mark.parametrize("named", ["diffraction.h5", "product.h5"])
def test_diffraction_and_product(
    tmp_path: Path, known: Known, ptychodus: SimpleNamespace, named: str
):
    save(tmp_path, ptychodus, known)
    found = holds(tmp_path / named, known, absolute=True)
    assert np.array_equal(found.obj, known.obj)


def test_they_are_joined_by_index(tmp_path: Path, known: Known, ptychodus: SimpleNamespace):
    save(tmp_path, ptychodus, known)
    with h5py.File(tmp_path / "diffraction.h5", "r+") as file:
        indexes = file["indexes"][()]
        file["indexes"][...] = indexes[::-1]
        file["indexes"][0] = 9999
    with opened(tmp_path / "diffraction.h5") as (found, counts):
        assert np.array_equal(counts, known.counts[1:])
        expected = known.positions_px[::-1][1:]
        assert found.positions_px == pytest.approx(expected, abs=1e-6)
        assert found.notes == (
            "1 frames without a position are left out",
            "1 positions without a frame are left out",
        )


def test_near_field_product_is_refused_by_name(
    tmp_path: Path, known: Known, ptychodus: SimpleNamespace
):
    save(tmp_path, ptychodus, known, far_field=False)
    with pytest.raises(DatasetError, match=r"product.h5: is a near-field product"):
        read_dataset(tmp_path / "diffraction.h5")


def test_diffraction_alone_says_what_is_missing(
    tmp_path: Path, known: Known, ptychodus: SimpleNamespace
):
    save(tmp_path, ptychodus, known)
    (tmp_path / "product.h5").unlink()
    with pytest.raises(DatasetError, match=r"frames without positions, expected .* as product.h5"):
        read_dataset(tmp_path / "diffraction.h5")


def masked_input(ptychodus: SimpleNamespace, known: Known) -> tuple[Any, Known]:
    """Return what Ptychodus trains on, with 0 counts in bad pixels, and what is known of it."""
    counts = np.where(known.mask, known.counts, 0)
    product = product_of(ptychodus, known)
    given = ptychodus.reconstruct.ReconstructInput(counts, ~known.mask, product)
    return given, Known(counts, known.positions_px, known.probe, known.obj)


def test_training_set(tmp_path: Path, known: Known, ptychodus: SimpleNamespace):
    path = tmp_path / "training.h5"
    given, masked = masked_input(ptychodus, known)
    ptychodus.io.save_training_data(path, given, inpaint_bad_pixels=False)
    holds(path, masked, absolute=True)


def test_training_set_for_ptychopinn(tmp_path: Path, known: Known, ptychodus: SimpleNamespace):
    path = tmp_path / "ptychopinn.npz"
    given, masked = masked_input(ptychodus, known)
    ptychodus.io.save_ptychopinn_training_data(path, given, inpaint_bad_pixels=False)
    holds(path, masked, sizes=False, energy=False)


def test_product_of_ours_has_the_frames_of_its_set(
    tmp_path: Path, small_sets: dict[str, Path], known: Known
):
    source = Path(shutil.copy(small_sets["train"], tmp_path / "set.npz"))
    output = tmp_path / "out"
    recon.run(source, output, ReconSpec(num_epochs=2))
    with opened(output / "product.h5") as (found, counts):
        assert np.array_equal(counts, known.counts)
        assert found.positions_px == pytest.approx(known.positions_px, abs=1e-6)
        assert found.obj is not None
    written, said, _ = convert(output / "product.h5", tmp_path / "again.npz")
    assert "from product of ours" in said
    assert read_dataset(written[0]).object_guess is not None
    record = json.loads((output / "run.json").read_text())
    source.unlink()
    with pytest.raises(DatasetError, match=f"was made from {record['input']['path']}"):
        read_dataset(output / "product.h5")
