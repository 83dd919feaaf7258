"""The jobs of a graph and their state, as two JSON files."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..bounded import text_of
from ..state.journal import Journal
from ..state.notes import noted, used
from ..state.record import CHECKER, FAILED, INTERRUPTED, Row, attempt_of
from .control import Control
from .judgement import Verdict
from .moved import followed
from .selection import MetaFilter, Wanted, grid_values

SCHEMA = 1

KINDS = ("filtered", "skipped", "missing")
"""Of what is left out: not asked for; skipped on request, as its input may be missing; unable to
run, as an input is missing or what makes it failed."""

Record = dict[str, Any] | None


@dataclass(frozen=True)
class Describe:
    """What the manifest says of a job besides what doit knows, in two steps.

    A plain ``describe(task, record)`` will do; of one in two steps, records that are the same are
    not read again.

    Attributes
    ----------
    kind : str
        The name of what `take` gives; another one where it gives something else than before.
    take : callable
        ``take(record)`` gives what is needed of the JSON object in ``meta["record"]``, or of None
        where there is none: little, and JSON-ready. A `ValueError` says that the record is not as
        expected; then it is asked of None.
    say : callable
        ``say(task, taken)`` gives further fields of the job.
    """

    kind: str
    take: Callable[[Record], Any]
    say: Callable[[Any, Any], Mapping[str, Any]]

    def __call__(self, task: Any, record: Record) -> Mapping[str, Any]:
        """The fields, of a record that was read."""
        return self.say(task, self.take(record))

    def of(self, task: Any, path: Path) -> Mapping[str, Any]:
        """The fields, of the record at a path."""
        return self.say(task, noted(path, self.kind, lambda path: self.take(_read(path))))


@dataclass(frozen=True)
class FileNames:
    """The names of the two files."""

    manifest: str = "manifest.json"
    skips: str = "skip_summary.json"

    def within(self, folder: Path) -> tuple[Path, Path]:
        """Where they lie."""
        return folder / self.manifest, folder / self.skips


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
        The keys of the grid, as far as jobs have them.
    describe : Describe or callable, optional
        ``describe(task, record)`` gives further fields of a job; `record` is the JSON object in
        the file ``meta["record"]``, or None when there is none. A `ValueError` says that the
        record is not as expected; then it is asked again, without the record.
    about : mapping, optional
        What both files say at their head, JSON-ready.
    """

    def __init__(
        self,
        control: Control,
        state: Journal,
        filters: Sequence[MetaFilter],
        describe: Describe | Callable[[Any, Record], Mapping[str, Any]] | None = None,
        about: Mapping[str, Any] | None = None,
    ) -> None:
        self._control = control
        self._state = state
        self._keys = [item.key for item in filters]
        self._describe = describe
        self._about = about or {}

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
        self._keys = [key for key in self._keys if any(key in task.meta for task in jobs)]
        known = {verdict.task: verdict for verdict in verdicts}
        selected = set(self._control.closure()) - set(skipped)
        entries, skips = [], []
        for task in jobs:
            if task.name in selected:
                with used(self._state.notes):
                    entry = self._entry(task, known.get(task.name))
                entries.append(entry)
                if entry["status"] == "cannot run":
                    skips.append(self._head(task) | _left_out("missing", entry["reasons"]))
            elif task.name in skipped:
                skips.append(self._head(task) | _left_out("skipped", skipped[task.name]))
            else:
                reasons = wanted.misses(task.meta) or ["not asked for"]
                skips.append(self._head(task) | _left_out("filtered", reasons))
        common = {
            "schema": SCHEMA,
            **self._about,
            "grid": {key: grid_values([task.meta for task in jobs], key) for key in self._keys},
            "filters": wanted.as_dict(),
            "totals": {"total": len(jobs)} | dict.fromkeys(KINDS, 0) | _counted(skips, "kind"),
        }
        counts = dict(sorted(_counted(entries, "status").items()))
        return common | {"counts": counts, "jobs": entries}, common | {"skipped": skips}

    def _head(self, task: Any) -> dict[str, Any]:
        return {"task": task.name} | {key: task.meta.get(key) for key in self._keys}

    def _entry(self, task: Any, verdict: Verdict | None) -> dict[str, Any]:
        row = followed(task, self._state)
        attempt = attempt_of(row)
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
                path = Path(entry["record"])
                if isinstance(self._describe, Describe):
                    entry |= self._describe.of(task, path)
                else:
                    entry |= self._describe(task, _read(path))
            except (OSError, ValueError) as error:
                entry["reasons"].append(f"record not readable: {entry['record']}: {error}")
                entry |= self._describe(task, None)
        return entry

    def _status(self, verdict: Verdict | None, row: Row) -> str:
        if verdict and verdict.word in ("up to date", "ignored"):
            return "done" if verdict.word == "up to date" else "ignored"
        if row.get(CHECKER) == FAILED:
            return "failed"
        if verdict and verdict.word == "error":
            return "cannot run"
        if row.get(CHECKER) == INTERRUPTED:
            return "running" if self._state.at_it(row) else "interrupted"
        return "stale" if row else "never run"


def _left_out(kind: str, reasons: Sequence[str]) -> dict[str, Any]:
    return {"kind": kind, "reasons": list(reasons)}


def _counted(entries: Iterable[Mapping[str, Any]], key: str) -> Counter[str]:
    return Counter(entry[key] for entry in entries)


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
