"""doit killed at random moments: nothing finished is repeated, nothing half-made is kept."""

from __future__ import annotations

import random
import signal
import subprocess
import time
from pathlib import Path

import pytest
from doit.dependency import JSONCodec
from doitext_project import DOIT, session_members

from fly64tasks.doitext.state.journal import Journal
from fly64tasks.doitext.state.record import ATTEMPT

DODO = '''
import os
import time
from pathlib import Path

from fly64tasks.doitext.atomic import replaced
from fly64tasks.doitext.processes import tethered
from fly64tasks.doitext.spec import SpecUnchanged

DOIT_CONFIG = {"backend": "journal", "dep_file": "state/doit.db", "manifest_dir": "reports",
               "verbosity": 0}


def say(name):
    with open("log.txt", "a") as log:
        log.write(f"{name}\\n")


def whole(task, dependencies, targets):
    """Write through a temporary file, slowly."""
    say(task.name)
    text = "".join(Path(path).read_text() for path in sorted(dependencies))
    for target in targets:
        with replaced(target) as temporary, temporary.open("w") as file:
            for part in range(4):
                file.write(f"{part} {text}")
                file.flush()
                time.sleep(0.01)


def in_place(task, targets):
    """Write straight into the target, slowly: the worst way."""
    say(task.name)
    with open(targets[0], "w") as file:
        for part in range(4):
            file.write(f"{part}\\n")
            file.flush()
            time.sleep(0.01)


def task_make():
    for number in range(3):
        yield {"name": str(number), "actions": [whole], "file_dep": ["source"],
               "targets": [f"out/make{number}"], "uptodate": [SpecUnchanged({"a": number})]}


def task_in_place():
    for number in range(2):
        yield {"name": str(number), "actions": [in_place], "targets": [f"place{number}"],
               "uptodate": [True]}


def task_work():
    for number in range(3):
        made, target = f"out/make{number}", f"out/work{number}"
        shell = f"echo work:{number} >> log.txt; sleep 0.05; cat {made} > tmp{number};" \\
                f"mv tmp{number} {target}"
        yield {"name": str(number), "actions": [tethered(["sh", "-c", shell])],
               "file_dep": [made], "targets": [target]}


def task_all():
    return {"actions": [whole], "file_dep": [f"out/work{number}" for number in range(3)]
            + [f"place{number}" for number in range(2)], "targets": ["out/all"]}
'''
LONGEST_S = 0.65


def doit(folder: Path, *args: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [*DOIT, *args],
        cwd=folder,
        start_new_session=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def new_project(folder: Path) -> Path:
    folder.mkdir()
    (folder / "dodo.py").write_text(DODO)
    (folder / "source").write_text("source\n")
    return folder


def begun(folder: Path) -> list[str]:
    log = folder / "log.txt"
    return log.read_text().split() if log.exists() else []


def outputs(folder: Path) -> dict[str, bytes]:
    paths = [*folder.glob("out/*"), *folder.glob("out/.*"), *folder.glob("place*")]
    return {str(path.relative_to(folder)): path.read_bytes() for path in paths}


def attempts(folder: Path) -> dict[str, str]:
    """The recorded end of each task that was begun."""
    state = Journal(str(folder / "state/doit.db"), JSONCodec())
    rows = {name: state.row(name) for name in begun(folder)}
    return {name: row[ATTEMPT]["status"] for name, row in rows.items() if ATTEMPT in row}


def assert_no_orphans(session: int) -> None:
    deadline = time.monotonic() + 5
    while session_members(session):
        assert time.monotonic() < deadline, f"orphans: {session_members(session)}"
        time.sleep(0.05)


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    folder = new_project(tmp_path_factory.mktemp("undisturbed") / "project")
    process = doit(folder)
    said, _ = process.communicate(timeout=60)
    assert process.returncode == 0, said
    return outputs(folder)


def kill_once(
    folder: Path,
    signum: signal.Signals,
    delay_s: float,
    jobs: list[str],
    expected: dict[str, bytes],
) -> None:
    new_project(folder)
    process = doit(folder, *jobs)
    time.sleep(delay_s)
    process.send_signal(signum)
    said, _ = process.communicate(timeout=30)
    assert_no_orphans(process.pid)
    before = begun(folder)
    over = process.returncode == 0 or "9 done in" in said  # the signal came too late
    if before and not over and signum != signal.SIGKILL:
        assert process.returncode == 128 + signum, said
        assert "Traceback" not in said
    for name, content in outputs(folder).items():
        if not name.startswith(("place", "out/.")):
            assert content == expected[name], f"{name} is partial"
    ended = attempts(folder)
    finished = {name for name, status in ended.items() if status == "done"}
    cut_off = {name for name, status in ended.items() if status == "running"}
    assert set(before) <= finished | cut_off, "a task was begun without a mark"

    again = doit(folder, *jobs)
    said, _ = again.communicate(timeout=60)
    assert again.returncode == 0, said
    repeated = begun(folder)[len(before) :]
    assert not finished & set(repeated), "a finished task was run again"
    assert cut_off <= set(repeated), "a cut-off task was not run again"
    assert outputs(folder) == expected, "the outputs differ, or temporary files are left"

    last = doit(folder)
    said, _ = last.communicate(timeout=60)
    assert last.returncode == 0 and begun(folder)[len(before) + len(repeated) :] == [], said


def moments(count: int, seed: int) -> list[tuple[str, float, str]]:
    chance = random.Random(seed)
    names = ["SIGKILL", "SIGTERM", "SIGINT"]
    return [
        (names[i % 3], round(chance.uniform(0.1, LONGEST_S), 3), ["", "-j2"][i // 3 % 2])
        for i in range(count)
    ]


@pytest.mark.parametrize(("name", "delay_s", "jobs"), moments(12, 1))
def test_a_killed_doit_is_finished_by_the_next(
    tmp_path: Path, undisturbed: dict[str, bytes], name: str, delay_s: float, jobs: str
) -> None:
    arguments = [jobs] if jobs else []
    kill_once(tmp_path / "project", signal.Signals[name], delay_s, arguments, undisturbed)


@pytest.mark.slow
@pytest.mark.parametrize(("name", "delay_s", "jobs"), moments(120, 2))
def test_doit_killed_at_many_moments(
    tmp_path: Path, undisturbed: dict[str, bytes], name: str, delay_s: float, jobs: str
) -> None:
    arguments = [jobs] if jobs else []
    kill_once(tmp_path / "project", signal.Signals[name], delay_s, arguments, undisturbed)


def test_sigterm_ends_a_child_that_ignores_it(tmp_path: Path) -> None:
    (tmp_path / "dodo.py").write_text(
        "DOIT_CONFIG = {'backend': 'journal', 'dep_file': 'state/doit.db'}\n"
        "def task_deaf():\n"
        "    return {'actions': [['sh', '-c', 'trap \"\" TERM; touch up; while :; do sleep 1; "
        "done']]}\n"
    )
    process = doit(tmp_path)
    while not (tmp_path / "up").exists():
        time.sleep(0.02)
    process.terminate()
    said, _ = process.communicate(timeout=30)
    assert process.returncode == 143, said
    assert_no_orphans(process.pid)


def test_a_second_doit_is_refused_by_name_or_waits(tmp_path: Path) -> None:
    folder = new_project(tmp_path / "project")
    first = doit(folder)
    while not begun(folder):
        time.sleep(0.01)
    second = doit(folder)
    waiting = doit(folder, "--wait")
    refused, _ = second.communicate(timeout=30)
    assert second.returncode == 3
    assert f"state/doit.db: in use by pid {first.pid} on " in refused
    assert "--wait" in refused
    assert first.communicate(timeout=60) and first.returncode == 0
    said, _ = waiting.communicate(timeout=60)
    assert waiting.returncode == 0
    assert "waiting" in said and "9 up to date" in said
    assert len(begun(folder)) == len(set(begun(folder))) == 9


def test_a_dry_run_beside_a_running_doit_names_it(tmp_path: Path) -> None:
    folder = new_project(tmp_path / "project")
    first = doit(folder)
    while not begun(folder):
        time.sleep(0.01)
    planned = doit(folder, "-n")
    said, _ = planned.communicate(timeout=30)
    first.communicate(timeout=60)
    assert planned.returncode == 0
    assert first.returncode == 0
    assert f"running now: pid {first.pid}" in said
