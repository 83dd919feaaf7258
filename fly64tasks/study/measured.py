"""A study of measured scans: which files, how each is reconstructed, and where the results lie."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

import msgspec
from msgspec import Meta, Struct

from fly64tasks.errors import StudyError, shortened
from fly64tasks.study.recon_settings import ReconSpec
from fly64tasks.study.run_settings import CheckpointSpec
from fly64tasks.study.spec import Spec, changed, parse_spec, read_table
from fly64tasks.study.stages import TURNS, DataSpec, Geometry, Orientation, ScoreSpec
from fly64tasks.study.study import (
    KIND_OF_FILE,
    SCANS,
    Study,
    refuse_control_characters,
    refuse_root_elsewhere,
)
from fly64tasks.study.tuning import tuning_of

Half = Literal["even", "odd"]
HALVES: tuple[Half, ...] = ("even", "odd")

_RESERVED = ("figures",)
"""What the report has in the folder where a scan's results lie under its name."""
_NAME = re.compile(r"[^\W_][\w-]{,59}")

Files = str | Annotated[list[str], Meta(min_length=1)]
Kind = Literal["auto", "amplitude", "intensity"]


class ScanSpec(Spec, frozen=True):
    """One scan: its file, and what is not as the study has it.

    ``file`` is a path, or a list: first the file that is named, then those that it is read with.
    ``geometry`` and ``recon`` hold the keys that differ, the other keys are those of ``[data]``.
    """

    file: Files
    diffraction: Kind | None = None
    swap_xy: bool | None = None
    flip_y: bool | None = None
    flip_x: bool | None = None
    detector_transpose: bool | None = None
    geometry: dict[str, Any] = msgspec.field(default_factory=dict)
    recon: dict[str, Any] = msgspec.field(default_factory=dict)

    @property
    def data(self) -> dict[str, Any]:
        """Return the keys of ``[data]`` that it says."""
        said = {key: getattr(self, key) for key in ("diffraction", *TURNS)}
        return {key: value for key, value in said.items() if value is not None}


class MeasuredPaths(Spec, frozen=True):
    """Where the results go, below the project folder; the command line may say any folder."""

    artifact_root: str = "reports"

    def __post_init__(self) -> None:
        refuse_root_elsewhere("artifact_root", self.artifact_root)


class MeasuredDataSpec(Orientation, frozen=True):
    """Whether the scans hold amplitudes or counts, which auto finds out, and how they lie."""

    added_later: ClassVar = TURNS

    diffraction: Kind = "auto"


class Part(Struct, frozen=True):
    """One reconstruction: of a scan, or of half its frames."""

    scan: str
    half: Half | None = None

    @property
    def name(self) -> str:
        """Return its name in tasks.

        >>> Part("siemens").name, Part("siemens", "odd").name
        ('siemens', 'siemens@odd')
        """
        return self.scan if self.half is None else f"{self.scan}@{self.half}"


class MeasuredStudy(Spec, frozen=True):
    """Measured scans, by name, and how each stage is done.

    ``halves`` has every other frame of a scan reconstructed apart too, and the two held against
    each other. ``tune`` says how better settings are searched (`fly64tasks.study.tuning`); no
    result depends on it.
    """

    of_no_result: ClassVar = ("tune",)

    scans: Annotated[dict[str, ScanSpec | Files], Meta(min_length=1, max_length=10_000)]
    name: str = "measured"
    halves: bool = False
    geometry: Geometry = Geometry()
    recon: ReconSpec = ReconSpec()
    score: ScoreSpec = ScoreSpec()
    checkpoint: CheckpointSpec = CheckpointSpec()
    data: MeasuredDataSpec = MeasuredDataSpec()
    paths: MeasuredPaths = MeasuredPaths()
    tune: dict[str, Any] = msgspec.field(default_factory=dict)

    def __post_init__(self) -> None:
        refuse_control_characters("name", self.name)
        try:
            tuning_of(self.tune, "tune")
        except StudyError as error:
            raise ValueError(str(error)) from None
        for name in self.scans:
            if name in _RESERVED or not _NAME.fullmatch(name):
                raise ValueError(
                    f"scans: {shortened(name)!r} can not be a scan's name; expected up to 60 "
                    f"letters, digits, _ and -, a letter or digit first, and not {_RESERVED[0]!r}"
                )
            for file in self.files_of(name):
                if not file or not file.isprintable():
                    raise ValueError(f"scans.{name}: {file[:60]!r} is no path, expected a file's")
            try:
                recon = self.recon_of(name)
                self.geometry_of(name)
            except StudyError as error:
                raise ValueError(str(error)) from None
            if recon.half is not None and self.halves:
                raise ValueError(
                    f"scans.{name}: recon.half is {recon.half!r} where halves is true; leave out "
                    "one of them"
                )

    def spec_of(self, scan: str) -> ScanSpec:
        """Return what the study says of a scan."""
        said = self.scans[scan]
        return said if isinstance(said, ScanSpec) else ScanSpec(file=said)

    def files_of(self, scan: str) -> list[str]:
        """Return the files of a scan as the study says them, the one that is named first."""
        file = self.spec_of(scan).file
        return [file] if isinstance(file, str) else file

    def recon_of(self, scan: str, half: Half | None = None) -> ReconSpec:
        """Return how a scan, or half of it, is reconstructed.

        Raises
        ------
        StudyError
            What the scan changes can not be: an unknown key, a value out of range.
        """
        spec = changed(self.recon, self.spec_of(scan).recon, f"scans.{scan}.recon")
        return spec if half is None else msgspec.structs.replace(spec, half=half)

    def geometry_of(self, scan: str) -> Geometry:
        """Return the physical sizes of a scan, where its file says none; raises as `recon_of`."""
        return changed(self.geometry, self.spec_of(scan).geometry, f"scans.{scan}.geometry")

    def data_of(self, scan: str) -> DataSpec:
        """Return what the diffraction of a scan is said to be, and how it lies to its detector."""
        return DataSpec(**{**msgspec.structs.asdict(self.data), **self.spec_of(scan).data})

    def parts_of(self, scan: str) -> tuple[Part, ...]:
        """Return the reconstructions of a scan, the whole first."""
        return (Part(scan), *(Part(scan, half) for half in HALVES if self.halves))

    def parts(self) -> Iterator[Part]:
        """Yield every reconstruction, in the order of the study file."""
        for scan in self.scans:
            yield from self.parts_of(scan)


@dataclass(frozen=True)
class MeasuredLayout:
    """The paths of a study of measured scans: files beside the study, results below one root.

    ``artifact_root`` is written by one study alone, known by its ``study_file``.
    """

    study_folder: Path
    artifact_root: Path
    study_file: Path | None = None

    @property
    def state(self) -> Path:
        """Return doit's record of what was done, kept with the artifacts that it speaks of."""
        return self.artifact_root / ".doit.db"

    def files(self, study: MeasuredStudy, scan: str) -> list[Path]:
        """Return the files of a scan, the one that is named first."""
        found = [Path(file).expanduser() for file in study.files_of(scan)]
        return [Path(os.path.normpath(self.study_folder / file)) for file in found]

    def recon_dir(self, part: Part) -> Path:
        """Return the folder of a reconstruction; that of a half lies in its scan's."""
        folder = self.artifact_root / part.scan
        return folder if part.half is None else folder / part.half


def read_measured_study(path: Path) -> MeasuredStudy:
    """Read and check the file of a study of measured scans.

    Raises
    ------
    StudyError
        The file can not be read, is not TOML, holds an unknown key or a value out of range.
    """
    table = read_table(path, "a study of measured scans (TOML) with [scans]")
    if "doses" in table and SCANS not in table:
        raise StudyError(
            f"{path}: has 'doses': it is a dose/overlap study, expected one of measured scans with "
            "[scans]; `fly64tasks new` writes the dodo.py that runs it"
        )
    return parse_spec(MeasuredStudy, table, str(path))


def read_either(path: Path) -> Study | MeasuredStudy:
    """Read and check a study file of the kind that it is.

    Raises
    ------
    StudyError
        As `read_study`.
    """
    table = read_table(path, KIND_OF_FILE)
    if SCANS in table:
        return parse_spec(MeasuredStudy, table, str(path))
    return parse_spec(Study, table, str(path))
