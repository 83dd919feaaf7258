"""CPU time and peak memory of every stage against frames, frame size and probe modes.

    python benchmarks/scale.py [--frames 500,2000] [--sizes 64,128] [--modes 1] [--epochs 2]
        [--stages simulate,view,recon,score,report] [--all]

A case is a study of one dose on a raster of so many frames, half of them train and half test; each
stage is a `doit` of its own: the simulation, one view, MAP on the train set for so many epochs, its
score, the report. *CPU s* is that of its process, imports and doit's own work
included; *peak* is the most that it had in memory, *limit* 1 GB + 4 x the diffraction of one
set. *floor* is what has to be done: transforms of 5 N^2 log2 N^2 FLOP (two a frame and mode to
simulate, four an epoch to reconstruct, two to score), and the bytes of the diffraction read and
written once. *ms a frame* is the slope between the fewest frames and the most. ``--all`` is 500 to
20,000 frames, N of 64 to 256 and 1 and 4 modes, hours of it; sets over 4 GB are left out, and said
so. Prints Markdown, and exits with 1 where a stage is over its limit.
"""

from __future__ import annotations

import argparse
import math
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from common import machine, project

from fly64tasks.data.dataset import Base
from fly64tasks.data.writers.npz import write_base
from fly64tasks.physics import optics
from fly64tasks.study.stages import BaseSpec, Geometry

STEP_PX = 8
TILE = BaseSpec(object_size_px=192)
"""One tile of the object, which is periodic."""
LARGEST_SET_BYTES = 4e9
JOB = "dose_10000_baseline_train"
STAGES = {
    "simulate": ("simulate:dose_10000",),
    "view": ("views:dose_10000_dense",),
    "recon": (f"recon:{JOB}",),
    "score": (f"score:{JOB}",),
    "report": ("report",),
}
BEFORE = {
    "view": ("simulate",),
    "recon": ("simulate", "views"),
    "score": (f"recon:{JOB}",),
    "report": ("score",),
}
"""What is run before, so that a stage is measured alone."""
MEASURE = """
import resource, subprocess, sys
code = subprocess.run(sys.argv[1:], stdout=sys.stderr).returncode
used = resource.getrusage(resource.RUSAGE_CHILDREN)
print(used.ru_utime + used.ru_stime, used.ru_maxrss)
sys.exit(code)
"""
STUDY = """
doses = [1e4]
base_npz = "base.npz"
[views]
overlap = {{ dense = {overlap} }}
[recon]
num_epochs = {epochs}
tolerance_nats = 1e-9
{modes}
"""


@dataclass(frozen=True)
class Stage:
    """What one stage took, and what it could not do without."""

    name: str
    cpu_s: float
    peak_bytes: int
    floor_flop: float
    floor_bytes: float


def write_scan(path: Path, size: int, frames: int) -> None:
    """Write a base of a raster with jitter on an object of tiles."""
    probe = optics.zone_plate_probe(BaseSpec(probe_size_px=size), Geometry())
    side = math.ceil(math.sqrt(frames))
    raster = np.stack(np.divmod(np.arange(frames), side), axis=1) * STEP_PX
    positions = raster + size / 2 + 1 + np.random.default_rng(0).random((frames, 2))
    tiles = math.ceil((positions.max() + size) / TILE.object_size_px)
    obj = np.tile(optics.synthetic_object(TILE), (tiles, tiles))
    write_base(path, Base(obj, probe[None], positions))


def measured(folder: Path, *arguments: str) -> tuple[float, int]:
    """Run doit in a folder with one thread; return its CPU seconds and its peak memory in bytes.

    What starts a process is counted as its memory, so that something small has to.
    """
    command = [sys.executable, "-c", MEASURE, sys.executable, "-m", "doit", *arguments]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    ended = subprocess.run(command, cwd=folder, env=environment, stdout=subprocess.PIPE, text=True)
    if ended.returncode:
        raise SystemExit(f"doit {' '.join(arguments)} ended with {ended.returncode}")
    cpu_s, peak = ended.stdout.split()
    return float(cpu_s), int(peak) * (1 if sys.platform == "darwin" else 1024)


def stages_of(
    folder: Path, wanted: list[str], size: int, frames: int, modes: int, epochs: int
) -> Iterator[Stage]:
    """Run a study stage by stage; measure those that are wanted."""
    project(folder)
    write_scan(folder / "base.npz", size, frames)
    said = STUDY.format(
        overlap=1 - 2 * STEP_PX / size,
        epochs=epochs,
        modes=f"probe_modes = {modes}" if modes > 1 else "",
    )
    (folder / "study.toml").write_text(said, "utf-8")
    transform = 5 * size**2 * math.log2(size**2)
    frame_bytes = 4 * size**2
    floors = {
        "simulate": (2 * frames, frames),
        "view": (0, frames),  # what it keeps of both sets is written too, some of it
        "recon": (4 * epochs * modes * frames / 2, frames / 2),
        "score": (2 * modes * frames / 2, frames / 2),
        "report": (0, 0),
    }
    for name in wanted:
        if name in BEFORE:
            measured(folder, *BEFORE[name])
        cpu_s, peak_bytes = measured(folder, *STAGES[name])
        transforms, moved = floors[name]
        yield Stage(name, cpu_s, peak_bytes, transforms * transform, moved * frame_bytes)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--frames", default="500,2000")
    parser.add_argument("--sizes", default="64,128")
    parser.add_argument("--modes", default="1")
    parser.add_argument("--epochs", type=int, default=2)
    parser.add_argument("--stages", default=",".join(STAGES))
    parser.add_argument("--all", action="store_true")
    options = parser.parse_args()
    if options.all:
        options.frames, options.sizes = "500,2000,5000,10000,20000", "64,128,256"
        options.modes = "1,4"
    frames_, sizes, modes_ = (
        [int(part) for part in text.split(",")]
        for text in (options.frames, options.sizes, options.modes)
    )
    load = " ".join(f"{value:.1f}" for value in os.getloadavg())
    print(f"{machine()}; load {load}; {options.epochs} epochs of MAP, one thread\n")
    columns = ("N", "frames", "modes", "stage", "CPU s", "floor GFLOP", "floor GB", "peak GB")
    print("| " + " | ".join((*columns, "limit GB", "ms a frame")) + " |")
    print("|---:|---:|---:|---|" + "---:|" * 6, flush=True)
    over = False
    for size in sizes:
        for modes in modes_:
            first: dict[str, tuple[int, float]] = {}
            for frames in frames_:
                held = 4 * frames / 2 * size**2
                if held > LARGEST_SET_BYTES:
                    print(
                        f"| {size} | {frames:,} | {modes} | left out: sets over 4 GB |", flush=True
                    )
                    continue
                with tempfile.TemporaryDirectory() as name:
                    folder = Path(name) / "study"
                    for stage in stages_of(
                        folder, options.stages.split(","), size, frames, modes, options.epochs
                    ):
                        fewest, least_s = first.setdefault(stage.name, (frames, stage.cpu_s))
                        slope = ""
                        if frames > fewest and frames == frames_[-1]:
                            slope = f"{1e3 * (stage.cpu_s - least_s) / (frames - fewest):.2f}"
                        limit = 1e9 + 4 * held
                        over |= stage.peak_bytes > limit
                        row = (
                            *(f"{size}", f"{frames:,}", f"{modes}", stage.name),
                            *(f"{stage.cpu_s:.1f}", f"{stage.floor_flop / 1e9:.2f}"),
                            *(f"{stage.floor_bytes / 1e9:.2f}", f"{stage.peak_bytes / 1e9:.2f}"),
                            *(f"{limit / 1e9:.2f}", slope),
                        )
                        print("| " + " | ".join(row) + " |", flush=True)
    return int(over)


if __name__ == "__main__":
    sys.exit(main())
