"""What is stored of a task, held against what doit and the journal store."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

Row = dict[str, Any]

ATTEMPT = "attempt:"
CHECKER = "checker:"
TARGETS = "targets:"
OURS = "ours:"
INTERRUPTED = "interrupted"
FAILED = "failed"


def attempt_of(row: Row) -> dict[str, Any]:
    """What is recorded of the last time that a task began; empty where it never did."""
    return row.get(ATTEMPT) or {}


def flaw(row: object) -> str | None:
    """What in `row` no doit has written, in words; None for a sound one."""
    if not isinstance(row, dict):
        return f"{_short(row)}, expected a JSON object"
    for key, value in row.items():
        if value is None:
            continue
        fits = _FITS.get(key)
        sound = fits(value) if fits else _is_file_state(value) or key.endswith(":")
        if not sound:
            return f"{key} {_short(value)}"
    if row.get(CHECKER) == FAILED and "message" not in attempt_of(row):
        return "failed, but no message"
    return None


def _short(value: object) -> str:
    return f"{value!r:.40}"


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float))


def _is_text(value: object) -> bool:
    return isinstance(value, str)


def _is_object(value: object) -> bool:
    return isinstance(value, dict)


def _are_texts(value: object) -> bool:
    return isinstance(value, (list, tuple)) and {*map(type, value)} <= {str}


def _is_file_state(value: object) -> bool:
    """``[mtime, size, md5]``, or the time stamp of doit's other checker."""
    if isinstance(value, list) and len(value) == 3:
        mtime, size, md5 = value
        return isinstance(mtime, (int, float)) and isinstance(size, int) and isinstance(md5, str)
    return _is_number(value)


def _is_attempt(value: object) -> bool:
    if not isinstance(value, dict):
        return False
    for key, said in value.items():
        fits = _FITS_ATTEMPT.get(key)
        if fits and not fits(said):
            return False
    return True


def _are_targets(value: object) -> bool:
    """For each path its size and MD5, or None for a folder."""
    if not isinstance(value, dict):
        return False
    for made in value.values():
        if made is not None:
            sound = isinstance(made, list) and len(made) == 2
            if not (sound and isinstance(made[0], int) and isinstance(made[1], str)):
                return False
    return True


_FITS: dict[str, Callable[[Any], bool]] = {
    CHECKER: _is_text,
    ATTEMPT: _is_attempt,
    TARGETS: _are_targets,
    OURS: _are_texts,
    "deps:": _are_texts,
    "_values_:": _is_object,
}
_FITS_ATTEMPT: dict[str, Callable[[Any], bool]] = {
    "status": _is_text,
    "started": _is_number,
    "seconds": _is_number,
    "message": _is_text,
    "optional": _is_text,
    "targets": _are_texts,
}
