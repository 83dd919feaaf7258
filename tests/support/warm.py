"""Processes of their own that have the slow imports behind them: forked, one for each call.

A test that starts doit ten times would import torch, pty-chi and matplotlib ten times.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

_PROCESSES = multiprocessing.get_context("forkserver")
_PROCESSES.set_forkserver_preload(
    ["doit", "fly64tasks.recon.stages", "fly64tasks.score.command", "fly64tasks.report.command"]
)


def call(fn: Callable[..., Any], *args: Any, timeout: float = 300) -> tuple[int, str, str]:
    """Call a module's function in a new process; return its exit code, stdout and stderr."""
    called = Called(fn, *args)
    out, err = called.communicate(timeout)
    return called.returncode, out, err


class Called:
    """A module's function that runs in a new process; used as a `subprocess.Popen` is."""

    def __init__(self, fn: Callable[..., Any], *args: Any) -> None:
        self._folder = tempfile.TemporaryDirectory()
        self._said = tuple(Path(self._folder.name, name) for name in ("stdout", "stderr"))
        self._process = _PROCESSES.Process(target=_run, args=(fn, args, self._said))
        self._process.start()

    @property
    def returncode(self) -> int:
        """Its exit code, that of a signal negative; of one that has ended."""
        assert self._process.exitcode is not None, "it runs"
        return self._process.exitcode

    def poll(self) -> int | None:
        """Return its exit code, None while it runs."""
        return self._process.exitcode

    def send_signal(self, number: int) -> None:
        """Send it a signal; nothing where it has ended, as with `subprocess.Popen`."""
        assert self._process.pid is not None
        with contextlib.suppress(ProcessLookupError):
            os.kill(self._process.pid, number)

    def communicate(self, timeout: float) -> tuple[str, str]:
        """Return its stdout and stderr once it has ended; kill it after so many seconds."""
        self._process.join(timeout)
        with self._folder:
            out, err = (path.read_text("utf-8") if path.exists() else "" for path in self._said)
        if self._process.exitcode is None:
            self._process.kill()
            raise TimeoutError(out + err)
        return out, err


def recon(arguments: list[str]) -> None:
    """Be `python -m fly64tasks.runner`: to be called in a process of its own."""
    from fly64tasks import runner

    sys.exit(runner.main(arguments))


def _run(fn: Callable[..., Any], args: tuple[Any, ...], said: tuple[Path, ...]) -> None:
    for number, path in enumerate(said, start=1):
        os.dup2(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND), number)
    fn(*args)
