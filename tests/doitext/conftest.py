"""An empty project for each test."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from doitext_project import Project


@pytest.fixture
def project(monkeypatch: pytest.MonkeyPatch) -> Iterator[Project]:
    """An empty project that is the current folder, in memory where the system has a place."""
    shared = Path("/dev/shm")
    with (
        tempfile.TemporaryDirectory(dir=shared if shared.is_dir() else None) as name,
        monkeypatch.context() as patch,
    ):
        patch.chdir(name)
        yield Project(Path(name))
