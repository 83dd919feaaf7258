"""Which artifacts can be trusted: every byte read again and held against what was recorded."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from doit import dependency

from ..spec import SpecUnchanged
from ..state.journal import Journal
from ..state.record import ATTEMPT, CHECKER, FAILED, INTERRUPTED, TARGETS, Row
from .control import Control
from .inputs import drop_missing, is_partial
from .moved import follow
from .sealed import broken_seal
from .targets import resized

Word = Literal[
    "whole",
    "missing",
    "truncated",
    "altered",
    "unreadable",
    "settings changed",
    "inputs changed",
    "never made",
    "not recorded",
    "not verified",
    "interrupted",
    "failed",
]


@dataclass(frozen=True)
class Found:
    """What was found of one artifact, or of all that a task makes.

    Attributes
    ----------
    task : str
        The task that makes it; empty for what doit itself writes.
    word : str
        ``whole``, what is wrong, or ``not verified``.
    detail : str
        In words; empty for ``whole``.
    paths : tuple of str
        The artifacts.
    """

    task: str
    word: Word
    detail: str
    paths: tuple[str, ...]


class Verifier:
    """Reads artifacts and inputs, each once, and never takes a time stamp for proof.

    Parameters
    ----------
    control : Control
        With tasks selected.
    state : Journal
        What was recorded; only read.
    """

    def __init__(self, control: Control, state: Journal) -> None:
        self._control = control
        self._state = state
        self._read: dict[str, tuple[int, str] | OSError | None] = {}

    def findings(self) -> Iterator[Found]:
        """Yield what is found of each artifact of the selected tasks, in the order of the graph.

        An artifact is whole if its bytes are those that its task made, with the settings and from
        the inputs that are there now.
        """
        for name in dict.fromkeys(self._control.members(self._control.selected_tasks)):
            task = self._control.tasks[name]
            if task.targets:
                yield from self._task(task, follow(self._state.row(name), task, self._is))

    def _task(self, task: Any, row: Row) -> Iterator[Found]:
        targets = tuple(task.targets)
        if (unknown := self._unknown(targets, row)) is not None:
            yield Found(task.name, *unknown, targets)
            return
        made = row[TARGETS]
        log = (task.meta or {}).get("log")
        if log in made:
            targets += (log,)
        elif log and os.path.lexists(log):
            yield Found(task.name, "not verified", f"{log}: no digest of it is recorded", (log,))
        sound = []
        for path in targets:
            problem = self._target(path, made.get(path), recorded=path in made)
            if problem is None:
                sound.append(path)
            else:
                yield Found(task.name, *problem, (path,))
        settings, inputs = list(_settings(task, row)), list(self._inputs(task, row))
        if settings:
            yield Found(task.name, "settings changed", "; ".join(settings), tuple(sound))
        for words in inputs:
            yield Found(task.name, "inputs changed", words, tuple(sound))
        if sound and not settings and not inputs:
            yield Found(task.name, "whole", "", tuple(sound))

    def manifest(self, files: Iterable[Path]) -> Iterator[Found]:
        """Yield what is found of files that doit wrote about the tasks, not by one of them."""
        for path in files:
            problem: tuple[Word, str] | None
            try:
                problem = broken_seal(path)
            except FileNotFoundError:
                ran = next(self._state.rows(), None)
                problem = ("missing" if ran else "never made", str(path) if ran else "")
            except OSError as error:
                problem = "unreadable", f"{path}: {(error.strerror or str(error)).lower()}"
            word, detail = problem or ("whole", "")
            yield Found("", word, detail, (str(path),))

    def _unknown(self, targets: Iterable[str], row: Row) -> tuple[Word, str] | None:
        """Why nothing is known of what a task makes; None where it is."""
        if row.get(CHECKER) == INTERRUPTED:
            holder = self._state.at_it(row)
            return "interrupted", f"running now: {holder}" if holder else "cut off while it ran"
        if row.get(CHECKER) == FAILED:
            return "failed", row[ATTEMPT]["message"]
        if row.get(TARGETS) is not None:
            return None
        if row.get("deps:") is not None:
            return "not recorded", "made before digests were recorded; run it again to have them"
        there = [path for path in targets if os.path.lexists(path)]
        if there:
            return "not recorded", f"there, but no run is recorded: {', '.join(there)}"
        return "never made", ""

    def _target(
        self, path: str, made: Iterable[Any] | None, *, recorded: bool
    ) -> tuple[Word, str] | None:
        if not recorded:
            return "not recorded", f"{path}: not among what its task made when it last ran"
        found = self._content(path)
        if isinstance(found, FileNotFoundError):
            return "missing", path
        if isinstance(found, OSError):
            return "unreadable", f"{path}: {(found.strerror or str(found)).lower()}"
        if made is None or found is None:  # a folder, then or now
            return None if made is None and found is None else ("altered", f"{path}: not a file")
        (size, md5), (size_now, md5_now) = made, found
        if size_now != size:
            word, detail = resized(size, size_now)
            return word, f"{path}: {detail}"
        return None if md5_now == md5 else ("altered", f"{path}: {size} bytes, other content")

    def _inputs(self, task: Any, row: Row) -> Iterator[str]:
        """What differs between the inputs that are there now and those that the task read.

        doit's time stamp checker records no content to compare with.
        """
        if is_partial(task):
            drop_missing(task)
        known = set(row.get("deps:") or ())
        for path in sorted({*task.file_dep, *known}):
            theirs = "" if path in self._control.targets else " (no task makes it)"
            if path not in task.file_dep:
                yield f"{path}: no longer used"
                continue
            if path not in known:
                yield f"{path}: added since{theirs}"
                continue
            found, recorded = self._content(path), row.get(path)
            if isinstance(found, FileNotFoundError):
                yield f"{path}: missing{theirs}"
            elif isinstance(found, OSError):
                yield f"{path}: {(found.strerror or str(found)).lower()}{theirs}"
            elif recorded is None:
                yield f"{path}: changed while the task read it{theirs}"
            elif isinstance(recorded, list) and found != (recorded[1], recorded[2]):
                yield f"{path}: not what the task read{theirs}"

    def _is(self, path: str, md5: str) -> bool:
        found = self._content(path)
        return isinstance(found, tuple) and found[1] == md5

    def _content(self, path: str) -> tuple[int, str] | OSError | None:
        """Size and MD5 as they are now, None for a folder, or why it can not be read."""
        if path not in self._read:
            try:
                self._read[path] = _digest(path)
            except OSError as error:
                self._read[path] = error
        return self._read[path]


def _digest(path: str) -> tuple[int, str] | None:
    mode = os.stat(path).st_mode  # noqa: PTH116
    if stat.S_ISDIR(mode):
        return None
    if not stat.S_ISREG(mode):  # reading a pipe would wait for ever
        raise OSError(errno.EINVAL, "neither a file nor a folder", path)
    md5 = str(dependency.get_file_md5(path))
    return os.stat(path).st_size, md5  # noqa: PTH116


def _settings(task: Any, row: Mapping[str, Any]) -> Iterator[str]:
    """What the ``uptodate`` items of a task that can explain themselves find changed."""
    values = row.get("_values_:") or {}
    for item, *_ in task.uptodate:
        if hasattr(item, "explain"):
            words = item.explain(values)
            if isinstance(item, SpecUnchanged) and not words and not item(task, values):
                words = ["settings not recorded"]
            yield from words


def summary(found: Iterable[Found]) -> dict[str, int]:
    """Count artifacts by what was found: each once, by the first problem that it has."""
    words: dict[str, Word] = {}
    for item in found:
        for path in item.paths:
            words.setdefault(path, item.word)
    counts: dict[str, int] = {}
    for word in words.values():
        counts[word] = counts.get(word, 0) + 1
    return counts
