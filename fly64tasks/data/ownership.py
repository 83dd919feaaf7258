"""Which files are ours to write over: those that bear our mark."""

from __future__ import annotations

import mmap
import re
from pathlib import Path

from fly64tasks.errors import DatasetError

WRITER = "fly64tasks"

Mark = bytes | re.Pattern[bytes]
"""What a file of ours holds, or what it begins with."""

_MARKS = {
    ".npz": f'"writer": "{WRITER}"'.encode("utf-32-le"),  # in `_metadata`: numpy's text
    ".json": f'"writer": "{WRITER}"'.encode(),
    ".h5": WRITER.encode(),
    ".svg": f"<dc:title>{WRITER}</dc:title>".encode(),
    ".pdf": f"/Creator ({WRITER})".encode(),
    ".png": f"Software\0{WRITER}".encode(),
}
"""What a file of ours holds, by its suffix: near its beginning, so that one cut short has it too.
Any other file of ours holds our name.

A PDF has it near its end.
"""


def refuse_foreign(path: Path, mark: Mark | None = None) -> None:
    """Refuse to write over a file that is not ours: one with content that lacks our mark.

    Parameters
    ----------
    mark : bytes or pattern, optional
        What a file of ours holds, or begins with, where its suffix does not say it.

    Raises
    ------
    DatasetError
        ``path`` exists and was not written by this project.
    """
    if path.exists() and not is_ours(path, mark):
        raise DatasetError(
            f"{path}: exists and was not written by {WRITER}; expected a free name: move it away "
            "or choose another folder"
        )


def is_ours(path: Path, mark: Mark | None = None) -> bool:
    """Return whether a file bears our mark, or is empty: there is nothing to lose then.

    Parameters
    ----------
    mark : bytes or pattern, optional
        As `refuse_foreign` has it.
    """
    if not path.is_file():
        return False
    if path.stat().st_size == 0:
        return True
    mark = mark or _MARKS.get(path.suffix, WRITER.encode())
    with (
        path.open("rb") as file,
        mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content,
    ):
        if isinstance(mark, bytes):
            return content.find(mark) >= 0
        return mark.match(content) is not None
