"""The files that a job leaves, read for the report: every damage names its file."""

from __future__ import annotations

import csv
import io
import itertools
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypeVar

import msgspec
from msgspec import Struct

from fly64tasks.doitext.bounded import text_of
from fly64tasks.doitext.errors import printable
from fly64tasks.errors import Fly64Error
from fly64tasks.physics.frc import MIN_RING_PIXELS
from fly64tasks.report.records import Frc

LOG_TAIL_BYTES = 2**16
DEPTH_LIMIT = 20
_AGAIN = "remove it and run `doit` again"

StructT = TypeVar("StructT", bound=Struct)


def read_json(path: Path, struct: type[StructT]) -> StructT | None:
    """Return a file's content, None where there is no file.

    With the standard library's parser: msgspec's own refuses the NaN and Infinity that ``run.json``
    may have where the report does not look.
    """
    text = _text(path)
    if text is None:
        return None
    try:
        return msgspec.convert(_shown(json.loads(text)), struct)
    except RecursionError:
        raise _damaged(path, "nested too deep") from None
    except (ValueError, msgspec.ValidationError) as error:  # the oldest msgspec's is no ValueError
        raise _damaged(path, f"damaged ({error})") from None


def _text(path: Path) -> str | None:
    """Return what a file holds, None where there is no file."""
    try:
        return text_of(path)
    except UnicodeDecodeError as error:
        raise _damaged(path, f"damaged ({error})") from None
    except ValueError as error:
        raise _damaged(path, str(error)) from None


def _damaged(path: Path, what: str) -> Fly64Error:
    return Fly64Error(f"{path}: {what}; {_AGAIN}")


def _shown(value: Any, depth: int = DEPTH_LIMIT) -> Any:
    """Return a JSON value with every string fit to be shown, and every number to be formatted."""
    if depth == 0:
        raise ValueError("nested too deep")
    if isinstance(value, dict):
        return {printable(key): _shown(item, depth - 1) for key, item in value.items()}
    if isinstance(value, list):
        return [_shown(item, depth - 1) for item in value]
    if isinstance(value, int) and abs(value) > 2**63:
        raise ValueError("a whole number past 64 bits")
    return printable(value) if isinstance(value, str) else value


def read_losses(path: Path) -> tuple[float, ...]:
    """Return the loss of each epoch (not finite where the run failed so), empty without a file."""
    columns = _read_csv(path, ("loss",))
    return columns[0] if columns else ()


def read_frc(path: Path) -> Frc | None:
    """Return a job's curves, None where there is no file."""
    names = ("spatial_frequency_cycles_per_px", "frc", "threshold_1bit", "threshold_halfbit")
    columns = _read_csv(path, (*names, "n_pixels"))
    if not columns:
        return None
    *curves, n_pixels = columns
    kept = [n >= MIN_RING_PIXELS for n in n_pixels]
    return Frc(*(tuple(itertools.compress(curve, kept)) for curve in curves))


def _read_csv(path: Path, names: Sequence[str]) -> list[tuple[float, ...]] | None:
    """Return columns of numbers, None where there is no file."""
    text = _text(path)
    if text is None:
        return None
    try:
        reader = csv.DictReader(io.StringIO(text, newline=""))
        rows = list(reader)
    except csv.Error as error:
        raise _damaged(path, f"damaged ({error})") from None
    missing = [name for name in names if name not in (reader.fieldnames or ())]
    if missing:
        raise _damaged(path, f"has no column {', '.join(missing)}")
    found: list[tuple[float, ...]] = []
    for name in names:
        try:
            found.append(tuple(float(row[name] or "nothing") for row in rows))
        except ValueError:
            raise _damaged(path, f"column {name} holds something that is not a number") from None
    return found


def log_tail(path: Path, lines: int = 20) -> str:
    """Return the last lines of a log, empty where there is none."""
    if not path.is_file():
        return ""
    with path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - LOG_TAIL_BYTES))
        text = file.read(LOG_TAIL_BYTES).decode("utf-8", errors="replace")
    return "\n".join(printable(line) for line in text.splitlines()[-lines:])
