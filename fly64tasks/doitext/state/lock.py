"""One doit at a time on a state file, known by name."""

from __future__ import annotations

import contextlib
import fcntl
import io
import json
import os
import socket
import sys
import time
from pathlib import Path

from doit.exceptions import InvalidCommand

from ..errors import printable

_POLL_S = 0.2
_LONGEST = 4096


class LockError(InvalidCommand):
    """There is no place for a lock: ``fault`` is what the system said."""

    def __init__(self, message: str, fault: OSError) -> None:
        super().__init__(message)
        self.fault = fault


class Lock:
    """An exclusive lock that names its holder and ends with the holder's process.

    The kernel holds the lock (`lockf`), so one left by a killed process is free at once; the
    file's text only says who holds it. The file itself stays, until its holder removes it.

    Parameters
    ----------
    guarded : str
        Path of the file that is locked; the lock lies beside it as ``<guarded>.lock``.
    path : Path, optional
        Where the lock lies, if elsewhere.
    """

    def __init__(self, guarded: str, path: Path | None = None) -> None:
        self._guarded = guarded
        self._path = path or Path(f"{guarded}.lock")
        self._what = "the lock" if path else "the state file"
        self._file: io.FileIO | None = None

    @property
    def held(self) -> bool:
        """Whether this object holds the lock."""
        return self._file is not None

    def acquire(self, wait: bool = False) -> None:
        """Take the lock.

        Parameters
        ----------
        wait : bool
            Wait for the holder to end instead of refusing.

        Raises
        ------
        InvalidCommand
            Another process holds the lock, and the message names it; as `LockError`, the folder
            cannot be written to.
        """
        announced = False
        while True:
            try:
                self._path.parent.mkdir(parents=True, exist_ok=True)
                file = open(self._path, "a+b", buffering=0, opener=_no_link)  # noqa: SIM115
            except OSError as error:
                raise self._refusal(error) from None
            try:
                fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                if _is_at(file, self._path):
                    break
                file.close()  # its holder removed it; the lock of that name is another file
                continue
            except (BlockingIOError, PermissionError):
                holder = self.holder()
                if holder is None:  # it has just ended, or only looked
                    file.close()
                    continue
                message = f"{self._guarded}: in use by {holder}"
                if not wait:
                    file.close()
                    raise InvalidCommand(f"{message}; wait for it to end, or use --wait") from None
            if not announced:
                print(f"{message}; waiting", file=sys.stderr)
                announced = True
            file.close()
            time.sleep(_POLL_S)
        since = time.strftime("%Y-%m-%d %H:%M:%S")
        entry = {"pid": os.getpid(), "host": socket.gethostname(), "since": since}
        try:
            file.truncate(0)
            file.write(json.dumps(entry).encode())
        except OSError as error:
            file.close()
            raise self._refusal(error) from None
        self._file = file

    def _refusal(self, error: OSError) -> LockError:
        said = f"{self._path}: {error.strerror}; {self._what} needs a folder to write to"
        return LockError(said, error)

    def release(self) -> None:
        """Give the lock up; nothing happens when it is not held."""
        if self._file is not None:
            with contextlib.suppress(OSError):  # the disk is gone, and what was said with it
                self._file.truncate(0)
            self._file.close()
            self._file = None

    def remove(self) -> None:
        """Remove the lock's file, which this process holds, and give the lock up."""
        if self._file is not None:
            self._path.unlink(missing_ok=True)
            self.release()

    def holder(self) -> str | None:
        """``pid 123 on host since 2026-01-31 12:00:00``, or None when nobody holds the lock.

        The lock itself is asked: the text of a killed process stays, and its number may be taken
        by another.
        """
        if self._file is not None:  # and not opened anew: closing that would free the lock
            return _named(os.pread(self._file.fileno(), _LONGEST, 0))
        try:
            with open(self._path, "rb", opener=_no_link) as file:
                try:
                    fcntl.lockf(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
                except (BlockingIOError, PermissionError):
                    return _named(file.read(_LONGEST)) or "another doit"
        except OSError:  # not there, not ours to read, or on a disk without locks
            return None
        return None


def _named(entry: bytes) -> str | None:
    """The holder in words; None where it has not written them yet."""
    try:
        return printable("pid {pid} on {host} since {since}".format_map(json.loads(entry)))
    except (ValueError, TypeError, KeyError):
        return None


def _no_link(path: str, flags: int) -> int:
    """Open for `open`, but never through a symbolic link, and without waiting for a pipe's end."""
    return os.open(path, flags | os.O_NOFOLLOW | os.O_NONBLOCK, 0o666)


def _is_at(file: io.FileIO, path: Path) -> bool:
    """Whether an open file still has its name."""
    try:
        return os.path.samestat(os.fstat(file.fileno()), path.lstat())
    except FileNotFoundError:
        return False
