"""A set that keeps the contract, to be broken, and what is expected of a broken one."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fly64tasks import runner

Arrays = dict[str, Any]


def valid_arrays(n: int = 12, size: int = 16) -> Arrays:
    """Return a set that keeps the contract: n frames on a 40 x 44 object."""
    rng = np.random.default_rng(0)
    counts = rng.poisson(5.0, (n, size, size))
    return {
        "diffraction": np.sqrt(counts).astype(np.float32),
        "objectGuess": np.ones((40, 44), np.complex64),
        "probeGuess": np.ones((size, size), np.complex64),
        "xcoords": rng.uniform(10, 30, n),
        "ycoords": rng.uniform(10, 30, n),
        "Y": np.ones((n, size, size), np.complex64),
        "filenames": np.array([f"frame_{i}" for i in range(n)]),
        "_metadata": np.array(json.dumps({"dose_photons_per_frame": 1e3})),
    }


def save(path: Path, arrays: Arrays) -> Path:
    np.savez(path, **arrays)
    return path


def expect_refusal(path: Path, message: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Run the command line on a file; expect exit code 3, one line, and no output folder."""
    output = path.parent / "output"
    code = runner.main(["--input-npz", str(path), "--output-dir", str(output)])
    error = capsys.readouterr().err
    assert code == 3, error
    assert error.count("\n") == 1
    assert error.startswith(f"error: {path}: ")
    assert re.search(message, error), error
    assert not output.exists()
