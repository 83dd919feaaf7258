"""A scan that is known, and other tools' libraries to write it with."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest
from measured import Known, known_of
from others import installed

from fly64tasks.data.readers.npz import read_dataset


@pytest.fixture(scope="session")
def known(small_sets: dict[str, Path]) -> Known:
    """The simulated train set as a scan that is known."""
    return known_of(read_dataset(small_sets["train"]))


@pytest.fixture(scope="session")
def ptychodus(tmp_path_factory: pytest.TempPathFactory) -> SimpleNamespace:
    """Return ptychodus, without the desktop application that it depends on."""
    names = {
        "io": "ptychodus.api.io",
        "metrics": "ptychodus.api.metrics",
        "diffraction": "ptychodus.api.simulate.diffraction",
        "assemble": "ptychodus.api.assemble",
        "geometry": "ptychodus.api.geometry",
        "object": "ptychodus.api.object",
        "probe": "ptychodus.api.probe",
        "positions": "ptychodus.api.probe_positions",
        "product": "ptychodus.api.product",
        "reconstruct": "ptychodus.api.reconstruct",
        "datasets": "ptychodus.api.diffraction",
        "cxi": "ptychodus.plugins.cxi_file",
        "training": "ptychodus.plugins.training_data_file",
        "slac": "ptychodus.plugins.slac_npz_file",
    }
    folder = tmp_path_factory.mktemp("ptychodus")
    modules = installed("ptychodus==1.7.0", folder, *names.values())
    return SimpleNamespace(**dict(zip(names, modules, strict=True)))


@pytest.fixture(scope="session")
def cdtools(tmp_path_factory: pytest.TempPathFactory) -> SimpleNamespace:
    """Return cdtools' reader and writer of CXI, and its geometry."""
    names = {
        "data": "cdtools.tools.data",
        "interactions": "cdtools.tools.interactions",
        "initializers": "cdtools.tools.initializers",
        "datasets": "cdtools.datasets",
    }
    modules = installed("cdtools-py==0.3.2", tmp_path_factory.mktemp("cdtools"), *names.values())
    return SimpleNamespace(**dict(zip(names, modules, strict=True)))


@pytest.fixture(scope="session")
def ptylab(tmp_path_factory: pytest.TempPathFactory) -> SimpleNamespace:
    """Return PtyLab's reader."""
    (read,) = installed("ptylab==0.3.7", tmp_path_factory.mktemp("ptylab"), "PtyLab.io.readHdf5")
    return SimpleNamespace(read=read)
