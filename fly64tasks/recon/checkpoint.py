"""Checkpoints: a long reconstruction on disk between two epochs, to go on from after any end.

A checkpoint says which run it is of (input, settings, versions, kind of device) and is used for no
other. It holds tensors and plain values only and is read with ``weights_only``: a file from a
stranger executes nothing.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from fly64tasks.doitext.atomic import replaced
from fly64tasks.doitext.errors import machine_fault
from fly64tasks.doitext.spec import differences
from fly64tasks.errors import CheckpointError, StoppedEarly, machine_error
from fly64tasks.recon.ptychi.state import from_bytes, write
from fly64tasks.study.run_settings import CheckpointSpec

logger = logging.getLogger(__name__)

_SCHEMA = 3
_KEYS = {"schema", "run", "stage", "losses", "losses_before_stage", "task"}


@dataclass(frozen=True)
class Progress:
    """Where a reconstruction was.

    Attributes
    ----------
    stage : int
        Index of the stage that was running.
    losses : tuple of float
        Of all epochs so far.
    losses_before_stage : int
        How many of them are of earlier stages.
    task : dict
        The state of pty-chi's task, as `task_state.capture` gives it.
    """

    stage: int
    losses: tuple[float, ...]
    losses_before_stage: int
    task: dict[str, Any]


@dataclass
class Checkpoints:
    """The checkpoint of one run: read at its start, written now and then, removed at its end.

    Attributes
    ----------
    path : Path
    run : dict
        What the run is of, JSON-ready: a checkpoint that says anything else is not its own.
    spec : CheckpointSpec
        How often to write.
    why_stop : callable
        Asked after each epoch; words end the run there, with a checkpoint.
    reached : Progress or None
        Where the run goes on from, until it is taken.
    """

    path: Path
    run: dict[str, Any]
    spec: CheckpointSpec
    why_stop: Callable[[], str | None] = lambda: None
    reached: Progress | None = None
    _written: float = field(default_factory=time.monotonic)
    _was_taken: bool = False

    @classmethod
    def of_run(
        cls,
        record: dict[str, Any],
        path: Path,
        spec: CheckpointSpec,
        why_stop: Callable[[], str | None],
    ) -> Checkpoints:
        """Return the checkpoints of the run that a record is of."""
        run = {
            "input_sha256": record["input"]["sha256"],
            **({"input_with": record["input"]["with"]} if "with" in record["input"] else {}),
            "spec": record["spec"],
            **({"geometry": record["set"]["geometry"]} if "slices" in record["spec"] else {}),
            **({"data": record["data"]} if "data" in record else {}),
            "versions": record["versions"],
            "device": record["device"]["name"].partition(":")[0],
        }
        return cls(path, run, spec, why_stop)

    @property
    def losses(self) -> tuple[float, ...]:
        """Return the loss of each epoch that was reached."""
        return self.reached.losses if self.reached else ()

    def take_up(self, other: Literal["refuse", "discard"], *, fresh: bool) -> None:
        """Find out where the run goes on from.

        Parameters
        ----------
        other : str
            What to do with a checkpoint of another run, or a damaged one.
        fresh : bool
            Start anew, whatever checkpoint there is.

        Raises
        ------
        CheckpointError
            It is damaged, or of another run, and is to be refused.
        """
        if fresh:
            self.remove()
        try:
            self.load()
        except CheckpointError as error:
            if other == "refuse":
                raise
            logger.warning("%s", error)

    def load(self) -> None:
        """Read where the run was into ``reached``, where there is a checkpoint.

        Raises
        ------
        CheckpointError
            It is damaged, or of another run; the message says what differs.
        OSError
            The disk does not give it.
        """
        if not self.path.exists():
            return
        try:
            content = from_bytes(self.path.read_bytes())
        except (OSError, ValueError) as error:
            if machine_fault(error):  # it may well be whole
                raise
            raise self._refused(f"is damaged ({error})") from None
        if not isinstance(content, dict) or set(content) != _KEYS or content["schema"] != _SCHEMA:
            raise self._refused("is not one of this version")
        changed = list(differences(content["run"], self.run))
        if changed:
            raise self._refused(f"is of another run ({'; '.join(changed)})")
        self.reached = Progress(
            content["stage"],
            tuple(content["losses"]),
            content["losses_before_stage"],
            content["task"],
        )

    def take(self) -> Progress | None:
        """Return where the run goes on from, and hold it no longer: its arrays take memory.

        Whoever asks once more, because what was begun did not fit, has it from the file again.

        Raises
        ------
        CheckpointError, OSError
            As `load` does, of the file.
        """
        if self._was_taken:
            self.load()
        progress, self.reached = self.reached, None
        self._was_taken = progress is not None
        return progress

    def after_epoch(
        self,
        stage: int,
        losses: Sequence[float],
        losses_before_stage: int,
        capture: Callable[[], dict[str, Any]],
    ) -> None:
        """Write a checkpoint when one is due, or when the run is to stop.

        One that can not be written while the run goes on is worth a warning; the former stays.

        Raises
        ------
        StoppedEarly
            The run is to stop; the checkpoint is written.
        OSError
            The run is to stop, and the checkpoint can not be written.
        """
        why = self.why_stop()
        every = self.spec.epochs
        due = time.monotonic() - self._written >= self.spec.seconds or (
            every is not None and len(losses) % every == 0
        )
        if not (due or why):
            return
        self._written = time.monotonic()
        content = {
            "schema": _SCHEMA,
            "run": self.run,
            "stage": stage,
            "losses": list(losses),
            "losses_before_stage": losses_before_stage,
            "task": capture(),
        }
        try:
            self._write(content)
        except OSError as error:
            if why:
                raise
            logger.warning(
                "%s; no checkpoint of epoch %d, the run goes on", machine_error(error), len(losses)
            )
        if why:
            raise StoppedEarly(f"{why} after epoch {len(losses)}; run again to go on from there")

    def _write(self, content: dict[str, Any]) -> None:
        with replaced(self.path) as temporary:
            write(content, temporary)

    def remove(self) -> None:
        """Remove the checkpoint: the run has ended, or starts anew."""
        self.path.unlink(missing_ok=True)

    def _refused(self, problem: str) -> CheckpointError:
        return CheckpointError(f"{self.path}: the checkpoint {problem}; --fresh starts anew")
