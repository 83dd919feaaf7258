"""What starts the workers: a child of this process, Slurm or PBS Pro. Imports Parsl."""

from __future__ import annotations

import shlex
import socket
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import psutil
from parsl.jobs.states import JobState, JobStatus
from parsl.launchers import MpiExecLauncher, SingleNodeLauncher, SrunLauncher
from parsl.launchers.base import Launcher
from parsl.providers import PBSProProvider, SlurmProvider
from parsl.providers.base import ExecutionProvider

from fly64tasks.doitext.processes import end_trees
from fly64tasks.engine.spec import EngineSpec
from fly64tasks.errors import EngineError

_STOP_S = 5.0
_SET_ADDRESS = "set address in the engine file to the network interface that the nodes reach"


class ChildProvider(ExecutionProvider):
    """Starts a pool as a child of this process.

    Parsl's LocalProvider detaches its pool from the process that asked for it, so that it outlives
    it, and looks at it every 5 s only.
    """

    label = "child"
    status_polling_interval = 0.5  # type: ignore[assignment]

    def __init__(self, log: Path) -> None:
        self.nodes_per_block = self.min_blocks = self.max_blocks = 1
        self.init_blocks = 0  # asked for by the switchboard
        self.parallelism = 1.0
        self.script_dir = None
        self.cores_per_node = self.mem_per_node = None
        self.resources: dict[object, subprocess.Popen[bytes]] = {}
        self._log = log

    def submit(self, command: str, tasks_per_node: int, job_name: str = "") -> object:
        """Start a pool; return its process id."""
        with self._log.open("ab") as log:
            process = subprocess.Popen(
                shlex.split(command), stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )
        self.resources[str(process.pid)] = process
        return str(process.pid)

    def status(self, job_ids: Sequence[object]) -> Sequence[JobStatus]:
        """Say whether pools run."""
        found = [self.resources[job].poll() for job in job_ids]
        return [
            JobStatus(JobState.RUNNING)
            if code is None
            else JobStatus(
                JobState.FAILED if code else JobState.COMPLETED,
                exit_code=code,
                stderr_path=str(self._log),
            )
            for code in found
        ]

    def cancel(self, job_ids: Sequence[object]) -> Sequence[bool]:
        """End pools, and wait until they have ended."""
        processes = [self.resources[job] for job in job_ids]
        end_trees([process.pid for process in processes if process.poll() is None], _STOP_S)
        for process in processes:
            process.wait()
        return [True] * len(processes)


def make_provider(spec: EngineSpec, run_dir: Path) -> ExecutionProvider:
    """Return Parsl's provider for a spec."""
    if spec.provider == "local":
        return ChildProvider(run_dir / "pool.log")
    common: dict[str, Any] = {
        "account": spec.account,
        "nodes_per_block": spec.nodes_per_block,
        "init_blocks": 0,
        "min_blocks": 0,
        "max_blocks": spec.blocks,
        "walltime": spec.walltime,
        "scheduler_options": spec.scheduler_options,
        "worker_init": spec.worker_init,
        "launcher": _launcher(spec),
    }
    if spec.provider == "slurm":
        slurm: ExecutionProvider = _polled(SlurmProvider, spec.poll_s)(
            partition=spec.partition,
            qos=spec.qos,
            constraint=spec.constraint,
            exclusive=spec.exclusive is not False,
            cores_per_node=spec.cores_per_node,
            mem_per_node=spec.memory_gb_per_node,
            gpus_per_node=spec.gpus_per_node,
            cmd_timeout=30,
            **common,
        )
        return slurm
    gpus = f"ngpus={spec.gpus_per_node}" if spec.gpus_per_node else ""
    select = [spec.select_options] if spec.select_options else []
    pbspro: ExecutionProvider = _polled(PBSProProvider, spec.poll_s)(
        queue=spec.queue,
        cpus_per_node=spec.cores_per_node or spec.workers_on_node * spec.threads_per_worker,
        select_options=":".join([*([gpus] if gpus else []), *select]),
        **common,
    )
    return pbspro


def address_of(spec: EngineSpec) -> str:
    """Return the IP address at which the workers reach this machine.

    Parsl's own choice asks a public web service, which login nodes often can not reach.

    Raises
    ------
    EngineError
        There is no telling.
    """
    if spec.provider == "local":
        return "127.0.0.1"
    name = spec.address or socket.gethostname()
    for item in psutil.net_if_addrs().get(name, []):
        if item.family == socket.AF_INET:
            return str(item.address)
    try:
        found = socket.gethostbyname(name)
    except OSError as error:
        raise EngineError(f"{name}: {error.strerror}; {_SET_ADDRESS}") from None
    if found.startswith("127.") and not spec.address:
        raise EngineError(f"{name} is {found} here, which no other node can reach; {_SET_ADDRESS}")
    return found


def _polled(provider: type[Any], seconds: float) -> type[Any]:
    """Return the provider asked every so many seconds; Parsl has 60, fixed."""
    return type(provider.__name__, (provider,), {"status_polling_interval": seconds})


def _launcher(spec: EngineSpec) -> Launcher:
    several = "srun" if spec.provider == "slurm" else "mpiexec"
    kind = spec.launcher or ("single" if spec.nodes_per_block == 1 else several)
    if kind == "srun":
        return SrunLauncher(overrides=spec.launcher_options)
    if kind == "mpiexec":
        return MpiExecLauncher(bind_cmd="--cpu-bind", overrides=spec.launcher_options)
    return SingleNodeLauncher()
