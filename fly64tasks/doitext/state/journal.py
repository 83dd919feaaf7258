"""doit's state in sqlite3, committed after each task, with a mark on what is running."""

from __future__ import annotations

import os
import stat
import time
from collections.abc import Iterable, Iterator
from typing import Any

from doit.exceptions import InvalidCommand

from ..errors import printable
from .database import Database
from .digests import DigestCache
from .notes import Notes
from .record import ATTEMPT, CHECKER, FAILED, INTERRUPTED, OURS, TARGETS, Row, attempt_of, flaw
from .statuses import Statuses, status


class Journal:
    """The state file of a task graph: a doit backend.

    The table ``doit`` is that of doit's own sqlite3 backend, which can read and continue it. A
    task that begins has its record replaced by one whose checker is ``interrupted``: no checker
    has this name, so the task is stale, for stock doit too, until it succeeds. A failed task's
    record says ``failed`` in the same place.

    Nothing is read before the first question and nothing is written before `lock`, not even the
    file or its folder.

    Parameters
    ----------
    name : str
        Path of the state file.
    codec
        doit's JSON codec.
    module_name
        Not used; part of the backend protocol.

    Attributes
    ----------
    began : bool
        Whether this process has begun a task.
    owner : tuple of str or None
        Whose state it is, as `doitext.state.claims` keeps it; None while nobody has said so.
    """

    desc = "sqlite3 file, committed after each task"

    def __init__(self, name: str, codec: Any, *, module_name: str | None = None) -> None:
        self.name = name
        self.began = False
        self.digests = DigestCache()
        self.statuses = Statuses()
        self._file = Database(name, self.digests)
        self.notes = Notes(codec.decode, self._file.notes, self.statuses)
        self._codec = codec
        self._rows: dict[str, Row] = {}  # those that differ from the file, or did
        self._changed: set[str] = set()
        self._last: tuple[str | None, Row] = None, {}
        self._running: dict[str, tuple[float, float]] = {}  # since when, by both clocks

    # ---- the backend protocol of doit

    def get(self, task_id: str, dependency: str) -> Any:
        """The value stored for a task under a key, or None."""
        return self.row(task_id).get(dependency)

    def set(self, task_id: str, dependency: str, value: Any) -> None:
        """Remember a value; it is stored when the task ends, or by `dump`."""
        row = self._rows[task_id] = self.row(task_id)
        row[dependency] = value
        self._changed.add(task_id)

    def in_(self, task_id: str) -> bool:
        """Whether anything is stored for the task."""
        return bool(self.row(task_id))

    def remove(self, task_id: str) -> None:
        """Forget the task."""
        self.load()
        self._rows[task_id] = {}
        self._changed.add(task_id)

    def remove_all(self) -> None:
        """Forget every task."""
        self.load()
        for task_id in [*self._file.text, *self._rows]:
            self.remove(task_id)

    def dump(self) -> None:
        """Store what is not stored yet, and close the file.

        A task between `begin` and `end` keeps its mark.
        """
        try:
            self._store(self._changed - self._running.keys())
        finally:
            self._file.close()

    # ---- beyond doit's protocol

    @property
    def owner(self) -> tuple[str, str] | None:
        """Whose state it is."""
        self.load()
        return self._file.owner

    def belong_to(self, owner: tuple[str, str]) -> None:
        """Store whose state it is."""
        self._file.belong_to(owner)

    def recorded(self) -> Iterator[tuple[str, list[str]]]:
        """Yield each task of which anything is recorded, with the targets that are named there."""
        for task_id, row in self.rows():
            yield task_id, [*(row.get(TARGETS) or ()), *(attempt_of(row).get("targets") or ())]

    def row(self, task_id: str) -> Row:
        """All that is stored for a task; empty when it never ran.

        It is made of its text anew, but for the last one: who asks for all of them asks for each
        once, and together they have twenty times the size of their text.
        """
        if not self._file.loaded:
            self._file.load()
        row = self._rows.get(task_id)
        if row is None:
            asked, row = self._last
            if asked != task_id:
                text = self._file.text.get(task_id)
                row = self._decoded(task_id, text) if text else {}
                self._last = task_id, row
        return row

    def rows(self) -> Iterator[tuple[str, Row]]:
        """Yield every task of which anything is stored, with all that is, in the file's order."""
        self.load()
        for task_id in list(self._file.text):
            yield task_id, self.row(task_id)

    def lock(self, wait: bool = False) -> None:
        """Become the only writer; see `Lock.acquire`."""
        if self._file.lock(wait):  # another doit has run meanwhile
            self.statuses.forget()
            self._rows, self._last = {}, (None, {})

    def unlock(self) -> None:
        """Let other processes write."""
        self._file.unlock()

    def holder(self) -> str | None:
        """The other process that writes the state file at the moment, in words."""
        return self._file.holder()

    def made(self, task_id: str) -> list[str]:
        """The files that the task made the last time that it succeeded, whatever it did since."""
        row = self.row(task_id)
        return sorted(row.get(TARGETS) or row.get(OURS) or ())

    def at_it(self, row: Row) -> str | None:
        """The process that runs, at the moment, the task of a row; None where it was cut off."""
        holder = self.holder() if row.get(CHECKER) == INTERRUPTED else None
        pid = attempt_of(row).get("pid")
        return holder if holder and (pid is None or holder.startswith(f"pid {pid} ")) else None

    def begin(self, task_id: str, targets: Iterable[str], made: Iterable[str] = ()) -> None:
        """Mark a task as running, on disk, before its first action.

        Until it succeeds, `made` are the files of the last time that it did.
        """
        started, since = time.time(), time.monotonic()
        attempt = {"status": "running", "started": started, "pid": os.getpid()}
        attempt["targets"] = list(targets)
        self._rows[task_id] = {CHECKER: INTERRUPTED, ATTEMPT: attempt, OURS: list(made)}
        self._running[task_id] = started, since
        self.statuses.keep_none()
        self._store([task_id])
        self.began = True

    def replace(self, task_id: str, row: Row) -> None:
        """Have another record of the task, stored as `set` stores."""
        self._rows[task_id] = row
        self._changed.add(task_id)

    def put_back(self, task_id: str, row: Row) -> None:
        """Undo what doit forgets of a task when it only asks for its status.

        A record whose checker is not today's, such as that of a failed task, is removed then.
        """
        self._rows[task_id] = row
        self._changed.discard(task_id)

    def record_targets(self, task_id: str, paths: Iterable[str]) -> None:
        """Remember size and MD5 of what a task made, for `doit verify`; stock doit ignores it.

        Of what is not a file (a folder) only the name is kept.
        """
        made: dict[str, tuple[int, str] | None] = {}
        for path in paths:
            found = status(path)
            regular = stat.S_ISREG(found[-1])
            digest = self.digests.md5(path, found, store=False) if regular else ""
            made[path] = (found[0], digest) if regular else None
        self.set(task_id, TARGETS, made)

    def end(self, task_id: str, failure: str | None = None, optional: str | None = None) -> None:
        """Store how a running task ended, on disk, before anything else happens.

        ``optional`` is the option's word by which the failure may be a skip.
        """
        started, since = self._running[task_id]
        attempt = {"status": "done", "started": started, "seconds": time.monotonic() - since}
        ours = self._rows[task_id].pop(OURS, [])
        if failure is not None:
            attempt |= {"status": "failed", "message": failure}
            if optional:
                attempt["optional"] = optional
            self._rows[task_id] = {CHECKER: FAILED, OURS: ours}
        self._rows[task_id][ATTEMPT] = attempt
        self._store([task_id])
        del self._running[task_id]

    def is_running(self, task_id: str) -> bool:
        """Whether this process began the task and did not end it."""
        return task_id in self._running

    def cut_off(self) -> Iterator[tuple[str, list[str]]]:
        """Yield each task that was running when its doit died, with its targets."""
        self.load()
        for task_id, text in self._file.text.items():
            if f'"{INTERRUPTED}"' in text and self.row(task_id).get(CHECKER) == INTERRUPTED:
                yield task_id, attempt_of(self.row(task_id)).get("targets") or []

    def took(self) -> dict[str, float]:
        """The seconds that each task took whose last attempt succeeded."""
        self.load()
        attempts = {name: attempt_of(self.row(name)) for name in {**self._file.text, **self._rows}}
        return {
            name: attempt["seconds"]
            for name, attempt in attempts.items()
            if attempt.get("status") == "done" and "seconds" in attempt
        }

    # ---- what is in the file, and what is to be

    def load(self) -> None:
        """Read the file, once."""
        self._file.load()

    def _decoded(self, task_id: str, text: str) -> Row:
        try:
            row: Row = self._codec.decode(text)
            wrong = flaw(row)
        except (ValueError, RecursionError) as error:
            wrong = f"not JSON: {error}"
        if wrong:
            raise InvalidCommand(
                printable(
                    f"{self.name}: what is recorded of {task_id} is not doit's ({wrong}); "
                    "move the file away and doit starts afresh"
                )
            )
        return row

    def _store(self, task_ids: Iterable[str]) -> None:
        """Store the rows of `task_ids` that differ from the file, fresh digests, fresh notes."""
        records = {}
        for task_id in task_ids:
            row = self._rows[task_id]
            text = self._codec.encode(row) if row else None
            if text != self._file.text.get(task_id):
                records[task_id] = text
        digests, notes = self.digests, self.notes
        self._file.store(
            records,
            [digests.known[path] for path in digests.fresh],
            [(key, notes.known[key]) for key in notes.fresh],
        )
        digests.fresh.clear()
        notes.fresh.clear()
        self._changed.difference_update(task_ids)
