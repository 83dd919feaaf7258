"""Other tools as writers of files: their own libraries, installed for the tests alone."""

from __future__ import annotations

import importlib
import subprocess
import sys
import warnings
from pathlib import Path
from types import ModuleType

import pytest


def installed(package: str, folder: Path, *modules: str) -> list[ModuleType]:
    """Install a package without what it depends on, and return modules of it."""
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target", str(folder)]
    done = subprocess.run([*pip, package], capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"{package} can not be installed: {done.stderr.strip().splitlines()[-1]}")
    sys.path.append(str(folder))
    try:
        with warnings.catch_warnings():  # of what they import
            warnings.simplefilter("ignore")
            return [importlib.import_module(module) for module in modules]
    finally:
        sys.path.remove(str(folder))
