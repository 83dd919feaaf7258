"""What a GPU brings, and whether what holds on a CPU holds on it, on a bare machine.

    python benchmarks/gpu.py [--device cuda] [--only PART] [--minutes 5] [--quick]

*graph*: epochs of MAP launched call by call and as CUDA graphs. *refused*: a graph that can not be
recorded. *doctor*: `fly64tasks doctor --gpu`. *pinned*: what the workers of a node with two GPUs
see. *kernels*: what the device does in an epoch. *map*: an iteration beside its transforms.
*same*: two runs, and one that is cut off and goes on, end in the same bytes, and how far the
GPU's errors are from the CPU's. *study*: the 18 reconstructions of the default study: one `doit`
with 1 to 8 workers that share the GPU, one process per job, and the CPU beside them. *memory*:
what a run says when the device's memory is taken. *epoch*: LSQML, EPIE and DM at three sizes.
*large*: `others.py` with as many frames as other packages publish figures for.

Each part has a process of its own and so many minutes at most; what it has printed until then
stays. On an H200 study took three minutes and large four or more, the others half a minute each.
Wall seconds. Prints Markdown.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import numpy as np
import torch
from common import machine, opened, project, task_of
from map_inner import WARM_UP, seconds_of, start_of_base

from fly64tasks.engine.machine import visible_gpus
from fly64tasks.recon.files import RECONSTRUCTION, RUN_RECORD
from fly64tasks.recon.ptychi import device as devices
from fly64tasks.recon.ptychi.task import arrays_of, run_epoch
from fly64tasks.score.command import score
from fly64tasks.study.recon_settings import ReconSpec
from fly64tasks.study.stages import ScoreSpec

HERE = Path(__file__).parent
ALONE_EVERY = 6
"""Of the jobs, each sixth runs in a process of its own: all would take minutes."""
STOPS = 2
"""Of the run that is cut off, before it is left to end."""
JOB = "dose_10000_baseline_train"


def ran(*words: str | Path, folder: Path | None = None, code: int | None = 0) -> tuple[float, str]:
    """Run a python module or script; return its wall seconds and what it said.

    Raises
    ------
    RuntimeError
        It ended with another code; None takes any.
    """
    began = time.perf_counter()
    done = subprocess.run(
        [sys.executable, *map(str, words)],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    if code is not None and done.returncode != code:
        last = (done.stderr or done.stdout).strip().splitlines()[-3:]
        raise RuntimeError(f"{' '.join(map(str, words))}: exit code {done.returncode}: {last}")
    return time.perf_counter() - began, done.stdout + done.stderr


def with_sets(part: Callable[[Path, str, bool], None]) -> Callable[[str, bool], None]:
    """Return a part that has a project with the default study's sets, and no reconstruction."""

    def made(device: str, quick: bool) -> None:
        with tempfile.TemporaryDirectory() as name:
            folder = project(Path(name, "sets"))
            ran("-m", "doit", "run", "-j", "8", "simulate", "views", folder=folder)
            part(folder, device, quick)

    return made


def study(made: Path, device: str, quick: bool) -> None:
    """Print the seconds of the 18 reconstructions in several ways."""
    jobs = _jobs(made)[: 2 if quick else None]
    names = [f"recon:{case}" for case, _ in jobs]
    print(f"\n{len(jobs)} reconstructions of the default study\n\n| how | s |\n|---|---:|")

    def alone() -> None:
        some, began = jobs[::ALONE_EVERY], time.perf_counter()
        for case, source in some:
            ran("-m", "fly64tasks.runner", "--input-npz", source, "--output-dir",
                made / "one" / case, "--device", device)  # fmt: skip
        seconds = (time.perf_counter() - began) * len(jobs) / len(some)
        print(f"| one process per job, {device} (from {len(some)}) | {seconds:.1f} |", flush=True)

    rows = [(device, None), ("cpu", None), (device, 8), (device, 2), (device, 4), ("cpu", 8)]
    for where, workers in rows:
        if (where, workers) == (device, 8):
            alone()
        folder = made.parent / f"{where}_{workers}".replace(":", "")
        shutil.copytree(made, folder, ignore=shutil.ignore_patterns("one", "reports"))
        words = ["-m", "doit", "run", *(["-j", str(workers)] if workers else [])]
        seconds, _ = ran(*words, f"device={where}", *names, folder=folder)
        how = f"`doit -j {workers}`" if workers else "`doit`"
        print(f"| {how}, {where} | {seconds:.1f} |", flush=True)
        shutil.rmtree(folder)


def same(made: Path, device: str, quick: bool) -> None:
    """Print whether runs end in the same bytes, and how far the CPU's error is.

    All at once: what they take is not looked at.
    """
    source = dict(_jobs(made))[JOB]
    print("\n| run | again | cut off and resumed | object error | on the CPU |")
    print("|---|---|---|---:|---:|", flush=True)
    kinds = {
        "MAP": ["MAP"],
        "MAP, positions corrected": ["MAP", "--correct-positions"],
        "MAP, without graphs": ["MAP", "--cuda-graph", "false"],
        "LSQML": ["LSQML"],
    }
    with ThreadPoolExecutor(len(os.sched_getaffinity(0))) as pool:
        runs: dict[tuple[str, str], Future[Path]] = {}
        for kind, words in list(kinds.items())[: 1 if quick else None]:
            given = ("-m", "fly64tasks.runner", "--input-npz", source, "--num-epochs", "30")
            given = (*given, "--algorithm", *words)
            for name in ("a", "b", "cut", "cpu"):
                where = ("--device", "cpu" if name == "cpu" else device)
                folder = made / "same" / kind.replace(" ", "_") / name
                stops = STOPS if name == "cut" else 0
                runs[kind, name] = pool.submit(_ended, (*given, *where), folder, stops)
        for kind in kinds if not quick else ["MAP"]:
            folders = {name: runs[kind, name].result() for name in ("a", "b", "cut", "cpu")}
            digests = {name: _digest(folder) for name, folder in folders.items()}
            cells = [
                {True: "same bytes", False: "**other bytes**"}[digests["a"] == digests[name]]
                for name in ("b", "cut")
            ]
            cells += [_error(source, folders[name]) for name in ("a", "cpu")]
            print(f"| {kind} ({digests['a'][:6]}) | {' | '.join(cells)} |", flush=True)


def _ended(words: tuple[str | Path, ...], folder: Path, stops: int) -> Path:
    """Run the runner into a folder, cut off so many times before; return the folder."""
    for _ in range(stops):
        ran(*words, "--output-dir", folder, "--max-seconds", "0.1", code=75)
    ran(*words, "--output-dir", folder, code=None)
    return folder


def pinned(device: str, quick: bool) -> None:
    """Print what workers of a node see that is said to have two GPUs: here one, by two names."""
    names = ",".join(["0", *visible_gpus()][:2])
    code = (
        "from fly64tasks.engine import worker; worker.settle();"
        "import os, torch; n = torch.cuda.device_count();"
        "print(os.environ['CUDA_VISIBLE_DEVICES'], 'has', n, 'device,',"
        "torch.cuda.get_device_properties(0).uuid if n else None)"
    )
    print()
    for rank in ("0", "1", "2"):
        done = subprocess.run(
            [sys.executable, "-c", code],
            env={**os.environ, "CUDA_VISIBLE_DEVICES": names, "PARSL_WORKER_RANK": rank},
            capture_output=True,
            text=True,
            check=False,
        )
        said = (done.stdout.strip() or done.stderr.strip()).splitlines()[-1]
        print(f"worker {rank} of a node with CUDA_VISIBLE_DEVICES={names}: {said}", flush=True)


def memory(made: Path, device: str, quick: bool) -> None:
    """Print what a run says when somebody else holds the device's memory."""
    if device == "cpu":
        return
    source = dict(_jobs(made))[JOB]
    free, _ = torch.cuda.mem_get_info()
    held = torch.empty(max(free - 700 * 2**20, 0), dtype=torch.uint8, device=device)
    _, said = ran("-m", "fly64tasks.runner", "--input-npz", source, "--output-dir", made / "full",
                  "--device", device, code=None)  # fmt: skip
    record = made / "full" / RUN_RECORD
    code = json.loads(record.read_text("utf-8"))["exit_code"] if record.exists() else None
    print(f"\nmemory taken: exit code {code}; {said.strip().splitlines()[-1][:300]}", flush=True)
    del held
    torch.cuda.empty_cache()
    ran("-m", "fly64tasks.runner", "--input-npz", source, "--output-dir", made / "full",
        "--device", device)  # fmt: skip
    print("once it is free again: done", flush=True)


def graph(device: str, quick: bool) -> None:
    """Print what an epoch of MAP takes launched call by call, and as graphs; and whether it is one.

    Both in turn, in one process, until each ran as many epochs; then their ends are compared.
    """
    print("\n| N | modes | positions | calls ms | graphs ms | calls / graphs | ends |")
    print("|---:|---:|---|---:|---:|---:|---|", flush=True)
    rows = [(64, 1, False), (64, 3, False), (64, 1, True), (128, 1, False), (256, 1, False)]
    for size, modes, moves in rows[: 1 if quick else None]:
        given = {"probe_modes": modes, "correct_positions": moves, "tolerance_nats": 0.0}
        tasks, times = {}, {}
        for wanted in (False, True):
            spec = ReconSpec(algorithm="MAP", cuda_graph=wanted, **given).resolved()
            start = start_of_base(450, size, spec)
            probe = start.scale.to_ptychi(start.probe)
            tasks[wanted] = task_of(start, spec, device, start.obj, probe)
            run_epoch(tasks[wanted], 1)
            times[wanted] = []
        for i in range(WARM_UP + 30):
            for wanted, task in tasks.items():
                seconds = seconds_of(lambda task=task: run_epoch(task, 1), device)
                if i >= WARM_UP:
                    times[wanted].append(1e3 * seconds)
        calls, graphs = (statistics.median(each) for each in times.values())
        ends = [b"".join(each.tobytes() for each in arrays_of(task)) for task in tasks.values()]
        ends.append("same bytes" if ends[0] == ends[1] else "**other bytes**")
        said = "; ".join([ends[2], *tasks[True].reconstructor.doubts])
        print(f"| {size} | {modes} | {'corrected' if moves else 'held'} | {calls:.2f} | "
              f"{graphs:.2f} | {calls / graphs:.2f} | {said} |", flush=True)  # fmt: skip


def refused(device: str, quick: bool) -> None:
    """Print what a run does whose graphs can not be recorded."""
    ends = []
    for asks in (False, True):
        spec = ReconSpec(algorithm="MAP", tolerance_nats=0.0).resolved()
        start = start_of_base(450, 64, spec)
        task = task_of(start, spec, device, start.obj, start.scale.to_ptychi(start.probe))
        likelihood = task.reconstructor._likelihood
        if asks:  # as code would that makes the host wait
            add = likelihood.windows.add
            likelihood.windows.add = lambda *given, add=add: (
                add(*given) or float(given[0].real.sum())
            )
        for _ in range(20):
            run_epoch(task, 1)
        ends.append(b"".join(each.tobytes() for each in arrays_of(task)))
        print(f"\nhost asked: {asks}; doubts: {task.reconstructor.doubts}", flush=True)
    print(f"the same bytes: {ends[0] == ends[1]}", flush=True)


def doctor(device: str, quick: bool) -> None:
    """Print what `fly64tasks doctor --gpu` says."""
    _, said = ran("-m", "fly64tasks", "doctor", "--gpu", code=None)
    print(f"\n```\n{said}```", flush=True)


def speed(script: str, *options: str) -> Callable[[str, bool], None]:
    """Return a part that prints another benchmark."""

    def part(device: str, quick: bool) -> None:
        given = ["--device", device, *(() if quick else options)]
        print(f"\n`{script} {' '.join(given)}`: ", end="", flush=True)
        subprocess.run([sys.executable, HERE / script, *given], cwd=HERE, check=True)

    return part


PARTS: dict[str, Callable[[str, bool], None]] = {
    "graph": graph,
    "refused": refused,
    "doctor": doctor,
    "pinned": pinned,
    "kernels": speed("gpu_kernels.py"),
    "map": speed("map_inner.py", "--sizes", "64,128,256", "--repeats", "9"),
    "same": with_sets(same),
    "study": with_sets(study),
    "memory": with_sets(memory),
    "epoch": speed(
        "others.py",
        *("--frames", "500", "--sizes", "64,128,256"),
        *("--batches", "96", "--algorithms", "LSQML,EPIE,DM"),
    ),
    "large": speed("others.py", "--frames", "16384"),
}


def _jobs(made: Path) -> list[tuple[str, Path]]:
    of_study, layout = opened(made)
    return [(case.name, layout.dataset(case)) for case in of_study.cases()]


def _digest(folder: Path) -> str:
    path = folder / RECONSTRUCTION
    if not path.exists():
        return f"none in {folder}"
    with np.load(path) as found:
        parts = [found[name].tobytes() for name in ("object", "probe", "positions_px", "loss")]
    return hashlib.sha256(b"".join(parts)).hexdigest()


def _error(source: Path, folder: Path) -> str:
    if not (folder / RECONSTRUCTION).exists():
        return "failed"
    return f"{score(source, folder, ScoreSpec())['metrics']['complex_nrmse']:.4f}"


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--only", choices=PARTS, action="append")
    parser.add_argument("--minutes", type=float, default=5.0, help="of each part, at most")
    parser.add_argument("--quick", action="store_true", help="a few of each, to try the script")
    parser.add_argument("--here", choices=PARTS, help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    device = devices.resolve(options.device)
    if options.here:
        devices.prepare(device)
        PARTS[options.here](device, options.quick)
        return
    print(machine(device), flush=True)
    words = ["--device", device, *(["--quick"] if options.quick else [])]
    for part in options.only or PARTS:
        print(f"\n## {part}", flush=True)
        began = time.perf_counter()
        command = [sys.executable, __file__, "--here", part, *words]
        # Of a process group of its own: what a part started ends with it.
        running = subprocess.Popen(command, start_new_session=True)
        try:
            code = running.wait(60 * options.minutes)
            ended = "" if code == 0 else f"; **exit code {code}**"
        except subprocess.TimeoutExpired:
            ended = "; **cut off here**"
        finally:
            if running.poll() is None:
                os.killpg(running.pid, signal.SIGKILL)
                running.wait()
        print(f"\n({time.perf_counter() - began:.0f} s{ended})", flush=True)


if __name__ == "__main__":
    sys.exit(main())
