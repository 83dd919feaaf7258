"""Workers through Parsl's HighThroughputExecutor: started, waited for, and ended in any case.

The executor is used without Parsl's DataFlowKernel: doit has the graph, and the kernel's clean-up
hangs after Ctrl-C. What is ours, and why:

- Parsl starts its programs by name, from PATH; here by ``python -m``, so that a virtual environment
  need not be activated, and under `keeper`, so that nothing outlives this process.
- A dead interchange leaves its futures open for ever: whoever waits looks at its process too.
- The executor's sockets are for one thread: doit's threads submit one at a time.
- A lost worker's task is tried once more, and only that: what a task raises is its result.
- Ending has a time limit: Parsl's own waits for answers of processes that may be gone.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import shlex
import shutil
import socket
import sys
import threading
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, wait
from pathlib import Path
from typing import Any, TypeVar

import zmq
from parsl import curvezmq
from parsl.executors import HighThroughputExecutor
from parsl.executors.errors import BadStateException
from parsl.executors.high_throughput.errors import ManagerLost, WorkerLost
from parsl.executors.high_throughput.executor import DEFAULT_LAUNCH_CMD
from parsl.jobs.error_handlers import windowed_error_handler
from parsl.jobs.job_status_poller import JobStatusPoller
from parsl.utils import Timer

from fly64tasks.doitext import parallel
from fly64tasks.doitext.atomic import alive, sweep
from fly64tasks.doitext.processes import adopt_orphans, end_descendants
from fly64tasks.engine import worker
from fly64tasks.engine.providers import address_of, make_provider
from fly64tasks.engine.spec import EngineSpec
from fly64tasks.errors import EngineError

T = TypeVar("T")

FOLDER = ".engine"
_PARSL = "parsl.executors.high_throughput"
_WAKE_S = 0.2
_STOP_S = 5.0
_ATTEMPTS = 2


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
        _remove_leftovers(self._folder.parent)
        events = self._folder / "events"
        events.mkdir(parents=True)
        scripts = self._folder / "scripts"
        scripts.mkdir()
        self._folder.chmod(0o700)  # it holds the keys of this run
        certificates = curvezmq.create_certificates(self._folder)
        heartbeat_s = self._spec.heartbeat_s or (10 if self._local else 30)
        provider = make_provider(self._spec, self._folder)
        provider.script_dir = str(scripts)
        executor = HighThroughputExecutor(
            label="fly64tasks",
            provider=provider,
            launch_cmd=self._launch_command(certificates),
            interchange_launch_cmd=[
                *_keeper("--parent", str(os.getpid())),
                *_module(f"{_PARSL}.interchange"),
            ],
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
            executor.start()
        except Exception as error:
            raise EngineError(f"the engine did not start: {error}") from None
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
        for attempt in range(1, _ATTEMPTS + 1):
            events = self._folder / "events" / f"{uuid.uuid4().hex}.jsonl"
            call = (fn, args, kwargs, str(events), on_event is not None)
            try:
                result: T = self._wait(self._submit(call), _Follower(events, on_event))
                return result
            except (WorkerLost, ManagerLost) as lost:
                if self._ending or attempt == _ATTEMPTS:
                    raise EngineError(
                        f"worker lost {attempt} times: {_plain(lost)}; {self._likely_cause()}"
                    ) from None
            except BadStateException as error:
                raise EngineError(f"no worker could be started: {_plain(error)}") from None
            finally:
                sweep(writes)  # what a worker that is gone left; there is nothing else
        raise AssertionError("unreachable")

    def end(self) -> None:
        """End every process and batch job of ours, within seconds, whatever state they are in."""
        self._ending = True
        executor = self._executor
        if self._poller:
            # Not its own close, which asks the interchange first.
            Timer.close(self._poller, timeout=_STOP_S)
        if executor:
            self._cancel_blocks(executor)
            ending = threading.Thread(target=executor.shutdown, args=(_STOP_S,), daemon=True)
            ending.start()
            ending.join(_STOP_S)
        end_descendants()
        shutil.rmtree(self._folder, ignore_errors=True)
        with contextlib.suppress(OSError):  # another doit's folder is in it
            self._folder.parent.rmdir()

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

    def _wait(self, future: Future[T], follower: _Follower) -> T:
        while True:
            done, _ = wait([future], _WAKE_S)
            follower.read()
            if done:
                return future.result()
            self._check_interchange()

    def _check_interchange(self) -> None:
        """Raise when the interchange has ended: nothing would ever come back."""
        executor = self._executor
        process = executor.interchange_proc if executor else None
        if executor is None or process is None or process.poll() is None:
            return
        with self._guard:  # no worker writes on behind a failed task
            self._ending = True
            self._cancel_blocks(executor)
        raise EngineError(
            f"the engine's interchange ended (exit code {process.returncode}) and its tasks with "
            "it; run doit again to go on"
        )

    def _cancel_blocks(self, executor: HighThroughputExecutor) -> None:
        provider = executor.provider
        jobs = list(executor.blocks_to_job_id.values())
        if provider and jobs:
            provider.cancel(jobs)

    def _launch_command(self, certificates: str) -> str:
        """Parsl's command, with paths quoted, `python -m` for the script, and our keeper."""
        environment = {
            "OMP_NUM_THREADS": str(self._spec.threads_per_worker),
            # Freed arrays are kept for the next: the kernel need not clear the pages anew.
            "MALLOC_TRIM_THRESHOLD_": "4294967295",
            "MALLOC_MMAP_THRESHOLD_": "4294967295",
        }
        settings = [f"--env={name}={value}" for name, value in environment.items()]
        tie = [f"--parent={os.getpid()}"] if self._local else []
        prefix = [
            *_keeper(*tie, f"--folder={Path.cwd()}", *settings),
            *_module(f"{_PARSL}.process_worker_pool"),
        ]
        options = DEFAULT_LAUNCH_CMD.partition(" ")[2]
        paths = {"cert_dir": certificates, "logdir": str(self._folder / "logs")}
        for name, path in paths.items():
            options = options.replace(f"{{{name}}}", _verbatim(path))
        return f"{' '.join(map(_verbatim, prefix))} {options}"


class _Follower:
    """Reads what a job tells, as it is written; see `worker.call`."""

    def __init__(self, path: Path, on_event: Callable[..., None] | None) -> None:
        self._path = path
        self._on_event = on_event
        self._offset = 0

    def read(self) -> None:
        """Pass on the whole lines that are new."""
        try:
            with self._path.open("rb") as file:  # opened anew: so a shared file system looks again
                file.seek(self._offset)
                text = file.read()
        except FileNotFoundError:  # not begun
            return
        lines = text[: text.rfind(b"\n") + 1]
        self._offset += len(lines)
        for line in lines.splitlines():
            told = json.loads(line)
            if "log" in told:
                name, level, message = told["log"]
                logging.getLogger(name).log(level, "%s", message)
            elif self._on_event:
                self._on_event(*told["event"])


def _module(name: str) -> list[str]:
    return [sys.executable, "-m", name]


def _keeper(*options: str) -> list[str]:
    return [*_module("fly64tasks.engine.keeper"), *options, "--"]


def _verbatim(word: str) -> str:
    """Quote a word for the shell, and for Parsl, which formats the command twice."""
    return shlex.quote(word).replace("{", "{{{{").replace("}", "}}}}")


def _plain(error: BaseException) -> str:
    return " ".join(str(error).split())


def _remove_leftovers(folder: Path) -> None:
    """Remove the folders of runs of this host that were killed."""
    for entry in folder.glob(f"{socket.gethostname()}-*"):
        pid = entry.name.rpartition("-")[2]
        if pid.isdecimal() and not alive(int(pid)):
            shutil.rmtree(entry, ignore_errors=True)
