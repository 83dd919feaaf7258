"""A study of any size, finished as doit sees it: ``python benchmarks/finished.py FOLDER 10000``.

Each task's files are written by hand, small, with what doit reads of them in its real form and
place: ``_metadata`` of the sets, ``run.json``. The state is stored by doit's own code. Nothing is
simulated or reconstructed.
"""

from __future__ import annotations

import json
import os
import runpy
import shutil
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
from doit.dependency import Dependency
from doit.doit_cmd import reset_vars
from doit.loader import load_tasks

from fly64tasks.data.lineage import lineage_of_base, lineage_of_set
from fly64tasks.data.ownership import WRITER
from fly64tasks.doitext.state.digests import MD5Checker
from fly64tasks.doitext.state.journal import Journal
from fly64tasks.doitext.state.record import ATTEMPT
from fly64tasks.recon.files import RUN_RECORD
from fly64tasks.study.cases import SPLITS
from fly64tasks.study.paths import Layout
from fly64tasks.study.study import Study, read_study

PROJECT = Path(__file__).parent.parent
ARRAYS = ("diffraction", "objectGuess", "probeGuess", "xcoords", "ycoords", "filenames")
SIZES = {18: (3, 2), 1000: (50, 9), 10000: (500, 9), 30000: (1000, 14)}
"""Doses and thinned views, by the number of cases that they make."""


def make(folder: Path, n_cases: int) -> None:
    """Make a project whose study is finished, with so many cases.

    Parameters
    ----------
    folder : Path
        Made here.
    n_cases : int
        A key of `SIZES`.
    """
    folder.mkdir(parents=True)
    shutil.copy(PROJECT / "dodo.py", folder)
    n_doses, n_views = SIZES[n_cases]
    names = ("dense", "sparse", *(f"view{number}" for number in range(2, n_views)))
    overlap = ", ".join(f"{name} = {0.7 - 0.04 * i:.2f}" for i, name in enumerate(names))
    doses = ", ".join(f"{1000 * (i + 1)}.0" for i in range(n_doses))
    (folder / "study.toml").write_text(f"doses = [{doses}]\n[views]\noverlap = {{ {overlap} }}\n")
    former = Path.cwd()
    os.chdir(folder)
    try:
        _finish(read_study(Path("study.toml")))
    finally:
        os.chdir(former)


def graph_of(folder: Path) -> list[tuple[list[str], list[str]]]:
    """Return the inputs and the targets of each task of a project."""
    former = Path.cwd()
    os.chdir(folder)
    try:
        tasks = _tasks()
    finally:
        os.chdir(former)
    return [(sorted(task.file_dep), task.targets) for task in tasks]


def _tasks() -> list[Any]:
    reset_vars()
    dodo = runpy.run_path("dodo.py")
    return [task for task in load_tasks(dodo, allow_delayed=True) if not task.has_subtask]


def _finish(study: Study) -> None:
    layout = Layout.of(study, study_folder=Path(), project=Path(), study_file=Path("study.toml"))
    _write_sets(study, layout)
    layout.state.parent.mkdir(parents=True, exist_ok=True)
    dependencies = Dependency(Journal, str(layout.state), MD5Checker)
    state = dependencies.backend
    dependencies.checker.digests = state.digests
    record = json.dumps(_RECORD, indent=2)
    for task in _tasks():
        log = (task.meta or {}).get("log")
        for target in (*task.targets, *([log] if log else [])):
            path = Path(target)
            if not path.exists():
                path.parent.mkdir(parents=True, exist_ok=True)
                text = record if path.name == RUN_RECORD else f"{WRITER} {target}\n"
                path.write_text(text)
        task.save_extra_values()
        dependencies.save_success(task)
        state.record_targets(task.name, [*task.targets, *([log] if log else [])])
        attempt = {"status": "done", "started": time.time(), "seconds": 1.0}
        state.set(task.name, ATTEMPT, attempt)
    dependencies.close()


def _write_sets(study: Study, layout: Layout) -> None:
    base = lineage_of_base(study.base, study.geometry)
    _write_set(layout.base, {"lineage": base})
    for dose in study.sorted_doses:
        made_from = (layout.base, dose, study.simulation, study.geometry)
        for split in SPLITS:
            said = {"lineage": lineage_of_set(*made_from), "split": split}
            _write_set(layout.phase_c(dose, split), said)
        for view in study.thinned_views:
            lineage = lineage_of_set(*made_from, study.view_spec(view))
            for split in SPLITS:
                said = {"lineage": lineage, "split": split, "view": view, **_THINNED}
                _write_set(layout.phase_d(dose, view, split), said)


def _write_set(path: Path, metadata: dict[str, Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    text = json.dumps({"writer": WRITER, **metadata, "frames": list(range(40))})
    np.savez(path, _metadata=np.array(text), **dict.fromkeys(ARRAYS, np.zeros(4)))


_THINNED = {
    "selection_strategy": "greedy",
    "spacing_threshold": 19.2,
    "n_accepted": 97,
    "n_rejected": 353,
    "acceptance_rate": 97 / 450,
}
_OPTIONS = {
    f"option_{number}": {"enabled": False, "weight": 0, "stride": number} for number in range(150)
}
_RECORD = {
    "writer": WRITER,
    "stage": "recon",
    "state": "done",
    "exit_code": 0,
    "input": {"path": "data/phase_c/dose_1000/patched_train.npz", "sha256": "0" * 64},
    "set": {"simulated": True},
    "device": {"name": "cpu", "hardware": "CPU"},
    "warnings": [],
    "ptychi_options": [_OPTIONS],
}
"""Of the 14 kB that a ``run.json`` has."""


if __name__ == "__main__":
    make(Path(sys.argv[1]), int(sys.argv[2]))
