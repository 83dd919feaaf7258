"""Where and with what the workers run: `engine.toml`. Never part of what makes a result stale."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from msgspec import Meta

from fly64tasks.study.spec import Spec, read_spec

FILE = "engine.toml"

Count = Annotated[int, Meta(ge=1)]
Seconds = Annotated[float, Meta(gt=0, le=86400)]
Walltime = Annotated[str, Meta(pattern=r"^\d+:[0-5]\d:[0-5]\d$")]

_ONLY_FOR = {
    "partition": ("slurm",),
    "qos": ("slurm",),
    "constraint": ("slurm",),
    "exclusive": ("slurm",),
    "memory_gb_per_node": ("slurm",),
    "queue": ("pbspro",),
    "select_options": ("pbspro",),
}


class EngineSpec(Spec, frozen=True):
    """The workers of a parallel run.

    Attributes
    ----------
    provider : str
        ``local``: processes of this machine; ``slurm`` and ``pbspro``: batch jobs, called blocks.
    blocks : int
        Batch jobs at one time, at most; one is asked for only when tasks wait for it.
    workers_per_node : int, optional
        Worker processes on each node; by default ``gpus_per_node * workers_per_gpu``, or 1. On
        this machine it is what ``-j`` says.
    gpus_per_node, cores_per_node, memory_gb_per_node : int, optional
        What a job asks of each node.
    workers_per_gpu : int
        Workers that share a GPU.
    threads_per_worker : int
        CPU threads of a worker.
    walltime : str
        ``HH:MM:SS`` of a block.
    scheduler_options : str
        Lines for the head of the job script, such as ``#SBATCH --mail-type=END``.
    worker_init : str
        Shell commands before the workers start, such as ``module load cuda``.
    launcher : str, optional
        What starts the pool on each node: ``single``, ``srun`` or ``mpiexec``; by default the batch
        system's own where a block has several nodes.
    launcher_options : str
        Further arguments of it.
    address : str, optional
        This machine as the workers' nodes reach it: a network interface (``bond0``), a host name or
        an IP address; by default what its name resolves to.
    run_dir : str, optional
        A folder that all nodes see, in which the run makes one of its own for job scripts, keys and
        logs, removed when it ends; by default a hidden one beside the state file.
    retries : int
        How often the task of a lost worker is tried again, 10 times at most; what a task raises is
        never tried again.
    poll_s : float
        Seconds between questions to the batch system.
    heartbeat_s : float, optional
        Seconds without a word after which a node counts as lost; by default 10 on this machine,
        30 on a batch system.
    """

    provider: Literal["local", "slurm", "pbspro"] = "local"
    blocks: Count = 1
    nodes_per_block: Count = 1
    workers_per_node: Count | None = None
    gpus_per_node: Count | None = None
    cores_per_node: Count | None = None
    memory_gb_per_node: Count | None = None
    workers_per_gpu: Count = 1
    threads_per_worker: Count = 1
    walltime: Walltime = "01:00:00"
    account: str | None = None
    partition: str | None = None
    queue: str | None = None
    qos: str | None = None
    constraint: str | None = None
    exclusive: bool | None = None
    select_options: str | None = None
    scheduler_options: str = ""
    worker_init: str = ""
    launcher: Literal["single", "srun", "mpiexec"] | None = None
    launcher_options: str = ""
    address: str | None = None
    run_dir: str | None = None
    retries: Annotated[int, Meta(ge=0, le=10)] = 1
    poll_s: Seconds = 15.0
    heartbeat_s: Seconds | None = None

    def __post_init__(self) -> None:
        for key, providers in _ONLY_FOR.items():
            if getattr(self, key) is not None and self.provider not in providers:
                raise ValueError(
                    f"{key} is for {' and '.join(providers)}, and provider is {self.provider!r}"
                )
        if self.provider == "local" and (self.blocks, self.nodes_per_block) != (1, 1):
            raise ValueError("blocks and nodes_per_block are for batch systems, not for 'local'")
        if self.nodes_per_block > 1 and self.launcher == "single":
            raise ValueError(
                f"launcher is 'single' with nodes_per_block {self.nodes_per_block}, expected "
                "'srun' or 'mpiexec', which start the workers of every node"
            )

    @property
    def workers_on_node(self) -> int:
        """The workers on each node of a batch system."""
        return self.workers_per_node or (self.gpus_per_node or 1) * self.workers_per_gpu

    @property
    def workers(self) -> int:
        """The workers of all blocks: what ``-j`` is by default on a batch system.

        >>> EngineSpec(provider="slurm", blocks=2, gpus_per_node=4, workers_per_gpu=3).workers
        24
        """
        return self.blocks * self.nodes_per_block * self.workers_on_node


def read_engine(path: Path | None, folder: Path = Path()) -> EngineSpec:
    """Return what a file says; without one that of ``folder``, or the local workers.

    Raises
    ------
    StudyError
        The file can not be read, holds an unknown key or a value out of range.
    """
    if path is None:
        if not (folder / FILE).exists():
            return EngineSpec()
        path = folder / FILE
    return read_spec(EngineSpec, path, "an engine file (TOML), see docs/engine.md")
