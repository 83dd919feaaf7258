"""What a notebook may use; `fly64tasks` itself hands these names on, and loads them when asked.

Paths are strings or `pathlib.Path`. Results are arrays, dataclasses and plain records, so that
`pandas.DataFrame(records)` makes a table where pandas is there. torch and pty-chi are imported by
`reconstruct` alone.
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, replace
from os import PathLike
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fly64tasks.data.dataset import PtychoDataset
from fly64tasks.data.frames import Kind
from fly64tasks.data.readers import read_dataset
from fly64tasks.data.writers.npz import write_dataset
from fly64tasks.errors import (
    DatasetError,
    Fly64Error,
    MachineError,
    ReconstructionError,
    StudyError,
)
from fly64tasks.recon import result
from fly64tasks.recon.files import RECONSTRUCTION
from fly64tasks.recon.result import Reconstructed
from fly64tasks.setup import new
from fly64tasks.study.cases import Case
from fly64tasks.study.paths import Layout
from fly64tasks.study.recon_settings import ReconSpec
from fly64tasks.study.stages import AS_STORED, ASSUMED, Geometry, Orientation, ScoreSpec
from fly64tasks.study.study import Study, read_study

__all__ = [
    "DatasetError",
    "Fly64Error",
    "Geometry",
    "MachineError",
    "Orientation",
    "PlannedTask",
    "PtychoDataset",
    "ReconSpec",
    "Reconstructed",
    "ReconstructionError",
    "ScoreSpec",
    "Study",
    "StudyError",
    "StudyProject",
    "load_study",
    "make_set",
    "read_reconstruction",
    "read_set",
    "reconstruct",
    "score_object",
    "score_reconstruction",
    "write_set",
]

AnyPath = str | PathLike[str]

_SET = "set.npz"


def read_set(
    path: AnyPath, *, diffraction: Kind = "auto", orientation: Orientation = AS_STORED
) -> PtychoDataset:
    """Read a set: an NPZ of the contract DATA-001, or a scan in another tool's file or a key map.

    Parameters
    ----------
    diffraction : str
        Whether its diffraction is ``amplitude`` or ``intensity``; ``auto`` finds out.
    orientation : Orientation
        How it is turned once it is read.

    Raises
    ------
    DatasetError
        It breaks the contract, or lacks what its format has; the message names the file and the
        key.
    """
    return read_dataset(Path(path), diffraction=diffraction, orientation=orientation)


def write_set(path: AnyPath, dataset: PtychoDataset) -> Path:
    """Write a set, whole or not at all; return its path.

    Raises
    ------
    DatasetError
        ``path`` exists and was not written by this project.
    """
    write_dataset(Path(path), dataset)
    return Path(path)


def make_set(
    *,
    positions_px: ArrayLike,
    probe: ArrayLike,
    diffraction_amplitude: ArrayLike | None = None,
    diffraction_intensity: ArrayLike | None = None,
    obj: ArrayLike | None = None,
    mask: ArrayLike | None = None,
    simulated: bool = False,
    geometry: Geometry | None = None,
) -> PtychoDataset:
    """Return arrays as a set.

    Parameters
    ----------
    positions_px : (n, 2) float
        Patch centres in pixels, y first; in the frame of ``obj`` where that is given.
    probe : (N, N) or (modes, N, N) complex
        Illumination at the sample, in any scale.
    diffraction_amplitude : (n, N, N) float
        Square root of photon counts, zero frequency centred.
    diffraction_intensity : (n, N, N) float or int
        Photon counts, in place of the amplitude.
    obj : (H, W) complex, optional
        A first object, for ``object_init = "guess"``, or with ``simulated`` the truth. Where it is
        used it sets the frame of the result; else that is sized from the scan.
    mask : (N, N) or (n, N, N) bool, optional
        Pixels that count, of every frame or of each; all unless given.
    simulated : bool
        Whether ``obj`` is the truth that the diffraction was simulated from.
    geometry : Geometry, optional
        Physical sizes; assumed ones unless given.

    Raises
    ------
    DatasetError
        Not exactly one of amplitude and intensity is given, or ``simulated`` without an object.

    Examples
    --------
    >>> import numpy as np
    >>> frames = make_set(
    ...     diffraction_intensity=np.ones((3, 8, 8), int),
    ...     positions_px=[[10, 10], [10, 14], [14, 10]],
    ...     probe=np.ones((8, 8)),
    ... )
    >>> frames.diffraction_amplitude.dtype, frames.probe_guess.shape
    (dtype('float32'), (1, 8, 8))
    """
    if (diffraction_amplitude is None) == (diffraction_intensity is None):
        raise DatasetError(
            "make_set: found both or neither of diffraction_amplitude and diffraction_intensity, "
            "expected one"
        )
    if simulated and obj is None:
        raise DatasetError("make_set: simulated without obj, expected the truth as obj")
    if diffraction_intensity is not None:
        diffraction_amplitude = np.sqrt(np.asarray(diffraction_intensity, dtype=float))
    modes = np.asarray(probe, dtype=np.complex64)
    metadata: dict[str, Any] = {"diffraction_order": "NHW", "simulated": simulated}
    if geometry is not None:
        metadata["geometry"] = geometry.to_dict()
    return PtychoDataset(
        diffraction_amplitude=np.asarray(diffraction_amplitude, dtype=np.float32),
        object_guess=None if obj is None else np.asarray(obj, dtype=np.complex64),
        probe_guess=modes[None] if modes.ndim == 2 else modes,
        positions_px=np.asarray(positions_px, dtype=float),
        metadata=metadata,
        mask=None if mask is None else np.asarray(mask, dtype=bool),
    )


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
        The set breaks the contract.
    ReconstructionError
        The result is not finite, or diverged.
    """
    from fly64tasks.recon import command

    with contextlib.ExitStack() as stack:
        folder = Path(output_dir or stack.enter_context(tempfile.TemporaryDirectory()))
        source = folder / _SET if isinstance(data, PtychoDataset) else Path(data)
        if isinstance(data, PtychoDataset):
            write_dataset(source, data)
        command.run(
            source,
            folder,
            spec or ReconSpec(),
            device=device,
            geometry=geometry or ASSUMED,
            diffraction=diffraction,
            orientation=orientation,
            on_epoch=on_epoch,
        )
        found = read_reconstruction(folder)
    return found if output_dir else replace(found, path=None)


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
    """
    from fly64tasks.score import command

    if not isinstance(reconstruction, Reconstructed):
        reconstruction = read_reconstruction(reconstruction)
    if not isinstance(data, PtychoDataset):
        data = read_dataset(
            Path(data),
            diffraction=reconstruction.diffraction,
            orientation=reconstruction.orientation,
        )
    return command.assess(reconstruction, data, spec or ScoreSpec(), truth=truth)[0]


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
    """
    from fly64tasks.score import alone

    return alone.score_object(
        obj if isinstance(obj, np.ndarray) else Path(obj),
        data if isinstance(data, PtychoDataset) else Path(data),
        spec or ScoreSpec(),
        key=key,
        truth=truth,
    )


class PlannedTask(NamedTuple):
    """A task, what a run would do with it, and why.

    ``verdict`` is ``run``, ``may run`` (what it depends on runs, and may come out the same),
    ``up to date``, ``error``, ``ignored`` or ``skipped``.
    """

    task: str
    verdict: str
    reasons: tuple[str, ...]


@dataclass(frozen=True)
class StudyProject:
    """A study file and the folder that its results lie in; `load_study` makes it.

    Attributes
    ----------
    path : Path
        The study file.
    folder : Path
        Where doit is called, and below which the results lie.
    study : Study
    layout : Layout
        Where everything lies.
    """

    path: Path
    folder: Path
    study: Study
    layout: Layout

    @property
    def cases(self) -> tuple[Case, ...]:
        """Return the jobs, in the order of the study."""
        return tuple(self.study.cases())

    def plan(self, *tasks: str) -> list[PlannedTask]:
        """Return what ``doit`` would run, and why, as ``doit -n`` says it; nothing is written.

        Parameters
        ----------
        tasks : str
            Names or patterns, as ``recon:dose_1000_*``, and what they need; all unless given.

        Raises
        ------
        StudyError
            doit refuses: no such task, an input that is missing, a ``dodo.py`` that fails.
        """
        study = os.path.relpath(self.path, self.folder)
        with tempfile.TemporaryDirectory() as empty:
            dodo = self.folder / "dodo.py"
            if not dodo.exists():
                dodo = Path(empty, "dodo.py")
                dodo.write_bytes(new.content("default", "dodo.py"))
            # A process of its own: doit changes the current folder, and reads a dodo.py once.
            done = subprocess.run(
                [
                    *(sys.executable, "-m", "doit", "run", "-n", "--json"),
                    *("-f", str(dodo.absolute()), "-d", ".", f"study={study}", *tasks),
                ],
                cwd=self.folder,
                capture_output=True,
                text=True,
                check=False,
            )
        try:
            planned = json.loads(done.stdout)["tasks"]
        except (ValueError, KeyError):
            said = " ".join(done.stderr.split()) or f"doit exited with {done.returncode}"
            raise StudyError(f"{self.path}: {said}") from None
        return [
            PlannedTask(item["task"], item["verdict"], tuple(item["reasons"])) for item in planned
        ]

    def results(self) -> list[dict[str, Any]]:
        """Return a record for each job, in the order of the study: `pandas.DataFrame` takes them.

        Each has ``case``, ``dose``, ``view``, ``split``, ``gridsize``, ``method``, ``repeat``,
        ``state``, ``why`` (where there are no scores, in words), ``n_frames``, ``seconds``,
        ``loss`` and every score by its key, None where there is none.

        Raises
        ------
        Fly64Error
            A file of a job is damaged.
        """
        from fly64tasks.report.results import read_jobs
        from fly64tasks.score.scorecard import METRICS

        case_keys = ("dose", "view", "split", "gridsize", "method", "repeat")
        return [
            {
                "case": job.case.name,
                **{key: getattr(job.case, key) for key in case_keys},
                "state": job.state,
                "why": job.why,
                "n_frames": job.run.start.get("n_frames") if job.run else None,
                "seconds": job.run.seconds if job.run else None,
                "loss": job.losses[-1] if job.losses else None,
                **{metric.key: job.value(metric) for metric in METRICS},
            }
            for job in read_jobs(self.study, self.layout)
        ]


def load_study(path: AnyPath = "study.toml", *, folder: AnyPath | None = None) -> StudyProject:
    """Return the study in a file, or in a project folder's ``study.toml``.

    Parameters
    ----------
    path : path
        The study file, or the folder that has one.
    folder : path, optional
        The project folder, where doit is called; the study file's own unless given.

    Raises
    ------
    StudyError
        The file can not be read or used; the message names the key.
    """
    file = Path(path)
    if file.is_dir():
        file = file / "study.toml"
    project = file.parent if folder is None else Path(folder)
    study = read_study(file)
    layout = Layout.of(study, study_folder=file.parent, project=project, study_file=file)
    return StudyProject(file, project, study, layout)
