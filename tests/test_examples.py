"""The examples do what they say."""

from __future__ import annotations

import doctest
import importlib.util
import json
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
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
