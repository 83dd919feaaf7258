"""Faults of the machine, made for real: disks that are small, full, read-only or gone."""

from __future__ import annotations

import errno
import os
import resource
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest


@contextmanager
def small_disk(folder: Path, size: str) -> Iterator[Path]:
    """A disk of its own at `folder`, of a `size` such as ``1m``; unmounted whatever happens.

    The test is skipped where disks may not be mounted.
    """
    if os.geteuid() != 0 or shutil.which("mount") is None:
        pytest.skip("only root may mount a small disk")
    folder.mkdir(parents=True, exist_ok=True)
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", folder],
        capture_output=True,
        text=True,
    )
    if mounted.returncode:
        pytest.skip(f"no disk can be mounted here: {mounted.stderr.strip()}")
    try:
        yield folder
    finally:  # lazily: a process that is left may still have a file open
        subprocess.run(["umount", "--lazy", folder], check=True)


@contextmanager
def read_only(disk: Path) -> Iterator[None]:
    """Let nobody write to `disk`, one of `small_disk` on which no file is open for writing."""
    subprocess.run(["mount", "-o", "remount,ro", disk], check=True)
    try:
        yield
    finally:
        subprocess.run(["mount", "-o", "remount,rw", disk], check=True)


def fill(folder: Path) -> Path:
    """Write a file until not one byte more fits on the disk of `folder`; returns the file."""
    filler = folder / "filler"
    with filler.open("ab", buffering=0) as file:
        for size in (1 << 20, 1 << 12, 1):
            try:
                while True:
                    file.write(bytes(size))
            except OSError as error:
                if error.errno != errno.ENOSPC:
                    raise
    return filler


class NetworkFolder:
    """A folder served by another process, as by a file server; that process can be lost."""

    def __init__(self, folder: Path, server: Path) -> None:
        self.folder, self._server = folder, server
        server.mkdir()
        folder.mkdir()
        self._process: subprocess.Popen[bytes] | None = None

    def connect(self) -> None:
        """Have the folder show what the server has."""
        self._process = subprocess.Popen(
            ["bindfs", "-f", self._server, self.folder], stderr=subprocess.PIPE
        )
        deadline = time.monotonic() + 20
        while not self.folder.is_mount():
            if self._process.poll() is not None or time.monotonic() > deadline:
                self.disconnect()
                pytest.skip("no folder can be mounted here with bindfs")
            time.sleep(0.02)

    def lose(self) -> None:
        """Kill the server; the mount stays, and everything in it fails."""
        assert self._process is not None
        self._process.kill()
        self._process.wait()

    def disconnect(self) -> None:
        """Unmount."""
        if self._process is not None:
            subprocess.run(["umount", "--lazy", self.folder], capture_output=True)
            self._process.kill()
            self._process.communicate()


@contextmanager
def network_folder(folder: Path) -> Iterator[NetworkFolder]:
    """A connected `NetworkFolder` at ``folder / "mounted"``; skips without bindfs and FUSE."""
    if shutil.which("bindfs") is None or not Path("/dev/fuse").exists():
        pytest.skip("needs bindfs and FUSE")
    network = NetworkFolder(folder / "mounted", folder / "server")
    try:
        network.connect()
        yield network
    finally:
        network.disconnect()


def run_with_limit(headroom_mib: int, arguments: list[str]) -> None:
    """Run the runner in this process, which from now on may take so much memory and no more."""
    import sklearn.cluster  # noqa: F401
    import torch

    from fly64tasks import runner

    # what pty-chi and torch load on first use is not what is measured
    torch.fft.fft2(torch.ones(64, 64))
    torch.optim.SGD([torch.ones(1, requires_grad=True)])
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    limit = pages * resource.getpagesize() + headroom_mib * 2**20
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    sys.exit(runner.main(arguments))
