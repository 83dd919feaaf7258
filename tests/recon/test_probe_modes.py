"""A probe of several modes: taken by every algorithm, kept, and said."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from fly64tasks.data.readers.npz import read_dataset
from fly64tasks.data.writers.npz import write_dataset
from fly64tasks.recon.command import run
from fly64tasks.recon.files import RECONSTRUCTION
from fly64tasks.recon.result import read_reconstruction
from fly64tasks.simulation.simulate import simulate_amplitude
from fly64tasks.study.algorithms import ALGORITHMS
from fly64tasks.study.recon_settings import ReconSpec


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_every_algorithm_reconstructs_modes(
    algorithm: str, small_sets: dict[str, Path], tmp_path: Path
):
    epochs = 10 if algorithm == "BH" else 3  # its first steps overshoot
    spec = ReconSpec(algorithm=algorithm, num_epochs=epochs, probe_modes=3)  # type: ignore[arg-type]
    record = run(small_sets["train"], tmp_path, spec, device="cpu")
    probe = read_reconstruction(tmp_path / RECONSTRUCTION).probe
    assert probe.shape == (3, 32, 32)
    power = (np.abs(probe) ** 2).sum(axis=(1, 2))
    assert record["found"]["probe_mode_shares"] == pytest.approx(power / power.sum())
    assert (power > 0).all()
    assert record["spec"]["probe_modes"] == 3


def test_modes_lower_the_misfit_of_a_partly_coherent_beam(partly_coherent: Path, tmp_path: Path):
    chi2 = {
        modes: run(partly_coherent, tmp_path / str(modes), spec, device="cpu")["fit"]["chi2"]
        for modes in (1, 5)
        if (spec := ReconSpec(probe_modes=modes, num_epochs=60))
    }
    assert chi2[1] > 1.5
    assert chi2[5] - 1 < 0.6 * (chi2[1] - 1)


@pytest.fixture
def partly_coherent(small_sets: dict[str, Path], tmp_path: Path) -> Path:
    """The set as from a source as large as the detector's pixel; it says one mode."""
    dataset = read_dataset(small_sets["train"])
    probe = dataset.probe_guess[0].astype(complex) * 10  # 1e6 photons
    y, x = np.indices(probe.shape) - probe.shape[0] // 2
    tilts = [(i, j) for i in (-1, 0, 1) for j in (-1, 0, 1)]
    beam = np.stack([probe * np.exp(2j * np.pi * 2 / 32 * (i * y + j * x)) / 3 for i, j in tilts])
    amplitude = simulate_amplitude(
        beam, dataset.object_guess, dataset.positions_px, np.random.default_rng(0)
    )
    path = tmp_path / "partly.npz"
    write_dataset(path, replace(dataset, diffraction_amplitude=amplitude))
    return path
