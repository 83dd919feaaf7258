"""A program of others, run in a folder of its own: without a shell, and with nothing left of it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from fly64tasks.errors import ReconstructionError, StoppedEarly

TAIL_LINES = 20
_LOG_BYTES = 4 * 2**20
_TAIL_BYTES = 2**14
_LOOK_S = 0.2
_END_S = 10.0


@dataclass(frozen=True)
class Ended:
    """How a program ended, and what it took.

    Attributes
    ----------
    exit_code : int or None
        Negative where a signal ended it; None where it ran into its time limit.
    seconds : float
    cpu_seconds : float or None
        Of all its processes.
    peak_memory_bytes : int or None
        Of the largest of its processes.
    tail : tuple of str
        The last lines that it wrote to stdout and stderr.
    """

    exit_code: int | None
    seconds: float
    cpu_seconds: float | None
    peak_memory_bytes: int | None
    tail: tuple[str, ...]

    def said(self) -> dict[str, Any]:
        """Return it as records have it."""
        return {
            "exit_code": self.exit_code,
            "seconds": self.seconds,
            "cpu_seconds": self.cpu_seconds,
            "peak_memory_bytes": self.peak_memory_bytes,
            "tail": list(self.tail),
        }


def words_of(
    words: Sequence[str], values: Mapping[str, object], files: Mapping[str, str]
) -> list[str]:
    """Return the words of a command line, with what their placeholders stand for.

    ``python`` is the one that runs this; ``files`` are the names in the folder that it runs in, of
    files that words name.

    Raises
    ------
    ReconstructionError
        There is no such program.
    """
    filled = [files[word] if word in files else word.format_map(values) for word in words]
    if words[0] == "python":
        filled[0] = sys.executable
    if words[0] in files:
        filled[0] = f"./{filled[0]}"
    elif shutil.which(filled[0]) is None:
        raise ReconstructionError(
            f"there is no program {words[0]}; install it, or name it in files where it lies beside "
            "the study file"
        )
    return filled


def run(
    command: Sequence[str],
    folder: Path,
    log: Path,
    timeout_s: float | None = None,
    why_stop: Callable[[], str | None] = lambda: None,
) -> Ended:
    """Run a command in a folder until it ends; nothing of it outlives this call, or this process.

    Parameters
    ----------
    log : Path
        What it writes to stdout and stderr is appended there, up to 4 MiB.
    timeout_s : float, optional
        End it after so long.
    why_stop : callable
        Asked while it runs; words end it.

    Raises
    ------
    StoppedEarly
        ``why_stop`` said so.
    """
    usage = folder.with_name("usage.json")
    keeper = [sys.executable, "-m", "fly64tasks.engine.keeper", f"--usage={usage}"]
    keeper += [f"--parent={os.getpid()}", f"--folder={folder}", f"--env=PWD={folder}", "--"]
    began = time.monotonic()
    process = subprocess.Popen(
        [*keeper, *command],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )
    assert process.stdout is not None
    output = _Output(process.stdout, log)
    timed_out = False
    try:
        while process.poll() is None and not timed_out:
            timed_out = timeout_s is not None and time.monotonic() - began > timeout_s
            if why := why_stop():
                raise StoppedEarly(f"{why}; it begins anew next time")
            time.sleep(min(_LOOK_S, 0.01 + 0.05 * (time.monotonic() - began)))
    finally:
        _end(process)
        seconds = round(time.monotonic() - began, 3)
        tail = output.end()
    took = json.loads(usage.read_text("utf-8")) if usage.exists() else {}
    exit_code = took.get("exit_code", process.returncode)
    return Ended(
        None if timed_out else exit_code,
        seconds,
        took.get("cpu_seconds"),
        took.get("peak_memory_bytes"),
        tail,
    )


def _end(process: subprocess.Popen[bytes]) -> None:
    """End a keeper and with it all that it keeps."""
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(_END_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


class _Output:
    """What a program writes, as a thread takes it: to the log, and its end to memory."""

    def __init__(self, stream: IO[bytes], log: Path) -> None:
        self._stream, self._log = stream, log
        self._tail = b""
        self._thread = threading.Thread(target=self._take, daemon=True)
        self._thread.start()

    def end(self) -> tuple[str, ...]:
        """Return the last lines, once all was taken."""
        self._thread.join(_END_S)
        lines = self._tail.decode("utf-8", "replace").splitlines()
        return tuple(line.rstrip() for line in lines if line.strip())[-TAIL_LINES:]

    def _take(self) -> None:
        left = _LOG_BYTES
        with self._stream, self._log.open("ab", buffering=0) as log:
            while chunk := os.read(self._stream.fileno(), 2**16):
                self._tail = (self._tail + chunk)[-_TAIL_BYTES:]
                if left > 0:
                    log.write(chunk[:left])
                    left -= len(chunk)
                    if left <= 0:
                        log.write(f"\n... more than {_LOG_BYTES} bytes: left out\n".encode())
