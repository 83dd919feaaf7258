"""Jobs on worker processes: what comes back, what they see, and what is left."""

from __future__ import annotations

import ast
import os
import pickle
import re
import subprocess
import sys
import threading
import time
from dataclasses import dataclass
from pathlib import Path

import pytest
from engine_project import assert_nothing_left

from fly64tasks import engine
from fly64tasks.doitext import parallel
from fly64tasks.engine.events import Follower, telling
from fly64tasks.engine.pool import see
from fly64tasks.errors import DatasetError, Fly64Error, ReconstructionError, StudyError

JOBS = """
import logging
import os
from pathlib import Path

from fly64tasks.errors import DatasetError

NAMES = ("CUDA_VISIBLE_DEVICES", "OMP_NUM_THREADS", "PARSL_WORKER_RANK", "PATH")


def begin(name):
    with open("log.txt", "a") as log:
        log.write(f"{name} {os.getpid()} {[os.environ.get(key) for key in NAMES]}\\n")


def look(name, barrier):
    begin(name)
    Path(f"{name}.here").touch()
    while not all(Path(f"{other}.here").exists() for other in barrier):
        pass  # two at once, so on two workers


def break_contract(name):
    begin(name)
    raise DatasetError("frames.npz: no key probeGuess")


def fail(name):
    begin(name)
    raise ValueError("a bug")


def count_events(name):
    begin(name)
    Path("events.txt").write_text(str(len(list(Path("state").glob(".engine/*/events/*")))))


def lose(name):
    begin(name)
    os._exit(9)


def tell(name, on_event):
    begin(name)
    logging.getLogger("fly64tasks.simulation.simulate").warning("the probe wraps around")
    on_event(7, 10, 0.125)
"""

DODO = """
import jobs
from fly64tasks import engine
from fly64tasks.doitext import progress

DOIT_CONFIG = {"backend": "journal", "dep_file": "state/doit.db", "verbosity": 2}


def tell():
    def on_event(epoch, num_epochs, loss):
        progress.report("tell", epoch, num_epochs, loss=loss)

    engine.run(jobs.tell, "tell", on_event=on_event)


def task_look():
    for name in "ab":
        yield {"name": name, "actions": [(engine.run, [jobs.look, name, "ab"])]}


def task_all():
    for fn in (jobs.break_contract, jobs.fail, jobs.lose):
        yield {"basename": fn.__name__, "actions": [(engine.run, [fn, fn.__name__])]}
    yield {"basename": "tell", "actions": [tell]}
    action = (engine.run, [jobs.count_events, "count_events"])
    yield {"basename": "count_events", "actions": [action], "setup": ["tell", "look"]}
"""


@dataclass
class Outcome:
    """What a run printed and what its jobs saw."""

    folder: Path
    code: int
    printed: str
    begun: dict[str, list[list[str | None]]]


@pytest.fixture(scope="module")
def outcome(tmp_path_factory: pytest.TempPathFactory) -> Outcome:
    """One run of every kind of job, from a virtual environment that is not activated."""
    folder = tmp_path_factory.mktemp("engine") / 'a {b} "c" $d'
    folder.mkdir()
    (folder / "dodo.py").write_text(DODO)
    (folder / "jobs.py").write_text(JOBS)
    (folder / "engine.toml").write_text("threads_per_worker = 3\n")
    done = subprocess.run(
        [sys.executable, "-m", "doit", "-j", "2", "--continue"],
        cwd=folder,
        env={**os.environ, "PATH": "/usr/bin:/bin", "CUDA_VISIBLE_DEVICES": "2,GPU-5"},
        capture_output=True,
        text=True,
        check=False,
    )
    begun: dict[str, list[list[str | None]]] = {}
    for line in (folder / "log.txt").read_text().splitlines():
        name, _, seen = line.split(" ", 2)
        begun.setdefault(name, []).append(ast.literal_eval(seen))
    return Outcome(folder, done.returncode, done.stdout + done.stderr, begun)


def test_error_of_a_task_comes_back_as_itself_and_is_not_tried_again(outcome: Outcome):
    assert re.search(
        r"break_contract +[\d.]+ s  FAILED  frames.npz: no key probeGuess$",
        outcome.printed,
        re.MULTILINE,
    )
    assert len(outcome.begun["break_contract"]) == 1


def test_bug_of_a_task_shows_where_it_is_and_is_not_tried_again(outcome: Outcome):
    assert outcome.code == 2
    assert re.search(r"fail +[\d.]+ s  FAILED  ValueError: a bug$", outcome.printed, re.MULTILINE)
    assert 'jobs.py", line' in outcome.printed
    assert len(outcome.begun["fail"]) == 1


def test_task_that_kills_its_worker_is_tried_twice_and_named(outcome: Outcome):
    assert "FAILED  worker lost 2 times: " in outcome.printed
    assert len(outcome.begun["lose"]) == 2


@pytest.mark.parametrize(("retries", "said"), [(0, "lost 1 time: "), (2, "lost 3 times: ")])
def test_engine_file_says_how_often_a_lost_worker_is_retried(
    tmp_path: Path, retries: int, said: str
):
    (tmp_path / "dodo.py").write_text(DODO)
    (tmp_path / "jobs.py").write_text(JOBS)
    (tmp_path / "engine.toml").write_text(f"retries = {retries}\n")
    done = subprocess.run(
        [sys.executable, "-m", "doit", "-j", "1", "lose"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1, done.stdout + done.stderr
    assert f"FAILED  worker {said}" in done.stdout
    assert (tmp_path / "log.txt").read_text().count("lose ") == retries + 1


def test_progress_and_warnings_of_a_worker_reach_doit(outcome: Outcome):
    assert re.search(r"tell +[\d.]+ s  loss 0.125$", outcome.printed, re.MULTILINE)
    assert "warning: the probe wraps around\n" in outcome.printed  # as without workers


def test_workers_share_the_devices_that_they_were_given(outcome: Outcome):
    seen = {tuple(outcome.begun[name][0][:3]) for name in "ab"}
    assert seen == {("2", "3", "0"), ("GPU-5", "3", "1")}


def test_virtual_environment_need_not_be_activated(outcome: Outcome):
    assert {seen[0][3] for seen in outcome.begun.values()} == {"/usr/bin:/bin"}


def test_events_of_a_job_are_removed_when_it_ends(outcome: Outcome):
    others_at_once = 1
    assert int((outcome.folder / "events.txt").read_text()) <= 1 + others_at_once


def test_nothing_is_left_of_a_run(outcome: Outcome):
    assert_nothing_left(outcome.folder)
    files = {path.name for path in outcome.folder.iterdir()} - {"__pycache__"}
    assert files == {
        *("dodo.py", "jobs.py", "engine.toml", "state"),
        *("log.txt", "events.txt", "a.here", "b.here"),
    }
    assert {path.name for path in (outcome.folder / "state").iterdir()} <= {
        "doit.db",
        "doit.db.lock",
    }


def test_nothing_to_do_starts_no_worker_and_imports_no_parsl(project: Path):
    (project / "dodo.py").write_text(
        "DOIT_CONFIG = {'backend': 'journal', 'dep_file': 'state/doit.db'}\n"
        "def task_nothing():\n"
        "    return {'actions': ['true'], 'uptodate': [True]}\n"
    )
    command = [sys.executable, "-X", "importtime", "-m", "doit", "-j", "2"]
    for _ in range(2):
        done = subprocess.run(command, cwd=project, capture_output=True, text=True, check=True)
    assert "1 up to date" in done.stdout
    assert "fly64tasks.engine" in done.stderr
    assert "parsl" not in done.stderr


def test_without_a_parallel_run_a_job_is_a_call():
    heard: list[int] = []
    assert engine.run(divmod, 7, 2) == (3, 1)
    engine.run(lambda on_event: on_event(3), on_event=heard.append)
    assert heard == [3]


@pytest.mark.parametrize(
    "error",
    [
        DatasetError("a.npz: broken"),
        StudyError("unknown key"),
        ReconstructionError("diverged"),
    ],
)
def test_errors_survive_the_way_between_processes(error: Fly64Error):
    again = pickle.loads(pickle.dumps(error))
    assert type(again) is type(error)
    assert (str(again), vars(again)) == (str(error), vars(error))


def test_what_a_run_shares_is_made_once_and_left_at_its_end():
    told: list[str] = []

    class Pool:
        def __init__(self, run: parallel.Run) -> None:
            told.append(f"made for {run.jobs}")

        def __enter__(self) -> str:
            return "pool"

        def __exit__(self, *_: object) -> None:
            told.append("left")

    with parallel.running(4, {}):
        run = parallel.current()
        assert run is not None
        assert [run.shared(Pool), run.shared(Pool)] == ["pool", "pool"]
        assert told == ["made for 4"]
    assert told == ["made for 4", "left"]
    assert parallel.current() is None


def test_events_are_passed_on_once_and_whole(tmp_path: Path):
    path = tmp_path / "events.jsonl"
    heard: list[tuple[object, ...]] = []
    follower = Follower(path, lambda *said: heard.append(said))
    follower.read()
    with telling(str(path)) as tell:
        tell(1, 10, 0.5)
        follower.read()
        with path.open("a") as file:
            file.write('{"event": [2, ')
        follower.read()
        assert heard == [(1, 10, 0.5)]
        with path.open("a") as file:
            file.write("10, 0.25]}\n")
        follower.read()
    assert heard == [(1, 10, 0.5), (2, 10, 0.25)]


def test_files_of_another_node_are_waited_for(tmp_path: Path):
    late, never = tmp_path / "out" / "late.txt", tmp_path / "never.txt"

    def write() -> None:
        late.parent.mkdir()
        late.touch()

    timer = threading.Timer(0.3, write)
    timer.start()
    see([str(late)], within_s=20)
    assert late.exists()
    began = time.monotonic()
    see([str(never)], within_s=0.2)
    assert time.monotonic() - began < 10
    timer.join()
