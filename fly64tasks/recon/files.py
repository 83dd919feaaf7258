"""What a reconstruction leaves in its folder: one table.

`command` writes, refuses and removes by it, tasks name and clean their targets by it, `doit verify`
reads them by it and the report links to them. Another file beside ``reconstruction.npz`` is a row
of `RESULTS` and the function that writes it. `doit list` reads the table: numerical packages are
imported by `load_writers`, before a run.
"""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fly64tasks.data.ownership import Beside, Mark, is_ours, reading, refuse_foreign
from fly64tasks.doitext.atomic import replaced
from fly64tasks.recon.runlog import LOG_MARK

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from fly64tasks.recon.found import Reconstruction
    from fly64tasks.recon.start import Start

RECONSTRUCTION = "reconstruction.npz"
PRODUCT = "product.h5"
LOSSES = "losses.csv"
RUN_RECORD = "run.json"
LOG = "ptychi.log"
OLDER_LOG = "ptychi.log.1"
"""The part before, of a log that grew large."""
PROGRAM_LOG = "program.log"
"""That of a program of others."""
KEPT = "scratch"
"""The folder that such a program ran in, kept where it failed."""
MODEL = "model"
TRAINING_RECORD = "train.json"
CHECKPOINT = "checkpoint.pt"


@dataclass(frozen=True)
class Finished:
    """A reconstruction that succeeded: all that a result file can hold."""

    input_npz: Path
    start: Start
    result: Reconstruction
    record: dict[str, Any]

    @property
    def given_positions_px(self) -> NDArray[np.float64] | None:
        """Return the positions that the set has, (n, 2), where they were corrected."""
        given = self.start.positions_px
        return None if self.result.positions_px is given else given


@dataclass(frozen=True)
class ResultFile:
    """A file that is there only where a reconstruction succeeded.

    Attributes
    ----------
    name : str
    write : callable
        Writes a `Finished` to a path, whole or not at all; the same one gives the same bytes.
    mark : bytes or pattern, optional
        What it holds by which we know it for ours, where `fly64tasks.data.ownership` has none for
        its suffix and it does not hold our name.
    """

    name: str
    write: Callable[[Path, Finished], None]
    mark: Mark | None = None


def _write_reconstruction(path: Path, finished: Finished) -> None:
    from fly64tasks.recon import result

    result.write_reconstruction(path, finished.result, finished.given_positions_px, finished.record)


def _write_product(path: Path, finished: Finished) -> None:
    from fly64tasks.data.writers import product
    from fly64tasks.recon import record

    relaxation = finished.result.relaxation
    changing: dict[str, Any] = {}
    if relaxation is not None:
        changing["opr_modes"], changing["opr_weights"] = relaxation.modes, relaxation.weights
        changing["mean_photons"] = relaxation.mean_power(finished.result.probe)
    product.write_product(
        path,
        name=finished.input_npz.stem,
        comments=record.comments(finished.record, len(finished.result.loss)),
        obj=finished.result.obj,
        probe=finished.result.probe,
        positions_px=finished.result.positions_px,
        given_positions_px=finished.given_positions_px,
        **changing,
        slices=finished.result.slices,
        slice_spacing_m=finished.record["spec"].get("slice_spacing_m"),
        loss=finished.result.loss,
        geometry=finished.start.geometry,
    )


RESULTS = (
    ResultFile(RECONSTRUCTION, _write_reconstruction),
    ResultFile(PRODUCT, _write_product),
)
"""In the order in which they are written."""

_RECORDS = {LOSSES: re.compile(rb"epoch,loss\r\n"), RUN_RECORD: None}
"""Written however the run ends; with their marks."""

TARGETS = (*(file.name for file in RESULTS), *_RECORDS)
"""What there is after a run that succeeded; a task's targets."""

_LOGS = {LOG: LOG_MARK, OLDER_LOG: LOG_MARK, PROGRAM_LOG: LOG_MARK}

MARKS: Mapping[str, Mark | None] = {
    **{file.name: file.mark for file in RESULTS},
    **_RECORDS,
    **_LOGS,
    CHECKPOINT: b"losses_before_stage",
}
"""All that a run may leave, with the marks by which it is known for ours."""

TRAINING_MARKS: Mapping[str, Mark | None] = {
    MODEL: Beside(TRAINING_RECORD),
    TRAINING_RECORD: None,
    PROGRAM_LOG: LOG_MARK,
}
"""All that a training may leave, with the marks; its record last but the log."""
TRAINING_TARGETS = (MODEL, TRAINING_RECORD)

SHOWN = (*(file.name for file in RESULTS), RUN_RECORD, LOSSES, LOG, OLDER_LOG, PROGRAM_LOG)
"""What the report links to."""


def refuse_foreign_files(
    folder: Path, reads: Iterable[Path], marks: Mapping[str, Mark | None] = MARKS
) -> None:
    """Refuse a folder where a file that a run writes or removes is not its own to take.

    A log that is a link is none of them: the link is replaced, and where it leads is left alone.

    Parameters
    ----------
    reads : iterable of Path
        What the run reads.

    Raises
    ------
    DatasetError
        One was not written by this project, or is read by the run.
    """
    with reading(reads):
        for name, mark in marks.items():
            if not (name in _LOGS and (folder / name).is_symlink()):
                refuse_foreign(folder / name, mark)


def remove_results(folder: Path) -> None:
    """Remove `RESULTS`: another run begins, or this one failed."""
    for file in RESULTS:
        if is_ours(folder / file.name, file.mark):
            (folder / file.name).unlink()


def load_writers() -> None:
    """Import what writing takes, before the work that is to be kept: later memory may be short."""
    from fly64tasks.data.writers import product  # noqa: F401
    from fly64tasks.recon import record, result  # noqa: F401


def write_results(folder: Path, finished: Finished) -> None:
    """Write `RESULTS`."""
    for file in RESULTS:
        file.write(folder / file.name, finished)


def write_records(folder: Path, losses: Sequence[float], record: dict[str, Any]) -> None:
    """Write the loss of each epoch so far, and what is to be said of the run."""
    with replaced(folder / LOSSES) as temporary, temporary.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["epoch", "loss"])
        writer.writerows((epoch, repr(loss)) for epoch, loss in enumerate(losses, start=1))
    write_record(folder / RUN_RECORD, record)


def write_record(path: Path, record: dict[str, Any]) -> None:
    """Write what is to be said of a run."""
    with replaced(path) as temporary:
        temporary.write_text(json.dumps(record, indent=2, ensure_ascii=False) + "\n", "utf-8")
