"""Jobs on worker processes: what comes back, what they see, and what is left."""

from __future__ import annotations

import ast
import os
import pickle
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
from engine_project import assert_nothing_left
from small_study import PROJECT

from fly64tasks import engine
from fly64tasks.doitext import parallel
from fly64tasks.engine.machine import Machine, available_memory, usable_cores, visible_gpus
from fly64tasks.engine.spec import EngineSpec, read_engine
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


def lose(name):
    begin(name)
    os._exit(9)


def tell(name, on_event):
    begin(name)
    logging.getLogger("fly64tasks.simulate").warning("the probe wraps around")
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


def test_progress_and_warnings_of_a_worker_reach_doit(outcome: Outcome):
    assert re.search(r"tell +[\d.]+ s  loss 0.125$", outcome.printed, re.MULTILINE)
    assert "the probe wraps around" in outcome.printed


def test_workers_share_the_devices_that_they_were_given(outcome: Outcome):
    seen = {tuple(outcome.begun[name][0][:3]) for name in "ab"}
    assert seen == {("2", "3", "0"), ("GPU-5", "3", "1")}


def test_virtual_environment_need_not_be_activated(outcome: Outcome):
    assert {seen[0][3] for seen in outcome.begun.values()} == {"/usr/bin:/bin"}


def test_nothing_is_left_of_a_run(outcome: Outcome):
    assert_nothing_left(outcome.folder)
    files = {path.name for path in outcome.folder.iterdir()} - {"__pycache__"}
    assert files == {"dodo.py", "jobs.py", "engine.toml", "log.txt", "a.here", "b.here", "state"}
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
        ReconstructionError("diverged", [3.0, 2.0]),
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


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('partitoin = "gpu"', "unknown key 'partitoin'; did you mean 'partition'?"),
        ('provider = "lsf"', "provider: Invalid enum value 'lsf'"),
        ('partition = "gpu"', "partition is for slurm, and provider is 'local'"),
        ('provider = "slurm"\nqueue = "debug"', "queue is for pbspro, and provider is 'slurm'"),
        ('provider = "slurm"\nwalltime = "1h"', "walltime is '1h'"),
        ("blocks = 2", "blocks and nodes_per_block are for batch systems"),
        (
            'provider = "slurm"\nnodes_per_block = 2\nlauncher = "single"',
            "launcher is 'single' with nodes_per_block 2, expected 'srun' or 'mpiexec'",
        ),
        ("workers_per_gpu = 0", "workers_per_gpu is 0"),
    ],
)
def test_engine_file_is_closed_and_checked(tmp_path: Path, text: str, message: str):
    path = tmp_path / "engine.toml"
    path.write_text(text)
    with pytest.raises(StudyError, match=re.escape(message)):
        read_engine(path)


def test_engine_file_of_the_project_is_the_default(tmp_path: Path):
    assert read_engine(None, tmp_path) == EngineSpec()
    (tmp_path / "engine.toml").write_text("workers_per_gpu = 3")
    assert read_engine(None, tmp_path) == EngineSpec(workers_per_gpu=3)
    with pytest.raises(StudyError, match=r"no such file or directory; expected an engine file"):
        read_engine(tmp_path / "absent.toml")


def test_cores_are_those_that_this_process_may_use():
    mine = os.sched_getaffinity(0)
    try:
        os.sched_setaffinity(0, {min(mine)})
        assert usable_cores() == 1
    finally:
        os.sched_setaffinity(0, mine)
    assert 1 <= usable_cores() <= len(mine)
    assert 2**20 < available_memory() < 2**50


@pytest.mark.parametrize(
    ("given", "gpus"),
    [("", ()), ("-1", ()), ("NoDevFiles", ()), ("1, 3", ("1", "3")), ("0,-1,2", ("0",))],
)
def test_devices_are_those_that_cuda_would_see(
    monkeypatch: pytest.MonkeyPatch, given: str, gpus: tuple[str, ...]
):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", given)
    assert visible_gpus() == gpus


def test_devices_are_listed_by_nvidia_smi_where_nothing_says_otherwise(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
):
    program = tmp_path / "nvidia-smi"
    program.write_text("#!/bin/sh\necho 'GPU 0: H100 (UUID: GPU-1-a)'\necho 'GPU 1: (UUID: GPU-b)'")
    program.chmod(0o755)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    assert visible_gpus() == ("GPU-1-a", "GPU-b")


@pytest.mark.parametrize(
    ("machine", "settings", "jobs"),
    [
        (Machine(2, 23 * 2**30, ()), (1, 1), 2),
        (Machine(8, 64 * 2**30, ()), (4, 1), 2),
        (Machine(8, 4 * 2**30, ()), (1, 1), 2),
        (Machine(1, 2**30, ()), (1, 1), 1),
        (Machine(64, 256 * 2**30, ("0", "1")), (1, 4), 8),
    ],
)
def test_as_many_jobs_are_recommended_as_fit(
    machine: Machine, settings: tuple[int, int], jobs: int
):
    assert machine.recommended_jobs(*settings)[0] == jobs


def test_doit_engine_says_where_tasks_would_run(project: Path):
    command = [sys.executable, "-m", "doit", "engine"]
    said = subprocess.run(command, cwd=project, capture_output=True, text=True, check=True).stdout
    assert f"{usable_cores()} usable" in said
    assert re.search(r"^recommended  -j \d+ \(", said, re.MULTILINE)
    (project / "s.toml").write_text('provider = "slurm"\nblocks = 3\ngpus_per_node = 4\n')
    more = [*command, "--engine", "s.toml"]
    said = subprocess.run(more, cwd=project, capture_output=True, text=True, check=True).stdout
    assert "slurm: at most 3 jobs of 1 node at a time, 4 GPUs each" in said
    assert "recommended  -j 12" in said


def test_examples_of_the_manual_are_engine_files(tmp_path: Path):
    text = (PROJECT / "docs" / "engine.md").read_text("utf-8")
    examples = re.findall(r"```toml\n(.*?)```", text, flags=re.DOTALL)
    specs = []
    for example in examples:
        (tmp_path / "engine.toml").write_text(example)
        specs.append(read_engine(None, tmp_path))
    assert [spec.provider for spec in specs] == ["local", "slurm", "pbspro"]
    assert [spec.workers for spec in specs[1:]] == [16, 48]


def test_manual_names_every_key():
    text = (PROJECT / "docs" / "engine.md").read_text("utf-8")
    assert not [key for key in EngineSpec().to_dict() if f"`{key}`" not in text]
