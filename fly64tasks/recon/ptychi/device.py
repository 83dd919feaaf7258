"""Where pty-chi runs: which device, and how the process uses it."""

from __future__ import annotations

import os

import torch

from fly64tasks.errors import StudyError
from fly64tasks.recon.ptychi import memory
from fly64tasks.study.device import refuse_unknown_device


def resolve(name: str) -> str:
    """Return ``cpu`` or ``cuda:i`` for ``auto``, ``cpu``, ``cuda`` or ``cuda:i``.

    Raises
    ------
    StudyError
        Not one of these, or there is no such device.
    """
    refuse_unknown_device(name)
    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if name == "cpu" or (name == "auto" and count == 0):
        return "cpu"
    index = name.partition(":")[2]
    if int(index or 0) >= count:
        raise StudyError(f"device {name!r} asked for, found {count} CUDA devices; use auto or cpu")
    return f"cuda:{index or 0}"


def hardware_name(device: str) -> str:
    """Return the hardware's name of a resolved device."""
    return torch.cuda.get_device_name(device) if device.startswith("cuda") else "CPU"


def prepare(device: str) -> None:
    """Have this process use a resolved device: threads, memory, peak counted from here."""
    # Batches are small: a second thread gains little, and loses much on a busy machine.
    torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS") or 1))
    memory.keep_freed()
    if device.startswith("cuda"):
        torch.cuda.set_device(device)
        torch.cuda.reset_peak_memory_stats(device)


def unset_default() -> None:
    """Have torch make tensors on the CPU without its default-device mode, a look at every call.

    torch 2.4 can not say what the default is once it was unset, and pty-chi asks: there it stays.
    """
    torch.set_default_device(None)
    try:
        torch.get_default_device()
    except AttributeError:
        torch.set_default_device("cpu")
