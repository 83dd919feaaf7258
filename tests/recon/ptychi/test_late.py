"""What pty-chi imports and hardly uses: not there after a run, and there for who wants it."""

from __future__ import annotations

import importlib.metadata
import subprocess
import sys
from pathlib import Path

import pytest

from fly64tasks.recon.ptychi import late

HEAVY = ["matplotlib", "sklearn", "torch._dynamo", "torchvision"]
SHOWN = f"print(*[name for name in {HEAVY} if name in sys.modules])"


def said_by(code: str, *args: object) -> list[str]:
    command = [sys.executable, "-c", code, *map(str, args)]
    run = subprocess.run(command, capture_output=True, text=True, check=True)
    return run.stdout.splitlines()


def test_a_run_of_map_imports_nothing_that_it_does_not_use(small_sets: dict[str, Path]):
    code = f"""
import sys
from fly64tasks import ReconSpec, reconstruct
reconstruct(sys.argv[1], ReconSpec(algorithm="MAP", num_epochs=2))
{SHOWN}
"""
    assert said_by(code, small_sets["train"]) == [""]


def test_what_was_left_out_is_imported_where_it_is_called():
    code = f"""
import sys
import numpy as np
import fly64tasks.recon.ptychi
from ptychi import io_handles, utils
{SHOWN}
import sklearn.cluster
import torch
import torchvision.transforms
from ptychi.timing import timer_utils
image = torch.rand(1, 1, 16, 16)
theirs = torchvision.transforms.GaussianBlur((9, 9), (3, 3))(image)
print(torch.equal(utils.GaussianBlur(kernel_size=(9, 9), sigma=(3, 3))(image), theirs))
print(isinstance(io_handles.sklearn.cluster.KMeans(n_clusters=2), sklearn.cluster.KMeans))
import matplotlib
matplotlib.use("agg")
figure = timer_utils.plt.figure()
from matplotlib import pyplot
print(pyplot.get_fignums() == [figure.number])
"""
    assert said_by(code) == ["", "True", "True", "True"]


def test_what_is_imported_before_stays_itself():
    code = """
import sys
import sklearn.cluster
before = sys.modules["sklearn"]
import fly64tasks.recon.ptychi
from ptychi import io_handles
print(io_handles.sklearn is before is sys.modules["sklearn"], "torchvision" in sys.modules)
"""
    assert said_by(code) == ["True False"]


@pytest.mark.parametrize("versions", [("1.0",), late.CHECKED_VERSIONS])
def test_a_version_that_nobody_looked_through_imports_all(versions: tuple[str, ...]):
    code = f"""
import importlib.metadata, sys
installed = importlib.metadata.version
importlib.metadata.version = lambda name: "{versions[0]}" if name == "ptychi" else installed(name)
import fly64tasks.recon.ptychi
print("torchvision" in sys.modules)
"""
    assert said_by(code) == [str(versions == ("1.0",))]


def test_the_installed_version_was_looked_through():
    assert importlib.metadata.version("ptychi") in late.CHECKED_VERSIONS
