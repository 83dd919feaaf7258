"""Children that end with doit."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from fly64tasks.doitext.processes import (
    Frozen,
    descendants,
    end_descendants,
    end_trees,
    tethered,
)

linux = pytest.mark.skipif(sys.platform != "linux", reason="the kernel's tether is Linux's")
ENVIRONMENT = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}


def within(seconds: float, condition: Callable[[], bool]) -> bool:
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


def gone(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except FileNotFoundError:
        return True


def parent_of(child: str) -> subprocess.Popen[str]:
    """A process that starts `child` (Python code) and prints its id."""
    script = (
        "import os, subprocess, sys, time\n"
        "from fly64tasks.doitext.processes import tethered\n"
        f"child = subprocess.Popen({child})\n"
        "print(child.pid, flush=True)\n"
        "time.sleep(60)\n"
    )
    command = [sys.executable, "-c", script]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=ENVIRONMENT)


@linux
@pytest.mark.parametrize(
    "child",
    [
        "tethered(['sleep', '60'])",
        "[sys.executable, '-c', 'import sys, time;"
        "from fly64tasks.doitext.processes import die_with_parent;"
        "die_with_parent(int(sys.argv[1])); time.sleep(60)', str(os.getpid())]",
    ],
)
def test_a_tethered_child_dies_with_a_killed_parent(child: str) -> None:
    with parent_of(child) as parent:
        assert parent.stdout is not None
        pid = int(parent.stdout.readline())
        time.sleep(0.5)  # the child ties itself
        assert not gone(pid)
        parent.kill()
    assert within(5, lambda: gone(pid))


def test_end_descendants_reaches_grandchildren_that_ignore_sigterm() -> None:
    script = "trap '' TERM; sh -c \"trap '' TERM; echo up; while :; do sleep 0.1; done\""
    with subprocess.Popen(["sh", "-c", script], stdout=subprocess.PIPE) as child:
        assert child.stdout is not None
        child.stdout.readline()
        below = descendants(os.getpid())
        assert child.pid in below and len(below) >= 2
        end_descendants(grace_s=0.3)
        assert child.wait() == -signal.SIGKILL
    assert within(5, lambda: all(gone(pid) for pid in below))


def test_without_setpriv_a_command_is_as_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    assert tethered(["sleep", "1"]) == ["sleep", "1"]


@linux
def test_what_is_stopped_and_stays_so_is_killed_and_what_is_resumed_is_not() -> None:
    with subprocess.Popen(["sleep", "60"]) as still, subprocess.Popen(["sleep", "60"]) as resumed:
        frozen, killed = Frozen(6), []
        for child in (still, resumed):
            child.send_signal(signal.SIGSTOP)
        began = time.monotonic()

        def look() -> bool:
            if time.monotonic() - began > 4:
                resumed.send_signal(signal.SIGCONT)
            killed.extend(frozen.end(lambda: [still.pid, resumed.pid]))
            return bool(killed)

        assert not look()
        assert within(20, look)
        assert time.monotonic() - began >= 6
        assert killed == [still.pid]
        assert still.wait() == -signal.SIGKILL
        assert resumed.poll() is None
        resumed.kill()


def test_end_trees_reaches_what_is_stopped_and_leaves_others() -> None:
    with (
        subprocess.Popen(["sh", "-c", "sleep 60 & echo up; wait"], stdout=subprocess.PIPE) as child,
        subprocess.Popen(["sleep", "60"]) as other,
    ):
        assert child.stdout is not None
        child.stdout.readline()
        below = descendants(child.pid)
        child.send_signal(signal.SIGSTOP)
        end_trees([child.pid], grace_s=0.2)
        assert child.wait() == -signal.SIGKILL
        assert within(5, lambda: all(gone(pid) for pid in below))
        assert other.poll() is None
        other.kill()
