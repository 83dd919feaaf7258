"""Child processes that do not outlive doit."""

from __future__ import annotations

import ctypes
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

_GRACE_S = 3.0
_LOOK_S = 3.0
_PR_SET_PDEATHSIG = 1
_PR_SET_CHILD_SUBREAPER = 36


def tethered(command: Sequence[str]) -> list[str]:
    """`command`, to be killed by the kernel when the process that starts it dies, even by SIGKILL.

    Linux with ``setpriv`` (util-linux); elsewhere the command as it is. A Python child can call
    `die_with_parent` instead.
    """
    setpriv = shutil.which("setpriv")
    return [setpriv, "--pdeathsig", "KILL", "--", *command] if setpriv else list(command)


def die_with_parent(parent: int) -> None:
    """Have the kernel kill this process when its parent dies; called first thing by a worker.

    Parameters
    ----------
    parent : int
        The process id of the parent, to notice that it died before this call.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        sys.exit(f"parent process {parent} is gone")


def adopt_orphans() -> None:
    """Have processes below this one that lose their parent become its children (Linux).

    Without it they become children of init, where `end_descendants` does not find them.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def end_descendants(grace_s: float = _GRACE_S) -> None:
    """End every process below this one: SIGTERM, then SIGKILL for those alive after `grace_s`."""
    victims = _end(descendants(os.getpid()), grace_s)
    _send([*victims, *descendants(os.getpid())], signal.SIGKILL)


def end_trees(roots: Sequence[int], grace_s: float = _GRACE_S) -> None:
    """End processes and all below them, those that are stopped (SIGSTOP) too."""
    _send(_end(trees(roots), grace_s), signal.SIGKILL)


def _end(pids: Sequence[int], grace_s: float) -> list[int]:
    """Send SIGTERM; returns the processes that are alive after `grace_s`."""
    victims = _send(pids, signal.SIGTERM)
    deadline = time.monotonic() + grace_s
    while victims and time.monotonic() < deadline:
        time.sleep(0.02)
        victims = [pid for pid in victims if _running(pid)]
    return victims


def trees(roots: Sequence[int]) -> list[int]:
    """The process ids `roots` and all below them."""
    return [pid for root in roots for pid in (root, *descendants(root))]


class Frozen:
    """Kills what stands still: a process that is stopped (SIGSTOP), and not by a debugger (Linux).

    Nothing comes from it, and nothing says so. Its end is noticed by whoever waits for it.

    Parameters
    ----------
    seconds : float
        How long it stood still. Counted in looks: while this process stands still too, as after
        Ctrl-Z, none is made.
    """

    def __init__(self, seconds: float) -> None:
        self._looks = max(1, round(seconds / _LOOK_S))
        self._seen: dict[int, int] = {}
        self._next = 0.0

    def end(self, candidates: Callable[[], Sequence[int]]) -> list[int]:
        """Look, every 3 s however often it is called; returns the processes that are killed."""
        if time.monotonic() < self._next:
            return []
        self._next = time.monotonic() + _LOOK_S
        still = [pid for pid in candidates() if _state(pid) == "T"]
        self._seen = {pid: self._seen.get(pid, 0) + 1 for pid in still}
        return _send([pid for pid in still if self._seen[pid] > self._looks], signal.SIGKILL)


def descendants(root: int) -> list[int]:
    """The process ids below `root`, parents first."""
    children: dict[int, list[int]] = {}
    for pid, parent in _process_table():
        children.setdefault(parent, []).append(pid)
    found, todo = [], [root]
    while todo:
        below = children.get(todo.pop(), [])
        found += below
        todo += below
    return found


def _process_table() -> Iterator[tuple[int, int]]:
    """Each living process with its parent."""
    if Path("/proc/self/stat").exists():
        for entry in Path("/proc").glob("[0-9]*/stat"):
            if fields := _stat(entry):
                yield int(entry.parent.name), int(fields[1])
        return
    table = subprocess.run(["ps", "-A", "-o", "pid=,ppid="], capture_output=True, text=True)
    for line in table.stdout.splitlines():
        pid, parent = line.split()
        yield int(pid), int(parent)


def _stat(entry: Path) -> list[str] | None:
    """State, parent and so on of a process; None when it has just ended or is a zombie."""
    try:
        fields = entry.read_text(errors="replace").rpartition(")")[2].split()
    except OSError:  # gone between the listing and the reading
        return None
    return None if fields[0] == "Z" else fields


def _state(pid: int) -> str | None:
    fields = _stat(Path(f"/proc/{pid}/stat"))
    return fields[0] if fields else None


def _running(pid: int) -> bool:
    return any(pid == other for other, _ in _process_table())


def _send(pids: Sequence[int], signum: int) -> list[int]:
    """Send a signal; returns the processes that got it."""
    reached = []
    for pid in pids:
        try:
            os.kill(pid, signum)
        except ProcessLookupError:
            continue
        reached.append(pid)
    return reached
