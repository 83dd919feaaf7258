"""What a process takes before its first epoch: pty-chi as shipped, and as we import it.

    python benchmarks/start.py [--times 5]

Fresh processes one after the other, in turn: numpy and torch alone, with them pty-chi as shipped,
and what `fly64tasks recon` imports; each alone, and with the task of an algorithm built, which has
torch make its optimizers. CPU seconds are the least of all, memory the most that a process had.
Linux. Some two minutes. Prints Markdown.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from common import cases_of, doit, machine, opened, project

TORCH = "import numpy, torch\n"
SHIPPED = f"{TORCH}import ptychi.api.task\n"
OURS = "import fly64tasks.recon.stages\n"
BUILT = """
import sys
from fly64tasks.recon.stages import new_task, ptychi_options
from fly64tasks.recon.start import read_start
from fly64tasks.study.recon_settings import ReconSpec
from pathlib import Path
spec = ReconSpec(algorithm=sys.argv[2], warmup_epochs=0).resolved()
start = read_start(Path(sys.argv[1]), spec)
parts = (start.layers, start.scale.to_ptychi(start.probe), None, start.relaxation)
new_task(ptychi_options(start, spec, "cpu"), start, *parts)
"""
TAKEN = """
import os
with open("/proc/self/status") as status:
    peak = [int(line.split()[1]) / 1e6 for line in status if line.startswith("VmHWM")]
print(sum(os.times()[:2]), *peak)
"""


def taken(code: str, *arguments: object) -> tuple[float, float]:
    """Return the CPU seconds and the GB of a fresh process."""
    command = [sys.executable, "-c", code + TAKEN, *map(str, arguments)]
    ended = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    cpu, memory = ended.stdout.split()
    return float(cpu), float(memory)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--times", type=int, default=5)
    times = parser.parse_args().times
    print(f"{machine()}; load {os.getloadavg()[0]:.1f}\n", flush=True)
    with tempfile.TemporaryDirectory() as name:
        folder = project(Path(name, "study"))
        doit(folder, "simulate:dose_1000")
        study, layout = opened(folder)
        dataset = layout.dataset(cases_of(study, "dose_1000_baseline_train")[0])
        rows: dict[str, tuple[object, ...]] = {
            "numpy, torch": (TORCH,),
            "and pty-chi as shipped": (f"{SHIPPED}\n",),
            "ours": (f"{OURS}\n",),
            "as shipped, LSQML's task built": (f"{SHIPPED}\n{BUILT}", dataset, "LSQML"),
            "ours, LSQML's task built": (BUILT, dataset, "LSQML"),
            "ours, MAP's task built": (BUILT, dataset, "MAP"),
        }
        runs = [{said: taken(*map(str, of)) for said, of in rows.items()} for _ in range(times)]
    print("| | CPU s | memory, GB |\n|---|---:|---:|")
    for said in rows:
        cpu, memory = zip(*(run[said] for run in runs), strict=True)
        print(f"| {said} | {min(cpu):.2f} | {max(memory):.2f} |")


if __name__ == "__main__":
    main()
