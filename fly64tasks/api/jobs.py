"""One set: reconstructed, read, scored."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from fly64tasks.api.sets import AnyPath, refuse_unknown_kind
from fly64tasks.data.dataset import PtychoDataset
from fly64tasks.data.frames import Kind
from fly64tasks.data.readers import read_dataset
from fly64tasks.data.writers.npz import write_dataset
from fly64tasks.errors import DatasetError
from fly64tasks.recon import result
from fly64tasks.recon.files import RECONSTRUCTION, RUN_RECORD
from fly64tasks.recon.result import Reconstructed
from fly64tasks.report.reading import read_json
from fly64tasks.study.recon_settings import ReconSpec
from fly64tasks.study.spec import checked
from fly64tasks.study.stages import AS_STORED, ASSUMED, Geometry, Orientation, ScoreSpec

_SET = "set.npz"


def reconstruct(
    data: AnyPath | PtychoDataset,
    spec: ReconSpec | None = None,
    *,
    output_dir: AnyPath | None = None,
    device: str = "auto",
    geometry: Geometry | None = None,
    diffraction: Kind = "auto",
    orientation: Orientation = AS_STORED,
    on_epoch: Callable[[int, int, float], None] = lambda epoch, num_epochs, loss: None,
) -> Reconstructed:
    """Reconstruct a set with pty-chi.

    Parameters
    ----------
    data : path or PtychoDataset
        A set in a file, or in memory.
    spec : ReconSpec, optional
        The settings; those of the default study unless given.
    output_dir : path, optional
        Keep what a run leaves there, as ``fly64tasks recon`` does: a run that was cut off goes on
        from its checkpoint. A set that was in memory is kept beside it, as ``set.npz``. Nothing is
        kept unless given.
    device : str
        ``auto``, ``cpu``, ``cuda`` or ``cuda:1``.
    geometry : Geometry, optional
        Physical sizes where the set says none; assumed ones unless given.
    diffraction : str
        Whether the set's diffraction is ``amplitude`` or ``intensity``; ``auto`` finds out.
    orientation : Orientation
        How the scan is turned first, as ``fly64tasks inspect --orientations`` says.
    on_epoch : callable
        Called after each epoch with its number, their total and the loss.

    Raises
    ------
    DatasetError
        The set breaks the contract, or ``set.npz`` is there and no run's in ``output_dir``.
    ReconstructionError
        The result is not finite, or diverged.
    StudyError
        A setting has a value that it can not have, or there is no such device.
    """
    from fly64tasks.recon import command

    refuse_unknown_kind(diffraction)
    settings = checked(spec or ReconSpec(), "spec")
    sizes, turns = checked(geometry or ASSUMED, "geometry"), checked(orientation, "orientation")
    with contextlib.ExitStack() as stack:
        folder = Path(output_dir or stack.enter_context(tempfile.TemporaryDirectory()))
        source = folder / _SET if isinstance(data, PtychoDataset) else Path(data)
        if isinstance(data, PtychoDataset):
            _refuse_a_set_of_its_own(source)
            write_dataset(source, data)
        command.run(
            source,
            folder,
            settings,
            device=device,
            geometry=sizes,
            diffraction=diffraction,
            orientation=turns,
            on_epoch=on_epoch,
        )
        found = read_reconstruction(folder)
    return found if output_dir else replace(found, path=None)


class _Input(Struct):
    path: str


class _Run(Struct):
    input: _Input


def _refuse_a_set_of_its_own(path: Path) -> None:
    """Refuse to write over a set, unless a run beside it had it written in this way."""
    if not path.exists():
        return
    run = read_json(path.with_name(RUN_RECORD), _Run)
    if run is None or Path(run.input.path).resolve() != path.resolve():
        raise DatasetError(
            f"{path}: exists and was not kept there by a run; expected a free name for the set: "
            "choose another output_dir, or give this path to have it reconstructed"
        )


def read_reconstruction(path: AnyPath) -> Reconstructed:
    """Read a ``reconstruction.npz``, or the one in a folder.

    Raises
    ------
    DatasetError
        It is not one.
    """
    found = Path(path)
    return result.read_reconstruction(found / RECONSTRUCTION if found.is_dir() else found)


def score_reconstruction(
    reconstruction: AnyPath | Reconstructed,
    data: AnyPath | PtychoDataset,
    spec: ScoreSpec | None = None,
    *,
    truth: Literal["objectGuess"] | None = None,
) -> dict[str, Any]:
    """Return the scores of a reconstruction: against the truth of its set, and against its data.

    Parameters
    ----------
    reconstruction : path or Reconstructed
        As `reconstruct` returned it, a ``reconstruction.npz``, or the folder that holds one.
    data : path or PtychoDataset
        The set that it was made from.
    truth : str, optional
        ``objectGuess``: the set's object is the truth, though it does not say that it is simulated.

    Returns
    -------
    dict
        What ``scores.json`` holds: ``metrics`` by key (None where one does not exist), ``bounds``,
        ``notes``, and what was removed before comparing.

    Raises
    ------
    DatasetError
        It was not made from this set.
    StudyError
        A setting has a value that it can not have.
    """
    from fly64tasks.score import record

    if not isinstance(reconstruction, Reconstructed):
        reconstruction = read_reconstruction(reconstruction)
    if not isinstance(data, PtychoDataset):
        data = read_dataset(
            Path(data),
            diffraction=reconstruction.diffraction,
            orientation=reconstruction.orientation,
        )
    settings = checked(spec or ScoreSpec(), "spec")
    return record.assess(reconstruction, data, settings, truth=truth)[0]


def score_object(
    obj: AnyPath | NDArray[np.complexfloating],
    data: AnyPath | PtychoDataset,
    spec: ScoreSpec | None = None,
    *,
    key: str | None = None,
    truth: Literal["objectGuess"] | None = None,
) -> dict[str, Any]:
    """Return the scores of any program's object against the truth of a set.

    Parameters
    ----------
    obj : path or (h, w) complex
        An array, or a file that holds one: NPY, NPZ, HDF5, MATLAB v7.3, a product.
    data : path or PtychoDataset
        The set.
    key : str, optional
        Of the object in its file; needed where several arrays could be meant.
    truth : str, optional
        ``objectGuess``: the set's object is the truth, though it does not say that it is simulated.

    Returns
    -------
    dict
        As `score_reconstruction` returns it, without what needs a probe; ``object`` says how it was
        placed, and which share of the region it has.

    Raises
    ------
    DatasetError
        The set has no truth, or the object can not be placed on it.
    StudyError
        A setting has a value that it can not have.
    """
    from fly64tasks.score import alone

    return alone.score_object(
        obj if isinstance(obj, np.ndarray) else Path(obj),
        data if isinstance(data, PtychoDataset) else Path(data),
        checked(spec or ScoreSpec(), "spec"),
        key=key,
        truth=truth,
    )
