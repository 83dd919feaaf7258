"""Small files from anyone: read whole or refused, and never waited for."""

from __future__ import annotations

from pathlib import Path

LIMIT_BYTES = 2**24
"""Most that a record or a table may take: a few kB, or 20 bytes an epoch, is what they do."""


def text_of(path: Path) -> str | None:
    """What a file holds, None where there is none.

    Raises
    ------
    ValueError
        It is no file, too long, or not UTF-8.
    """
    if not path.exists():
        return None
    if not path.is_file():
        raise ValueError("not a file")
    if path.stat().st_size > LIMIT_BYTES:
        raise ValueError(f"longer than {LIMIT_BYTES} bytes")
    return path.read_text("utf-8")
