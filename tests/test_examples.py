"""The examples do what they say."""

from __future__ import annotations

import doctest
import importlib.util
import json
import os
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from ptychopinn_stand_in import installed
from small_study import PROJECT

from fly64tasks.recon.programs import command as program
from fly64tasks.score import command
from fly64tasks.study.methods import ProgramSpec
from fly64tasks.study.stages import ScoreSpec
from fly64tasks.study.study import read_study

EXAMPLES = PROJECT / "examples"


def module(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"example_{name}", EXAMPLES / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    made = importlib.util.module_from_spec(spec)
    sys.modules[made.__name__] = made
    spec.loader.exec_module(made)
    return made


def test_network_models_the_diffraction_as_the_sets_are_simulated(
    small_sets: dict[str, Path], tmp_path: Path
):
    """With the truth as object its disagreement is that of the noise: 1/4, less of dark pixels."""
    cnn = module("cnn")
    given = cnn.Set(str(small_sets["train"]))
    with np.load(small_sets["train"]) as file:
        truth, counts = file["objectGuess"], file["diffraction"] ** 2
    import torch

    noise = cnn.disagreement(torch.from_numpy(truth), given).item()
    flat = cnn.disagreement(torch.ones(given.shape, dtype=torch.complex64), given).item()
    assert noise < 0.26
    assert flat > 2 * noise
    assert counts.mean() > 1


@pytest.mark.slow
def test_network_is_trained_and_applied_within_a_minute_and_beats_a_flat_object(
    small_sets: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("OMP_NUM_THREADS", "1")  # as doit sets it
    spec = read_study(PROJECT / "studies/methods.toml").all_methods["cnn"]
    assert isinstance(spec, ProgramSpec)
    [script] = spec.files_used
    files = {script: PROJECT / "studies" / script}
    trained = program.train(
        small_sets["train"], tmp_path / "model@cnn", "cnn", spec, program_files=files
    )
    applied = program.reconstruct(
        small_sets["test"],
        tmp_path / "test@cnn",
        "cnn",
        spec,
        program_files=files,
        model=tmp_path / "model@cnn/model",
    )
    took = [of_run["program"]["cpu_seconds"] for of_run in (trained, applied)]
    assert sum(took) < 100, took  # of two cores in a minute
    scores = command.score(small_sets["test"], tmp_path / "test@cnn", ScoreSpec())
    error = scores["metrics"]["complex_nrmse"]
    assert error < 0.7 * scores["flat_object"]["complex_nrmse"], json.dumps(scores["metrics"])


def test_adapter_places_what_was_stitched():
    assert doctest.testmod(module("ptychopinn")).failed == 0


@pytest.mark.parametrize("n", [None, 18], ids=["all frames", "fewer frames than pixels"])
def test_adapter_runs_on_functions_as_ptychopinn_publishes_them(
    n: int | None, small_sets: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    source = small_sets["train"]
    if n is not None:
        with np.load(source) as file:
            arrays = dict(file)
        kept = np.linspace(0, len(arrays["xcoords"]) - 1, n).astype(int)
        arrays |= {key: arrays[key][kept] for key in ("diffraction", "xcoords", "ycoords")}
        source = tmp_path / "few.npz"
        np.savez(source, **{key: array for key, array in arrays.items() if key != "_metadata"})
    installed(tmp_path / "site", source)
    monkeypatch.setenv("PYTHONPATH", f"{tmp_path / 'site'}:{os.environ.get('PYTHONPATH', '')}")
    (tmp_path / "wts.h5.zip").write_text("weights")
    spec = ProgramSpec(
        command=("python", "ptychopinn.py", "wts.h5.zip", "{input_npz}", "{output}"),
        files=("wts.h5.zip",),
    )
    files = {
        "ptychopinn.py": EXAMPLES / "ptychopinn.py",
        "wts.h5.zip": tmp_path / "wts.h5.zip",
    }
    program.reconstruct(source, tmp_path / "out", "pinn", spec, program_files=files)
    if n is None:
        scores = command.score(source, tmp_path / "out", ScoreSpec())
        assert scores["metrics"]["complex_nrmse"] < 0.05
