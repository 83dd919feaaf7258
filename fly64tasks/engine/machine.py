"""What this machine has for the taking: cores, memory, GPUs. Imports nothing that is heavy."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

_CGROUPS = Path("/sys/fs/cgroup")
_MEMORY_PER_WORKER = 1.5 * 2**30
_RESERVED = 1 * 2**30


@dataclass(frozen=True)
class Machine:
    """Cores, memory and GPUs that processes of ours may use.

    Attributes
    ----------
    cores : int
        Allowed by the CPU affinity and the cgroup's quota.
    memory_bytes : int
        Available now, within the cgroup's limit.
    gpus : tuple of str
        As ``CUDA_VISIBLE_DEVICES`` names them.
    """

    cores: int
    memory_bytes: int
    gpus: tuple[str, ...]

    @classmethod
    def this(cls) -> Machine:
        """Look at this machine."""
        return cls(usable_cores(), available_memory(), visible_gpus())

    def recommended_jobs(self, threads: int = 1, workers_per_gpu: int = 1) -> tuple[int, str]:
        """The ``-j`` to use and why.

        >>> Machine(cores=16, memory_bytes=8 * 2**30, gpus=()).recommended_jobs()
        (4, 'memory: 8.0 GiB available, 1.5 GiB a worker, 1 GiB left free')
        >>> Machine(cores=16, memory_bytes=64 * 2**30, gpus=("0", "1")).recommended_jobs(1, 3)
        (6, '3 workers on each of 2 GPUs')
        """
        by_memory = max(1, int((self.memory_bytes - _RESERVED) / _MEMORY_PER_WORKER))
        if self.gpus:
            by_device = workers_per_gpu * len(self.gpus)
            each = count(workers_per_gpu, "worker")
            reason = f"{each} on each of {count(len(self.gpus), 'GPU')}"
        else:
            by_device = max(1, self.cores // threads)
            reason = f"{count(self.cores, 'core')}, {count(threads, 'thread')} a worker"
        if by_memory < by_device:
            available = self.memory_bytes / 2**30
            reason = f"memory: {available:.1f} GiB available, 1.5 GiB a worker, 1 GiB left free"
        return min(by_memory, by_device), reason


def count(number: int, word: str) -> str:
    """``1 core``, ``2 cores``."""
    return f"{number} {word}{'' if number == 1 else 's'}"


def usable_cores() -> int:
    """The cores that this process may use, by its affinity and its cgroup's quota."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    cores = cores or 1
    quota, period = _cpu_quota()
    return min(cores, max(1, int(quota / period))) if quota > 0 else cores


def available_memory() -> int:
    """The bytes of memory that are free to take, within the cgroup's limit."""
    fields = dict(re.findall(r"^(\w+): +(\d+) kB$", _read(Path("/proc/meminfo")), re.MULTILINE))
    if fields:
        available = int(fields["MemAvailable"]) * 1024
    else:
        available = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    for limit, usage in (
        ("memory.max", "memory.current"),
        ("memory/memory.limit_in_bytes", "memory/memory.usage_in_bytes"),
    ):
        for folder in _folders():
            most, used = _read(folder / limit), _read(folder / usage)
            if most.isdecimal() and used.isdecimal():
                available = min(available, max(0, int(most) - int(used)))
    return available


def visible_gpus() -> tuple[str, ...]:
    """The NVIDIA GPUs (or their MIG slices) that a process may use, as CUDA names them.

    ``CUDA_VISIBLE_DEVICES`` wins, by which a batch system gives a job its share of a node.
    """
    given = os.environ.get("CUDA_VISIBLE_DEVICES")
    if given is not None:
        names = [name.strip() for name in given.split(",")]
        ends = [i for i, name in enumerate(names) if name in ("", "-1", "NoDevFiles")]
        return tuple(names[: ends[0]] if ends else names)
    program = shutil.which("nvidia-smi")
    if program is None:
        return ()
    listed = subprocess.run([program, "-L"], capture_output=True, text=True, check=False)
    return _listed_gpus(listed.stdout) if listed.returncode == 0 else ()


def _listed_gpus(listing: str) -> tuple[str, ...]:
    """The devices in the output of ``nvidia-smi -L``; MIG slices take the place of their GPU.

    >>> _listed_gpus("GPU 0: H100 (UUID: GPU-a)\\n  MIG 1g.10gb Device 0: (UUID: MIG-b)\\n"
    ...              "GPU 1: H100 (UUID: GPU-c)\\n")
    ('MIG-b', 'GPU-c')
    """
    found: list[list[str]] = []
    for uuid in re.findall(r"UUID: ([\w-]+)", listing):
        if uuid.startswith("MIG"):
            found[-1].append(uuid)
        else:
            found.append([uuid])
    return tuple(name for gpu in found for name in (gpu[1:] or gpu))


def _cpu_quota() -> tuple[float, float]:
    for folder in _folders():
        words = _read(folder / "cpu.max").split()
        if len(words) == 2 and words[0] != "max":
            return float(words[0]), float(words[1])
        quota, period = (_read(folder / f"cpu/cpu.cfs_{name}_us") for name in ("quota", "period"))
        if quota and period and float(quota) > 0:
            return float(quota), float(period)
    return 0.0, 1.0


def _folders() -> tuple[Path, ...]:
    """This process's cgroup (v2) and those above; the mount's root is a container's own (v1)."""
    own = re.findall(r"^0::/(.*)$", _read(Path("/proc/self/cgroup")), re.MULTILINE)
    paths = [_CGROUPS / path for path in own if path]
    above = [parent for path in paths for parent in path.parents if _CGROUPS in parent.parents]
    return (*paths, *above, _CGROUPS)


def _read(path: Path) -> str:
    try:
        return path.read_text().strip()
    except OSError:  # not there: this kernel has no such limit
        return ""
