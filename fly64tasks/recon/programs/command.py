"""Programs of others: trained once, run per set, and what they write made a reconstruction of ours.

What such a program can not do is get the truth by mistake, or by reading what it was given: the
copy of the set that it gets has none, and no path leads from it to the set. It runs with the rights
of who started it, and could look elsewhere.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from fly64tasks.data import lineage
from fly64tasks.data.dataset import PtychoDataset
from fly64tasks.data.lineage import AskedSet
from fly64tasks.data.readers import read_dataset
from fly64tasks.recon import files, record, recording
from fly64tasks.recon.programs import written
from fly64tasks.recon.programs.job import SET, Job, remove_kept
from fly64tasks.recon.start import Start, start_of
from fly64tasks.study.methods import ProgramSpec
from fly64tasks.study.recon_settings import ReconSpec
from fly64tasks.study.stages import ASSUMED, DataSpec, Geometry, said_of_reading


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
    files.refuse_foreign_files(folder, (source, *start.files), files.TRAINING_MARKS)
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
    job = Job(method, spec, "train", folder, program_files, why_stop)
    with recorded, job.scratch() as scratch:
        job.write_set(scratch, dataset, start)
        job.run(scratch, {"train_npz": SET["train"], "model": files.MODEL}, of_run)
        shutil.move(job.taken(written.own_file, scratch / files.MODEL, "{model}"), model)
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
    files.refuse_foreign_files(folder, (source, *start.files))
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
    job = Job(method, spec, "command", folder, program_files, why_stop)
    with recorded, job.scratch() as scratch:
        job.write_set(scratch, dataset, start)
        values = {"input_npz": SET["command"], "output": spec.output}
        if model is not None:
            shutil.copyfile(model, scratch / files.MODEL)
            values["model"] = files.MODEL
        job.run(scratch, values, of_run)
        found = job.taken(written.read_written, scratch / spec.output, spec.key, start)
        losses += found.loss
        result, of_run["scale"] = job.taken(written.in_scale, found, start, dataset)
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
