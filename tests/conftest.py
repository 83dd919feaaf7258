"""A study small enough to run for real in seconds, and the files it reads."""

from __future__ import annotations

import os
import shutil
import signal
from pathlib import Path

import numpy as np
import pytest
from small_study import ONE_DOSE, SMALL_BASE, SMALL_STUDY, doit, new_project

from fly64tasks.data.dataset import PtychoDataset
from fly64tasks.data.readers.npz import read_dataset
from fly64tasks.simulation.simulate import make_base, simulate
from fly64tasks.study.stages import Geometry, SimulationSpec

# What runs the tests in the background, or under nohup, has told them to ignore these.
signal.signal(signal.SIGHUP, signal.SIG_DFL)
signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_xdist_auto_num_workers(config: pytest.Config) -> int:
    """A process for each core, of at most four with 2 GB each: for the whole quick suite alone."""
    whole = config.args_source is pytest.Config.ArgsSource.TESTPATHS
    quick = config.getoption("markexpr") == "not slow"
    workers = min(len(os.sched_getaffinity(0)), 4) if whole and quick else 0
    if workers:
        os.environ.setdefault("OMP_NUM_THREADS", "1")  # read by each worker's numpy and torch
    return workers


@pytest.fixture(scope="session")
def small_sets(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Simulated train and test sets: 1e4 photons, 32 px frames."""
    folder = tmp_path_factory.mktemp("small")
    make_base(folder / "base.npz", spec=SMALL_BASE, geometry=Geometry())
    targets = {split: folder / f"patched_{split}.npz" for split in ("train", "test")}
    simulate(folder / "base.npz", targets, dose=1e4, spec=SimulationSpec(), geometry=Geometry())
    return targets


@pytest.fixture
def small_set(small_sets: dict[str, Path]) -> PtychoDataset:
    """The simulated train set."""
    return read_dataset(small_sets["train"])


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A project folder of its own (a name with a blank and an umlaut) with the small study."""
    return new_project(tmp_path / "Süß study", SMALL_STUDY)


@pytest.fixture(scope="session")
def one_dose_run(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """A project whose study of one dose is done, to be copied, and what doit printed."""
    folder = new_project(tmp_path_factory.mktemp("done") / "project", ONE_DOSE)
    return folder, doit(folder)


@pytest.fixture
def done_project(one_dose_run: tuple[Path, str], tmp_path: Path) -> Path:
    """A project of its own whose study of one dose is done."""
    return Path(shutil.copytree(one_dose_run[0], tmp_path / "Süß study"))


@pytest.fixture
def payload(tmp_path: Path) -> Path:
    """Eight frames of noise with all positions within a pixel: the old scripts gave NaN."""
    rng = np.random.default_rng(123)

    def random_complex(*shape: int) -> np.ndarray:
        real = rng.random(shape)
        return (real + 1j * rng.random(shape)).astype(np.complex64)

    path = tmp_path / "payload.npz"
    np.savez(
        path,
        diffraction=rng.random((8, 64, 64), dtype=np.float32),
        objectGuess=random_complex(128, 128),
        probeGuess=random_complex(64, 64),
        Y=random_complex(8, 128, 128),
        xcoords=rng.random(8),
        ycoords=rng.random(8),
    )
    return path
