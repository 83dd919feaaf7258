"""What `doit engine` prints: the machine, the engine, and the `-j` to use."""

from __future__ import annotations

import os
import socket

from fly64tasks.engine.machine import Machine, count
from fly64tasks.engine.spec import FILE, EngineSpec


def describe(spec: EngineSpec) -> str:
    """Return the lines of `doit engine`."""
    machine = Machine.this()
    lines = machine_lines(machine)
    return "\n".join(lines + (_local(spec, machine) if spec.provider == "local" else _batch(spec)))


def machine_lines(machine: Machine) -> list[str]:
    """Return what there is of cores, memory and GPUs, a line each."""
    gpus = f"{len(machine.gpus)} ({', '.join(machine.gpus)})" if machine.gpus else "none"
    return [
        f"machine      {socket.gethostname()}",
        f"cores        {machine.cores} usable of {os.cpu_count()}",
        f"memory       {machine.memory_bytes / 2**30:.1f} GiB available",
        f"GPUs         {gpus}",
    ]


def _local(spec: EngineSpec, machine: Machine) -> list[str]:
    jobs, reason = machine.recommended_jobs(spec.threads_per_worker, spec.workers_per_gpu)
    threads = count(spec.threads_per_worker, "thread")
    return [
        f"engine       `doit -j N` starts N worker processes here, {threads} each",
        f"recommended  -j {jobs} ({reason})",
    ]


def _batch(spec: EngineSpec) -> list[str]:
    nodes = count(spec.nodes_per_block, "node")
    gpus = count(spec.gpus_per_node, "GPU") if spec.gpus_per_node else "no GPU"
    where = [f"account {spec.account}"] if spec.account else []
    where += [f"{key} {value}" for key in ("partition", "queue") if (value := getattr(spec, key))]
    jobs, threads = count(spec.blocks, "job"), count(spec.threads_per_worker, "thread")
    return [
        f"engine       {spec.provider}: at most {jobs} of {nodes} at a time, {gpus} each",
        f"jobs         {spec.walltime} {', '.join(where)}".rstrip(),
        f"workers      {spec.workers_on_node} a node, {threads} each",
        f"recommended  -j {spec.workers} (all of them; the default of --engine {FILE})",
    ]
