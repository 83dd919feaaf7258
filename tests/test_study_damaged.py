"""A study whose artifacts are damaged between runs, and whose processes are hit in each of them."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import subprocess
import threading
import time
from collections import Counter
from pathlib import Path

import pytest
from engine_project import assert_nothing_left, living_in, start
from small_study import ONE_DOSE, new_project, results

STUDY = ONE_DOSE.replace("num_epochs = 3", "num_epochs = 20")
LOGS = ("ptychi.log", "reconstruction_manifest.json", "skip_summary.json")
PAUSE_S = 20
PATIENCE_S = 90
JOBS = (["-j", "2"], ["-j", "2"], [])


def artifacts(folder: Path) -> list[Path]:
    """Return what tasks made and answer for: all but logs, the manifest and the state."""
    found = [*folder.glob("data/**/*"), *folder.glob("reports/**/*")]
    return sorted(
        path
        for path in found
        if path.is_file() and path.name not in LOGS and not path.name.startswith(".")
    )


def altered(path: Path) -> None:
    """Put bytes into the middle of a file."""
    content = path.read_bytes()
    middle = len(content) // 2
    path.write_bytes(content[:middle] + b"not ours" + content[middle:])


DAMAGE = {
    "deleted": Path.unlink,
    "emptied": lambda path: os.truncate(path, 0),
    "cut": lambda path: os.truncate(path, path.stat().st_size // 2),
    "altered": altered,
}


def damage(rng: random.Random, folder: Path, count: int) -> list[str]:
    """Damage some artifacts; return what was done."""
    told = []
    for path in rng.sample(artifacts(folder), count):
        how = rng.choice(list(DAMAGE))
        DAMAGE[how](path)
        told.append(f"{path.relative_to(folder)} {how}")
    return told


def hit(rng: random.Random, process: subprocess.Popen[str], folder: Path) -> str:
    """Hit a random process of a run; return what was done, nothing where it has ended.

    doit itself is stopped for a while only: for good, that is what Ctrl-Z asks for.
    """
    members = living_in(folder)
    if process.poll() is not None or not members:
        return ""
    pid = rng.choice(sorted(members))
    how = rng.choice(["killed", "paused", "stopped"])
    if pid == process.pid and how == "stopped":
        how = "paused"
    who = "doit" if pid == process.pid else _who(members[pid])
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL if how == "killed" else signal.SIGSTOP)
        if how == "paused":
            time.sleep(PAUSE_S)
            os.kill(pid, signal.SIGCONT)
    return f"{who} {how}"


def _who(title: str) -> str:
    for words, who in {
        "keeper --parent": "keeper of the interchange",
        "keeper --folder": "keeper of the pool",
        "HTEX interchange": "interchange",
        "process_worker_pool": "manager",
        "resource_tracker": "resource tracker",
        "spawn_main": "worker, or server of the manager",
    }.items():
        if words in title:
            return who
    return "other"


def ended(process: subprocess.Popen[str], folder: Path) -> tuple[str, float]:
    """Return what a run printed once it has ended, and its longest silence; no traceback."""
    assert process.stdout
    lines: list[str] = []
    reader = threading.Thread(target=lambda: lines.extend(process.stdout), daemon=True)
    reader.start()
    longest, said, last = 0.0, 0, time.monotonic()
    while reader.is_alive():
        reader.join(0.2)
        longest = max(longest, time.monotonic() - last)
        if len(lines) > said:
            said, last = len(lines), time.monotonic()
        if longest > PATIENCE_S:
            left = living_in(folder)
            process.kill()
            raise AssertionError(f"silent for {longest:.0f} s: {''.join(lines)}; {left}")
    process.wait()
    process.stdout.close()
    printed = "".join(lines)
    assert "Traceback" not in printed, printed
    return printed, longest


def prove(folder: Path, kills: int, seed: int = 1) -> None:
    """Damage, run, hit, and run again; the bytes are those of the undisturbed run each time."""
    new_project(folder, STUDY)
    process = start(folder)
    began = time.monotonic()
    printed, _ = process.communicate(timeout=300)
    assert process.returncode == 0, printed
    at_most_s = time.monotonic() - began
    expected = results(folder)
    rng = random.Random(seed)
    hits: Counter[str] = Counter()
    damages: Counter[str] = Counter()
    longest_s = 0.0
    while hits.total() < kills:
        told = damage(rng, folder, count=6)
        process = start(folder, "-c", *JOBS[hits.total() % len(JOBS)])
        time.sleep(rng.uniform(0.3, at_most_s / 3))
        what = hit(rng, process, folder)
        print(f"{', '.join(told)}; {what}", flush=True)
        printed, silent_s = ended(process, folder)
        longest_s = max(longest_s, silent_s)
        assert_nothing_left(folder)
        again = start(folder)
        said, _ = ended(again, folder)
        assert again.returncode == 0, (told, what, printed, said)
        found = results(folder)
        differ = [name for name in expected | found if expected.get(name) != found.get(name)]
        assert not differ, (differ, told, what, printed, said)
        hits.update([what] if what else [])
        damages.update(item.rpartition(" ")[2] for item in told)
        print(f"{hits.total()}: exit code {process.returncode}, silent for {silent_s:.0f} s")
    print(f"{dict(damages)} artifacts, {hits.total()} processes hit: ", end="")
    print(", ".join(f"{count} {what}" for what, count in hits.most_common()))
    print(f"longest silence after a hit: {longest_s:.0f} s")


@pytest.mark.slow
def test_study_survives_damage_and_sixty_more_kills(tmp_path: Path):
    prove(tmp_path / "project", kills=60)
