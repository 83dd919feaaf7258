"""Processes of their own that have the slow imports behind them: forked, one for each call.

A test that starts doit ten times would import torch, pty-chi and matplotlib ten times.
"""

from __future__ import annotations

import multiprocessing
import os
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
    with tempfile.TemporaryDirectory() as folder:
        said = Path(folder, "stdout"), Path(folder, "stderr")
        process = _PROCESSES.Process(target=_run, args=(fn, args, said))
        process.start()
        process.join(timeout)
        out, err = (path.read_text("utf-8") for path in said)
        if process.exitcode is None:
            process.kill()
            raise TimeoutError(out + err)
        return process.exitcode, out, err


def _run(fn: Callable[..., Any], args: tuple[Any, ...], said: tuple[Path, Path]) -> None:
    for number, path in enumerate(said, start=1):
        os.dup2(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND), number)
    fn(*args)
