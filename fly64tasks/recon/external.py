"""Programs of others: trained once, run per set, and what they write made a reconstruction of ours.

What such a program can not do is get the truth by mistake, or by reading what it was given: the
copy of the set that it gets has none, and no path leads from it to the set. It runs with the rights
of who started it, and could look elsewhere.
"""

from __future__ import annotations

import contextlib
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

from fly64tasks.data import lineage
from fly64tasks.data.blinded import blinded
from fly64tasks.data.dataset import PtychoDataset
from fly64tasks.data.lineage import AskedSet
from fly64tasks.data.ownership import is_ours
from fly64tasks.data.readers import read_dataset
from fly64tasks.data.writers.npz import write_dataset
from fly64tasks.engine.folder import OwnFolder
from fly64tasks.errors import DatasetError, ReconstructionError
from fly64tasks.recon import files, foreign, program, record, recording
from fly64tasks.recon.start import Start, start_of
from fly64tasks.study.methods import ProgramSpec, Step
from fly64tasks.study.recon_settings import ReconSpec
from fly64tasks.study.stages import ASSUMED, DataSpec, Geometry, said_of_reading

P = ParamSpec("P")
T = TypeVar("T")

_SET = {"train": "train.npz", "command": "input.npz"}
_README = "README"
_WHY_KEPT = """fly64tasks kept this: run/ is the folder of a program that failed, as it left it.
It is removed when the job runs again, and by doit clean.
"""


def train(
    source: Path,
    folder: Path,
    method: str,
    spec: ProgramSpec,
    *,
    program_files: Mapping[str, Path],
    geometry: Geometry = ASSUMED,
    data: DataSpec | None = None,
    asked: AskedSet | None = None,
    why_stop: Callable[[], str | None] = lambda: None,
) -> dict[str, Any]:
    """Have a program make its model of one set; return the record.

    Writes `files.TRAINING_TARGETS` and ``program.log``. Parameters and errors as `reconstruct`.
    """
    data = data or DataSpec()
    dataset, start, sha256 = _read(source, geometry, data, asked)
    files.refuse_foreign_files(folder, files.TRAINING_MARKS)
    remove_kept(folder / files.KEPT)
    of_run = _begun(source, sha256, start, spec, data) | {"stage": "train"}
    of_run["spec"] = spec.settings("train")
    model = folder / files.MODEL
    recorded = recording.recorded(
        of_run,
        spec.words("train"),
        about=source,
        log=folder / files.PROGRAM_LOG,
        remove=partial(model.unlink, missing_ok=True),
        write=partial(files.write_record, folder / files.TRAINING_RECORD, of_run),
    )
    job = _Job(method, spec, "train", folder, program_files, why_stop)
    with recorded, job.scratch() as scratch:
        job.write_set(scratch, dataset, start)
        job.run(scratch, {"train_npz": _SET["train"], "model": files.MODEL}, of_run)
        made = scratch / files.MODEL
        if not made.is_file():
            beside = ", ".join(sorted(item.name for item in scratch.iterdir()))
            raise ReconstructionError(
                f"method {method}: train wrote no file {files.MODEL}, expected it at {{model}}; "
                f"found {beside}"
            )
        shutil.move(made, model)
    return of_run


def reconstruct(
    source: Path,
    folder: Path,
    method: str,
    spec: ProgramSpec,
    *,
    program_files: Mapping[str, Path],
    model: Path | None = None,
    geometry: Geometry = ASSUMED,
    data: DataSpec | None = None,
    asked: AskedSet | None = None,
    why_stop: Callable[[], str | None] = lambda: None,
) -> dict[str, Any]:
    """Have a program reconstruct one set, and write its result as ours; return the record.

    Writes `files.TARGETS` and ``program.log``. A program that fails, or whose output can not be
    taken, leaves its folder as ``scratch`` beside the log, and no result.

    Parameters
    ----------
    method : str
        Its name, for errors.
    program_files : mapping of str to Path
        Where the files lie that words of its command name.
    model : Path, optional
        What it was trained to.
    geometry : Geometry
        Physical sizes where the set says none.
    data : DataSpec, optional
        How the set is read.
    asked : AskedSet, optional
        What the set is to be made from.
    why_stop : callable
        Asked while it runs; words end it.

    Raises
    ------
    DatasetError
        The set breaks the contract or was made from anything else, or a file in the folder is not
        ours; before anything is written.
    ReconstructionError
        The program is missing, failed, ran into its time limit, or wrote what can not be taken.
    StoppedEarly
        ``why_stop`` said so.
    """
    data = data or DataSpec()
    dataset, start, sha256 = _read(source, geometry, data, asked)
    files.refuse_foreign_files(folder)
    remove_kept(folder / files.KEPT)
    files.load_writers()
    of_run = _begun(source, sha256, start, spec, data)
    of_run["spec"] = spec.settings("command")
    losses: list[float] = []
    recorded = recording.recorded(
        of_run,
        spec.words("command"),
        about=source,
        log=folder / files.PROGRAM_LOG,
        remove=partial(files.remove_results, folder),
        write=partial(files.write_records, folder, losses, of_run),
    )
    job = _Job(method, spec, "command", folder, program_files, why_stop)
    with recorded, job.scratch() as scratch:
        job.write_set(scratch, dataset, start)
        values = {"input_npz": _SET["command"], "output": spec.output}
        if model is not None:
            shutil.copyfile(model, scratch / files.MODEL)
            values["model"] = files.MODEL
        job.run(scratch, values, of_run)
        found = job.taken(foreign.read_written, scratch / spec.output, spec.key, start)
        losses += found.loss
        result, of_run["scale"] = job.taken(foreign.in_scale, found, start, dataset)
        of_run["fit"] = record.fit_of(start, result, ReconSpec())
        files.write_results(folder, files.Finished(source, start, result, of_run))
    return of_run


def _read(
    path: Path, geometry: Geometry, data: DataSpec, asked: AskedSet | None
) -> tuple[PtychoDataset, Start, str]:
    with lineage.unchanged(path):
        dataset = read_dataset(path, diffraction=data.diffraction, orientation=data, extras=False)
        sha256 = lineage.digest(path)
    if asked is not None:
        asked.refuse_other(dataset.metadata, path)
    return dataset, start_of(dataset, ReconSpec(), str(path), geometry), sha256


def _begun(
    path: Path, sha256: str, start: Start, spec: ProgramSpec, data: DataSpec
) -> dict[str, Any]:
    read_as = said_of_reading(data.diffraction, data)
    of_run = record.begun(path, sha256, start, spec, None, None, read_as)
    of_run["start"]["truth_seeded"] = spec.sees_truth and start.simulated
    of_run["program"] = None
    return of_run


class _Job:
    """One run of a program: its folder, its command line, and its failures in its name."""

    def __init__(
        self,
        method: str,
        spec: ProgramSpec,
        step: Step,
        folder: Path,
        program_files: Mapping[str, Path],
        why_stop: Callable[[], str | None],
    ) -> None:
        self._method, self._spec, self._step = method, spec, step
        self._log = folder / files.PROGRAM_LOG
        self._kept = folder / files.KEPT
        self._files = program_files
        self._why_stop = why_stop

    @property
    def _names(self) -> dict[str, str]:
        """Return what the files of the program are called where it runs."""
        return {word: path.name for word, path in self._files.items()}

    @contextlib.contextmanager
    def scratch(self) -> Iterator[Path]:
        """Yield a folder for the program to run in: gone afterwards, and kept where it failed."""
        with OwnFolder(Path(tempfile.gettempdir()), "fly64-program-") as own:
            folder = own / "run"
            folder.mkdir()
            for path in self._files.values():
                shutil.copy(path, folder)
            try:
                yield folder
            except ReconstructionError as error:
                self._kept.mkdir()
                (self._kept / _README).write_text(_WHY_KEPT, "utf-8")
                shutil.move(folder, self._kept / "run")
                raise ReconstructionError(f"{error}; its folder is kept: {self._kept}") from None

    def write_set(self, folder: Path, dataset: PtychoDataset, start: Start) -> None:
        """Write the set as the program is to see it."""
        shape, origin = start.canvas.shape, start.canvas.origin_px
        shown = blinded(
            dataset,
            start.geometry,
            (shape[0], shape[1]),
            (origin[0], origin[1]),
            sees_truth=self._spec.sees_truth,
        )
        write_dataset(folder / _SET[self._step], shown)

    def run(self, folder: Path, values: Mapping[str, object], of_run: dict[str, Any]) -> None:
        """Run it, and record that; raises ReconstructionError where it fails."""
        values = {**values, "seed": self._spec.seed}
        words = self.taken(program.words_of, self._spec.words(self._step), values, self._names)
        ended = program.run(words, folder, self._log, self._spec.timeout_s, self._why_stop)
        of_run["program"] = {"command": words, **ended.said()}
        what = f"method {self._method}: {self._step}"
        if ended.exit_code is None:
            raise ReconstructionError(
                f"{what} ran into its time limit of {self._spec.timeout_s:g} s"
            )
        if ended.exit_code:
            code = ended.exit_code
            how = f"ended with exit code {code}" if code > 0 else f"was ended by signal {-code}"
            last = f": {ended.tail[-1]}" if ended.tail else ""
            raise ReconstructionError(f"{what} {how}{last}")

    def taken(self, fn: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Call a function whose failures are the program's."""
        try:
            return fn(*args, **kwargs)
        except (ReconstructionError, DatasetError) as error:
            raise ReconstructionError(f"method {self._method}: {error}") from None


def remove_kept(folder: Path) -> bool:
    """Remove the folder of a program that failed; return whether it was there.

    Raises
    ------
    DatasetError
        There is one that is not ours.
    """
    if not folder.exists():
        return False
    if not is_ours(folder / _README):
        raise DatasetError(f"{folder}: exists and is not ours; expected a free name: move it away")
    shutil.rmtree(folder)
    return True
