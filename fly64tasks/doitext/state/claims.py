"""Whose a folder is: what the tasks of one graph make, those of another do not write over.

A graph says in ``meta["claim"]`` of its tasks which folders they write and who it is: the file that
describes its work, and the folder of its results. The first run leaves a mark in each folder, and
in the state; a run of anybody else is refused there, before a byte changes. The mark has paths
relative to where it lies, so that a project can be moved.
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from doit.exceptions import InvalidCommand

from ..atomic import replaced
from ..bounded import text_of
from ..errors import machine_fault, printable
from .journal import Journal
from .lock import Lock, LockError

MARK = ".doit-owner.json"
LOCK = ".doit-owner.lock"
_SHOWN = 3


@dataclass(frozen=True)
class Owner:
    """Who writes a folder.

    Attributes
    ----------
    file : str
        What describes the work, such as a study file.
    folder : str
        Where its results lie. There may be several of one file.
    """

    file: str
    folder: str

    def __str__(self) -> str:
        return f"{_from_here(self.file)}, whose results lie in {_from_here(self.folder)}"

    def seen_from(self, place: str) -> tuple[str, str]:
        """The paths relative to a folder, as its mark keeps them."""
        real = os.path.realpath(place)
        file, folder = (
            os.path.relpath(os.path.realpath(p), real) for p in (self.file, self.folder)
        )
        return file, folder

    @classmethod
    def kept_at(cls, place: str, kept: tuple[str, str]) -> Owner:
        """Whom the mark in a folder names."""
        real = os.path.realpath(place)
        return cls(*(os.path.normpath(os.path.join(real, path)) for path in kept))  # noqa: PTH118

    def is_same_as(self, asked: Owner) -> bool:
        """Whether it is `asked`, or was before its results were moved."""
        if os.path.realpath(self.file) != os.path.realpath(asked.file):
            return False
        return os.path.realpath(self.folder) == os.path.realpath(asked.folder) or not (
            os.path.lexists(self.folder)
        )


@dataclass(frozen=True, eq=False)
class Claim:
    """A folder that the tasks of one graph write.

    Attributes
    ----------
    folder : str
    owner : Owner
        Whose it is to be.
    made : callable
        Lists what lies there that such a graph has made: where there is no mark yet, all of it
        has to be recorded in the state.
    advice : str
        What to do where it is another's.
    bears : callable, optional
        Lists every file there that such a graph is known to have made, each with a target of the
        task that it is of: more than `made`, where tasks leave what is no target.
    """

    folder: str
    owner: Owner
    made: Callable[[], Iterable[str]]
    advice: str
    bears: Callable[[], Iterable[tuple[str, str]]] | None = None

    def bearing(self) -> Iterable[tuple[str, str]]:
        """What `bears` lists; what `made` does where there is none."""
        return self.bears() if self.bears else ((path, path) for path in self.made())

    @property
    def mark(self) -> Path:
        """Where its mark lies."""
        return Path(self.folder, MARK)


class Claims:
    """The folders that a graph writes, and its state.

    Parameters
    ----------
    tasks : mapping of str to doit.task.Task
        The graph.
    state : Journal
    """

    def __init__(self, tasks: Mapping[str, Any], state: Journal) -> None:
        said = {id(claim): claim for claim in (_claim_of(task) for task in tasks.values()) if claim}
        folders = {os.path.realpath(claim.folder): claim for claim in said.values()}
        self._claims = list(folders.values())
        self._tasks = tasks
        self._state = state
        self._locks: list[tuple[Claim, Lock]] = []

    def __iter__(self) -> Iterator[Claim]:
        return iter(self._claims)

    def refuse_others(self) -> None:
        """Refuse what is somebody else's, or may be: where no mark says whose it is.

        Raises
        ------
        InvalidCommand
            As `refuse_marked`; or what was made in a folder without a mark is not recorded.
        """
        self.refuse_marked()
        for claim in self._claims:
            if _kept_in(claim) is None:
                self._refuse_unrecorded(claim)

    def refuse_marked(self) -> None:
        """Refuse folders, and a state, whose mark names somebody else.

        Raises
        ------
        InvalidCommand
            One does, and is named with its owner.
        """
        for claim in self._claims:
            found = _owner_in(claim)
            if found and not found.is_same_as(claim.owner):
                raise _refusal(claim.folder, f"belongs to {found}", claim)
        kept = self._state.owner
        if kept and self._claims:
            claim = self._claims[0]
            found = Owner.kept_at(self._place_of_state, kept)
            if not found.is_same_as(claim.owner):
                raise _refusal(self._state.name, f"is the record of {found}", claim)

    @contextlib.contextmanager
    def held(self, wait: bool, take_over: bool) -> Iterator[None]:
        """Be the only one who writes there, and leave marks that say so.

        Parameters
        ----------
        wait : bool
            Wait for another process that writes there.
        take_over : bool
            Take what is another's.

        Raises
        ------
        InvalidCommand
            Another process writes there, or has become the owner meanwhile.
        """
        with self.locked(wait, make=True):
            if not take_over:
                self.refuse_others()
            for claim in self._claims:
                _leave_mark(claim)
            if self._claims:
                kept = self._claims[0].owner.seen_from(self._place_of_state)
                if kept != self._state.owner:
                    self._state.belong_to(kept)
            yield

    @contextlib.contextmanager
    def locked(self, wait: bool, make: bool = False) -> Iterator[None]:
        """Be the only one who writes to the folders that exist, or that are to be made."""
        try:
            for claim in self._claims:
                if make or Path(claim.folder).is_dir():
                    self._lock(claim, wait)
            yield
        finally:
            for _, lock in self._locks:
                lock.release()
            self._locks.clear()

    def give_up_empty(self) -> None:
        """Give up the locked folders where nothing is left that was made, and remove empty ones."""
        for claim, lock in self._locks:
            if not any(True for _ in claim.made()):
                claim.mark.unlink(missing_ok=True)
                lock.remove()
                folder = Path(claim.folder)
                while folder != Path() and not any(folder.iterdir()):
                    folder.rmdir()
                    folder = folder.parent

    # ---- parts of these

    def _lock(self, claim: Claim, wait: bool) -> None:
        lock = Lock(claim.folder, Path(claim.folder, LOCK))
        try:
            lock.acquire(wait)
        except LockError as error:
            if machine_fault(error.fault) is None:
                raise
            return  # where no lock can be written, nothing can
        self._locks.append((claim, lock))

    @property
    def _place_of_state(self) -> str:
        return os.path.dirname(self._state.name) or "."  # noqa: PTH120

    def _refuse_unrecorded(self, claim: Claim) -> None:
        """Refuse a folder without a mark where anything was made that the state does not know."""
        there = {os.path.abspath(path): path for path in claim.made()}  # noqa: PTH100
        if not there:
            return
        for name, targets in self._state.recorded():
            known = targets if name not in self._tasks else [*targets, *self._tasks[name].targets]
            for path in known:
                there.pop(os.path.abspath(path), None)  # noqa: PTH100
        if there:
            names = sorted(there.values())
            more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
            said = f"holds what {_from_here(self._state.name)} has no record of"
            raise _refusal(claim.folder, f"{said}: {', '.join(names[:_SHOWN])}{more}", claim)


_KEYS = ("file", "folder")


def _from_here(path: str) -> str:
    """A path as it is called in this folder, where it lies below it."""
    near = os.path.relpath(path)
    return path if near.startswith(os.pardir) else near


def _claim_of(task: Any) -> Claim | None:
    claim: Claim | None = (task.meta or {}).get("claim")
    return claim


def _kept_in(claim: Claim) -> tuple[str, str] | None:
    """What the mark in a folder says, None where there is none."""
    try:
        text = text_of(claim.mark)
        if text is None:
            return None
        said = json.loads(text)
        file, folder = (said[key] for key in _KEYS)
        if not (isinstance(file, str) and isinstance(folder, str)):
            raise TypeError
    except (OSError, ValueError, TypeError, KeyError, RecursionError):
        raise _refusal(str(claim.mark), "says not whose the folder is", claim) from None
    return file, folder


def _owner_in(claim: Claim) -> Owner | None:
    kept = _kept_in(claim)
    return None if kept is None else Owner.kept_at(claim.folder, kept)


def _leave_mark(claim: Claim) -> None:
    text = json.dumps(dict(zip(_KEYS, claim.owner.seen_from(claim.folder), strict=True))) + "\n"
    with contextlib.suppress(OSError, ValueError):
        if claim.mark.read_text("utf-8") == text:
            return
    try:
        with replaced(claim.mark) as temporary:
            temporary.write_text(text, "utf-8")
    except OSError as error:
        if machine_fault(error) is None:
            raise


def _refusal(place: str, problem: str, claim: Claim) -> InvalidCommand:
    said = f"{_from_here(place)}: {problem}; this is {claim.owner}: {claim.advice}"
    return InvalidCommand(printable(said))
