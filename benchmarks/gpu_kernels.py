"""What a device does in an epoch of MAP, kernel by kernel, and other ways to sum frames.

    python benchmarks/gpu_kernels.py [--device cuda] [--sizes 64,256]

The frames are those of ``map_inner.py``. The sums of all frames in the object are the one step that
torch has no fast call for which always adds in the same order. Prints Markdown.
"""

from __future__ import annotations

import argparse
import time

import torch
from common import machine, task_of
from map_inner import WARM_UP, seconds_of, start_of_base
from torch import Tensor

from fly64tasks.recon.ptychi import device as devices
from fly64tasks.recon.ptychi.sums import add_sorted
from fly64tasks.recon.ptychi.task import run_epoch
from fly64tasks.study.recon_settings import ReconSpec

FRAMES = 450


def kernels(device: str, sizes: list[int]) -> None:
    """Print what the device does in an epoch of MAP, by kernel, and how long the host is at it."""
    activities = [torch.profiler.ProfilerActivity.CPU]
    activities += [torch.profiler.ProfilerActivity.CUDA] if device != "cpu" else []
    for size in sizes:
        spec = ReconSpec(algorithm="MAP", tolerance_nats=0.0).resolved()
        start = start_of_base(FRAMES, size, spec)
        task = task_of(start, spec, device, start.obj, start.scale.to_ptychi(start.probe))
        for _ in range(WARM_UP + 4):
            run_epoch(task, 1)
        with torch.profiler.profile(activities=activities) as profile:
            for _ in range(10):
                run_epoch(task, 1)
        by = "self_cpu_time_total" if device == "cpu" else "self_device_time_total"
        print(f"\nN = {size}, ten epochs\n\n| what | calls | ms an epoch |\n|---|---:|---:|")
        rows = sorted(profile.key_averages(), key=lambda row: -getattr(row, by))
        for row in rows[:24]:
            print(f"| {row.key[:90]} | {row.count} | {getattr(row, by) / 1e4:.3f} |")
        print(flush=True)
        for _ in range(3):
            began, host = time.perf_counter(), time.process_time()
            for _ in range(20):
                run_epoch(task, 1)
            wall = 50 * (time.perf_counter() - began)
            host = 50 * (time.process_time() - host)
            print(f"epoch {wall:.2f} ms, of the host's CPU {host:.2f}", flush=True)


def sums(device: str, sizes: list[int]) -> None:
    """Print what ways there are to add frames to an object, each sum in one order."""
    print("\n| N | frames | way | ms | the same bytes again | off by |\n|---:" + "|---" * 5 + "|")
    for size in sizes:
        ways_of(size, device)


def ways_of(size: int, device: str) -> None:
    """Print the rows of one size."""
    spec = ReconSpec(algorithm="MAP").resolved()
    start = start_of_base(FRAMES, size, spec)
    task = task_of(start, spec, device, start.obj, start.scale.to_ptychi(start.probe))
    windows = task.reconstructor._likelihood.windows
    by = windows._by_pixel(slice(0, FRAMES))
    patches = torch.randn(FRAMES, size, size, dtype=torch.complex64, device=device)
    places, flat = len(by.starts) - 1, patches.view(-1)
    counts = by.starts.diff()
    most, column = int(counts.max()), torch.arange(int(counts.max()), device=device)
    inside = column < counts[:, None]
    at = (by.starts[:-1, None] + column).clamp(max=len(by.order) - 1)
    padded = torch.where(inside, by.order[at], flat.numel()).int()
    across = padded.T.contiguous()

    def now() -> Tensor:
        canvas = patches.new_zeros(places)
        add_sorted(canvas, flat, by)
        return canvas

    def planes() -> Tensor:
        rows = torch.view_as_real(flat.index_select(0, by.order)).T.contiguous()
        sums = [
            torch.segment_reduce(row, "sum", offsets=by.starts, axis=0, unsafe=True) for row in rows
        ]
        return torch.complex(*sums)

    def with_end() -> Tensor:
        return torch.cat([flat, flat.new_zeros(1)])

    def rows() -> Tensor:
        return with_end()[padded].sum(1)

    def columns() -> Tensor:
        return with_end()[across].sum(0)

    def one_by_one() -> Tensor:
        ended, canvas = with_end(), patches.new_zeros(places)
        for each in across:
            canvas += ended[each]
        return canvas

    truth = now()
    for way in (now, planes, rows, columns, one_by_one):
        try:
            found, again = way(), way()
            took = min(seconds_of(way, device) for _ in range(7))
            off = float((found - truth).abs().max() / truth.abs().max())
            print(f"| {size} | {FRAMES} | {way.__name__} ({most} at most) | {1e3 * took:.3f} | "
                  f"{torch.equal(found, again)} | {off:.1e} |", flush=True)  # fmt: skip
        except RuntimeError as error:
            print(f"| {size} | {FRAMES} | {way.__name__} | {error} | | |", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sizes", default="64,256")
    parser.add_argument("--device", default="cpu")
    options = parser.parse_args()
    device = devices.resolve(options.device)
    devices.prepare(device)
    print(machine(device))
    sizes = [int(size) for size in options.sizes.split(",")]
    sums(device, sizes)
    kernels(device, sizes)


if __name__ == "__main__":
    main()
