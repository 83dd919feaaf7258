"""Run a command, and leave nothing of it behind when it ends, or when who started it ends.

``python -m fly64tasks.engine.keeper [--parent PID] [--folder DIR] [--env NAME=VALUE]
[--usage FILE] -- COMMAND``

Parsl's interchange and worker pools run under it. A pool that is killed leaves its workers and a
server process behind; a doit that is killed leaves all of them. The keeper adopts what loses its
parent (Linux), watches its child and its own parent, and ends every process below it when either
is gone. Ctrl-C on a terminal reaches doit alone: the keeper and its child ignore it.

A worker that is killed while it waits for a task takes the lock of its pool's queue with it: Parsl
starts another, and none ever gets a task. The keeper ends such a pool, so that another is started.
With ``--usage`` it keeps no pool but a program of somebody's, and writes what that took to a file.
What is stopped (SIGSTOP) and stays so is killed, and then is a process that was killed.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from types import FrameType

from fly64tasks.doitext.processes import (
    Frozen,
    adopt_orphans,
    descendants,
    end_descendants,
    tethered,
)
from fly64tasks.engine.folder import OwnFolder

_POLL_S = 0.1
_GRACE_S = 2.0
_FROZEN_S = 20.0


def main(arguments: Sequence[str] | None = None) -> int:
    """Keep a command; return its exit code."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--parent", type=int, default=os.getppid(), help="end when it is gone")
    parser.add_argument("--folder", help="the folder to run in")
    parser.add_argument("--env", action="append", default=[], metavar="NAME=VALUE")
    parser.add_argument("--usage", type=Path, metavar="FILE", help="write what it took, as JSON")
    parser.add_argument("command", nargs="+")
    options = parser.parse_args(arguments)

    signal.signal(signal.SIGINT, signal.SIG_IGN)
    for signum in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(signum, _stop)
    adopt_orphans()
    if options.folder is not None:
        os.chdir(options.folder)  # a child sees its parent's folder, and is to see its own alone
    given = dict(item.split("=", 1) for item in options.env)
    kept = {name: value for name, value in os.environ.items() if name != "OLDPWD"}
    try:
        # Sockets of multiprocessing lie in TMPDIR, and those of a killed process stay there.
        with OwnFolder(Path(tempfile.gettempdir()), "fly64-") as folder:
            child = subprocess.Popen(
                tethered(options.command), env={**kept, "TMPDIR": str(folder), **given}
            )
            try:
                workers: set[int] = set()
                frozen = Frozen(_FROZEN_S)
                while child.poll() is None and os.getppid() == options.parent:
                    _reap(child.pid)
                    watched = options.usage is None
                    workers, before = _workers(child.pid) if watched else set(), workers
                    if any(not busy_mark(folder, pid).exists() for pid in before - workers):
                        break
                    frozen.end(lambda: descendants(os.getpid()))
                    time.sleep(_POLL_S)
            finally:
                for signum in (signal.SIGTERM, signal.SIGHUP):
                    signal.signal(signum, signal.SIG_IGN)
                end_descendants(_GRACE_S)
                child.poll()
                _reap(child.pid)
                if options.usage is not None:
                    options.usage.write_text(json.dumps(_usage(child.poll())), "utf-8")
    except _Stopped as stopped:
        return 128 + stopped.signum
    code = child.returncode
    if code is None:  # ended by us
        return 1
    return code if code >= 0 else 128 - code


def _usage(exit_code: int | None) -> dict[str, float | int | None]:
    """Return what the child and all below it took; this process is small, which it started from."""
    took = resource.getrusage(resource.RUSAGE_CHILDREN)
    unit = 1 if sys.platform == "darwin" else 1024
    return {
        "exit_code": exit_code,
        "cpu_seconds": round(took.ru_utime + took.ru_stime, 3),
        "peak_memory_bytes": took.ru_maxrss * unit,
    }


def busy_mark(folder: str | Path, pid: int) -> Path:
    """Return the file that is there while worker `pid` has a task."""
    return Path(folder, f"busy-{pid}")


def _workers(pool: int) -> set[int]:
    """Return the living processes that multiprocessing started for a pool (Linux)."""
    found = set()
    for listing in Path(f"/proc/{pool}/task").glob("*/children"):
        for pid in _read(listing).split():
            if "multiprocessing" in _read(Path(f"/proc/{pid}/cmdline")):
                found.add(int(pid))
    return found


def _read(path: Path) -> str:
    try:
        return path.read_text(errors="replace")
    except OSError:  # gone meanwhile
        return ""


def _reap(child: int) -> None:
    """Take note of adopted processes that have ended, lest they stay as zombies."""
    flags = os.WEXITED | os.WNOHANG | os.WNOWAIT
    while (ended := _any_child(flags)) and ended.si_pid != child:
        os.waitpid(ended.si_pid, 0)


def _any_child(flags: int) -> os.waitid_result | None:
    try:
        return os.waitid(os.P_ALL, 0, flags)
    except ChildProcessError:
        return None


class _Stopped(BaseException):
    def __init__(self, signum: int) -> None:
        super().__init__()
        self.signum = signum


def _stop(signum: int, _: FrameType | None) -> None:
    raise _Stopped(signum)


if __name__ == "__main__":
    sys.exit(main())
