"""What is reconstructed, and where to."""

from __future__ import annotations

from pathlib import Path

import pytest


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "results"


@pytest.fixture
def source(small_sets: dict[str, Path]) -> Path:
    return small_sets["train"]
