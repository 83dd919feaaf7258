"""Sets that PtychoPINN's own tools write run as base, as Phase C and by themselves, untouched.

They have a pickled ``_metadata``, ``Y`` with an axis of channels and the names of files as Python's
objects: none of these is needed, and each is left out with a warning.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from broken_sets import save
from doubtful_sets import good_set
from small_study import doit, new_project

from fly64tasks import runner

STUDY = "doses = [1e4]\n\n[recon]\nnum_epochs = 3\n"
SAID = ("_metadata is a pickled object array", "Y has dtype complex64, shape (1, 32, 32, 1)")


@pytest.fixture
def pinn_set(tmp_path: Path) -> Path:
    """Return a file with the keys and dtypes that PtychoPINN's tools write."""
    arrays = good_set(1e4)
    n = len(arrays["diffraction"])
    arrays["_metadata"] = np.array({"simulated": False, "source": "train"}, dtype=object)
    arrays["Y"] = np.ones((1, 32, 32, 1), np.complex64)
    arrays["filenames"] = np.array([f"scan_{i}.tif" for i in range(n)], dtype=object)
    arrays["xcoords_start"], arrays["ycoords_start"] = arrays["xcoords"], arrays["ycoords"]
    arrays["scan_index"] = np.zeros(n, int)
    return save(tmp_path / "pinn.npz", arrays)


def two_warnings(run_json: Path) -> None:
    record = json.loads(run_json.read_text("utf-8"))
    said = [text for text in record["warnings"] if "left out" in text]
    assert len(said) == 2
    assert all(part in text for part, text in zip(SAID, said, strict=True))


def test_one_by_itself(pinn_set: Path, tmp_path: Path):
    held = pinn_set.read_bytes()
    arguments = ["--input-npz", str(pinn_set), "--output-dir", str(tmp_path / "out")]
    assert runner.main(arguments) == 0
    two_warnings(tmp_path / "out/run.json")
    assert pinn_set.read_bytes() == held


def test_one_as_base(pinn_set: Path, tmp_path: Path):
    held = pinn_set.read_bytes()
    project = new_project(tmp_path / "study", f'base_npz = "{pinn_set}"\n{STUDY}')
    said = doit(project, "recon:dose_10000_baseline_train")
    assert all(part in said for part in SAID)
    record = project / "reports/dose_10000/baseline/train/run.json"
    assert json.loads(record.read_text("utf-8"))["state"] == "done"
    assert pinn_set.read_bytes() == held


def test_two_as_phase_c(pinn_set: Path, tmp_path: Path):
    held = pinn_set.read_bytes()
    root = tmp_path / "mine/dose_10000"
    root.mkdir(parents=True)
    for split in ("train", "test"):
        (root / f"patched_{split}.npz").write_bytes(held)
    project = new_project(tmp_path / "study", STUDY)
    doit(project, f"phase_c_root={root.parent}", "recon:dose_10000_*")
    jobs = sorted((project / "reports").glob("dose_10000/*/*/run.json"))
    assert len(jobs) == 6
    for job in jobs:
        if job.parts[-3] == "baseline":
            two_warnings(job)
    assert all((root / f"patched_{split}.npz").read_bytes() == held for split in ("train", "test"))
