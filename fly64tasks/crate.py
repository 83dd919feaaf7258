"""`fly64tasks crate`: an RO-Crate 1.2 of a study, to hand in with a paper or a deposit.

It is one file beside the study, ``ro-crate-metadata.json``: inputs, outputs and software, with
sizes and SHA-256, and an action for each reconstruction with its settings and times. It claims no
profile: those of workflow runs are of RO-Crate 1.1, and their validator refuses 1.2. JSON-LD by
hand: the `rocrate` package copies files into a crate and brings six others with it, where here
everything lies in its place and one JSON document is written. The tests hold it to
`rocrate-validator`.

Exit codes: 0 done, 2 usage or an unreadable study file, 3 unusable results, 74 the machine failed
it.
"""

from __future__ import annotations

import argparse
import json
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import quote

from msgspec import Struct

from fly64tasks.commandline import Parser, exit_code_of
from fly64tasks.doitext.errors import printable
from fly64tasks.errors import DatasetError

PROG = "python -m fly64tasks crate"
METADATA = "ro-crate-metadata.json"
SPECIFICATION = "https://w3id.org/ro/crate/1.2"
NO_LICENSE = "No licence is stated: ask the authors before any use."
HOMES = {
    "python": "https://www.python.org/",
    "ptychi": "https://github.com/AdvancedPhotonSource/pty-chi",
    "torch": "https://pytorch.org/",
    "numpy": "https://numpy.org/",
}
FORMATS = {
    ".npz": "application/zip",
    ".npy": "application/octet-stream",
    ".h5": "application/x-hdf5",
    ".hdf5": "application/x-hdf5",
    ".cxi": "application/x-hdf5",
    ".json": "application/json",
    ".toml": "application/toml",
    ".csv": "text/csv",
    ".md": "text/markdown",
    ".log": "text/plain",
    ".py": "text/x-python",
    ".html": "text/html",
    ".png": "image/png",
    ".svg": "image/svg+xml",
    ".pdf": "application/pdf",
}
DESCRIBED = {
    "study.toml": "The study: doses, views and the settings of each stage",
    "dodo.py": "The tasks that doit runs",
    "base.npz": "Object, probe and scan that the sets were simulated from",
    "reconstruction.npz": "Reconstructed object and probe, positions and loss",
    "product.h5": "The reconstruction as a Ptychodus product",
    "losses.csv": "Loss of each epoch",
    "ptychi.log": "Log of the reconstruction",
    "run.json": "Settings, versions and outcome of the reconstruction",
    "scores.json": "Scores of the reconstruction, with what was removed before comparing",
    "frc.csv": "Fourier ring correlation with the truth, or of two halves",
    "comparison.png": "Reconstruction, truth and difference as a picture",
    "thumbnail.png": "Phase of the reconstruction as a small picture",
    "truth.png": "Phase of the truth as a small picture",
    "index.html": "The report",
    "summary.csv": "Every score of every job",
    "summary.md": "The main scores, to paste",
    "reconstruction_manifest.json": "Every job: how it was made and how it ended",
    "skip_summary.json": "Jobs that were skipped, and why",
}
"""What each file of a study holds, by its name."""
_OF_SUFFIX = {".npz": "A set of diffraction frames", ".svg": "A figure", ".pdf": "A figure"}
_STATUS = "http://schema.org/{}ActionStatus"
_MARK = b'"creator": {\n        "@id": "#software-fly64tasks"'
"""What a crate of ours says of itself."""
_LEFT_OUT = {"checkpoint.pt", "README.md", METADATA}
_REPORT = "index.html"
"""What lies in the folder of a study's results, and in none of its jobs'."""

Entity = dict[str, Any]


class _Run(Struct, frozen=True):
    """``run.json``, as far as an action says it."""

    state: str
    spec: dict[str, Any]
    versions: dict[str, str]
    input: dict[str, str]
    started: str | None = None
    seconds: float | None = None
    reason: str | None = None


def main(arguments: Sequence[str] | None = None, prog: str = PROG) -> int:
    """Run the command line, which help calls ``prog``; return its exit code."""
    options = make_parser(prog).parse_args(arguments)
    return exit_code_of(lambda: _print_crate(options))


def make_parser(prog: str = PROG) -> Parser:
    """Return the parser of the command line, which help calls ``prog``."""
    parser = Parser(
        prog=prog,
        usage="%(prog)s [FOLDER] [options]",
        description="Describe a study that was run as an RO-Crate 1.2: what it was made from, with "
        f"what, and what came out. Writes {METADATA} into its folder, which then is the crate.",
        epilog=f"example:\n  {prog} my_study --author 'Ada Lovelace' "
        "--license https://spdx.org/licenses/CC-BY-4.0",
    )
    parser.add_argument(
        "folder", nargs="?", type=Path, default=Path(), metavar="FOLDER", help="(default: here)"
    )
    parser.add_argument(
        "--study", default="study.toml", metavar="FILE", help="the study file (default: study.toml)"
    )
    parser.add_argument("--license", metavar="URL", help="under which the results may be used")
    parser.add_argument("--author", metavar="NAME", help="who hands it in")
    return parser


def _print_crate(options: argparse.Namespace) -> int:
    path, n_files, n_jobs = write_crate(
        options.folder, options.study, license_url=options.license, author=options.author
    )
    print(f"{printable(path)}: {n_files} files, {n_jobs} reconstructions")
    return 0


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
    from fly64tasks.recon.files import RUN_RECORD
    from fly64tasks.report.reading import read_json

    name, roots = _study_of(folder / study_file)
    paths = [path for path in (folder / study_file, folder / "dodo.py") if path.is_file()]
    for root in roots:
        paths += _files_below(folder / root)
    files = {_id(path, folder): _file(path, folder) for path in dict.fromkeys(paths)}
    software: dict[str, Entity] = {}
    settings: dict[str, Entity] = {}
    inputs: dict[str, Entity] = {}
    actions = []
    for path in paths:
        run = read_json(path, _Run) if path.name == RUN_RECORD else None
        if run is not None:
            software |= _software(run.versions)
            settings |= (said := _settings(run.spec))
            source = _input(run.input, folder, files)
            inputs |= {} if source["@id"] in files else {source["@id"]: source}
            made = [item for item in files if Path(folder / _path(item)).parent == path.parent]
            actions.append(_action(path.parent, folder, run, [source["@id"], *said], made))
    if not actions:
        raise DatasetError(
            f"{folder}: holds no {RUN_RECORD} below {' and '.join(roots)}; expected a study that "
            "was run: run doit first"
        )
    contextual, root_says = _rights(license_url, author)
    return (
        [
            {
                "@id": METADATA,
                "@type": "CreativeWork",
                "conformsTo": {"@id": SPECIFICATION},
                "about": {"@id": "./"},
                "creator": {"@id": _software_id("fly64tasks")},
            },
            {
                "@id": "./",
                "@type": "Dataset",
                "name": f"Ptychography study {name}",
                "description": (
                    f"Sets, reconstructions, scores and report of the study {name}: "
                    f"{len(actions)} reconstructions, run by fly64tasks."
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
            *_statuses(actions),
            *contextual,
        ],
        len(files),
        len(actions),
    )


def _study_of(path: Path) -> tuple[str, list[str]]:
    """Return a study's name, and the folders below its project that it writes."""
    from fly64tasks.errors import StudyError
    from fly64tasks.study.measured import read_measured_study
    from fly64tasks.study.study import read_study

    try:
        study = read_study(path)
        return study.name, [study.paths.data_root, study.paths.artifact_root]
    except StudyError as error:
        try:
            measured = read_measured_study(path)
        except StudyError:
            raise error from None
        return measured.name, [measured.paths.artifact_root]


def _files_below(root: Path) -> Iterator[Path]:
    """Yield the files of a study below a root, in order; not hidden ones, nor another study's."""
    for folder, names, files in os.walk(root):
        here = Path(folder)
        if here != root and (here / _REPORT).is_file():  # another study's root lies in ours
            names.clear()
            continue
        names[:] = sorted(name for name in names if not name.startswith("."))
        for name in sorted(files):
            path = here / name
            if not name.startswith(".") and name not in _LEFT_OUT and path.is_file():
                yield path


def _id(path: Path, folder: Path) -> str:
    """Return the address of a file relative to the crate."""
    try:
        return quote(path.absolute().relative_to(folder.absolute()).as_posix())
    except ValueError:
        raise DatasetError(f"{path}: lies outside of {folder}; expected it in the crate") from None


def _path(address: str) -> str:
    from urllib.parse import unquote

    return unquote(address)


def _file(path: Path, folder: Path) -> Entity:
    from fly64tasks.data.lineage import digest

    relative = path.absolute().relative_to(folder.absolute())
    return {
        "@id": _id(path, folder),
        "@type": "File",
        "name": relative.as_posix(),
        "description": DESCRIBED.get(path.name, _OF_SUFFIX.get(path.suffix, "A file of the study")),
        "contentSize": str(path.stat().st_size),
        "encodingFormat": FORMATS.get(path.suffix.lower(), "application/octet-stream"),
        "sha256": digest(path),
    }


def _input(said: Mapping[str, str], folder: Path, files: Mapping[str, Entity]) -> Entity:
    """Return the set that a run read: a file of the crate, or one of elsewhere by its digest."""
    path, sha256 = Path(said.get("path", "")), said.get("sha256", "")
    inside = os.path.relpath(folder / path, folder)
    address = quote(Path(inside).as_posix())
    if address in files:
        if files[address]["sha256"] != sha256:
            raise DatasetError(
                f"{folder / path}: is not the content that was reconstructed; run doit, then "
                "describe it"
            )
        return files[address]
    return {
        "@id": f"#input-{sha256[:16]}",
        "@type": "CreativeWork",
        "name": path.name,
        "description": f"A set that is not part of this crate: {path.name}, SHA-256 {sha256}.",
        "sha256": sha256,
    }


def _software_id(name: str) -> str:
    return f"#software-{name}"


def _software(versions: Mapping[str, str]) -> dict[str, Entity]:
    """Return the programs of a run; fly64tasks stands for all of them, which it requires."""
    found: dict[str, Entity] = {}
    for name, version in versions.items():
        found[_software_id(name)] = {
            "@id": _software_id(name),
            "@type": "SoftwareApplication",
            "name": name,
            "version": version,
            "softwareVersion": version,
            **({"url": HOMES[name]} if name in HOMES else {}),
        }
    others = [{"@id": item} for item in found if item != _software_id("fly64tasks")]
    found[_software_id("fly64tasks")]["softwareRequirements"] = others
    return found


def _settings(spec: Mapping[str, Any]) -> dict[str, Entity]:
    """Return the settings of a run; runs with the same value share an entity."""
    found = {}
    for name, value in spec.items():
        text = value if isinstance(value, str) else json.dumps(value)
        address = "#setting-" + re.sub(r"[^A-Za-z0-9.+-]+", "_", f"{name}-{text}")[:120]
        found[address] = {
            "@id": address,
            "@type": "PropertyValue",
            "name": f"recon.{name}",
            "value": text,
        }
    return found


def _action(
    place: Path, folder: Path, run: _Run, objects: Sequence[str], results: Sequence[str]
) -> Entity:
    name = place.absolute().relative_to(folder.absolute()).as_posix()
    action: Entity = {
        "@id": f"#reconstruct-{quote(name)}",
        "@type": "CreateAction",
        "name": f"Reconstruct and score {name}",
        "description": f"{run.spec.get('algorithm', 'Reconstruction')} of {run.input.get('path')}",
        "instrument": {"@id": _software_id("fly64tasks")},
        "object": [{"@id": item} for item in objects],
        "result": [{"@id": item} for item in results],
        "actionStatus": {"@id": _STATUS.format("Completed" if run.state == "done" else "Failed")},
    }
    if run.state != "done":
        action["error"] = run.reason or run.state
    if run.started is not None:
        action["startTime"] = run.started
        if run.seconds is not None:
            began = datetime.fromisoformat(run.started)
            action["endTime"] = (began + timedelta(seconds=run.seconds)).isoformat()
    return action


def _statuses(actions: Sequence[Entity]) -> list[Entity]:
    """Return an entity for each way in which actions ended."""
    return [
        {
            "@id": address,
            "@type": "ActionStatusType",
            "name": f"{end} action",
            "description": f"The reconstruction {words}",
        }
        for end, words in (("Completed", "was completed"), ("Failed", "failed or was cut off"))
        if any(
            action["actionStatus"]["@id"] == (address := _STATUS.format(end)) for action in actions
        )
    ]


def _rights(license_url: str | None, author: str | None) -> tuple[list[Entity], Entity]:
    """Return the entities of licence and author, and what the root says of them."""
    contextual: list[Entity] = []
    said: Entity = {"license": NO_LICENSE}
    if license_url:
        if not re.fullmatch(r"https?://[^\s<>\"]+", license_url):
            raise DatasetError(f"--license is {license_url!r}, expected an address (http, https)")
        contextual.append(
            {
                "@id": license_url,
                "@type": "CreativeWork",
                "name": license_url.rstrip("/").rpartition("/")[2],
                "description": f"The licence at {license_url}",
            }
        )
        said["license"] = {"@id": license_url}
    if author:
        contextual.append({"@id": "#author", "@type": "Person", "name": author})
        said["author"] = {"@id": "#author"}
    return contextual, said
