"""Workers through Parsl's HighThroughputExecutor: started, waited for, and ended in any case.

The executor is used without Parsl's DataFlowKernel: doit has the graph, and the kernel's clean-up
hangs after Ctrl-C. What is ours, and why:

- Parsl's programs run under `keeper`, so that nothing outlives this process.
- A dead interchange leaves its futures open for ever: whoever waits looks at its process too.
- The executor's sockets are for one thread: doit's threads submit one at a time.
- A lost worker's task is tried again, and only that: what a task raises is its result.
- Ending has a time limit: Parsl's own waits for answers of processes that may be gone.
"""

from __future__ import annotations

import contextlib
import logging
import os
import shutil
import socket
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, wait
from pathlib import Path
from typing import Any, TypeVar

import zmq
from parsl import curvezmq
from parsl.executors import HighThroughputExecutor
from parsl.executors.errors import BadStateException
from parsl.executors.high_throughput.errors import ManagerLost, VersionMismatch, WorkerLost
from parsl.jobs.error_handlers import windowed_error_handler
from parsl.jobs.errors import TooManyJobFailuresError
from parsl.jobs.job_status_poller import JobStatusPoller
from parsl.utils import Timer

from fly64tasks.doitext import parallel
from fly64tasks.doitext.atomic import alive, replaced, sweep
from fly64tasks.doitext.processes import adopt_orphans, end_descendants
from fly64tasks.doitext.running.signals import why_stop
from fly64tasks.engine import commands, worker
from fly64tasks.engine.events import Follower
from fly64tasks.engine.machine import count
from fly64tasks.engine.providers import address_of, make_provider
from fly64tasks.engine.spec import EngineSpec
from fly64tasks.errors import EngineError

T = TypeVar("T")

FOLDER = ".engine"
_WAKE_S = 0.2
_STOP_S = 5.0
_STEP_S = 3.0
_LATENCY_S = 30.0


@contextlib.contextmanager
def workers(run: parallel.Run) -> Iterator[Workers]:
    """Yield the workers of a run of doit; end them with it."""
    spec = run.options.get("engine") or EngineSpec()
    beside = Path(run.options["dep_file"]).parent / FOLDER
    pool = Workers(spec, run.jobs, Path(spec.run_dir) if spec.run_dir else beside)
    try:
        pool.start()
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
        Where to make a folder for this run.
    """

    def __init__(self, spec: EngineSpec, jobs: int, folder: Path) -> None:
        self._spec = spec
        self._local = spec.provider == "local"
        self._on_node = jobs if self._local else spec.workers_on_node
        name = f"{socket.gethostname()}-{os.getpid()}"
        self._folder = (folder / name).absolute()
        self._stop = self._folder / "stop"
        self._in_steps: set[Future[Any]] = set()
        self._poller: JobStatusPoller | None = None
        self._executor: HighThroughputExecutor | None = None
        self._ending = False
        self._guard = threading.Lock()

    def start(self) -> None:
        """Start the interchange, and let Parsl ask for blocks as tasks come.

        Raises
        ------
        EngineError
            The folder can not be used, or the interchange does not start.
        """
        if not self._local and len(str(self._folder).split()) > 1:
            raise EngineError(
                f"{self._folder}: a path with a blank, expected one without, as batch systems take "
                "no other; name another folder with run_dir in the engine file"
            )
        adopt_orphans()
        self._make_folder()
        certificates = curvezmq.create_certificates(self._folder)
        heartbeat_s = self._spec.heartbeat_s or (10 if self._local else 30)
        provider = make_provider(self._spec, self._folder)
        provider.script_dir = str(self._folder / "scripts")
        executor = HighThroughputExecutor(
            label="fly64tasks",
            provider=provider,
            launch_cmd=commands.pool(self._spec, certificates, self._folder / "logs"),
            interchange_launch_cmd=commands.interchange(),
            address=address_of(self._spec),
            max_workers_per_node=self._on_node,
            cores_per_worker=1e-3,  # how many there are is said above
            heartbeat_period=max(1, int(heartbeat_s / 10)),
            heartbeat_threshold=max(2, int(heartbeat_s)),
            block_error_handler=windowed_error_handler,
            encrypted=True,
        )
        executor.run_id = str(uuid.uuid4())
        executor.run_dir = str(self._folder)
        executor.log_config = None
        executor.cert_dir = certificates
        logging.getLogger("parsl").addHandler(logging.NullHandler())
        self._executor = executor
        try:
            self._wait(_in_thread(executor.start))  # it waits for a dead interchange, too
        except Exception as error:
            raise EngineError(f"the engine did not start: {_plain(error)}") from None
        executor.outgoing_q.zmq_socket.setsockopt(zmq.SNDTIMEO, int(_STOP_S * 1000))
        self._poller = JobStatusPoller(strategy="simple", max_idletime=60, strategy_period=0.5)
        self._poller.add_executors([executor])

    def run(
        self,
        fn: Callable[..., T],
        args: Sequence[Any],
        kwargs: Mapping[str, Any],
        writes: Sequence[str],
        on_event: Callable[..., None] | None,
    ) -> T:
        """Call a function on a worker; see `fly64tasks.engine.run`."""
        attempts = 1 + self._spec.retries
        for attempt in range(1, attempts + 1):
            events = self._folder / "events" / f"{uuid.uuid4().hex}.jsonl"
            call = (fn, args, kwargs, str(events), on_event is not None, str(self._stop))
            try:
                future = self._submit(call)
                if on_event:
                    self._in_steps.add(future)
                result: T = self._wait(future, Follower(events, on_event).read)
                if not self._local:
                    see(writes)
                return result
            except (WorkerLost, ManagerLost) as lost:
                if self._ending or attempt == attempts:
                    raise EngineError(
                        f"worker lost {count(attempt, 'time')}: {_plain(lost)}; "
                        f"{self._likely_cause()}"
                    ) from None
            except (BadStateException, TooManyJobFailuresError, VersionMismatch) as error:
                raise EngineError(f"no worker could be started: {_plain(error)}") from None
            finally:
                events.unlink(missing_ok=True)
                sweep(writes)  # what a worker that is gone left; there is nothing else
        raise AssertionError("unreachable")

    def end(self) -> None:
        """End every process and batch job of ours, within seconds, whatever state they are in."""
        self._ending = True
        self._let_steps_end()
        ended = True
        if self._poller:
            # Not its own close, which asks the interchange; when that is gone, it waits for ever.
            Timer.close(self._poller, timeout=0 if self._interchange_ended() else _STOP_S)
            ended = not self._poller._thread.is_alive()
        self._cancel_blocks()
        if self._executor and ended:  # else a thread uses the sockets that this closes
            wait([_in_thread(self._executor.shutdown, _STOP_S)], _STOP_S)
        end_descendants()
        shutil.rmtree(self._folder, ignore_errors=True)
        with contextlib.suppress(OSError):  # another doit's folder is in it
            self._folder.parent.rmdir()

    def _let_steps_end(self) -> None:
        """Where doit is to stop, tell the workers why, and wait a little for those that can."""
        why = why_stop()
        running = [future for future in self._in_steps if not future.done()]
        if why and running and not self._interchange_ended():
            with replaced(self._stop) as temporary:
                temporary.write_text(why, "utf-8")
            wait(running, _STEP_S)

    def _make_folder(self) -> None:
        """Make this run's folder, and remove those of runs of this host that were killed."""
        for entry in self._folder.parent.glob(f"{socket.gethostname()}-*"):
            pid = entry.name.rpartition("-")[2]
            if pid.isdecimal() and (int(pid) == os.getpid() or not alive(int(pid))):
                shutil.rmtree(entry, ignore_errors=True)
        try:
            self._folder.mkdir(parents=True, mode=0o700)  # it holds the keys of this run
            for name in ("events", "scripts"):
                (self._folder / name).mkdir()
        except OSError as error:
            raise EngineError(
                f"{self._folder}: {error.strerror}; the engine needs a folder to write to"
            ) from None

    def _likely_cause(self) -> str:
        if self._local:
            return "out of memory? `doit engine` says how many workers fit"
        return "out of memory, or walltime too short? see the engine file"

    def _submit(self, call: tuple[Any, ...]) -> Future[Any]:
        executor = self._executor
        assert executor is not None, "started"
        self._check_interchange()
        with self._guard:
            try:
                return executor.submit(worker.call, {}, *call)
            except zmq.Again:
                raise EngineError(f"the engine's interchange took no task in {_STOP_S} s") from None

    def _wait(self, future: Future[T], meanwhile: Callable[[], None] = lambda: None) -> T:
        while True:
            done, _ = wait([future], _WAKE_S)
            meanwhile()
            if done:
                return future.result()
            self._check_interchange()

    def _check_interchange(self) -> None:
        """Raise when the interchange has ended: nothing would ever come back."""
        code = self._interchange_ended()
        if code is None:
            return
        with self._guard:  # no worker writes on behind a failed task
            self._ending = True
            self._cancel_blocks()
        raise EngineError(
            f"the engine's interchange ended (exit code {code}) and its tasks with it; run doit "
            "again to go on"
        )

    def _interchange_ended(self) -> int | None:
        process = self._executor.interchange_proc if self._executor else None
        return process.poll() if process else None

    def _cancel_blocks(self) -> None:
        executor = self._executor
        jobs = list(executor.blocks_to_job_id.values()) if executor else []
        if executor and executor.provider and jobs:
            executor.provider.cancel(jobs)


def _plain(error: BaseException) -> str:
    return " ".join(str(error).split())


def see(paths: Sequence[str], within_s: float = _LATENCY_S) -> None:
    """Wait until files that another node wrote are visible here, on a slow shared file system."""
    deadline = time.monotonic() + within_s
    for path in map(Path, paths):
        while not path.exists() and time.monotonic() < deadline:
            if path.parent.exists():
                os.listdir(path.parent)  # noqa: PTH208  NFS: has the folder read anew
            time.sleep(_WAKE_S)


def _in_thread(fn: Callable[..., None], *args: Any) -> Future[None]:
    """Call a function in a thread that does not keep this process alive."""
    future: Future[None] = Future()

    def call() -> None:
        try:
            fn(*args)
        except BaseException as error:
            future.set_exception(error)
        else:
            future.set_result(None)

    threading.Thread(target=call, daemon=True).start()
    return future
