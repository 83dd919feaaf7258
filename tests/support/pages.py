"""What a page of the documentation shows: its commands, and what each is said to print."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

GAP = "..."
"""A line that stands for any number of lines."""

_NEWS = re.compile(r"\[ *\d+/\d+\] running: ")
"""What a long job says of itself off a terminal, where a machine is slow."""

_VARYING = [
    (re.compile(r" +(?:\d+h \d\dm|\d+m \d\ds|\d+(?:\.\d)? s)\b"), " T"),
    (re.compile(r"(?<=loss )\S+"), "L"),
]


def shown(text: str) -> list[tuple[str, list[str]]]:
    """Return each command of the indented blocks, with the lines below it.

    >>> shown("Say\\n\\n    $ doit -n\\n    run  a\\n\\nand so on\\n\\n    file  holds")
    [('doit -n', ['run  a'])]
    """
    found: list[tuple[str, list[str]]] = []
    below: list[str] = []
    for line in text.splitlines():
        if line.startswith("    $ "):
            below = []
            found.append((line.removeprefix("    $ "), below))
        elif line.startswith("    "):
            below.append(line.removeprefix("    "))
        elif line:
            below = []
    return found


def agrees(said: list[str], expected: list[str]) -> bool:
    """Return whether lines are those that a page shows, times and losses aside.

    >>> agrees(["a", "b", "c 2.0 s"], ["a", "...", "c 1m 03s"]), agrees(["a", "b"], ["a"])
    (True, False)
    """
    parts = [r"(?:.*\n)*" if line == GAP else re.escape(_plain(line)) + r"\n" for line in expected]
    return re.fullmatch("".join(parts), "".join(f"{_plain(line)}\n" for line in said)) is not None


def follow(page: Path, folder: Path, which: slice = slice(None)) -> None:
    """Run the commands of a page one after the other, and hold what they print to it."""
    environment = {**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    for command, expected in shown(page.read_text("utf-8"))[which]:
        done = subprocess.run(
            ["bash", "-c", f"{command}\ncode=$?; pwd > {folder}/.at; exit $code"],
            cwd=(folder / ".at").read_text().strip() if (folder / ".at").exists() else folder,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        lines = [line.rstrip() for line in done.stdout.splitlines() if line.strip()]
        said = [line for line in lines if not _NEWS.match(line)]
        assert agrees(said, expected), f"$ {command}\n{done.stdout}\nexpected:\n" + "\n".join(
            expected
        )


def _plain(line: str) -> str:
    for pattern, word in _VARYING:
        line = pattern.sub(word, line)
    return line.rstrip()
