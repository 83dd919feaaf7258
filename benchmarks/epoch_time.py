"""Time of an epoch of pty-chi against frames, frame size and batch size, with the floor beside it.

    python benchmarks/epoch_time.py [--frames 500,2000] [--sizes 64,128] [--batches 32,96,256]
        [--algorithm LSQML] [--device cpu] [--all]

The floor counts four transforms a frame (probe's shift, far field, back, shift of the update),
5 N^2 log2 N^2 FLOP each, and 68 N^2 bytes: each intensity read once, each transform read and
written once. *floor s* is the time that those transforms alone take here with torch, in batches of
the same size. *fast modulus* is with ``fast_modulus``, *own shift* without
``fast_fourier_shift``, and *as shipped* is pty-chi without anything of ours: with its own shift and
squares, its default device set and its complex parameters made of two. The default is a subset for
a CPU, some minutes: 500 and 2,000 frames, N of 64 and 128. ``--all`` is 500 to 20,000 frames and N
of 64, 128 and 256; where the frames alone are over 10 GB they are left out, and said so. Prints
Markdown.
"""

from __future__ import annotations

import argparse
import math
import resource
import time
from collections.abc import Callable

import numpy as np
import torch
from common import machine, task_of

from fly64tasks.data.dataset import PtychoDataset
from fly64tasks.recon.ptychi import fourier_shift, modulus
from fly64tasks.recon.ptychi.memory import peak_device_bytes
from fly64tasks.recon.ptychi.task import run_epoch
from fly64tasks.recon.start import Start, start_of
from fly64tasks.study.recon_settings import ReconSpec

LARGEST_BYTES = 10e9


def start_of_random_frames(frames: int, size: int) -> Start:
    """Return a start on a raster of 8 px: what an epoch costs does not depend on the values."""
    rng = np.random.default_rng(0)
    side = math.ceil(math.sqrt(frames))
    grid = np.stack(np.divmod(np.arange(frames), side), axis=1)
    extent = 8 * side + size + 2
    y, x = np.indices((size, size)) - size / 2
    probe = np.exp(-(y**2 + x**2) / (size / 6) ** 2)[None].astype(np.complex64)
    dataset = PtychoDataset(
        diffraction_amplitude=np.sqrt(rng.poisson(2.0, (frames, size, size)).astype(np.float32)),
        object_guess=np.ones((extent, extent), np.complex64),
        probe_guess=probe,
        positions_px=grid * 8.0 + size / 2 + rng.random((frames, 2)),
    )
    return start_of(dataset, ReconSpec(), "random frames")


def best_of(call: Callable[[], object], device: str, times: int = 3) -> float:
    """Return the least seconds of some calls, after one that is not counted."""
    seconds = []
    for _ in range(times + 1):
        began = time.process_time() if device == "cpu" else time.perf_counter()
        call()
        if device != "cpu":
            torch.cuda.synchronize()
        now = time.process_time() if device == "cpu" else time.perf_counter()
        seconds.append(now - began)
    return min(seconds[1:])


def floor_of(frames: int, size: int, batch: int, device: str) -> float:
    """Return the seconds of an epoch's four transforms a frame."""
    waves = torch.randn(batch, size, size, dtype=torch.complex64, device=device)

    def transforms() -> None:
        for _ in range(math.ceil(frames / batch)):
            torch.fft.ifft2(torch.fft.fft2(torch.fft.ifft2(torch.fft.fft2(waves))))

    return best_of(transforms, device)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--frames", default="500,2000")
    parser.add_argument("--sizes", default="64,128")
    parser.add_argument("--batches", default="32,96,256")
    parser.add_argument("--algorithm", default="LSQML")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--all", action="store_true")
    options = parser.parse_args()
    torch.set_num_threads(1)
    if options.all:
        options.frames, options.sizes = "500,2000,5000,10000,20000", "64,128,256"
        options.batches = "32,96,256,1000"
    frames_, sizes, batches = (
        [int(part) for part in text.split(",")]
        for text in (options.frames, options.sizes, options.batches)
    )
    kind = "CPU s" if options.device == "cpu" else "s"
    print(f"{machine(options.device)}; {options.algorithm}, one thread\n")
    columns = ("N", "frames", "batch", f"epoch {kind}", "fast modulus", "own shift")
    columns = (*columns, "as shipped", "floor s")
    print("| " + " | ".join((*columns, "GFLOP", "GB", "peak GB")) + " |")
    print("|---:" * 11 + "|", flush=True)
    for size in sizes:
        for frames in frames_:
            if 4 * frames * size**2 > LARGEST_BYTES:
                print(f"| {size} | {frames} | left out: over 10 GB |" + " |" * 8, flush=True)
                continue
            start = start_of_random_frames(frames, size)
            gflop = frames * 4 * 5 * size**2 * math.log2(size**2) / 1e9
            gbyte = frames * 68 * size**2 / 1e9
            for batch in batches:
                spec = ReconSpec(algorithm=options.algorithm, batch_size=batch, warmup_epochs=0)
                spec = spec.resolved()
                task = task_of(start, spec, options.device, start.obj, start.probe / size)

                def epoch(task=task) -> None:
                    run_epoch(task, 1)

                def epoch_as_shipped(task=task) -> None:
                    torch.set_default_device(options.device)
                    task.run(1)
                    torch.set_default_device(None if options.device == "cpu" else options.device)

                times = 2 if options.device == "cpu" else 3
                shipped = best_of(epoch_as_shipped, options.device, times)
                theirs = best_of(epoch, options.device, times)
                with fourier_shift.installed():
                    ours = best_of(epoch, options.device, times)
                    with modulus.installed():
                        fast = best_of(epoch, options.device, times)
                floor = floor_of(frames, size, batch, options.device)
                peak = peak_device_bytes(options.device) or (
                    resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
                )
                print(
                    f"| {size} | {frames} | {batch} | {ours:.3f} | {fast:.3f} | {theirs:.3f} | "
                    f"{shipped:.3f} | {floor:.3f} | {gflop:.2f} | {gbyte:.2f} | {peak / 1e9:.1f} |",
                    flush=True,
                )


if __name__ == "__main__":
    main()
