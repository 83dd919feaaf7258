"""Other ptychography packages on the study's sets, beside ours, scored alike.

    python benchmarks/peers.py [--phaser PYTHON] [--cdtools PYTHON] [--project FOLDER]
        [--doses 1e3 1e4 1e5] [--views baseline dense]

Each peer is optional and lives in an environment of its own, never in ours:

    python -m venv phaser && phaser/bin/pip install 'phaserEM[jax]==0.3.1'
    python -m venv cdtools && cdtools/bin/pip install cdtools-py==0.3.2

``--phaser phaser/bin/python --cdtools cdtools/bin/python`` then runs their scripts in
``benchmarks/peers/``, which say how each is used and in which pixel frame. The train sets are those
that ``doit simulate views`` made in the project folder, whose study file says our own settings.

Every peer starts from the set's own probe and an object of ones, and the setting of `PEERS` is
tuned set by set with the truth in view: the lowest error of them stands in the table, with its own
CPU seconds alone. That favours them. Ours has one setting for all sets. Errors are complex NRMSE
where the set's own probe lights it, once scale, phase ramp and sub-pixel shift are removed; that
of an object of ones stands beside. CPU seconds are of one thread, imports left out; ours are the
whole of the `recon` action, files read and written, and are taken in the same call. Prints
Markdown.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from common import PROJECT, error_of, machine

from fly64tasks.data.dataset import PtychoDataset
from fly64tasks.data.readers.npz import read_dataset
from fly64tasks.recon import command
from fly64tasks.recon.files import RECONSTRUCTION
from fly64tasks.study.paths import Layout
from fly64tasks.study.recon_settings import ReconSpec
from fly64tasks.study.study import read_study

ONE_THREAD = {
    "OMP_NUM_THREADS": "1",
    "JAX_PLATFORMS": "cpu",
    "XLA_FLAGS": "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1",
    "MPLBACKEND": "Agg",
}


@dataclass(frozen=True)
class Peer:
    """A package, and the one setting of its script that is tuned per set."""

    name: str
    setting: str
    values: tuple[str, ...]
    description: str

    @property
    def script(self) -> Path:
        return PROJECT / "benchmarks" / "peers" / f"{self.name}_run.py"


PEERS = (
    Peer(
        "phaser",
        "weight",
        ("1", "2", "4", "8"),
        "gradient engine, Poisson noise model, total variation of the object, Adam",
    ),
    Peer(
        "cdtools",
        "loss",
        ("amplitude mse", "poisson nll"),
        "FancyPtycho, Adam, no regulariser (it has none of the object)",
    ),
)


@dataclass(frozen=True)
class Outcome:
    """What a package made of a set."""

    error: float
    cpu_seconds: float
    version: str
    value: str


def tuned(peer: Peer, python: Path, npz: Path, dataset: PtychoDataset) -> Outcome:
    """Return the best of a peer's outcomes over the values of its setting."""
    outcomes = []
    for value in peer.values:
        with tempfile.TemporaryDirectory() as folder:
            out = Path(folder, "out.npz")
            call = [python, "-I", peer.script, npz, out, f"--{peer.setting}", value]
            environment = {**os.environ, **ONE_THREAD}
            subprocess.run(call, check=True, stdout=sys.stderr, env=environment)
            with np.load(out) as file:
                outcomes.append(
                    Outcome(
                        error_of(dataset, file["object"]),
                        float(file["cpu_seconds"]),
                        str(file["version"]),
                        value,
                    )
                )
        print(npz, peer.name, outcomes[-1], file=sys.stderr, flush=True)
    return min(outcomes, key=lambda outcome: outcome.error)


def ours(npz: Path, dataset: PtychoDataset, spec: ReconSpec) -> tuple[float, float]:
    """Return the error and CPU seconds of our reconstruction."""
    with tempfile.TemporaryDirectory() as folder:
        began = time.process_time()
        command.run(npz, Path(folder), spec, device="cpu")
        seconds = time.process_time() - began
        with np.load(Path(folder, RECONSTRUCTION)) as file:
            return error_of(dataset, file["object"]), seconds


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    for peer in PEERS:
        parser.add_argument(
            f"--{peer.name}", type=Path, metavar="PYTHON", help=f"that can import {peer.name}"
        )
    parser.add_argument("--project", type=Path, default=PROJECT, help="with study.toml and data/")
    parser.add_argument("--doses", type=float, nargs="+", help="of the study's, all by default")
    parser.add_argument("--views", nargs="+", default=["baseline", "dense"])
    options = parser.parse_args()
    pythons = {peer: getattr(options, peer.name) for peer in PEERS}
    peers = [peer for peer in PEERS if pythons[peer]]
    study = read_study(options.project / "study.toml")
    layout = Layout.of(study, study_folder=options.project, project=options.project)
    cases = [
        case
        for view in options.views
        for case in study.cases()
        if (case.view, case.split) == (view, "train")
        and (not options.doses or case.dose in options.doses)
    ]
    torch.set_num_threads(1)

    print(f"{machine()}\n")
    heads = [f"{peer.name}: error | {peer.setting} | CPU s" for peer in peers]
    print("| " + " | ".join(["job", "object of ones", "ours: error", "CPU s", *heads]) + " |")
    print("|---|---:|---:|---:|" + "---:|---|---:|" * len(peers), flush=True)
    versions = {}
    for case in cases:
        npz = layout.dataset(case)
        dataset = read_dataset(npz)
        ones = error_of(dataset, np.ones_like(dataset.object_guess))
        error, seconds = ours(npz, dataset, study.recon)
        cells = [case.name, f"{ones:.3f}", f"{error:.3f}", f"{seconds:.1f}"]
        for peer in peers:
            best = tuned(peer, pythons[peer], npz, dataset)
            versions[peer] = best.version
            cells += [f"{best.error:.3f}", best.value, f"{best.cpu_seconds:.1f}"]
        print("| " + " | ".join(cells) + " |", flush=True)
    for peer in peers:
        print(f"\n{peer.name} {versions[peer]}: {peer.description}.", end=" ")
        print(f"Tuned per set, {peer.setting} of {', '.join(peer.values)}.")


if __name__ == "__main__":
    main()
