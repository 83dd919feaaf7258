"""Many jobs in one process: what a job took is given back."""

from __future__ import annotations

import gc
import resource
from pathlib import Path

import pytest

from fly64tasks.data.readers.npz import read_dataset
from fly64tasks.recon import command as recon
from fly64tasks.recon.files import RECONSTRUCTION
from fly64tasks.recon.result import read_reconstruction
from fly64tasks.score import command as score
from fly64tasks.study.recon_settings import ReconSpec
from fly64tasks.study.stages import ScoreSpec

SETTLED = 20
"""Jobs until allocators and thread pools have what they keep."""


def resident_bytes() -> int:
    """Return the memory of this process that is in RAM."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()


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
