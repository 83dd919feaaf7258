"""Time of an iteration of MAP beside its four transforms a frame alone, in the same process.

    python benchmarks/map_inner.py [--sizes 64,128] [--frames 450] [--modes 1] [--repeats 15]
        [--device cpu]

The frames are those of the built-in base at 1e4 photons, those first in its scan. *epoch* is what
the task runs, L-BFGS, metric and pty-chi's own bookkeeping included; *transforms* are a forward and
a backward one, twice, of as many frames and modes in chunks of the same size. Both in turn, so
that both see the same load; medians, and of the ratio of each turn its least and largest. Prints
Markdown.
"""

from __future__ import annotations

import argparse
import math
import statistics
import time
from collections.abc import Callable

import numpy as np
import torch
from common import machine, task_of

from fly64tasks.data.dataset import PtychoDataset
from fly64tasks.physics.optics import synthetic_object, zone_plate_probe
from fly64tasks.physics.scan import raster_positions
from fly64tasks.recon.ptychi import device as devices
from fly64tasks.recon.ptychi.task import run_epoch
from fly64tasks.recon.start import Start, start_of
from fly64tasks.simulation.simulate import simulate_amplitude
from fly64tasks.study.recon_settings import ReconSpec
from fly64tasks.study.stages import BaseSpec, Geometry

WARM_UP = 12
"""Epochs: until L-BFGS has all its pairs."""


def start_of_base(frames: int, size: int, spec: ReconSpec) -> Start:
    """Return a start on frames of the built-in base."""
    base = BaseSpec(probe_size_px=size, object_size_px=360 + size - 64)
    probe = zone_plate_probe(base, Geometry())[None] * np.sqrt(1e4)
    obj, positions = synthetic_object(base), raster_positions(base)[:frames]
    rng = np.random.default_rng(0)
    dataset = PtychoDataset(
        diffraction_amplitude=simulate_amplitude(probe, obj, positions, rng),
        object_guess=obj.astype(np.complex64),
        probe_guess=probe.astype(np.complex64),
        positions_px=positions,
        metadata={"simulated": True},
    )
    return start_of(dataset, spec, "built-in base")


def seconds_of(call: Callable[[], object], device: str) -> float:
    """Return the CPU seconds of a call, on a GPU those of the wall."""
    if device == "cpu":
        began = time.process_time()
        call()
        return time.process_time() - began
    torch.cuda.synchronize()
    began = time.perf_counter()
    call()
    torch.cuda.synchronize()
    return time.perf_counter() - began


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sizes", default="64,128")
    parser.add_argument("--frames", type=int, default=450)
    parser.add_argument("--modes", type=int, default=1)
    parser.add_argument("--repeats", type=int, default=15)
    parser.add_argument("--device", default="cpu")
    options = parser.parse_args()
    options.device = devices.resolve(options.device)
    devices.prepare(options.device)
    print(f"{machine(options.device)}; one thread, {options.repeats} turns\n")
    print("| N | frames | modes | chunk | epoch ms | transforms ms | ratio | least | largest |")
    print("|---:" * 9 + "|", flush=True)
    for size in map(int, options.sizes.split(",")):
        spec = ReconSpec(algorithm="MAP", tolerance_nats=0.0, probe_modes=options.modes).resolved()
        start = start_of_base(options.frames, size, spec)
        task = task_of(start, spec, options.device, start.obj, start.scale.to_ptychi(start.probe))
        frames, modes = len(start.frames), len(start.probe)
        chunk = task.reconstructor.chunk
        waves = torch.randn(chunk, modes, size, size, dtype=torch.complex64, device=options.device)

        def transforms(waves=waves, frames=frames, chunk=chunk) -> None:
            for _ in range(math.ceil(frames / chunk)):
                torch.fft.ifft2(torch.fft.fft2(torch.fft.ifft2(torch.fft.fft2(waves))))

        task.run(WARM_UP)
        transforms()
        turns = [
            (seconds_of(lambda task=task: run_epoch(task, 1), options.device),
             seconds_of(transforms, options.device) * frames / (chunk * math.ceil(frames / chunk)))
            for _ in range(options.repeats)
        ]  # fmt: skip
        epoch, alone = (1e3 * statistics.median(column) for column in zip(*turns, strict=True))
        ratios = [epoch / alone for epoch, alone in turns]
        print(
            f"| {size} | {frames} | {modes} | {chunk} | {epoch:.1f} | {alone:.1f} | "
            f"{statistics.median(ratios):.2f} | {min(ratios):.2f} | {max(ratios):.2f} |",
            flush=True,
        )


if __name__ == "__main__":
    main()
