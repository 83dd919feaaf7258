"""The files that a job leaves, as the report reads them: every damage names its file."""

from __future__ import annotations

import csv
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, NoReturn, TypeVar

import msgspec
from msgspec import Struct

from fly64tasks.errors import Fly64Error

_AGAIN = "remove it and run `doit` again"


class Truth(Struct, frozen=True):
    """Whether there is a truth to compare with, why not, and whether the start was the truth."""

    comparable: bool
    reason: str | None = None
    seeded: bool = False


class Region(Struct, frozen=True):
    """Where the scores were taken: pixels, share of the object, box (y0, y1, x0, x1) in px."""

    threshold: float
    pixels: int
    share_of_object: float
    box_px: tuple[int, int, int, int]


class Alignment(Struct, frozen=True):
    """What was removed before comparing; pairs are y first."""

    scale: float
    phase_rad: float
    ramp_rad_per_px: tuple[float, float]
    shift_px: tuple[float, float]
    residual_shift_px: tuple[float, float] | None = None


class Scores(Struct, frozen=True):
    """``scores.json``, schema 1."""

    schema: Literal[1]
    truth: Truth
    metrics: dict[str, float | None]
    region: Region | None = None
    alignment: Alignment | None = None
    bounds: tuple[str, ...] = ()
    notes: dict[str, str] = {}
    settings: dict[str, Any] = {}
    set: dict[str, Any] = {}
    reconstruction: dict[str, Any] = {}


class Run(Struct, frozen=True):
    """``run.json``, as far as the report shows it."""

    state: str
    exit_code: int | None = None
    reason: str | None = None
    started: str | None = None
    seconds: float | None = None
    spec: dict[str, Any] = {}
    versions: dict[str, str] = {}
    input: dict[str, Any] = {}
    start: dict[str, Any] = {}
    set: dict[str, Any] = {}
    device: dict[str, str | None] = {}
    peak_memory_bytes: dict[str, float | None] = {}


@dataclass(frozen=True)
class Frc:
    """``frc.csv``: spatial frequencies in cycles/px, the correlation and its two thresholds."""

    frequency: tuple[float, ...]
    frc: tuple[float, ...]
    one_bit: tuple[float, ...]
    half_bit: tuple[float, ...]


StructT = TypeVar("StructT", bound=Struct)


def read_json(path: Path, struct: type[StructT]) -> StructT | None:
    """Return a file's content, None where there is no file.

    With the standard library's parser: msgspec's own refuses the Infinity that ``run.json`` has.
    """
    if not path.is_file():
        return None
    try:
        return msgspec.convert(
            json.loads(path.read_text("utf-8"), parse_constant=_constant), struct
        )
    except ValueError as error:
        raise Fly64Error(f"{path}: damaged ({error}); {_AGAIN}") from None


def _constant(name: str) -> float:
    if name == "NaN":
        raise ValueError("NaN is not a value, expected a number or null")
    return float(name)


def read_losses(path: Path) -> tuple[float, ...]:
    """Return the loss of each epoch (not finite where the run failed so), empty without a file."""
    return _read_csv(path, ("loss",))[0] if path.is_file() else ()


def read_frc(path: Path) -> Frc | None:
    """Return a job's curves, None where there is no file."""
    if not path.is_file():
        return None
    columns = ("spatial_frequency_cycles_per_px", "frc", "threshold_1bit", "threshold_halfbit")
    return Frc(*_read_csv(path, columns))


def _read_csv(path: Path, columns: Sequence[str]) -> list[tuple[float, ...]]:
    """Return columns of numbers."""

    def damaged(what: str) -> NoReturn:
        raise Fly64Error(f"{path}: {what}; {_AGAIN}")

    try:
        with path.open(newline="", encoding="utf-8") as file:
            reader = csv.DictReader(file)
            rows = list(reader)
    except (csv.Error, UnicodeDecodeError) as error:
        damaged(f"damaged ({error})")
    missing = [name for name in columns if name not in (reader.fieldnames or ())]
    if missing:
        damaged(f"has no column {', '.join(missing)}")
    found: list[tuple[float, ...]] = []
    for name in columns:
        try:
            values = tuple(float(row[name] or "nothing") for row in rows)
        except ValueError:
            damaged(f"column {name} holds something that is not a number")
        found.append(values)
    return found


def log_tail(path: Path, lines: int = 20) -> str:
    """Return the last lines of a log, empty where there is none."""
    if not path.is_file():
        return ""
    return "\n".join(path.read_text("utf-8", errors="replace").splitlines()[-lines:])
