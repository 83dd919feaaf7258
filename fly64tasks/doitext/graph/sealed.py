"""What doit writes of a graph itself: JSON known for ours by its beginning, for whole by its end.

The time that it was written stands first, its own MD5 last.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from doit.exceptions import InvalidCommand

from ..atomic import replaced

_SEAL = ',\n  "md5": "'
_END = "\n}\n"
_BEGINNINGS = (b'{\n  "written": "', b'{\n  "schema": ')
"""Of files of ours, the second of earlier versions."""


def refuse_foreign(paths: Iterable[Path]) -> None:
    """Refuse to write over files that no doit has written; one cut short is known by what is left.

    Raises
    ------
    InvalidCommand
        One is there, and is named.
    """
    for path in paths:
        if path.exists() and not _may_be_ours(path):
            raise InvalidCommand(
                f"{path}: exists and was not written by doit; expected a free name: move it away"
            )


def _may_be_ours(path: Path) -> bool:
    if not path.is_file():
        return False
    with path.open("rb") as file:
        beginning = file.read(max(map(len, _BEGINNINGS)))
        if any(ours.startswith(beginning[: len(ours)]) for ours in _BEGINNINGS):
            return True  # and may be long: what comes is not read
        return (beginning + file.read()).split() in ([], [b"{", b"}"])


def write(contents: Iterable[tuple[Path, Mapping[str, Any]]]) -> None:
    """Write files, each whole or not at all, and only when more changes than the time."""
    now = datetime.now(UTC).isoformat(timespec="seconds")
    for path, content in contents:
        text = sealed(_text({"written": now, **content}))
        if not _says(path, text):
            with replaced(path) as temporary:
                temporary.write_text(text, "utf-8")


def _says(path: Path, text: str) -> bool:
    """Whether a file is whole and says what `text` does, but for the time that it was written."""
    if not path.is_file() or broken_seal(path):
        return False
    return _timeless(path.read_text("utf-8", "replace")) == _timeless(text)


def _timeless(text: str) -> str:
    """What is said between the time, which comes first, and the seal."""
    return text.partition('",\n')[2].rpartition(_SEAL)[0]


def sealed(text: str) -> str:
    """The text of a JSON object with its own MD5 as the last value, by which it is known for whole.

    Examples
    --------
    >>> print(sealed('{\\n  "schema": 1\\n}\\n'), end="")
    {
      "schema": 1,
      "md5": "9cd5d552cef9d330c9c21d262be6b90c"
    }
    """
    md5 = hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()
    return f'{text.removesuffix(_END)}{_SEAL}{md5}"{_END}'


def broken_seal(path: Path) -> tuple[Literal["truncated", "altered", "not recorded"], str] | None:
    """What is wrong with a file that was written `sealed`, in a word and in words; None if nothing.

    Raises
    ------
    OSError
        It can not be read.
    """
    if not path.is_file():
        path.stat()
        return "altered", f"{path}: not a file"
    text = path.read_bytes().decode(errors="replace")
    if not text.endswith(_END):
        return "truncated", f"{path}: {'does not end' if text else 'empty'}"
    body, seal, _ = text.rpartition(_SEAL)
    if not seal:
        return "not recorded", f"{path}: written without a digest; `doit manifest` writes it again"
    return None if sealed(body + _END) == text else ("altered", f"{path}: other content")


def _text(content: Mapping[str, Any]) -> str:
    """JSON with one job a line: short to read, to compare and to write."""
    lines = []
    for key, value in content.items():
        if isinstance(value, list) and value:
            items = ",\n    ".join(map(json.dumps, value))
            lines.append(f"  {json.dumps(key)}: [\n    {items}\n  ]")
        else:
            lines.append(f"  {json.dumps(key)}: {json.dumps(value)}")
    return "{\n" + ",\n".join(lines) + "\n}\n"
