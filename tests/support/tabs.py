"""A real shell on a terminal of its own, in which a test presses Tab."""

from __future__ import annotations

import contextlib
import os
import pty
import select
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

SHELLS = {
    "bash": ("bash", "--norc", "--noprofile", "-i"),
    "zsh": ("zsh", "-f", "-i"),
}
READY = {
    "bash": "bind 'set completion-query-items 0'; bind 'set page-completions off'",
    "zsh": "unsetopt beep; LISTMAX=0",
}
_UP = "shell-is-up"


class Terminal:
    """What was typed into a shell and what it showed."""

    def __init__(self, screen: int) -> None:
        self._screen = screen

    def shows(self, typed: str, *expected: str, within_s: float = 20) -> str:
        """Type, and return what is shown once it holds all that is expected."""
        os.write(self._screen, typed.encode())
        shown = ""
        deadline = time.monotonic() + within_s
        while time.monotonic() < deadline:
            if select.select([self._screen], [], [], 0.1)[0]:
                shown += os.read(self._screen, 65536).decode(errors="replace")
            if all(words in shown for words in expected):
                return shown
        raise AssertionError(f"typed {typed!r}, expected {expected}, shown: {shown!r}")

    def clear(self) -> None:
        """Drop what is on the line."""
        os.write(self._screen, b"\x15")  # Ctrl-U
        while select.select([self._screen], [], [], 0.2)[0]:
            os.read(self._screen, 65536)


@contextlib.contextmanager
def shell(name: str, folder: Path, *lines: str) -> Iterator[Terminal]:
    """Yield an interactive shell in a folder that has read no settings but ``lines``."""
    ours, theirs = pty.openpty()
    command: Sequence[str] = SHELLS[name]
    process = subprocess.Popen(
        command,
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        cwd=folder,
        env={
            **os.environ,
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
            "TERM": "xterm",
            "HOME": str(folder),
            "PS1": "$ ",
            "COLUMNS": "200",
        },
        start_new_session=True,
    )
    os.close(theirs)
    try:
        terminal = Terminal(ours)
        for line in (READY[name], *lines):
            terminal.shows(f"{line}\n")
        # Its echo holds quotes that its output does not.
        terminal.shows("echo shell-is''-up\n", _UP)
        terminal.clear()
        yield terminal
    finally:
        process.kill()
        process.wait()
        os.close(ours)
