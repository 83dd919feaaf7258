"""OPR modes and slices: where pty-chi has them, handed on, kept, predicted as pty-chi does."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import h5py
import msgspec
import numpy as np
import pytest
import torch
from small_study import ONE_DOSE, SMALL_STUDY, doit, new_project

from fly64tasks import runner
from fly64tasks.api import read_reconstruction
from fly64tasks.data.dataset import PtychoDataset
from fly64tasks.data.readers import read_dataset
from fly64tasks.data.writers.npz import write_dataset
from fly64tasks.errors import DatasetError, StudyError
from fly64tasks.physics.multislice import exit_waves, transfer_function
from fly64tasks.physics.optics import diffraction_intensity
from fly64tasks.physics.relaxation import Relaxation
from fly64tasks.recon.command import run
from fly64tasks.recon.files import PRODUCT
from fly64tasks.recon.ptychi.options import ptychi_options
from fly64tasks.recon.ptychi.task import new_task
from fly64tasks.recon.start import start_of
from fly64tasks.score.command import score
from fly64tasks.score.files import COMPARISON
from fly64tasks.simulation.simulate import simulate_amplitude
from fly64tasks.study.algorithms import ALGORITHMS
from fly64tasks.study.recon_settings import ReconSpec
from fly64tasks.study.spec import parse_spec
from fly64tasks.study.stages import Geometry, ScoreSpec

MEASURED = Geometry(assumed=False)
LAYERS = {"slices": 3, "slice_spacing_m": 5e-6}
RELAXING = ("LSQML", "EPIE", "RPIE", "AD")


@pytest.fixture
def measured_sizes(small_set: PtychoDataset, tmp_path: Path) -> Path:
    """The set as one that knows its pixel size and energy."""
    path = tmp_path / "measured.npz"
    metadata = {**small_set.metadata, "geometry": MEASURED.to_dict()}
    write_dataset(path, replace(small_set, metadata=metadata))
    return path


@pytest.mark.parametrize("algorithm", RELAXING)
def test_every_algorithm_that_has_them_finds_opr_modes(
    algorithm: Any, small_sets: dict[str, Path], tmp_path: Path
):
    spec = ReconSpec(algorithm=algorithm, num_epochs=3, opr_modes=2, probe_modes=2)
    record = run(small_sets["train"], tmp_path, spec, device="cpu")
    found = read_reconstruction(tmp_path)
    assert found.relaxation is not None
    assert found.probe.shape == (2, 32, 32)
    assert found.relaxation.modes.shape == (2, 32, 32)
    assert found.relaxation.weights.shape == (len(found.positions_px), 3)
    assert (found.relaxation.weights[:, 1:].std(axis=0) > 1e-5).all()
    shares = found.relaxation.shares(found.probe)
    assert record["found"]["opr_mode_shares"] == pytest.approx(shares)
    norms = np.linalg.norm(found.relaxation.modes, axis=(1, 2))
    assert norms == pytest.approx(np.linalg.norm(found.probe[0]), rel=1e-5)
    photons = np.mean(
        [(np.abs(probe) ** 2).sum() for probe in found.relaxation.probes(found.probe)]
    )
    assert photons == pytest.approx(record["scale"]["probe_photons_per_frame"], rel=1e-5)


@pytest.mark.parametrize("algorithm", ["LSQML", "PIE", "EPIE", "AD"])
def test_every_algorithm_that_has_them_finds_layers(
    algorithm: Any, measured_sizes: Path, tmp_path: Path
):
    spec = ReconSpec(algorithm=algorithm, num_epochs=3, **LAYERS)
    record = run(measured_sizes, tmp_path, spec, device="cpu")
    found = read_reconstruction(tmp_path)
    assert found.slices is not None
    assert found.slices.shape == (3, *found.obj.shape)
    assert (np.abs(found.slices - 1).max(axis=(1, 2)) > 1e-3).all()
    np.testing.assert_allclose(found.slices.prod(axis=0), found.obj, rtol=1e-5)
    assert record["found"] == {"slices": 3}


REFUSED = [
    ({"opr_modes": 2}, "opr_modes is 2, expected 0 for MAP: use one of LSQML, EPIE, RPIE, AD"),
    (
        {"opr_modes": 2, "algorithm": "LSQML", "refine": "MAP"},
        'opr_modes is 2, expected 0 for refine = "MAP": use refine = "LSQML"',
    ),
    ({"opr_modes": 1, "algorithm": "PIE"}, "opr_modes is 1, expected 0 for PIE: use one of"),
    ({"opr_modes": 1, "algorithm": "DM"}, "opr_modes is 1, expected 0 for DM: use one of LSQML"),
    ({"opr_modes": 1, "algorithm": "BH"}, "opr_modes is 1, expected 0 for BH: use one of LSQML"),
    (
        {"opr_modes": 1, "algorithm": "LSQML", "update_probe": False},
        "opr_modes is 1 with update_probe false, expected true",
    ),
    (
        {"opr_modes": 1, "algorithm": "EPIE", "batch_size": 1},
        "opr_modes is 1 with batch_size 1, expected at least 2",
    ),
    (
        {"opr_modes": 1, "algorithm": "LSQML", "warmup_batch_size": 1},
        "opr_modes is 1 with warmup_batch_size 1, expected at least 2",
    ),
    (LAYERS, "slices is 3, expected 1 for MAP: use one of LSQML, PIE, EPIE, RPIE, AD"),
    (
        {**LAYERS, "algorithm": "LSQML", "refine": "MAP"},
        'slices is 3, expected 1 for refine = "MAP": use refine = "LSQML"',
    ),
    ({**LAYERS, "algorithm": "DM"}, "slices is 3, expected 1 for DM: use one of LSQML"),
    ({**LAYERS, "algorithm": "BH"}, "slices is 3, expected 1 for BH: use one of LSQML"),
    ({"slices": 2, "algorithm": "LSQML"}, "slices is 2 without slice_spacing_m, expected the dis"),
    ({"slice_spacing_m": 1e-6}, "slice_spacing_m is 1e-06 with one slice, expected slices of 2"),
]


@pytest.mark.parametrize(("table", "said"), REFUSED, ids=lambda value: str(value)[:40])
def test_what_can_not_be_done_is_refused_by_name(table: dict[str, Any], said: str):
    with pytest.raises(StudyError) as caught:
        parse_spec(ReconSpec, table, "study.toml")
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


def test_every_algorithm_finds_them_or_refuses_them():
    for name in ALGORITHMS:
        for table, having in (({"opr_modes": 1}, RELAXING), (LAYERS, (*RELAXING, "PIE"))):
            if name in having:
                parse_spec(ReconSpec, {**table, "algorithm": name}, "study.toml")
            else:
                with pytest.raises(StudyError, match=f"expected . for {name}: use one of"):
                    parse_spec(ReconSpec, {**table, "algorithm": name}, "study.toml")


def test_dry_run_and_runner_refuse_in_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    study = SMALL_STUDY.replace("num_epochs = 3", 'algorithm = "DM"\nopr_modes = 2')
    folder = new_project(tmp_path / "study", study)
    exit_code, out, err = doit_any(folder, "-n")
    assert exit_code != 0
    said = "opr_modes is 2, expected 0 for DM: use one of LSQML, EPIE, RPIE, AD"
    assert said in out + err
    assert "Traceback" not in out + err
    study = SMALL_STUDY.replace(
        "num_epochs = 3", 'algorithm = "LSQML"\nslices = 2\nslice_spacing_m = 5e-6'
    )
    (folder / "study.toml").write_text(study)
    exit_code, out, err = doit_any(folder, "-n")
    assert exit_code != 0
    assert "recon: slices = 2 asks for pixel size and photon energy, found assumed" in out + err
    assert "Traceback" not in out + err
    options = ["--input", "none.npz", "--output-dir", str(tmp_path / "out")]
    assert runner.main([*options, "--slices", "2", "--slice-spacing-m", "1e-6"]) != 0
    assert "slices is 2, expected 1 for MAP" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def doit_any(folder: Path, *arguments: str) -> tuple[int, str, str]:
    """Run doit, however it exits."""
    import warm
    from small_study import _doit

    found: tuple[int, str, str] = warm.call(_doit, folder, arguments)
    return found


def test_layers_of_a_set_whose_sizes_nobody_knows_are_refused(
    small_sets: dict[str, Path], tmp_path: Path
):
    spec = ReconSpec(algorithm="LSQML", **LAYERS)
    with pytest.raises(DatasetError, match="slices = 3 asks for pixel size and photon energy, fou"):
        run(small_sets["train"], tmp_path / "out", spec, device="cpu")
    assert not (tmp_path / "out").exists()


def test_frames_are_predicted_as_ptychi_predicts_them(small_set: PtychoDataset):
    """A probe that changes and an object of three layers, at positions between pixels."""
    rng = np.random.default_rng(0)
    spec = ReconSpec(algorithm="LSQML", opr_modes=2, **LAYERS).resolved().stages()[0]
    start = start_of(small_set, spec, "set", MEASURED)
    n = len(start.frames)
    noise = rng.standard_normal((2, 3, *start.obj.shape))
    slices = (1 + 0.2 * (noise[0] + 1j * noise[1])).astype(np.complex64)
    probe = start.scale.to_ptychi(start.probe)
    weights = np.concatenate([np.ones((n, 1)), 0.02 * rng.standard_normal((n, 2))], axis=1)
    assert start.relaxation is not None
    relaxation = Relaxation(start.relaxation.modes, weights.astype(np.float32))
    options = ptychi_options(start, spec, "cpu")
    with new_task(options, start, slices, probe, None, relaxation) as task, torch.no_grad():
        expected = task.reconstructor.forward_model.forward(torch.arange(n)).numpy()
    size = probe.shape[-1]
    transfer = transfer_function(size, LAYERS["slice_spacing_m"], MEASURED)
    found = frames_of(
        exit_waves(
            probe * size,
            slices,
            start.positions_px,
            relaxation=relaxation.scaled(size),
            transfer=transfer,
        )
    )
    np.testing.assert_allclose(found, expected, atol=2e-4 * expected.max())
    still = frames_of(exit_waves(probe * size, slices, start.positions_px))
    assert np.abs(still - expected).max() > 0.05 * expected.max()


def frames_of(exit_waves: Iterable[np.ndarray]) -> np.ndarray:
    """Return the intensity of each frame, zero frequency in the corner."""
    blocks = [diffraction_intensity(waves) for waves in exit_waves]
    return np.fft.ifftshift(np.concatenate(blocks), axes=(1, 2))


@pytest.fixture
def drifting(small_set: PtychoDataset, tmp_path: Path) -> Path:
    """The set of a beam that swings between two modes, at 1e6 photons."""
    probe, obj = small_set.probe_guess.astype(complex) * 10, small_set.object_guess
    assert obj is not None
    x = np.indices(probe.shape[1:])[1] - probe.shape[-1] // 2
    n = len(small_set.positions_px)
    swing = 0.06 * np.sin(4 * np.pi * np.arange(n) / n)
    amplitude = [
        simulate_amplitude(
            probe * (1 + weight * x), obj.astype(complex), position[None], np.random.default_rng(i)
        )
        for i, (weight, position) in enumerate(zip(swing, small_set.positions_px, strict=True))
    ]
    path = tmp_path / "drifting.npz"
    write_dataset(path, replace(small_set, diffraction_amplitude=np.concatenate(amplitude)))
    return path


def test_opr_modes_lower_the_misfit_of_a_drifting_beam(drifting: Path, tmp_path: Path):
    n = len(read_dataset(drifting).positions_px)
    swing = np.sin(4 * np.pi * np.arange(n) / n)
    chi2 = {}
    for modes in (0, 1):
        spec = ReconSpec(algorithm="LSQML", num_epochs=60, opr_modes=modes)
        record = run(drifting, tmp_path / str(modes), spec, device="cpu")
        chi2[modes] = record["fit"]["chi2"]
        scored = score(drifting, tmp_path / str(modes), ScoreSpec())
        assert scored["fit"]["chi2"] == pytest.approx(chi2[modes])
    assert chi2[1] < 0.5 * chi2[0]
    found = read_reconstruction(tmp_path / "1").relaxation
    assert found is not None
    assert abs(np.corrcoef(found.weights[:, 1], swing)[0, 1]) > 0.9


def test_two_layers_are_told_apart(small_set: PtychoDataset, tmp_path: Path):
    """Half of the object, and half of it turned round 20 um behind, at 1e6 photons."""
    assert small_set.object_guess is not None
    obj = small_set.object_guess.astype(complex)
    half = np.abs(obj) ** 0.5 * np.exp(0.5j * np.angle(obj))
    layers = np.stack([half, half[::-1, ::-1]])
    transfer = transfer_function(32, 20e-6, MEASURED)
    probe = small_set.probe_guess.astype(complex) * 10
    waves = exit_waves(probe, layers, small_set.positions_px, transfer=transfer)
    expected = np.concatenate([diffraction_intensity(block) for block in waves])
    counts = np.random.default_rng(0).poisson(expected)
    thick = replace(small_set, diffraction_amplitude=np.sqrt(counts).astype(np.float32))
    write_dataset(tmp_path / "set.npz", thick)
    chi2 = {}
    for settings in ({"slices": 1}, {"slices": 2, "slice_spacing_m": 20e-6}):
        spec = ReconSpec(algorithm="LSQML", num_epochs=60, warmup_epochs=60, **settings)
        folder = tmp_path / str(spec.slices)
        record = run(tmp_path / "set.npz", folder, spec, device="cpu", geometry=MEASURED)
        chi2[spec.slices] = record["fit"]["chi2"]
    assert chi2[1] > 3
    assert chi2[2] < 1.2
    found = read_reconstruction(tmp_path / "2").slices
    assert found is not None
    seen = slice(20, 60), slice(25, 90)
    phases = [np.angle(layer[seen]).ravel() for layer in (*found, *layers)]
    alike = np.corrcoef(phases)[:2, 2:]
    assert (np.diagonal(alike) > 0.85).all()
    assert (np.abs(alike[[0, 1], [1, 0]]) < 0.4).all()


def test_all_is_kept_in_both_files_and_drawn(measured_sizes: Path, tmp_path: Path):
    spec = ReconSpec(algorithm="LSQML", num_epochs=3, opr_modes=2, probe_modes=2, **LAYERS)
    run(measured_sizes, tmp_path / "out", spec, device="cpu")
    found = read_reconstruction(tmp_path / "out")
    assert found.relaxation is not None
    assert found.slices is not None
    with h5py.File(tmp_path / "out" / PRODUCT) as product:
        np.testing.assert_allclose(product["object"][:], found.slices)
        assert product["object_layer_spacing_m"][:].tolist() == [5e-6, 5e-6]
        np.testing.assert_allclose(product["probe"][0], found.probe)
        np.testing.assert_allclose(product["probe"][1:, 0], found.relaxation.modes)
        assert not product["probe"][1:, 1].any()
        np.testing.assert_array_equal(product["opr_weights"][:], found.relaxation.weights)
        photons = product.attrs["probe_photon_count"]
    assert photons == pytest.approx(found.relaxation.mean_power(found.probe), rel=1e-5)
    score(measured_sizes, tmp_path / "out", ScoreSpec())
    plain = ReconSpec(algorithm="LSQML", num_epochs=3)
    run(measured_sizes, tmp_path / "plain", plain, device="cpu")
    score(measured_sizes, tmp_path / "plain", ScoreSpec())
    heights = [height_px(tmp_path / name / COMPARISON) for name in ("plain", "out")]
    assert heights[1] > heights[0] + 200


def height_px(path: Path) -> int:
    """Return the height of a PNG."""
    return int.from_bytes(path.read_bytes()[20:24], "big")


@pytest.mark.slow
def test_study_with_all_of_it_runs_to_its_report_and_verifies(tmp_path: Path):
    recon = 'algorithm = "LSQML"\nnum_epochs = 6\nopr_modes = 1\nslices = 2\nslice_spacing_m = 5e-6'
    study = ONE_DOSE.replace("num_epochs = 3", recon) + "\n[geometry]\nassumed = false\n"
    folder = new_project(tmp_path / "study", study)
    doit(folder)
    page = (folder / "reports" / "index.html").read_text("utf-8")
    assert page.count("Shares of its OPR modes") == 6
    assert page.count("2; scores are of their product") == 6
    doit(folder, "verify")


def test_a_damaged_relaxation_is_named(small_sets: dict[str, Path], tmp_path: Path):
    spec = ReconSpec(algorithm="LSQML", num_epochs=1, opr_modes=1)
    run(small_sets["train"], tmp_path, spec, device="cpu")
    path = tmp_path / "reconstruction.npz"
    arrays = dict(np.load(path))
    np.savez(path, **{**arrays, "opr_weights": arrays["opr_weights"][:-1]})
    with pytest.raises(
        DatasetError, match=r"opr_weights has shape \(\d+, 2\), expected \(\d+, 2\)"
    ):
        read_reconstruction(path)


def test_settings_left_at_their_defaults_are_not_said():
    assert not {"opr_modes", "slices", "slice_spacing_m"} & ReconSpec().to_dict().keys()
    assert msgspec.structs.replace(ReconSpec(), slices=1) == ReconSpec()
