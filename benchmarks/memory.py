"""Peak memory of the runner beside the bytes of the diffraction.

    python benchmarks/memory.py [--cases 64x5120,128x20000] [--algorithms MAP,LSQML]

A case is a frame size and a number of frames, simulated block by block and written as one set; each
algorithm reconstructs it for one epoch (LSQML for one of each of its stages), with a checkpoint
after each, in a process of its own. *peak* is the most that the process had in memory, imports
included, as ``run.json`` has it; *limit* is 1 GB + 4 x the diffraction in single precision. Prints
Markdown, and exits with 1 where a run is over its limit.
"""

from __future__ import annotations

import argparse
import json
import math
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from common import machine

from fly64tasks.data.archive import write_npz
from fly64tasks.data.frame_stack import FrameStack
from fly64tasks.physics import optics
from fly64tasks.simulation.simulate import simulate_amplitude
from fly64tasks.study.stages import BaseSpec, Geometry

STEP_PX = 8
OBJECT = BaseSpec(object_size_px=192)
"""One tile of the object, which is periodic."""
SETTINGS = {"MAP": {}, "LSQML": {"num-epochs": 2, "warmup-epochs": 1}}


def write_set(path: Path, size: int, frames: int) -> None:
    """Write a set of 1e4 photons a frame on a raster, without ever holding its frames."""
    probe = optics.zone_plate_probe(BaseSpec(probe_size_px=size), Geometry())[None] * 100.0
    side = math.ceil(math.sqrt(frames))
    rng = np.random.default_rng(0)
    raster = np.stack(np.divmod(np.arange(frames), side), axis=1) * STEP_PX
    positions = raster + size / 2 + 1 + rng.random((frames, 2))
    tiles = math.ceil((positions.max() + size) / OBJECT.object_size_px)
    obj = np.tile(optics.synthetic_object(OBJECT), (tiles, tiles))
    diffraction = FrameStack(
        (frames, size, size),
        np.float32,
        lambda start, stop: simulate_amplitude(probe, obj, positions[start:stop], rng),
    )
    arrays = {"diffraction": diffraction, "probeGuess": probe.astype(np.complex64)}
    y, x = positions.T
    write_npz(path, {**arrays, "ycoords": y, "xcoords": x}, {"diffraction_order": "NHW"})


def peak_bytes(path: Path, folder: Path, algorithm: str) -> int:
    """Return the peak memory of one run."""
    options = {"algorithm": algorithm, "num-epochs": 1, "checkpoint-epochs": 1, "device": "cpu"}
    command = [sys.executable, "-m", "fly64tasks.runner", "--input", path, "--output-dir", folder]
    for name, value in {**options, **SETTINGS[algorithm]}.items():
        command += [f"--{name}", str(value)]
    subprocess.run(command, check=True, stdout=sys.stderr)
    record = json.loads((folder / "run.json").read_text("utf-8"))
    return int(record["peak_memory_bytes"]["process"])


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cases", default="64x5120,128x20000")
    parser.add_argument("--algorithms", default="MAP,LSQML")
    options = parser.parse_args()
    print(f"{machine()}\n")
    columns = ("N", "frames", "diffraction GB", "algorithm", "wall s", "peak GB", "limit GB")
    print("| " + " | ".join(columns) + " |")
    print("|---:|---:|---:|---|---:|---:|---:|", flush=True)
    over = False
    for case in options.cases.split(","):
        size, frames = map(int, case.split("x"))
        held = 4 * frames * size**2
        limit = 1e9 + 4 * held
        with tempfile.TemporaryDirectory() as name:
            path = Path(name) / "set.npz"
            write_set(path, size, frames)
            for algorithm in options.algorithms.split(","):
                began = time.perf_counter()
                peak = peak_bytes(path, Path(name) / algorithm, algorithm)
                over |= peak > limit
                print(
                    f"| {size} | {frames:,} | {held / 1e9:.2f} | {algorithm} | "
                    f"{time.perf_counter() - began:.0f} | {peak / 1e9:.2f} | {limit / 1e9:.2f} |",
                    flush=True,
                )
    return int(over)


if __name__ == "__main__":
    sys.exit(main())
