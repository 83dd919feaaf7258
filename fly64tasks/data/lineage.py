"""What a simulated file was made from: written into it, and held against what is asked for.

doit remembers what a task did, not who wrote its targets since. Two studies on one ``data_root``,
each with a state of its own, would overwrite each other's files and both call them current; so our
files say themselves what they come from. The metadata is read here without numpy, because every
`doit` asks.
"""

from __future__ import annotations

import functools
import hashlib
import zipfile
import zlib
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from fly64tasks.data.metadata import COMPRESSIONS, METADATA_LIMIT_BYTES, parse_metadata
from fly64tasks.doitext.spec import ITEM_SIGNATURE
from fly64tasks.study.stages import BaseSpec, Geometry, SimulationSpec, ViewSpec

KEY = "lineage"


def lineage_of_base(spec: BaseSpec, geometry: Geometry) -> dict[str, Any]:
    """Return what the built-in base is made from, as JSON-ready values."""
    return {"base": spec.to_dict(), "geometry": geometry.to_dict()}


def lineage_of_set(
    base: Path,
    dose: float,
    simulation: SimulationSpec,
    geometry: Geometry,
    view: ViewSpec | None = None,
) -> dict[str, Any]:
    """Return what a set is made from, as JSON-ready values; reads the base for its digest."""
    made_from: dict[str, Any] = {
        "base_sha256": digest(base),
        "dose": dose,
        "simulation": simulation.to_dict(),
        "geometry": geometry.to_dict(),
    }
    return made_from if view is None else {**made_from, "view": view.to_dict()}


def digest(path: Path) -> str:
    """Return the SHA-256 of a file, read once for each content that it has."""
    stat = path.stat()
    return _digest(path, stat.st_size, stat.st_mtime_ns, stat.st_ino)


class MadeAsAsked:
    """An ``uptodate`` item: whether the files at ``targets`` say the lineage that ``asked`` gives.

    A file that says none (a user's own edit) is left to doit's other checks, as is all while
    ``asked`` finds no base to speak of.
    """

    __signature__ = ITEM_SIGNATURE

    def __init__(self, targets: Iterable[Path], asked: Callable[[], dict[str, Any]]) -> None:
        self._targets = tuple(targets)
        self._asked = asked

    def __call__(self, task: Any, values: Any) -> bool:
        """Return whether no target was made from anything else."""
        return not self.explain(values)

    def explain(self, values: Any) -> list[str]:
        """Return the targets that were made from something else, in words."""
        try:
            asked = self._asked()
        except FileNotFoundError:
            return []
        return [
            f"made by another study: {target}"
            for target in self._targets
            if said_by(target) not in (None, asked)
        ]


def said_by(path: Path) -> Any:
    """Return the lineage that a set's metadata has, None where there is none to be read."""
    return metadata_of(path).get(KEY)


def metadata_of(path: Path) -> dict[str, Any]:
    """Return the metadata of a set, empty where there is none to be read: no set, or damaged."""
    try:
        with zipfile.ZipFile(path) as archive:
            if archive.getinfo("_metadata.npy").compress_type not in COMPRESSIONS:
                return {}
            with archive.open("_metadata.npy") as file:
                raw = file.read(METADATA_LIMIT_BYTES)
        # NPY format 1.0: magic and version (8 bytes), header length (2), header, UTF-32 text
        text = raw[10 + int.from_bytes(raw[8:10], "little") :].decode("utf-32-le")
        return parse_metadata(text)
    except (OSError, KeyError, ValueError, EOFError, RuntimeError, zlib.error, zipfile.BadZipFile):
        return {}  # damaged or encrypted, too


@functools.lru_cache(maxsize=8)
def _digest(path: Path, *_: int) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
