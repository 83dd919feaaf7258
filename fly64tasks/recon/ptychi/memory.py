"""The memory of torch: kept where that saves time, asked about, and told when it is short."""

from __future__ import annotations

import contextlib
import ctypes
import gc
import resource
import sys
from pathlib import Path

import torch


def keep_freed() -> None:
    """Have glibc reuse what a batch frees, where it would give it back and fault it in again.

    Sets M_TRIM_THRESHOLD (-1) and M_MMAP_THRESHOLD (-3, 32 MiB at most), see mallopt(3). What is
    kept is bounded by the most that was in use.
    """
    with contextlib.suppress(AttributeError, OSError, TypeError):  # another C library
        mallopt = ctypes.CDLL(None).mallopt
        mallopt(-1, 2**31 - 1)
        mallopt(-3, 2**25)


def peak_process_bytes() -> int:
    """Return the most memory that this process had in RAM.

    Linux says it of the process alone; getrusage counts what it was forked from as well.
    """
    with contextlib.suppress(OSError):
        for line in Path("/proc/self/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def peak_device_bytes(device: str) -> int | None:
    """Return the most memory that torch held on a CUDA device, None for the CPU."""
    return torch.cuda.max_memory_allocated(device) if device.startswith("cuda") else None


def is_short(error: Exception) -> bool:
    """Return whether an error says that memory could not be had, of the device or of the machine.

    torch has a class for its CUDA allocator alone; the rest are words of a RuntimeError.
    """
    words = ("can't allocate memory", "not enough memory", "out of memory", "std::bad_alloc")
    return isinstance(error, (torch.OutOfMemoryError, MemoryError)) or (
        isinstance(error, RuntimeError)
        and any(word in str(error) for word in (*words, "ALLOC_FAILED"))
    )


def release(device: str) -> None:
    """Give back what nothing refers to any more."""
    gc.collect()
    if device.startswith("cuda"):
        torch.cuda.empty_cache()
