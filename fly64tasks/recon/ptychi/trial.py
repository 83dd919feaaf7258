"""What CUDA devices there are, and whether they do what a CPU does: looked at, and tried."""

from __future__ import annotations

import hashlib
import time
from typing import Any

import torch

from fly64tasks.recon.ptychi import device as devices
from fly64tasks.recon.ptychi.options import ptychi_options
from fly64tasks.recon.ptychi.task import arrays_of, new_task, run_epoch
from fly64tasks.recon.start import Start
from fly64tasks.study.recon_settings import ReconSpec

WARM_UP_EPOCHS = 14
"""Until L-BFGS has all its pairs, and what can be recorded is."""


def build() -> dict[str, str | None]:
    """Return the versions of torch, and of the CUDA that it was built for."""
    return {"torch": torch.__version__, "cuda": torch.version.cuda}


def why_no_cuda() -> str | None:
    """Return why there is no CUDA device, in a line that says what to do; None where there is."""
    if torch.cuda.is_available() and torch.cuda.device_count():
        return None
    if torch.version.cuda is None:
        return (
            f"torch {torch.__version__} is built without CUDA: install a build for the driver that "
            "nvidia-smi names, see https://pytorch.org/get-started/locally"
        )
    try:
        torch.cuda.init()  # type: ignore[no-untyped-call]
    except (RuntimeError, AssertionError) as error:
        said = (str(error).splitlines() or ["it says nothing"])[0]
    else:
        said = "it finds none"
    build = f"torch {torch.__version__} is built for CUDA {torch.version.cuda}"
    return f"{build}, and finds no device: {said}"


def cuda_devices() -> list[dict[str, Any]]:
    """Return name, memory (total, and free at this moment, bytes) and capability of each."""
    found = []
    for index in range(torch.cuda.device_count()):
        properties = torch.cuda.get_device_properties(index)
        free, total = torch.cuda.mem_get_info(index)
        found.append(
            {
                "device": f"cuda:{index}",
                "name": properties.name,
                "capability": f"{properties.major}.{properties.minor}",
                "total_bytes": total,
                "free_bytes": free,
            }
        )
    return found


def transform_difference(device: str) -> float:
    """Return how far transforms there are from a CPU's: largest difference over largest value."""
    generator = torch.Generator("cpu").manual_seed(0)
    shape = (16, 64, 64)
    waves = torch.randn(*shape, dtype=torch.complex64, generator=generator, device="cpu")
    here, there = torch.fft.fft2(waves), torch.fft.fft2(waves.to(device)).cpu()
    return float((here - there).abs().max() / here.abs().max())


def epochs(start: Start, spec: ReconSpec, device: str, timed: int) -> dict[str, Any]:
    """Run `WARM_UP_EPOCHS` of MAP, then ``timed`` ones; return what came out, and how fast.

    Returns
    -------
    ran : dict
        ``epoch_ms``, wall time in the mean; ``losses`` of the first; ``digest`` of object and probe
        at the end; ``peak_bytes`` that torch had of the device, or None; ``doubts``.
    """
    devices.prepare(device)
    spec = spec.resolved()
    probe = start.scale.to_ptychi(start.probe)
    with new_task(ptychi_options(start, spec, device), start, start.layers, probe) as task:
        losses = [run_epoch(task, i + 1) for i in range(WARM_UP_EPOCHS)]
        began = time.perf_counter()
        for i in range(timed):
            run_epoch(task, WARM_UP_EPOCHS + i + 1)
        seconds = time.perf_counter() - began
        digest = hashlib.sha256(b"".join(array.tobytes() for array in arrays_of(task)))
        doubts = list(task.reconstructor.doubts)
    peak = torch.cuda.max_memory_reserved(device) if device != "cpu" else None
    return {
        "epoch_ms": 1e3 * seconds / max(timed, 1),
        "losses": losses,
        "digest": digest.hexdigest(),
        "peak_bytes": peak,
        "doubts": doubts,
    }
