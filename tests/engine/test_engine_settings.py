"""What the engine file says, what the machine has, and what `doit engine` makes of both."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from small_study import PROJECT

from fly64tasks.engine.machine import Machine, available_memory, usable_cores, visible_gpus
from fly64tasks.engine.providers import address_of
from fly64tasks.engine.spec import EngineSpec, read_engine
from fly64tasks.errors import EngineError, StudyError


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('partitoin = "gpu"', "unknown key 'partitoin'; did you mean 'partition'?"),
        ('provider = "lsf"', "provider is 'lsf', expected one of local, pbspro, slurm"),
        ('partition = "gpu"', "partition is for slurm, and provider is 'local'"),
        ('provider = "slurm"\nqueue = "debug"', "queue is for pbspro, and provider is 'slurm'"),
        ('provider = "slurm"\nwalltime = "1h"', "walltime is '1h'"),
        ("blocks = 2", "blocks and nodes_per_block are for batch systems"),
        (
            'provider = "slurm"\nnodes_per_block = 2\nlauncher = "single"',
            "launcher is 'single' with nodes_per_block 2, expected 'srun' or 'mpiexec'",
        ),
        ("workers_per_gpu = 0", "workers_per_gpu is 0"),
        ("retries = 11", "retries is 11, expected `int` <= 10"),
        ("retries = -1", "retries is -1, expected `int` >= 0"),
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


def test_address_is_that_of_an_interface_or_a_name():
    assert address_of(EngineSpec(provider="slurm", address="lo")) == "127.0.0.1"
    assert address_of(EngineSpec(provider="slurm", address="10.1.2.3")) == "10.1.2.3"
    assert address_of(EngineSpec()) == "127.0.0.1"


def test_address_that_no_node_could_reach_is_refused(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(socket, "gethostname", lambda: "localhost")
    with pytest.raises(EngineError, match=r"localhost is 127.* set address in the engine file"):
        address_of(EngineSpec(provider="slurm"))
