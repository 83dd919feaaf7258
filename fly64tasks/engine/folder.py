"""Folders that go with their owner: locked while it lives, and removed by the next if it is killed.

Only what bears our mark, is this user's, and is locked by nobody is removed. Not even a process
number says that an owner is gone: another may have it now, or it counts in another container.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import socket
import tempfile
from pathlib import Path
from stat import S_ISDIR
from types import TracebackType

_MARK = "of-a-run-of-fly64tasks"


class OwnFolder:
    """A new folder, readable by this user alone; gone at the end of a ``with`` block.

    What killed owners left beside it is removed when it is made.

    Parameters
    ----------
    parent : Path
        Where it is made; this exists.
    prefix : str
        How its name begins.

    Attributes
    ----------
    path : Path
        The folder.

    Raises
    ------
    OSError
        It can not be made.
    """

    def __init__(self, parent: Path, prefix: str) -> None:
        for entry in sorted(parent.iterdir()):
            if entry.name.startswith(prefix):
                _remove_left(entry)
        self.path = Path(tempfile.mkdtemp(prefix=prefix, dir=parent))
        self._mark = (self.path / _MARK).open("xb", buffering=0)
        with contextlib.suppress(OSError):  # no locks on this disk: it is never said to be left
            fcntl.flock(self._mark, fcntl.LOCK_EX)
            self._mark.write(_words())

    def remove(self) -> None:
        """Remove it, as far as that can be done."""
        self._mark.close()  # first: NFS keeps a file that is open
        shutil.rmtree(self.path, ignore_errors=True)

    def __enter__(self) -> Path:
        return self.path

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.remove()


def _remove_left(folder: Path) -> None:
    """Remove a folder if it is an `OwnFolder` of this host whose owner is gone."""
    try:
        status = folder.lstat()
        if not S_ISDIR(status.st_mode) or status.st_uid != os.geteuid():
            return
        mark = os.open(folder / _MARK, os.O_RDWR | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError:  # no mark, or gone meanwhile
        return
    with os.fdopen(mark, "rb") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            left = file.read(1024) == _words()  # written under the lock
        except OSError:
            return
        if left:
            shutil.rmtree(folder, ignore_errors=True)
    if left:
        with contextlib.suppress(OSError):  # NFS kept the mark while it was open
            folder.rmdir()


def _words() -> bytes:
    said = f"A folder of fly64tasks on {socket.gethostname()}, removed once nobody locks this file"
    return f"{said}\n".encode()
