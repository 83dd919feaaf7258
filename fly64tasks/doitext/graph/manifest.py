"""The jobs of a graph and their state, as two JSON files."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from doit.exceptions import InvalidCommand

from ..atomic import replaced
from ..bounded import text_of
from ..state.journal import Journal
from ..state.record import ATTEMPT, CHECKER, FAILED, INTERRUPTED
from .plan import Verdict
from .selection import Control, MetaFilter, Wanted, grid_values

SCHEMA = 1

Describe = Callable[[Any, dict[str, Any] | None], Mapping[str, Any]]


@dataclass(frozen=True)
class FileNames:
    """The names of the two files."""

    manifest: str = "manifest.json"
    skips: str = "skip_summary.json"


def is_job(task: Any) -> bool:
    """Whether the manifest lists the task: its ``meta`` names a ``record``."""
    return "record" in (task.meta or {})


class Manifest:
    """What the manifest and the skip summary say.

    Parameters
    ----------
    control : Control
        With tasks selected.
    state : Journal
        The state file.
    filters : sequence of MetaFilter
        The keys of the grid.
    describe : callable, optional
        ``describe(task, record)`` gives further fields of a job; `record` is the JSON object in
        the file ``meta["record"]``, or None when there is none. A `ValueError` says that the
        record is not as expected; then it is asked again, without the record.
    """

    def __init__(
        self,
        control: Control,
        state: Journal,
        filters: Sequence[MetaFilter],
        describe: Describe | None = None,
    ) -> None:
        self._control = control
        self._state = state
        self._keys = [item.key for item in filters]
        self._describe = describe

    def build(
        self,
        wanted: Wanted,
        verdicts: Iterable[Verdict],
        skipped: Mapping[str, Sequence[str]],
    ) -> tuple[dict[str, Any], dict[str, Any]]:
        """The manifest and the skip summary.

        Parameters
        ----------
        wanted : Wanted
            The filters in use.
        verdicts : iterable of Verdict
            What is known of each task.
        skipped : mapping of str to sequence of str
            Tasks that are left out because their inputs are, with the reasons.
        """
        jobs = [task for task in self._control.tasks.values() if is_job(task)]
        known = {verdict.task: verdict for verdict in verdicts}
        selected = set(self._control.closure()) - set(skipped)
        entries, skips = [], []
        for task in jobs:
            if task.name in selected:
                entry = self._entry(task, known.get(task.name))
                entries.append(entry)
                if entry["status"] == "cannot run":
                    skips.append(self._head(task) | {"reasons": entry["reasons"]})
            else:
                reasons = list(skipped.get(task.name, ())) or wanted.misses(task.meta)
                skips.append(self._head(task) | {"reasons": reasons or ["not asked for"]})
        grid = {key: grid_values([task.meta for task in jobs], key) for key in self._keys}
        common = {"schema": SCHEMA, "grid": grid, "filters": wanted.as_dict()}
        counts: dict[str, int] = {}
        for entry in entries:
            counts[entry["status"]] = counts.get(entry["status"], 0) + 1
        manifest = common | {"counts": dict(sorted(counts.items())), "jobs": entries}
        return manifest, common | {"skipped": skips}

    def _head(self, task: Any) -> dict[str, Any]:
        return {"task": task.name} | {key: task.meta.get(key) for key in self._keys}

    def _entry(self, task: Any, verdict: Verdict | None) -> dict[str, Any]:
        row = self._state.row(task.name)
        attempt = row.get(ATTEMPT) or {}
        inputs = [
            {"path": path, "md5": (row.get(path) or (None, None, None))[2]}
            for path in sorted(task.file_dep)
        ]
        entry = self._head(task) | {
            "status": self._status(verdict, row),
            "reasons": list(verdict.reasons) if verdict else [],
            "started": attempt.get("started"),
            "seconds": attempt.get("seconds"),
            "inputs": inputs,
            "targets": list(task.targets),
            "log": task.meta.get("log"),
            "record": task.meta["record"],
        }
        if self._describe:
            try:
                entry |= self._describe(task, _read(Path(entry["record"])))
            except (OSError, ValueError) as error:
                entry["reasons"].append(f"record not readable: {entry['record']}: {error}")
                entry |= self._describe(task, None)
        return entry

    def _status(self, verdict: Verdict | None, row: Mapping[str, Any]) -> str:
        if verdict and verdict.word in ("up to date", "ignored"):
            return "done" if verdict.word == "up to date" else "ignored"
        if row.get(CHECKER) == FAILED:
            return "failed"
        if verdict and verdict.word == "error":
            return "cannot run"
        if row.get(CHECKER) == INTERRUPTED:
            return "running" if self._state.holder() else "interrupted"
        return "stale" if row else "never run"


_BEGINNING = re.compile(rb'\{\s*("\w+": "[^"]{,99}",\s*)?"schema": \d')
"""Of a file of ours."""


def refuse_foreign(folder: Path, names: FileNames) -> None:
    """Refuse to write over files that no doit has written.

    Raises
    ------
    InvalidCommand
        One is there, and is named.
    """
    for path in (folder / names.manifest, folder / names.skips):
        if not path.exists():
            continue
        content = path.read_bytes()[:100] if path.is_file() else b"a folder"
        if content and not _BEGINNING.match(content):
            raise InvalidCommand(
                f"{path}: exists and was not written by doit; expected a free name: move it away"
            )


def write(
    folder: Path, names: FileNames, manifest: Mapping[str, Any], skips: Mapping[str, Any]
) -> None:
    """Write both files, each whole or not at all, and only when their content changes."""
    for name, content in ((names.manifest, manifest), (names.skips, skips)):
        path = folder / name
        text = _text(content).encode()
        if not path.is_file() or path.read_bytes() != text:
            with replaced(path) as temporary:
                temporary.write_bytes(text)


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


def _read(path: Path) -> dict[str, Any] | None:
    """The JSON object in a file, None where there is no file.

    Raises
    ------
    ValueError
        Something else is there.
    """
    text = text_of(path)
    if text is None:
        return None
    try:
        record = json.loads(text)
    except RecursionError:
        raise ValueError("nested too deep") from None
    if not isinstance(record, dict):
        raise ValueError(f"JSON {type(record).__name__}, expected an object")  # noqa: TRY004
    return record
