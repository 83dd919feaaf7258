"""The workers of a run: a task is tried again where what it ran on was lost, and only then."""

from __future__ import annotations

import contextlib
import itertools
import logging
import os
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, wait
from pathlib import Path
from typing import Any, TypeVar

from parsl.executors.errors import BadStateException
from parsl.executors.high_throughput.errors import ManagerLost, VersionMismatch, WorkerLost
from parsl.jobs.errors import TooManyJobFailuresError

from fly64tasks.doitext import parallel
from fly64tasks.doitext.atomic import replaced, sweep
from fly64tasks.doitext.processes import adopt_orphans, end_descendants
from fly64tasks.doitext.running.signals import why_stop
from fly64tasks.engine.events import Follower
from fly64tasks.engine.folder import OwnFolder
from fly64tasks.engine.machine import count
from fly64tasks.engine.spec import EngineSpec
from fly64tasks.engine.switchboard import Switchboard, SwitchboardLost, plain
from fly64tasks.errors import EngineError

T = TypeVar("T")

_LOG = logging.getLogger(__name__)
_WAKE_S = 0.2
_STEP_S = 3.0
_LATENCY_S = 30.0


@contextlib.contextmanager
def workers(run: parallel.Run) -> Iterator[Workers]:
    """Yield the workers of a run of doit; end them with it."""
    spec = run.options.get("engine") or EngineSpec()
    folder = Path(run.options["dep_file"]).parent / ".engine"
    if spec.run_dir:
        folder = Path(spec.run_dir) / f"fly64tasks-engine-{os.geteuid()}"
    pool = Workers(spec, run.jobs, folder.absolute())
    try:
        yield pool
    finally:
        pool.end()


class Workers:
    """Worker processes.

    Parameters
    ----------
    spec : EngineSpec
        Where and with what they run.
    jobs : int
        How many there are on this machine; a batch system has those of the spec.
    folder : Path
        Where to make a folder for this run; ours alone, and made where it is not there.

    Raises
    ------
    EngineError
        The folder can not be used.
    """

    def __init__(self, spec: EngineSpec, jobs: int, folder: Path) -> None:
        self._spec = spec
        self._local = spec.provider == "local"
        self._on_node = jobs if self._local else spec.workers_on_node
        if not self._local and len(str(folder).split()) > 1:
            raise EngineError(
                f"{folder}: a path with a blank, expected one without, as batch systems take "
                "no other; name another folder with run_dir in the engine file"
            )
        adopt_orphans()
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self._folder = OwnFolder(folder, "run-")  # it holds the keys of this run
            (self._folder.path / "events").mkdir()
        except OSError as error:
            raise EngineError(
                f"{folder}: {error.strerror}; the engine needs a folder to write to"
            ) from None
        self._stop = self._folder.path / "stop"
        self._in_steps: set[Future[Any]] = set()
        self._switchboard: Switchboard | None = None
        self._number = itertools.count()
        self._ending = False
        self._guard = threading.Lock()

    def run(
        self,
        fn: Callable[..., T],
        args: Sequence[Any],
        kwargs: Mapping[str, Any],
        writes: Sequence[str],
        on_event: Callable[..., None] | None,
    ) -> T:
        """Call a function on a worker; see `fly64tasks.engine.run`."""
        losses = 0
        while True:
            events = self._folder.path / "events" / f"{uuid.uuid4().hex}.jsonl"
            call = (fn, args, kwargs, str(events), on_event is not None, str(self._stop))
            switchboard = None
            try:
                switchboard = self._connected()
                future = switchboard.submit(*call)
                if on_event:
                    self._in_steps.add(future)
                result: T = switchboard.wait(future, Follower(events, on_event).read)
                if not self._local:
                    see(writes)
                return result
            except (WorkerLost, ManagerLost, SwitchboardLost) as lost:
                paused = (
                    switchboard is not None and switchboard.was_paused()
                )  # Ctrl-Z, and the like
                losses += not paused
                if self._ending or losses > self._spec.retries:
                    raise EngineError(
                        f"worker lost {count(losses, 'time')}: {plain(lost)}; "
                        f"{self._likely_cause()}"
                    ) from None
                _LOG.warning("worker lost: %s; its task is tried again", plain(lost))
                if isinstance(lost, ManagerLost) and switchboard:
                    switchboard.end_silent_pools()  # so that nobody else is at it
            except (BadStateException, TooManyJobFailuresError, VersionMismatch) as error:
                raise EngineError(f"no worker could be started: {plain(error)}") from None
            finally:
                events.unlink(missing_ok=True)
                sweep(writes)  # what a worker that is gone left; there is nothing else

    def end(self) -> None:
        """End every process and batch job of ours, within seconds, whatever state they are in."""
        self._ending = True
        self._let_steps_end()
        if self._switchboard:
            self._switchboard.end()
        end_descendants()
        self._folder.remove()
        with contextlib.suppress(OSError):  # another doit's folder is in it
            self._folder.path.parent.rmdir()

    def _connected(self) -> Switchboard:
        """Return what leads to the workers; where it is lost, another in its place."""
        with self._guard:
            if self._switchboard and self._switchboard.lost():
                self._switchboard.end()  # first: none of its workers writes on
                self._switchboard = None
            if self._ending:
                raise SwitchboardLost("the run ends")
            if self._switchboard is None:
                folder = self._folder.path / f"{next(self._number)}"
                self._switchboard = Switchboard(self._spec, self._on_node, folder)
                self._switchboard.start()
            return self._switchboard

    def _let_steps_end(self) -> None:
        """Where doit is to stop, tell the workers why, and wait a little for those that can."""
        why = why_stop()
        running = [future for future in self._in_steps if not future.done()]
        if why and running and self._switchboard and not self._switchboard.lost():
            with replaced(self._stop) as temporary:
                temporary.write_text(why, "utf-8")
            wait(running, _STEP_S)

    def _likely_cause(self) -> str:
        if self._local:
            return "out of memory? `doit engine` says how many workers fit"
        return "out of memory, or walltime too short? see the engine file"


def see(paths: Sequence[str], within_s: float = _LATENCY_S) -> None:
    """Wait until files that another node wrote are visible here, on a slow shared file system."""
    deadline = time.monotonic() + within_s
    for path in map(Path, paths):
        while not path.exists() and time.monotonic() < deadline:
            if path.parent.exists():
                os.listdir(path.parent)  # noqa: PTH208  NFS: has the folder read anew
            time.sleep(_WAKE_S)
