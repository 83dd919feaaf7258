"""Processes that tests start, and wait for."""

from __future__ import annotations

import time
from pathlib import Path


def pid_in(path: Path, seconds: float = 120) -> int:
    """Return the process id that a file holds, once it is there."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if path.exists() and path.read_text():
            return int(path.read_text())
        time.sleep(0.05)
    raise TimeoutError(path)
