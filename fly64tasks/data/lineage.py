"""What a simulated file was made from: written into it, and held against what is asked for.

doit remembers what a task did, not who wrote its targets since. Two studies on one ``data_root``,
each with a state of its own, would overwrite each other's files and both call them current; so our
files say themselves what they come from. The metadata is read here without numpy, because every
`doit` asks.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import msgspec

from fly64tasks.data.metadata import COMPRESSIONS, METADATA_LIMIT_BYTES, parse_metadata
from fly64tasks.doitext.spec import ITEM_SIGNATURE, differences
from fly64tasks.doitext.state.notes import noted
from fly64tasks.errors import DatasetError
from fly64tasks.study.spec import Spec
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
        "simulation": _settings(simulation),
        "geometry": _settings(geometry),
    }
    return made_from if view is None else {**made_from, "view": _settings(view)}


@functools.lru_cache(maxsize=256)  # each doit asks for thousands of sets, that differ in the dose
def _settings(spec: Spec) -> dict[str, Any]:
    return spec.to_dict()


def digest(path: Path) -> str:
    """Return the SHA-256 of a file, read once for each content that it has."""
    stat = path.stat()
    return _digest(path, stat.st_size, stat.st_mtime_ns, stat.st_ino)


@contextlib.contextmanager
def unchanged(path: Path) -> Iterator[None]:
    """Read a file in this block: all that is read, its digest too, is then of one content.

    Raises
    ------
    DatasetError
        The file was replaced or written to meanwhile.
    """
    before = _state_of(path)
    yield
    if _state_of(path) != before:
        raise DatasetError(f"{path}: changed while it was read; run it again")


def refuse_other_base(metadata: Mapping[str, Any], asked: dict[str, Any], name: object) -> None:
    """Refuse a base that says that it was made from anything else.

    Raises
    ------
    DatasetError
        It does; the message names the settings, with what it says and what is asked for.
    """
    _refuse_other(metadata.get(KEY), asked, name)


class AskedSet(msgspec.Struct, frozen=True):
    """What a set is to be made from, to hold it against what is read from its file.

    Attributes
    ----------
    base : Path
    base_lineage : dict or None
        What the base is made from; None for a base of the user's, which is known by its digest.
    dose, simulation, geometry, view
        As `lineage_of_set` has them.
    own_source : bool
        Whether it is thinned from a set of the user's: then its view alone is asked for.
    """

    base: Path
    base_lineage: dict[str, Any] | None
    dose: float
    simulation: SimulationSpec
    geometry: Geometry
    view: ViewSpec | None = None
    own_source: bool = False

    def refuse_other(self, metadata: Mapping[str, Any], name: object) -> None:
        """Refuse a set whose metadata say that it was made from anything else.

        One that says nothing (a user's own edit) is taken as it is.

        Raises
        ------
        DatasetError
            As `refuse_other_base`; also where the base is not the one that it was made from.
        """
        said = metadata.get(KEY)
        if said is None:
            return
        if self.own_source:
            _refuse_other({"view": said.get("view")}, {"view": self._view}, name)
            return
        asked: dict[str, Any] = {
            "dose": self.dose,
            "simulation": self.simulation.to_dict(),
            "geometry": self.geometry.to_dict(),
        }
        if self.view is not None:
            asked["view"] = self._view
        if self.base_lineage is None:
            asked["base_sha256"] = digest(self.base)
        else:
            base = metadata.get("base")
            made = base.get(KEY) if isinstance(base, dict) else None
            refuse_other_base({KEY: made}, self.base_lineage, f"{name}: its base")
            said = {key: value for key, value in said.items() if key != "base_sha256"}
        _refuse_other(said, asked, name)

    @property
    def _view(self) -> dict[str, Any] | None:
        return None if self.view is None else self.view.to_dict()


def _refuse_other(said: Any, asked: dict[str, Any], name: object) -> None:
    if said in (None, asked):
        return
    changes = "; ".join(differences(said, asked, KEY))
    raise DatasetError(
        f"{name}: was made by another study ({changes}); run doit again to have it made as this "
        "study asks"
    )


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
    """Return the metadata of a set, empty where there is none to be read: no set, or damaged.

    Where `fly64tasks.doitext.state.notes` are used, a set that is the same is not read again.
    """
    found = noted(path, "metadata 1", _read_metadata)
    return found if isinstance(found, dict) else _read_metadata(path)


def _read_metadata(path: Path) -> dict[str, Any]:
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


def _state_of(path: Path) -> tuple[int, int, int] | None:
    try:
        stat = path.stat()
    except OSError:  # what reads it says so
        return None
    return stat.st_size, stat.st_mtime_ns, stat.st_ino


@functools.lru_cache(maxsize=8)
def _digest(path: Path, *_: int) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
