"""The tests in the background of a shell: `nohup python -m pytest`, which ignores SIGHUP."""

from __future__ import annotations

import shutil
import subprocess
import sys

import pytest
from small_study import PROJECT


def test_tests_of_signals_pass_under_nohup() -> None:
    nohup = shutil.which("nohup")
    if nohup is None:
        pytest.skip("nohup is not installed (coreutils)")
    options = ["-q", "-p", "no:cacheprovider", "tests/doitext/test_signals.py"]
    command = [nohup, sys.executable, "-m", "pytest", *options]
    done = subprocess.run(
        command, cwd=PROJECT, capture_output=True, text=True, stdin=subprocess.DEVNULL
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert " passed" in done.stdout
