"""The commands that Parsl starts: its own programs, by ``python -m`` and under `keeper`.

By name, from PATH, as Parsl has them, they are found in an activated virtual environment only.
"""

from __future__ import annotations

import os
import shlex
import sys
from pathlib import Path

from parsl.executors.high_throughput.executor import DEFAULT_LAUNCH_CMD

from fly64tasks.engine.spec import EngineSpec

_PARSL = "parsl.executors.high_throughput"


def interchange() -> list[str]:
    """Return the command of the interchange, which ends with this process."""
    return [*_kept("--parent", str(os.getpid())), *_module(f"{_PARSL}.interchange")]


def pool(spec: EngineSpec, certificates: str, logs: Path) -> str:
    """Return the shell command of a pool of workers, as Parsl takes it."""
    environment = {
        "OMP_NUM_THREADS": str(spec.threads_per_worker),
        # Freed arrays are kept for the next: the kernel need not clear the pages anew.
        "MALLOC_TRIM_THRESHOLD_": "4294967295",
        "MALLOC_MMAP_THRESHOLD_": "4294967295",
    }
    settings = [f"--env={name}={value}" for name, value in environment.items()]
    if spec.provider == "local":
        settings.append(f"--parent={os.getpid()}")
    program = [
        *_kept(f"--folder={Path.cwd()}", *settings),
        *_module(f"{_PARSL}.process_worker_pool"),
    ]
    options = DEFAULT_LAUNCH_CMD.partition(" ")[2]
    for name, path in {"cert_dir": certificates, "logdir": str(logs)}.items():
        options = options.replace(f"{{{name}}}", _verbatim(path))
    return f"{' '.join(map(_verbatim, program))} {options}"


def _kept(*options: str) -> list[str]:
    return [*_module("fly64tasks.engine.keeper"), *options, "--"]


def _module(name: str) -> list[str]:
    return [sys.executable, "-m", name]


def _verbatim(word: str) -> str:
    """Quote a word for the shell, and for Parsl, which formats the command twice."""
    return shlex.quote(word).replace("{", "{{{{").replace("}", "}}}}")
