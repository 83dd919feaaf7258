"""A study that was run, or is to be: its jobs, what a run would do, and its results as records."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from fly64tasks.api.sets import AnyPath
from fly64tasks.errors import StudyError
from fly64tasks.setup import new
from fly64tasks.study.cases import Case
from fly64tasks.study.paths import Layout
from fly64tasks.study.study import Study, read_study


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
