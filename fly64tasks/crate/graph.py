"""The crate of a study: which files, runs and inputs are in it, as one graph in one file."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from fly64tasks.crate.entities import (
    Entity,
    Run,
    action_of,
    file_entity,
    id_of,
    input_entity,
    path_of,
    rights_of,
    settings_of,
    software_id,
    software_of,
    statuses_of,
)
from fly64tasks.doitext.state.claims import MARK
from fly64tasks.errors import DatasetError

METADATA = "ro-crate-metadata.json"
SPECIFICATION = "https://w3id.org/ro/crate/1.2"
_MARK = b'"creator": {\n        "@id": "#software-fly64tasks"'
"""What a crate of ours says of itself."""
_LEFT_OUT = {"checkpoint.pt", "README.md", METADATA}
_REPORT = "index.html"
"""What lies in the folder of a study's results, and in none of its jobs'."""


def write_crate(
    folder: Path,
    study_file: str = "study.toml",
    *,
    license_url: str | None = None,
    author: str | None = None,
) -> tuple[Path, int, int]:
    """Write the crate of a study; return its path, and how many files and reconstructions it has.

    Parameters
    ----------
    folder : Path
        The project folder, where doit is called.
    study_file : str
        The study file, relative to it.

    Raises
    ------
    DatasetError
        The study can not be read, was not run, or lies outside of the folder; or a crate of
        another lies there.
    """
    from fly64tasks.data.ownership import refuse_foreign
    from fly64tasks.doitext.atomic import replaced

    target = folder / METADATA
    refuse_foreign(target, _MARK)
    graph, n_files, n_jobs = _graph(folder, study_file, license_url, author)
    crate = {"@context": f"{SPECIFICATION}/context", "@graph": graph}
    with replaced(target) as temporary:
        text = json.dumps(crate, indent=2, ensure_ascii=False, allow_nan=False)
        temporary.write_text(text + "\n", "utf-8")
    return target, n_files, n_jobs


def _graph(
    folder: Path, study_file: str, license_url: str | None, author: str | None
) -> tuple[list[Entity], int, int]:
    from fly64tasks.recon.files import RUN_RECORD, TRAINING_RECORD
    from fly64tasks.report.reading import read_json

    name, roots, programs = _study_of(folder / study_file)
    own = (folder / study_file, folder / "dodo.py", *programs)
    paths = [path for path in own if path.is_file()]
    for root in roots:
        paths += _files_below(folder / root)
    files = {id_of(path, folder): file_entity(path, folder) for path in dict.fromkeys(paths)}
    software: dict[str, Entity] = {}
    settings: dict[str, Entity] = {}
    inputs: dict[str, Entity] = {}
    actions, n_jobs = [], 0
    for path in paths:
        is_record = path.name in (RUN_RECORD, TRAINING_RECORD)
        run = read_json(path, Run) if is_record else None
        if run is not None:
            n_jobs += path.name == RUN_RECORD
            software |= software_of(run.versions)
            settings |= (said := settings_of(run.spec))
            source = input_entity(run.input, folder, files)
            inputs |= {} if source["@id"] in files else {source["@id"]: source}
            made = [item for item in files if Path(folder / path_of(item)).parent == path.parent]
            read = [source["@id"], *said]
            if "command" in run.spec or "train" in run.spec:
                read += [id_of(path, folder) for path in programs if id_of(path, folder) in files]
            actions.append(action_of(path.parent, folder, run, read, made))
    if not n_jobs:
        raise DatasetError(
            f"{folder}: holds no {RUN_RECORD} below {' and '.join(roots)}; expected a study that "
            "was run: run doit first"
        )
    contextual, root_says = rights_of(license_url, author)
    return (
        [
            {
                "@id": METADATA,
                "@type": "CreativeWork",
                "conformsTo": {"@id": SPECIFICATION},
                "about": {"@id": "./"},
                "creator": {"@id": software_id("fly64tasks")},
            },
            {
                "@id": "./",
                "@type": "Dataset",
                "name": f"Ptychography study {name}",
                "description": (
                    f"Sets, reconstructions, scores and report of the study {name}: "
                    f"{n_jobs} reconstructions, run by fly64tasks."
                ),
                "datePublished": datetime.now(UTC).strftime("%Y-%m-%d"),
                "hasPart": [{"@id": item} for item in files],
                "mentions": [{"@id": item} for item in [*(a["@id"] for a in actions), *inputs]],
                **root_says,
            },
            *files.values(),
            *inputs.values(),
            *software.values(),
            *settings.values(),
            *actions,
            *statuses_of(actions),
            *contextual,
        ],
        len(files),
        n_jobs,
    )


def _study_of(path: Path) -> tuple[str, list[str], list[Path]]:
    """Return a study's name, the folders below its project that it writes, and its programs."""
    from fly64tasks.study.measured import MeasuredStudy, read_either
    from fly64tasks.study.methods import ProgramSpec

    study = read_either(path)
    if isinstance(study, MeasuredStudy):
        return study.name, [study.paths.artifact_root], []
    programs = [
        path.parent / file
        for method in study.all_methods.values()
        if isinstance(method, ProgramSpec)
        for file in method.files_used
    ]
    roots = [study.paths.data_root, study.paths.artifact_root]
    return study.name, roots, list(dict.fromkeys(programs))


def _files_below(root: Path) -> Iterator[Path]:
    """Yield the files of a study below a root, in order; not hidden ones, nor another study's."""
    for folder, names, files in os.walk(root):
        here = Path(folder)
        if here != root and (MARK in files or _REPORT in files):  # another study's lies in ours
            names.clear()
            continue
        names[:] = sorted(name for name in names if not name.startswith("."))
        for name in sorted(files):
            path = here / name
            if not name.startswith(".") and name not in _LEFT_OUT and path.is_file():
                yield path
