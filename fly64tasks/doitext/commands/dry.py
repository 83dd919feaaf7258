"""What a command that changes nothing says, and that it does not even write bytecode caches."""

from __future__ import annotations

import contextlib
import json
import sys
from collections.abc import Iterator, Sequence
from typing import Any, TextIO

from ..errors import in_short, printable


@contextlib.contextmanager
def no_caches(really: bool = True) -> Iterator[None]:
    """Have Python write no bytecode of what it imports."""
    former = sys.dont_write_bytecode
    sys.dont_write_bytecode = former or really
    try:
        yield
    finally:
        sys.dont_write_bytecode = former


def write_lines(out: TextIO, found: Sequence[tuple[str, str, Sequence[str]]], width: int) -> None:
    """Write a line for each thing that was found: a word, `width` wide, the task, and reasons."""
    widest = max((len(task) for _, task, _ in found), default=0)
    for word, task, reasons in found:
        line = f"{word:<{width}}  {task:<{widest}}  {in_short(reasons)}"
        out.write(f"{printable(line.rstrip())}\n")


def write_json(out: TextIO, content: Any) -> None:
    """Write all that was found, for programs."""
    json.dump(content, out, indent=2)
    out.write("\n")
