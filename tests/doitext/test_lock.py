"""One doit at a time on a state file, known by name."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from doit.exceptions import InvalidCommand

from fly64tasks.doitext.state.lock import Lock


@contextlib.contextmanager
def locked_by_another(guarded: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Another process, which holds the lock until it is killed at the end."""
    script = (
        "import sys, time; from fly64tasks.doitext.state.lock import Lock;"
        f"lock = Lock({str(guarded)!r}); lock.acquire(); print('locked', flush=True);"
        "time.sleep(60)"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    with subprocess.Popen(
        [sys.executable, "-c", script], stdout=subprocess.PIPE, env=environment
    ) as other:
        assert other.stdout is not None
        other.stdout.readline()
        try:
            yield other
        finally:
            other.kill()


def test_a_lock_names_its_holder_and_ends_with_its_process(tmp_path: Path) -> None:
    with locked_by_another(tmp_path / "s") as other:
        lock = Lock(str(tmp_path / "s"))
        with pytest.raises(InvalidCommand, match=rf"s: in use by pid {other.pid} on .* since 20"):
            lock.acquire()
    lock.acquire()
    assert lock.held
    assert f"pid {os.getpid()} on {socket.gethostname()}" in str(lock.holder())
    lock.release()
    assert lock.holder() is None


def test_a_lock_left_by_a_killed_process_names_nobody(tmp_path: Path) -> None:
    """Also where its number is that of a living process now: pid 1 always lives."""
    entry = {"pid": 1, "host": socket.gethostname(), "since": "2026-01-31 12:00:00"}
    (tmp_path / "s.lock").write_text(json.dumps(entry))
    assert Lock(str(tmp_path / "s")).holder() is None


@pytest.mark.parametrize("text", ["", "{", "[]", '{"pid": 1}'])
def test_a_lock_whose_holder_is_not_named_is_held_all_the_same(tmp_path: Path, text: str) -> None:
    with locked_by_another(tmp_path / "s"):
        (tmp_path / "s.lock").write_text(text)
        assert Lock(str(tmp_path / "s")).holder() == "another doit"
