"""What a crate says of one thing: a file, an input, a program, a setting, a run, whose it is."""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote

from msgspec import Struct

from fly64tasks.errors import DatasetError, shortened

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
    "program.log": "Log of the program that reconstructed, or was trained",
    "train.json": "Settings, versions and outcome of a method's training",
    "model": "What a method was trained to",
    "run.json": "Settings, versions and outcome of the reconstruction",
    "scores.json": "Scores of the reconstruction, with what was removed before comparing",
    "frc.csv": "Fourier ring correlation with the truth, or of two halves",
    "comparison.png": "Reconstruction, truth and difference as a picture",
    "thumbnail.png": "Phase of the reconstruction as a small picture",
    "truth.png": "Phase of the truth as a small picture",
    "panels.png": "Reconstruction, truth and difference without axes",
    "index.html": "The report",
    "summary.csv": "Every score of every job",
    "summary.md": "The main scores, to paste",
    "reconstruction_manifest.json": "Every job: how it was made and how it ended",
    "skip_summary.json": "Jobs that were skipped, and why",
}
"""What each file of a study holds, by its name."""
_OF_SUFFIX = {".npz": "A set of diffraction frames", ".svg": "A figure", ".pdf": "A figure"}
_STATUS = "http://schema.org/{}ActionStatus"

_LONG = 100
Entity = dict[str, Any]


class Run(Struct, frozen=True):
    """``run.json``, as far as an action says it."""

    state: str
    spec: dict[str, Any]
    versions: dict[str, str]
    input: dict[str, str]
    started: str | None = None
    seconds: float | None = None
    reason: str | None = None
    stage: str = "recon"


def id_of(path: Path, folder: Path) -> str:
    """Return the address of a file relative to the crate."""
    try:
        return quote(path.absolute().relative_to(folder.absolute()).as_posix())
    except ValueError:
        raise DatasetError(f"{path}: lies outside of {folder}; expected it in the crate") from None


def path_of(address: str) -> str:
    return unquote(address)


def file_entity(path: Path, folder: Path) -> Entity:
    from fly64tasks.data.lineage import digest

    relative = path.absolute().relative_to(folder.absolute())
    return {
        "@id": id_of(path, folder),
        "@type": "File",
        "name": relative.as_posix(),
        "description": DESCRIBED.get(path.name, _OF_SUFFIX.get(path.suffix, "A file of the study")),
        "contentSize": str(path.stat().st_size),
        "encodingFormat": FORMATS.get(path.suffix.lower(), "application/octet-stream"),
        "sha256": digest(path),
    }


def input_entity(said: Mapping[str, str], folder: Path, files: Mapping[str, Entity]) -> Entity:
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


def software_id(name: str) -> str:
    return f"#software-{name}"


def software_of(versions: Mapping[str, str]) -> dict[str, Entity]:
    """Return the programs of a run; fly64tasks stands for all of them, which it requires."""
    found: dict[str, Entity] = {}
    for name, version in versions.items():
        found[software_id(name)] = {
            "@id": software_id(name),
            "@type": "SoftwareApplication",
            "name": name,
            "version": version,
            "softwareVersion": version,
            **({"url": HOMES[name]} if name in HOMES else {}),
        }
    others = [{"@id": item} for item in found if item != software_id("fly64tasks")]
    found[software_id("fly64tasks")]["softwareRequirements"] = others
    return found


def settings_of(spec: Mapping[str, Any]) -> dict[str, Entity]:
    """Return the settings of a run; runs with the same value share an entity."""
    found = {}
    for name, value in spec.items():
        text = value if isinstance(value, str) else json.dumps(value)
        address = "#setting-" + re.sub(r"[^A-Za-z0-9.+-]+", "_", f"{name}-{text}")
        if len(address) > _LONG:  # as a program's command line is: two may begin alike
            address = f"{address[:_LONG]}-{hashlib.sha256(text.encode()).hexdigest()[:8]}"
        found[address] = {
            "@id": address,
            "@type": "PropertyValue",
            "name": f"recon.{name}",
            "value": text,
        }
    return found


def action_of(
    place: Path, folder: Path, run: Run, objects: Sequence[str], results: Sequence[str]
) -> Entity:
    name = place.absolute().relative_to(folder.absolute()).as_posix()
    action: Entity = {
        "@id": f"#{'train' if run.stage == 'train' else 'reconstruct'}-{quote(name)}",
        "@type": "CreateAction",
        "name": f"{'Train' if run.stage == 'train' else 'Reconstruct and score'} {name}",
        "description": f"{_what(run)} of {run.input.get('path')}",
        "instrument": {"@id": software_id("fly64tasks")},
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


def _what(run: Run) -> str:
    if "command" in run.spec:
        return f"Reconstruction by {shortened(' '.join(run.spec['command']))}"
    return "Training" if run.stage == "train" else str(run.spec.get("algorithm", "Reconstruction"))


def statuses_of(actions: Sequence[Entity]) -> list[Entity]:
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


def rights_of(license_url: str | None, author: str | None) -> tuple[list[Entity], Entity]:
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
