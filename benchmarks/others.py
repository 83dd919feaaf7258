"""Time of an epoch of as many frames as other packages publish figures for, beside theirs.

    python benchmarks/others.py [--frames 1638] [--sizes 128] [--batches 16,64,256,512]
        [--device cpu] [--algorithms LSQML,EPIE,MAP] [--ptyrad PYTHON] [--py4dstem PYTHON]
        [--phaser PYTHON] [--minutes 20]

Public comparisons take 16,384 frames of 128 x 128 px, a raster of 128 by 128, on one GPU:
``--frames 16384 --device cuda``. The default is a tenth of the frames. One probe mode, one layer;
frames of Poisson noise, for what an epoch costs does not depend on the values. *as shipped* is
pty-chi alone; *ours* is the same with what we change of it; MAP takes all frames at once, whatever
the batch. The others live in environments of their own, for Python 3.12 where PtyRAD is one:

    python3.12 -m venv ptyrad && ptyrad/bin/pip install ptyrad==1.0.0
    python -m venv py4dstem && py4dstem/bin/pip install py4dstem==0.14.18
    python -m venv phaser && phaser/bin/pip install 'phaserEM[jax]==0.3.1'

and are run by the scripts in ``benchmarks/peers/``, which say how each is used. Cells are the least
seconds of an epoch, one thread's of the CPU on the CPU and the wall's on a GPU, and of ours in
brackets the most memory in GB that torch had of the device. A row is printed as soon as it is
there, its cells on stderr before; no row is begun once ``--minutes`` are over. Prints Markdown.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import math
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from common import PROJECT, machine, task_of
from map_inner import WARM_UP, seconds_of

from fly64tasks.data.dataset import PtychoDataset
from fly64tasks.recon.ptychi import device as devices
from fly64tasks.recon.ptychi import fourier_shift, memory
from fly64tasks.recon.ptychi.task import run_epoch
from fly64tasks.recon.start import Start, start_of
from fly64tasks.study.recon_settings import ReconSpec

PEERS = ("ptyrad", "py4dstem", "phaser")
ENOUGH_S = 3.0
"""Epochs are repeated until they took so long, three times at most."""
DISTINCT_FRAMES = 64


def frames_of(frames: int, size: int) -> PtychoDataset:
    """Return a raster of 8 px, as square as can be, each position off by up to a pixel."""
    columns = frames // raster_rows(frames)
    rng = np.random.default_rng(0)
    y, x = np.indices((size, size)) - size / 2
    probe = np.exp(-(y**2 + x**2) / (size / 6) ** 2)
    noise = rng.poisson(2.0, (DISTINCT_FRAMES, size, size)).astype(np.float32)
    probe *= math.sqrt(noise.sum() / DISTINCT_FRAMES / (probe**2).sum())
    positions = np.stack(np.divmod(np.arange(frames), columns), axis=1) * 8.0
    extent = 8 * frames // columns + size + 2, 8 * columns + size + 2
    return PtychoDataset(
        diffraction_amplitude=np.sqrt(np.resize(noise, (frames, size, size))),
        object_guess=np.ones(extent, np.complex64),
        probe_guess=probe[None].astype(np.complex64),
        positions_px=positions + size / 2 + rng.random((frames, 2)),
    )


def raster_rows(frames: int) -> int:
    """Return how many rows the raster has.

    >>> raster_rows(16384), raster_rows(1638), raster_rows(500)
    (128, 39, 20)
    """
    return max(rows for rows in range(1, math.isqrt(frames) + 1) if frames % rows == 0)


@contextlib.contextmanager
def as_shipped(device: str) -> Iterator[None]:
    """Have torch's default device set while pty-chi runs, as pty-chi sets it."""
    torch.set_default_device(device)
    try:
        yield
    finally:
        if device == "cpu":
            devices.unset_default()


def epoch_of(start: Start, algorithm: str, batch: int, device: str, *, shipped: bool) -> str:
    """Return the cell of an algorithm of pty-chi's, or of MAP."""
    memory.release(device)
    if device != "cpu":
        torch.cuda.reset_peak_memory_stats()
    given = {"batch_size": batch} if algorithm != "MAP" else {"tolerance_nats": 0.0}
    given |= {"warmup_epochs": 0} if algorithm == "LSQML" else {}
    spec = ReconSpec(algorithm=algorithm, **given).resolved()
    task = task_of(start, spec, device, start.obj, start.scale.to_ptychi(start.probe))
    seconds: list[float] = []
    with as_shipped(device) if shipped else fourier_shift.installed(device):
        run = (lambda: task.run(1)) if shipped else (lambda: run_epoch(task, 1))
        for _ in range(WARM_UP if algorithm == "MAP" and device != "cpu" else 0):
            run()
        while len(seconds) < 3 and sum(seconds) < ENOUGH_S:
            seconds.append(seconds_of(run, device))
    peak = memory.peak_device_bytes(device)
    cell = f"{min(seconds):.3f}" + (f" ({peak / 1e9:.1f})" if peak else "")
    print(algorithm, batch, "as shipped" if shipped else "ours", cell, file=sys.stderr, flush=True)
    return cell


def peer_of(name: str, python: Path, npz: Path, batch: int, device: str) -> dict[str, Any]:
    """Return what a peer's script prints."""
    script = PROJECT / "benchmarks" / "peers" / f"{name}_epoch.py"
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "MPLBACKEND": "Agg"}
    environment.pop("PYTHONPATH", None)
    if device == "cpu":
        environment["JAX_PLATFORMS"] = "cpu"
        environment["XLA_FLAGS"] = "--xla_cpu_multi_thread_eigen=false"
    call = [python, script, npz, "--batch", str(batch), "--device", device]
    call += ["--epochs", "2" if device == "cpu" else "1"]
    done = subprocess.run(call, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["it said nothing"])[-1]
        return {"cell": f"failed: {last[:80]}", "version": ""}
    found = json.loads(done.stdout.strip().splitlines()[-1])
    print(name, batch, found, file=sys.stderr, flush=True)
    return {"cell": f"{found['seconds']:.3f}", "version": found["version"]}


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--frames", type=int, default=1638)
    parser.add_argument("--sizes", default="128")
    parser.add_argument("--batches", default="16,64,256,512")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--algorithms", default="LSQML,EPIE,MAP")
    parser.add_argument("--minutes", type=float, default=20.0)
    for name in PEERS:
        parser.add_argument(f"--{name}", type=Path, metavar="PYTHON")
    options = parser.parse_args(arguments)
    device = devices.resolve(options.device)
    devices.prepare(device)
    batches = [int(batch) for batch in options.batches.split(",")]
    ends = time.monotonic() + 60 * options.minutes
    kind = "CPU s" if device == "cpu" else "s (GB)"
    print(f"{machine(device)}; {options.frames:,} frames, {kind} an epoch\n")
    print(f"| N | | {' | '.join(f'batch {batch}' for batch in batches)} |")
    print("|---:|---|" + "---:|" * len(batches), flush=True)
    for size in map(int, options.sizes.split(",")):
        dataset = frames_of(options.frames, size)
        start = start_of(dataset, ReconSpec(), "random frames") if options.algorithms else None
        for algorithm in filter(None, options.algorithms.split(",")):
            for shipped in (True, False) if algorithm != "MAP" else (False,):
                if time.monotonic() > ends:
                    continue
                name = f"pty-chi {algorithm}, as shipped" if shipped else f"ours, {algorithm}"
                cells = [
                    epoch_of(start, algorithm, batch, device, shipped=shipped)
                    for batch in (batches if algorithm != "MAP" else batches[:1])
                ]
                cells += ["the same"] * (len(batches) - len(cells))
                print(f"| {size} | {name} | {' | '.join(cells)} |", flush=True)
        with tempfile.TemporaryDirectory() as folder:
            npz = Path(folder, "set.npz")
            rows = raster_rows(options.frames)
            np.savez(
                npz,
                diffraction=dataset.diffraction_amplitude,
                probeGuess=dataset.probe_guess[0],
                objectGuess=dataset.object_guess,
                ycoords=dataset.positions_px[:, 0],
                xcoords=dataset.positions_px[:, 1],
                raster=np.array([rows, options.frames // rows]),
            )
            for name in PEERS:
                python = getattr(options, name)
                if python is None or time.monotonic() > ends:
                    continue
                found = [peer_of(name, python, npz, batch, device) for batch in batches]
                cells = " | ".join(each["cell"] for each in found)
                print(f"| {size} | {name} {found[0]['version']} | {cells} |", flush=True)


if __name__ == "__main__":
    sys.exit(main())
