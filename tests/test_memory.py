"""The memory of a job beside its set, and of many jobs in one process."""

from __future__ import annotations

import gc
import json
import math
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from resident import resident_bytes

from fly64tasks.data.readers.npz import read_dataset
from fly64tasks.physics import optics
from fly64tasks.recon import command as recon
from fly64tasks.recon.files import RECONSTRUCTION
from fly64tasks.recon.result import read_reconstruction
from fly64tasks.score import command as score
from fly64tasks.simulation.simulate import simulate_amplitude
from fly64tasks.study.recon_settings import ReconSpec
from fly64tasks.study.stages import BaseSpec, Geometry, ScoreSpec

SETTLED = 20
"""Jobs until allocators and thread pools have what they keep."""


def after_each_job(sets: dict[str, Path], folder: Path, jobs: int) -> list[int]:
    """Reconstruct and score so many times; return the resident memory after each, in bytes."""
    found = []
    for job in range(jobs):
        source = sets["train" if job % 2 else "test"]
        spec = ReconSpec(num_epochs=2, n_images=12 + job % 8, seed=job)
        recon.run(source, folder, spec, device="cpu")
        scores, _ = score.assess(
            read_reconstruction(folder / RECONSTRUCTION), read_dataset(source), ScoreSpec()
        )
        assert scores["metrics"]["complex_nrmse"] is not None
        gc.collect()
        found.append(resident_bytes())
    return found


def test_a_few_jobs_leave_the_memory_as_it_was(small_sets: dict[str, Path], tmp_path: Path):
    found = after_each_job(small_sets, tmp_path, 12)
    assert found[-1] < 1.1 * found[5]


@pytest.mark.slow
def test_two_hundred_jobs_leave_the_memory_as_it_was(
    small_sets: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    found = after_each_job(small_sets, tmp_path, 200)
    first, last = found[SETTLED - 1], found[-1]
    with capsys.disabled():
        print(
            f"\nresident after job {SETTLED}: {first / 2**20:.1f} MiB, after job 200: "
            f"{last / 2**20:.1f} MiB, most: {max(found) / 2**20:.1f} MiB"
        )
    assert last < 1.1 * first


LARGEST_FRAMES = 5120
"""Of 64 px: 84 MB in single precision."""


@pytest.mark.slow
@pytest.mark.parametrize("settings", [("MAP", 1), ("LSQML", 2)], ids=lambda settings: settings[0])
def test_run_takes_a_gigabyte_and_four_times_its_diffraction_at_most(
    settings: tuple[str, int], tmp_path: Path
):
    spec = BaseSpec(object_size_px=512)
    probe = optics.zone_plate_probe(spec, Geometry())[None] * 100.0
    side = math.ceil(math.sqrt(LARGEST_FRAMES))
    y, x = 6.0 * np.stack(np.divmod(np.arange(LARGEST_FRAMES), side)) + 33
    tile = BaseSpec(object_size_px=128)
    obj = np.tile(optics.synthetic_object(tile), (4, 4))
    positions = np.column_stack([y, x])
    amplitude = simulate_amplitude(probe, obj, positions, np.random.default_rng(0))
    np.savez(tmp_path / "set.npz", diffraction=amplitude, probeGuess=probe, ycoords=y, xcoords=x)
    algorithm, epochs = settings
    command = [sys.executable, "-m", "fly64tasks.runner", "--input", tmp_path / "set.npz"]
    command += ["--output-dir", tmp_path, "--device", "cpu", "--algorithm", algorithm]
    command += ["--num-epochs", str(epochs), "--checkpoint-epochs", "1"]
    if algorithm == "LSQML":
        command += ["--warmup-epochs", "1"]
    subprocess.run(command, check=True, timeout=900)
    record = json.loads((tmp_path / "run.json").read_text("utf-8"))
    assert record["peak_memory_bytes"]["process"] <= 1e9 + 4 * amplitude.nbytes


ABOUT_ITSELF = """
from fly64tasks.recon.ptychi.memory import peak_process_bytes
print(peak_process_bytes())
"""


@pytest.mark.skipif(sys.platform != "linux", reason="Linux alone says it of a process")
def test_peak_is_that_of_the_process_and_not_of_the_one_that_started_it():
    largest = 1_500_000_000
    parent = (
        "import subprocess, sys\n"
        f"held = b'1' * {largest}\n"
        "subprocess.run([sys.executable, '-c', sys.argv[1]], check=True)"
    )
    run = [sys.executable, "-c", parent, ABOUT_ITSELF]
    said = subprocess.run(run, check=True, capture_output=True, text=True, timeout=300).stdout
    assert 5e7 < int(said) < largest
