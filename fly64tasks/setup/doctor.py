"""`fly64tasks doctor`: what is installed, what is missing, and how fast it is."""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
from collections.abc import Sequence
from typing import Any

from fly64tasks.commandline import Parser, exit_code_of
from fly64tasks.doitext.errors import printable
from fly64tasks.engine.describe import machine_lines
from fly64tasks.engine.machine import Machine, count
from fly64tasks.errors import StudyError
from fly64tasks.setup.devices import device_lines, device_problems
from fly64tasks.setup.installed import US, Installed, version

PROG = "fly64tasks doctor"
SHOWN = {"doit": "doit", "numpy": "numpy", "torch": "torch", "ptychi": "pty-chi"}
"""The packages that have a line of their own, and what it calls them."""

_LIMIT_S = 300.0


def main(arguments: Sequence[str] | None = None, prog: str = PROG) -> int:
    """Run the command line, which help calls ``prog``; return its exit code."""
    options = make_parser(prog).parse_args(arguments)
    return exit_code_of(lambda: _examine(options.seconds, gpu=options.gpu))


def make_parser(prog: str = PROG) -> Parser:
    """Return the parser of the command line, which help calls ``prog``."""
    parser = Parser(
        prog=prog,
        description="Say what is installed, which device there is and how fast it is, and what is "
        "missing. The exit code is 0 when all that is needed is there, else 1.",
        epilog=f"examples:\n  {prog} --seconds 0\n  {prog} --gpu",
    )
    parser.add_argument(
        "--gpu",
        action="store_true",
        help="say what CUDA devices there are, and try them beside the CPU, for a minute or so, in "
        "place of the speed; without one the exit code is 1",
    )
    parser.add_argument(
        "--seconds",
        type=float,
        default=5.0,
        metavar="S",
        help="how long to run pty-chi for its speed; 0 for not at all (default: 5)",
    )
    return parser


def _examine(seconds: float, *, gpu: bool) -> int:
    """Print what there is; return 1 where something needed is missing."""
    if not 0 <= seconds <= _LIMIT_S / 3:
        raise StudyError(f"--seconds is {seconds:g}, expected 0 to {_LIMIT_S / 3:g}")
    installed, machine = Installed.here(), Machine.this()
    print("\n".join([*version_lines(installed), "", *machine_lines(machine)]), flush=True)
    problems = list(installed.problems)
    if gpu:
        measured = _said_by("fly64tasks.setup.gpu")
        if "broken" not in measured:
            print("\n".join(device_lines(measured)))
            problems += device_problems(measured)
    else:
        measured = _said_by("fly64tasks.setup.benchmark", str(seconds))
        print("\n".join(speed_lines(measured, machine)))
    broken = measured.get("broken")
    if broken and not (broken in SHOWN and broken not in installed.versions):  # else said already
        problems.append(f"{broken} does not work: {measured['reason']}")
    print()
    for problem in problems:
        print(f"PROBLEM      {printable(problem)}")
    if not problems:
        print("All that is needed is there.")
    return 1 if problems else 0


def version_lines(installed: Installed) -> list[str]:
    """Return the versions of what matters most, and what of the rest is there, a line each."""
    lines = [f"{'python':<13}{platform.python_version()}", f"{US:<13}{version(US)}"]
    lines += [
        f"{label:<13}{installed.versions.get(name, 'not installed')}"
        for name, label in SHOWN.items()
    ]
    others = [f"{name} {found}" for name, found in installed.versions.items() if name not in SHOWN]
    lines.append(f"{'others':<13}{len(others)} more packages are there")
    for extra, lacking in installed.extras.items():
        lack = f"lacks {', '.join(lacking)}: pip install '{US}[{extra}]'"
        lines.append(f"{'optional':<13}{extra}: {lack if lacking else 'complete'}")
    return lines


def speed_lines(measured: dict[str, Any], machine: Machine) -> list[str]:
    """Return what the benchmark found, and what it means, a line each."""
    threads = _environment()["OMP_NUM_THREADS"]
    lines = [f"{'threads':<13}{threads} for each reconstruction, as OMP_NUM_THREADS says or 1"]
    if "broken" in measured:
        return [*lines, f"{'speed':<13}not measured: {measured['broken']} does not work"]
    lines.append(f"{'device':<13}{measured['device']} ({measured['hardware']})")
    if machine.gpus and measured["device"] == "cpu":
        lines.append(
            f"{'':<13}torch does not use the {count(len(machine.gpus), 'GPU')} here: its build is "
            "without CUDA, or the driver is older than it wants"
        )
    if "frames_per_second" not in measured:
        return [*lines, f"{'speed':<13}not measured"]
    rate, frames = measured["frames_per_second"], measured["study_frames"]
    jobs, _ = machine.recommended_jobs()
    seconds = frames / rate
    return [
        *lines,
        f"{'speed':<13}{rate:,.0f} frames a second, each epoch counted "
        f"({measured['frames']} frames of 64 x 64 px)",
        f"{'':<13}the default study's reconstructions are {frames:,} of them: {_about(seconds)}",
        f"{'':<13}one after the other; `doit -j {jobs}` suits this machine",
    ]


def _about(seconds: float) -> str:
    """Return a duration in words.

    >>> _about(42.3), _about(85), _about(3000)
    ('about 42 s', 'about 1.4 min', 'about 50 min')
    """
    if seconds < 60:
        return f"about {seconds:.0f} s"
    return f"about {seconds / 60:.2g} min"


def _said_by(module: str, *arguments: str) -> dict[str, Any]:
    """Return what a module says in a process of its own, or ``broken`` and ``reason``."""
    name = module.rpartition(".")[2]
    what = "the GPU" if name == "gpu" else f"the {name}"
    try:
        done = subprocess.run(
            [sys.executable, "-m", module, *arguments],
            capture_output=True,
            text=True,
            errors="replace",
            env=_environment(),
            timeout=_LIMIT_S,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return {"broken": what, "reason": f"it did not end within {_LIMIT_S:g} s"}
    try:
        found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    except (ValueError, IndexError):
        last = (done.stderr.strip().splitlines() or ["it said nothing"])[-1]
        return {"broken": what, "reason": f"exit code {done.returncode}: {last}"}
    return found


def _environment() -> dict[str, str]:
    """Return the environment of a run: one thread unless it says otherwise, as `doit` does."""
    return {**os.environ, "OMP_NUM_THREADS": os.environ.get("OMP_NUM_THREADS") or "1"}
