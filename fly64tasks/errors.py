"""The errors that a user can cause and mend: one line, no traceback, an exit code each."""

from __future__ import annotations

from collections.abc import Sequence

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


class EngineError(Fly64Error):
    """The worker processes, or what starts them, failed; not the task."""

    exit_code = 1


class ReconstructionError(Fly64Error):
    """A reconstruction that failed: not finite, or diverged; with the losses up to there."""

    exit_code = 1

    def __init__(self, message: str, losses: Sequence[float] = ()) -> None:
        super().__init__(message)
        self.losses = tuple(losses)


class CheckpointError(Fly64Error):
    """A checkpoint that is of another run, or damaged."""

    exit_code = 4


class StoppedEarly(ReconstructionError):
    """A run that was to stop and left a checkpoint: the next one goes on (EX_TEMPFAIL)."""

    exit_code = 75
