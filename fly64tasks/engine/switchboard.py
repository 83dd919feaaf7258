"""Parsl's HighThroughputExecutor: an interchange, and the pools of workers that it feeds.

It is used without Parsl's DataFlowKernel: doit has the graph, and the kernel's clean-up hangs after
Ctrl-C. What is ours, and why:

- Parsl's programs run under `keeper`, so that nothing outlives this process.
- A dead interchange leaves its futures open for ever, and one that stands still is as good as dead:
  whoever waits asks `Switchboard.lost`.
- A pool that stands still is lost to the interchange, but Parsl starts no other while it is there:
  it is ended.
- The executor's sockets are for one thread: doit's threads submit one at a time.
- Ending has a time limit: Parsl's own waits for answers of processes that may be gone.
- An executor is kept once it has ended, for it may not have been shut down: ZeroMQ, which Parsl
  talks through, waits for ever for open sockets when its context is collected as garbage, and
  whichever thread is at it hangs.
"""

from __future__ import annotations

import contextlib
import functools
import logging
import threading
import time
import uuid
from collections.abc import Callable, Sequence
from concurrent.futures import Future, wait
from pathlib import Path
from typing import Any

import zmq
from parsl import curvezmq
from parsl.executors import HighThroughputExecutor
from parsl.executors.high_throughput.errors import (
    CommandClientBadError,
    CommandClientTimeoutError,
)
from parsl.jobs.error_handlers import windowed_error_handler
from parsl.jobs.job_status_poller import JobStatusPoller
from parsl.jobs.states import JobState, JobStatus
from parsl.utils import Timer

from fly64tasks.doitext.processes import Frozen, end_trees, trees
from fly64tasks.engine import commands, worker
from fly64tasks.engine.providers import ChildProvider, address_of, make_provider
from fly64tasks.engine.spec import EngineSpec
from fly64tasks.errors import EngineError

_LOG = logging.getLogger(__name__)
_STOP_S = 5.0
_WAKE_S = 0.2
_FROZEN_S = 15.0
_ANSWER_S = 30.0
_PAUSE_S = 5.0
_AFTER_PAUSE_S = 60.0
_KEPT: list[HighThroughputExecutor] = []


class SwitchboardLost(Exception):
    """The interchange is gone, and what its workers did."""


class Switchboard:
    """An interchange and its pools.

    Parameters
    ----------
    spec : EngineSpec
        Where and with what they run.
    on_node : int
        The workers of a node.
    folder : Path
        A folder of its own, for keys, logs and job scripts.
    """

    def __init__(self, spec: EngineSpec, on_node: int, folder: Path) -> None:
        self._spec = spec
        self._poller: JobStatusPoller | None = None
        self._guard = threading.Lock()
        self._ended = threading.Event()
        self._refused: str | None = None
        self._looked = time.time()
        self._paused = float("-inf")
        (folder / "scripts").mkdir(parents=True)
        certificates = curvezmq.create_certificates(folder)
        heartbeat_s = spec.heartbeat_s or (10 if spec.provider == "local" else 30)
        provider = make_provider(spec, folder)
        provider.script_dir = str(folder / "scripts")
        executor = _Executor(
            label="fly64tasks",
            provider=provider,
            launch_cmd=commands.pool(spec, certificates, folder / "logs"),
            interchange_launch_cmd=commands.interchange(),
            address=address_of(spec),
            max_workers_per_node=on_node,
            cores_per_worker=1e-3,  # how many there are is said above
            heartbeat_period=max(1, int(heartbeat_s / 10)),
            heartbeat_threshold=max(2, int(heartbeat_s)),
            block_error_handler=windowed_error_handler,
            encrypted=True,
        )
        executor.run_id = str(uuid.uuid4())
        executor.run_dir = str(folder)
        executor.log_config = None
        executor.cert_dir = certificates
        logging.getLogger("parsl").addHandler(logging.NullHandler())
        self._executor = executor

    def start(self) -> None:
        """Start the interchange, and let Parsl ask for blocks as tasks come.

        Raises
        ------
        SwitchboardLost
            The interchange was killed meanwhile.
        EngineError
            It does not start.
        """
        executor = self._executor
        threading.Thread(target=self._watch, daemon=True).start()
        try:
            self.wait(_in_thread(executor.start))  # it waits for a dead interchange, too
        except SwitchboardLost:
            raise
        except Exception as error:
            raise EngineError(f"the engine did not start: {plain(error)}") from None
        executor.outgoing_q.zmq_socket.setsockopt(zmq.SNDTIMEO, int(_STOP_S * 1000))
        ask = executor.command_client.run
        executor.command_client.run = functools.partial(ask, timeout_s=_ANSWER_S)  # type: ignore[method-assign]
        if isinstance(executor.provider, ChildProvider):  # the poller first looks half a second on
            executor.scale_out_facade(1)
        self._poller = JobStatusPoller(strategy="simple", max_idletime=60, strategy_period=0.5)
        self._poller.add_executors([executor])

    def submit(self, *call: Any) -> Future[Any]:
        """Have a worker call `worker.call`."""
        with self._guard:
            self._check()
            try:
                return self._executor.submit(worker.call, {}, *call)
            except zmq.Again:  # it is gone, and its keeper still at ending what is below it
                self._refused = f"the engine's interchange took no task in {_STOP_S:.0f} s"
                raise SwitchboardLost(self._refused) from None

    def wait(self, future: Future[Any], meanwhile: Callable[[], None] = lambda: None) -> Any:
        """Wait for a result; raise `SwitchboardLost` when none would ever come."""
        while True:
            done, _ = wait([future], _WAKE_S)
            meanwhile()
            if done:
                return future.result()
            self._check()

    def lost(self) -> str | None:
        """Return why no result comes any more, None while there is hope."""
        if self._ended.is_set():
            return "the engine was ended"
        process = self._executor.interchange_proc
        if process is None:
            return None
        code = process.poll()
        if code is not None:
            return f"the engine's interchange ended (exit code {code})"
        if self._refused:
            return self._refused
        asked = getattr(self._executor, "command_client", None)
        return None if asked is None or asked.ok else "the engine's interchange does not answer"

    def _check(self) -> None:
        why = self.lost()
        if why:
            raise SwitchboardLost(why)

    def end_silent_pools(self) -> None:
        """End the pools that the interchange has lost, as the poller does now and then."""
        with contextlib.suppress(CommandClientTimeoutError, CommandClientBadError):  # it is lost
            self._executor.status()

    def was_paused(self) -> bool:
        """Return whether this process stood still a moment ago, and its workers maybe with it."""
        now = time.time()
        if now - self._looked > _PAUSE_S:
            self._paused = now
        return now - self._paused < _AFTER_PAUSE_S

    def end(self) -> None:
        """End every process and batch job of ours, within seconds, whatever state they are in."""
        lost = self.lost()
        with self._guard:  # nobody submits meanwhile
            self._ended.set()
        ended = True
        if self._poller:
            # Not its own close, which asks the interchange; when that is gone, it waits for ever.
            Timer.close(self._poller, timeout=0 if lost else _STOP_S)
            ended = not self._poller._thread.is_alive()
        executor = self._executor
        _KEPT.append(executor)
        executor._result_queue_thread_exit.set()
        jobs = list(executor.blocks_to_job_id.values())
        if executor.provider and jobs:
            executor.provider.cancel(jobs)
        if executor.interchange_proc and ended:  # else a thread uses the sockets that this closes
            wait([_in_thread(executor.shutdown, _STOP_S)], _STOP_S)
        end_trees(self._roots(), 0)

    def _watch(self) -> None:
        """Kill what stands still, until the end."""
        frozen = Frozen(_FROZEN_S)
        while not self._ended.wait(1):
            self.was_paused()
            self._looked = time.time()
            for pid in frozen.end(lambda: trees(self._roots())):
                _LOG.warning(
                    "process %d of the engine stood still (stopped) for %.0f s, and is killed; "
                    "its task goes to another",
                    pid,
                    _FROZEN_S,
                )

    def _roots(self) -> list[int]:
        """The keepers on this machine."""
        executor = self._executor
        kept = [executor.interchange_proc] if executor.interchange_proc else []
        if isinstance(executor.provider, ChildProvider):
            kept += executor.provider.resources.values()
        return [process.pid for process in kept if process.poll() is None]


class _Executor(HighThroughputExecutor):
    """The executor, which ends pools from which the interchange hears nothing more."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        self._looking = threading.Lock()

    def status(self) -> dict[str, JobStatus]:
        """Return the state of each pool; called by the poller."""
        with self._looking:
            found: dict[str, JobStatus] = super().status()
            silent = self._silent(found)
            if silent and self.provider:
                _LOG.warning("a pool of workers does not answer: it is ended, and another started")
                self.provider.cancel([self.blocks_to_job_id[block] for block in silent])
            for block in silent:
                self._simulated_status[block] = found[block] = JobStatus(JobState.SCALED_IN)
            return found

    def _silent(self, status: dict[str, JobStatus]) -> Sequence[str]:
        """The pools that run, and were known to the interchange, and are no more."""
        running = {block for block, job in status.items() if job.state == JobState.RUNNING}
        known = running.intersection(self.connected_blocks())
        return sorted(known.difference(item["block_id"] for item in self.connected_managers()))


def plain(error: BaseException) -> str:
    """Return an error of Parsl's in one line."""
    return " ".join(str(error).split())


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
