"""Against the real ptychodus: it reads our products, and its metrics agree with ours.

The package is installed for the tests (tests/data/conftest.py).
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from small_study import SMALL_BASE

from fly64tasks.data.readers.npz import read_dataset
from fly64tasks.data.writers.product import write_product
from fly64tasks.physics import alignment, frc, image_quality
from fly64tasks.recon import command as recon
from fly64tasks.recon.files import PRODUCT, RECONSTRUCTION
from fly64tasks.recon.fit import predicted_by
from fly64tasks.recon.result import Reconstructed, read_reconstruction
from fly64tasks.score import compare
from fly64tasks.score.fit import data_fit
from fly64tasks.score.scorecard import scores_of
from fly64tasks.simulation.simulate import make_base, simulate
from fly64tasks.study.recon_settings import ReconSpec
from fly64tasks.study.stages import Geometry, ScoreSpec, SimulationSpec

FIVE = [("train", 1e3), ("train", 1e4), ("test", 1e4), ("train", 1e5), ("test", 1e5)]


@pytest.fixture(scope="module")
def five(tmp_path_factory: pytest.TempPathFactory) -> list[tuple[Path, Reconstructed]]:
    """Return the sets and reconstructions of five real jobs."""
    folder = tmp_path_factory.mktemp("five")
    make_base(folder / "base.npz", spec=SMALL_BASE, geometry=Geometry())
    made = []
    for split, dose in FIVE:
        sets = {name: folder / f"dose_{dose:g}" / f"{name}.npz" for name in ("train", "test")}
        simulate(folder / "base.npz", sets, dose=dose, spec=SimulationSpec(), geometry=Geometry())
        output = folder / f"{split}_{dose:g}"
        recon.run(sets[split], output, ReconSpec(num_epochs=25))
        made.append((sets[split], read_reconstruction(output / RECONSTRUCTION)))
    return made


def test_real_reader_loads_every_product(
    ptychodus: SimpleNamespace, five: list[tuple[Path, Reconstructed]]
):
    for _, found in five:
        product = ptychodus.io.load_product(found.path.parent / PRODUCT)
        assert np.array_equal(product.object_.get_array()[0], found.obj.astype(np.complex64))
        assert np.array_equal(product.probes.get_array()[0], found.probe.astype(np.complex64))
        assert [loss.value for loss in product.losses] == found.loss.tolist()
        assert [loss.epoch for loss in product.losses] == list(range(1, len(found.loss) + 1))
        geometry = product.object_.get_geometry()
        points = map(geometry.map_coordinates_probe_to_object, product.probe_positions)
        # ptychodus' centre of a patch of 32 px lies half a pixel before our pixel 16 of it
        read = np.array([(point.y_px + 0.5, point.x_px + 0.5) for point in points])
        assert read == pytest.approx(found.positions_px, abs=1e-6)


def test_forward_model_of_ptychodus_predicts_what_ours_does(
    ptychodus: SimpleNamespace, five: list[tuple[Path, Reconstructed]]
):
    """The product's positions mean there what they mean here, to the sub-pixel."""
    input_npz, found = five[3]
    dataset = read_dataset(input_npz)
    product = ptychodus.io.load_product(found.path.parent / PRODUCT)
    predicted = np.asarray(ptychodus.diffraction.generate_diffraction_data(product).get_patterns())
    measured = dataset.diffraction_amplitude
    predicted = predicted * ((measured**2).sum() / predicted.sum())  # its transform has a factor
    theirs = image_quality.r_factor(measured, np.sqrt(predicted))
    assert theirs == pytest.approx(data_fit(dataset, found).r_factor, rel=0.01)


def test_ptychodus_predicts_a_changing_probe_and_several_layers_as_we_do(
    ptychodus: SimpleNamespace, five: list[tuple[Path, Reconstructed]], tmp_path: Path
):
    input_npz, _ = five[3]
    settings = {"opr_modes": 2, "probe_modes": 2, "slices": 2, "slice_spacing_m": 5e-6}
    spec = ReconSpec(algorithm="LSQML", num_epochs=20, **settings)
    recon.run(input_npz, tmp_path, spec, geometry=Geometry(assumed=False))
    found = read_reconstruction(tmp_path / RECONSTRUCTION)
    assert found.relaxation is not None
    product = ptychodus.io.load_product(tmp_path / PRODUCT)
    assert np.array_equal(product.probes.get_opr_weights(), found.relaxation.weights)
    assert product.object_.num_layers == 2
    theirs = np.asarray(ptychodus.diffraction.generate_diffraction_data(product).get_patterns())
    ours = np.stack([frame**2 for frame in predicted_by(found, found.spec, found.geometry)])
    theirs = theirs * (ours.sum() / theirs.sum())
    assert image_quality.r_factor(np.sqrt(ours), np.sqrt(theirs)) < 0.005
    still = replace(found, relaxation=None, slices=None)
    plain = np.stack([frame**2 for frame in predicted_by(still, found.spec, found.geometry)])
    assert image_quality.r_factor(np.sqrt(ours), np.sqrt(plain)) > 0.02


def as_product(ptychodus: SimpleNamespace, path: Path, found: Reconstructed, obj: Any) -> Any:
    write_product(
        path,
        name=path.stem,
        comments="",
        obj=obj,
        probe=found.probe,
        positions_px=found.positions_px,
        loss=found.loss,
        geometry=found.geometry,
    )
    return ptychodus.io.load_product(path)


def largest_box(region: np.ndarray) -> tuple[slice, slice]:
    """Return the bounding box, trimmed evenly until all of it is region."""
    rows, columns = alignment.bounding_box(region)
    while not region[rows, columns].all():
        rows = slice(rows.start + 1, rows.stop - 1)
        columns = slice(columns.start + 1, columns.stop - 1)
    return rows, columns


@pytest.fixture(scope="module")
def compared(
    ptychodus: SimpleNamespace,
    five: list[tuple[Path, Reconstructed]],
    tmp_path_factory: pytest.TempPathFactory,
) -> list[tuple[compare.Comparison, Any]]:
    """Return our comparison and theirs of each."""
    folder = tmp_path_factory.mktemp("products")
    pairs = []
    for input_npz, found in five:
        ours = compare.compare(read_dataset(input_npz), found, ScoreSpec())
        theirs = ptychodus.metrics.compute_object_comparison(
            as_product(ptychodus, folder / "truth.h5", found, ours.truth),
            as_product(ptychodus, folder / "found.h5", found, found.obj),
            weights=ours.region.astype(float),
        )
        pairs.append((ours, theirs))
    return pairs


def box_region(ours: compare.Comparison) -> tuple[tuple[slice, slice], np.ndarray]:
    box = largest_box(ours.region)
    region = np.zeros_like(ours.region)
    region[box] = True
    return box, region


def values_in(
    region: np.ndarray, aligned: alignment.Alignment, ours: compare.Comparison
) -> dict[str, float]:
    """Return the scores of an aligned object in a region of its own."""
    spec = ScoreSpec(ms_ssim_scales=1)
    return scores_of(replace(ours, region=region, aligned=aligned, spec=spec)).values


def test_scale_agrees_to_two_per_cent_and_our_fit_is_never_the_worse(
    compared: list[tuple[compare.Comparison, Any]],
):
    for ours, theirs in compared:
        scale = 1 / theirs.ambiguities.object_scale_factor
        assert scale == pytest.approx(abs(ours.aligned.scale), rel=0.02)
        errors = [
            image_quality.complex_nrmse(obj, ours.truth, ours.region)
            for obj in (ours.aligned.obj, theirs.test_complex)
        ]
        assert errors[0] <= errors[1]
        assert errors[0] == pytest.approx(errors[1], rel=0.05)


def test_same_aligned_pair_has_the_same_ssim_psnr_and_frc(
    ptychodus: SimpleNamespace, compared: list[tuple[compare.Comparison, Any]]
):
    crossings = 0
    for ours, theirs in compared:
        box, region = box_region(ours)
        values = values_in(region, replace(ours.aligned, obj=theirs.test_complex), ours)
        for name, (ssim, psnr) in their_scores(ptychodus, theirs, box).items():
            assert ssim == pytest.approx(values[f"{name}_ssim"], rel=1e-4)
            assert psnr == pytest.approx(values[f"{name}_psnr_db"], rel=1e-4)
        window = frc.soft_window(region, 8.0)
        rings = frc.ring_correlation(theirs.test_complex[box], ours.truth[box], window)
        curve = ptychodus.metrics.compute_fourier_ring_correlation(
            theirs.reference_complex[box], theirs.test_complex[box], 1.0, 1.0, window=window
        )
        # it has one more ring, cut by Nyquist, and labels a ring with its inner edge where we take
        # the mean of its pixels (docs/scores.md)
        n = len(rings.correlation)
        assert curve.correlation[:n] == pytest.approx(rings.correlation, abs=1e-5)
        edges = replace(rings, frequency_cycles_per_px=curve.spatial_frequency_per_m[:n])
        crossing = edges.crossing(0.5)
        if crossing:  # neither above up to Nyquist nor never above
            crossings += 1
            assert 1 / curve.get_resolution_m(0.5) == pytest.approx(crossing, rel=1e-4)
    assert crossings >= 2


def test_each_alignment_of_its_own_gives_psnr_to_four_per_cent(
    ptychodus: SimpleNamespace, compared: list[tuple[compare.Comparison, Any]]
):
    """SSIM follows the last hundredths of a pixel and of the ramp more closely."""
    for ours, theirs in compared:
        box, region = box_region(ours)
        values = values_in(region, ours.aligned, ours)
        for name, (ssim, psnr) in their_scores(ptychodus, theirs, box).items():
            assert psnr == pytest.approx(values[f"{name}_psnr_db"], rel=0.04)
            assert ssim == pytest.approx(values[f"{name}_ssim"], rel=0.07)


def their_scores(
    ptychodus: SimpleNamespace, theirs: Any, box: tuple[slice, slice]
) -> dict[str, tuple[float, float]]:
    """Return SSIM and PSNR of phase and of amplitude, by ptychodus."""
    pairs = {
        "phase": (theirs.reference_phase[box], theirs.test_phase[box]),
        "amplitude": (theirs.reference_amplitude[box], theirs.test_amplitude[box]),
    }
    return {
        name: (
            ptychodus.metrics.compute_structural_similarity(*pair),
            ptychodus.metrics.compute_peak_signal_to_noise_ratio(*pair),
        )
        for name, pair in pairs.items()
    }
