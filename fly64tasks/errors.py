"""The errors that a user can cause and mend: one line, no traceback, an exit code each.

What is particular to a failure is said where it is raised; the classes, and the words that several
places share, are here.
"""

from __future__ import annotations

import errno
import os
from pathlib import Path

from fly64tasks.doitext.errors import printable


class Fly64Error(Exception):
    """What came, what was expected and what to do, in one line.

    Control characters of a name or value that it quotes are escaped.
    ``exit_code`` is what `python -m fly64tasks.runner` returns for it; ``task_error`` tells doit's
    reporter that one line says it all.
    """

    exit_code = 1
    task_error = True

    def __init__(self, message: str) -> None:
        super().__init__(printable(message))


class StudyError(Fly64Error):
    """A study file, a stage's settings or an option that can not be used."""

    exit_code = 2


class DatasetError(Fly64Error):
    """An NPZ that breaks the dataset contract, or a scan that can not be used."""

    exit_code = 3


class TooFewFrames(DatasetError):
    """A view that keeps too few frames: its jobs may be skipped, as those without a set may."""

    optional = "phase_d"


class ProjectError(Fly64Error):
    """A folder that a new study can not be written into."""

    exit_code = 3


class EngineError(Fly64Error):
    """The worker processes, or what starts them, failed; not the task."""

    exit_code = 1


class MachineError(Fly64Error):
    """What the machine failed at, not the work: disk, memory. Checkpoints stay (EX_IOERR)."""

    exit_code = 74


class ReconstructionError(Fly64Error):
    """A reconstruction that failed: not finite, or diverged."""

    exit_code = 1


class CheckpointError(Fly64Error):
    """A checkpoint that is of another run, or damaged."""

    exit_code = 4


class StoppedEarly(Fly64Error):
    """A run that was to stop and left a checkpoint: the next one goes on (EX_TEMPFAIL)."""

    exit_code = 75


def shortened(text: object, most: int = 100) -> str:
    """Return text as an error quotes it: a name from a file may be of any length.

    >>> shortened("a" * 1000, most=5)
    'aaaaa...'
    """
    said = str(text)
    return said if len(said) <= most else f"{said[:most]}..."


_ADVICE = {
    (errno.ENOSPC, errno.EDQUOT, errno.EFBIG): "free some space there, and run it again",
    (errno.EROFS, errno.EACCES, errno.EPERM): "make it writable, or choose another folder",
    (errno.EEXIST, errno.ENOTDIR, errno.EISDIR): "choose another folder",
    (errno.ENOENT, errno.ESTALE, errno.ENOTCONN, errno.EIO, errno.ETIMEDOUT): (
        "see that its disk is there, and run it again"
    ),
}


def machine_error(error: OSError | MemoryError) -> MachineError:
    """Return what the operating system or the allocator said, with what to do.

    Examples
    --------
    >>> print(machine_error(OSError(errno.ENOSPC, "No space left on device", "run.json")))
    run.json: no space left on device; free some space there, and run it again
    """
    if isinstance(error, MemoryError):
        said = f": {error}" if str(error) else ""
        return MachineError(f"out of memory{said}; use fewer frames or workers, or more memory")
    where = f"{os.fsdecode(error.filename)}: " if error.filename else ""
    said = (error.strerror or str(error)).lower()
    advice = next((words for numbers, words in _ADVICE.items() if error.errno in numbers), None)
    return MachineError(f"{where}{said}" + (f"; {advice}" if advice else ""))


def failed_reconstruction(reason: str, algorithm: str) -> ReconstructionError:
    """Return what is said of a reconstruction that is none, with what has helped others."""
    hint = "try algorithm MAP, or a smaller batch_size"
    if algorithm == "MAP":
        hint = "look at the set: its positions, its probe, its frames"
    return ReconstructionError(f"{reason}; {hint}")


def failure_of(error: BaseException, about: Path, log: Path) -> BaseException:
    """Return what to raise for an error in the work on a file: one that names it and the log."""
    if isinstance(error, (OSError, MemoryError)):
        return machine_error(error)
    if isinstance(error, (ReconstructionError, MachineError)):
        return type(error)(f"{about}: {error} (log: {log})")
    return error
