"""What `fly64tasks doctor` says, here and where things are missing."""

from __future__ import annotations

import copy
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from fly64tasks.engine.machine import Machine
from fly64tasks.setup import doctor
from fly64tasks.setup.devices import device_lines, device_problems
from fly64tasks.setup.installed import Installed, held_against


def run_doctor(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run the doctor in a process of its own; folders in PATHS are looked in first."""
    path = os.pathsep.join(filter(None, [environment.pop("PATHS", ""), *sys.path]))
    return subprocess.run(
        [sys.executable, "-m", "fly64tasks", "doctor", *arguments],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": path, **environment},
        check=False,
    )


def lines_of(printed: str) -> dict[str, str]:
    """Return what was printed, by the word that begins a line."""
    return dict(re.findall(r"^(\S[\w-]*) +(.*)$", printed, flags=re.MULTILINE))


def test_doctor_names_versions_machine_device_and_speed():
    done = run_doctor("--seconds", "0.5", OMP_NUM_THREADS="1")
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stderr == ""
    said = lines_of(done.stdout)
    for name in ("python", "fly64tasks", "doit", "numpy", "torch", "pty-chi"):
        assert re.match(r"\d+\.\d+", said[name]), name
    assert {"cores", "memory", "GPUs", "threads", "device"} <= set(said)
    rate = re.match(r"([\d,]+) frames a second", said["speed"])
    assert rate
    assert int(rate[1].replace(",", "")) > 10
    assert "the default study's reconstructions are 68,040 of them: about" in done.stdout
    assert done.stdout.endswith("\nAll that is needed is there.\n")


@pytest.mark.parametrize("name", ["torch", "ptychi"])
def test_package_that_can_not_be_imported_is_a_problem_in_one_line(name: str, tmp_path: Path):
    (tmp_path / f"{name}.py").write_text("raise ImportError('libcudart.so: no such file')\n")
    done = run_doctor(PATHS=str(tmp_path))
    assert done.returncode == 1
    assert done.stderr == ""
    assert f"speed        not measured: {name} does not work\n" in done.stdout
    problems = [line for line in done.stdout.splitlines() if line.startswith("PROBLEM")]
    assert problems == [
        f"PROBLEM      {name} does not work: ImportError: libcudart.so: no such file"
    ]


def test_package_that_ends_the_process_is_a_problem_too(tmp_path: Path):
    (tmp_path / "torch.py").write_text("import os; os.write(2, b'illegal instruction'); os.abort()")
    done = run_doctor(PATHS=str(tmp_path))
    assert done.returncode == 1
    assert "PROBLEM      the benchmark does not work: exit code -6: illegal instr" in done.stdout


def test_doctor_works_without_torch(monkeypatch: pytest.MonkeyPatch, capsys):
    installed = held_against(["torch>=2.15"], version_of=lambda name: None)
    monkeypatch.setattr(Installed, "here", lambda: installed)
    reason = "ModuleNotFoundError: No module named 'torch'"
    monkeypatch.setattr(doctor, "_said_by", lambda *words: {"broken": "torch", "reason": reason})
    assert doctor.main([]) == 1
    said = capsys.readouterr().out
    assert "torch        not installed\n" in said
    assert said.count("PROBLEM") == 1
    assert "PROBLEM      torch is not installed: pip install 'torch>=2.15'\n" in said


def test_gpu_that_torch_does_not_use_is_said():
    machine = Machine(cores=4, memory_bytes=8 * 2**30, gpus=("0",))
    said = "\n".join(doctor.speed_lines({"device": "cpu", "hardware": "CPU"}, machine))
    assert "torch does not use the 1 GPU here" in said


def test_lacking_extra_says_how_to_get_it():
    found = held_against(["pytest>=9; extra == 'test'"], ["test"], version_of=lambda name: None)
    last = doctor.version_lines(found)[-1]
    assert last == "optional     test: lacks pytest>=9: pip install 'fly64tasks[test]'"


@pytest.mark.parametrize("seconds", ["-1", "nan", "1e9"])
def test_seconds_out_of_range_are_refused(seconds: str, capsys: pytest.CaptureFixture[str]):
    assert doctor.main(["--seconds", seconds]) == 2
    assert re.fullmatch(r"error: --seconds is \S+, expected 0 to 100\n", capsys.readouterr().err)


def found_of_one_gpu() -> dict[str, Any]:
    """Return what is found where all is well."""
    run = {"epoch_ms": 3.0, "losses": [2.0, 1.0], "digest": "a", "peak_bytes": 4e8, "doubts": []}
    gpu = {"device": "cuda:0", "name": "NVIDIA H200", "capability": "9.0", "transform": 2e-7}
    gpu |= {"total_bytes": 150e9, "free_bytes": 100e9, "runs": [run, copy.deepcopy(run)]}
    cpu = {**run, "epoch_ms": 60.0, "losses": [2.0, 1.0001]}
    versions = {"torch": "2.11.0+cu130", "cuda": "13.0", "accepted": "cuda:0"}
    return {**versions, "frames": 450, "cpu": cpu, "devices": [gpu]}


def test_gpu_that_does_what_the_cpu_does_is_no_problem():
    said = "\n".join(device_lines(found_of_one_gpu()))
    for words in (
        "torch 2.11.0+cu130, for CUDA 13.0",
        'device = "cuda" is accepted, and is cuda:0',
        "NVIDIA H200, capability 9.0, 100.0 of 150.0 GB free",
        "losses of 2 epochs differ by 1.0e-04 (at most 0.001 is right)",
        "3.0 ms an epoch, 20.0 times the CPU's speed; two runs end in the same bytes",
        "memory for 100 workers of 1.0 GB",
    ):
        assert words in said
    assert device_problems(found_of_one_gpu()) == []


@pytest.mark.parametrize(
    ("key", "value", "problem"),
    [
        ("transform", 0.1, "cuda:0: transforms are not those of the CPU"),
        ("transform", float("nan"), "cuda:0: transforms are not those of the CPU"),
        ("losses", [2.0, 1.5], "cuda:0: losses are not those of the CPU"),
        ("losses", [2.0, float("nan")], "cuda:0: losses are not those of the CPU"),
        ("digest", "b", "cuda:0: two runs of the same end in other bytes"),
        ("doubts", ["no CUDA graph"], "cuda:0: no CUDA graph"),
    ],
)
def test_gpu_that_does_anything_else_is_a_problem(key: str, value: Any, problem: str):
    found = found_of_one_gpu()
    [gpu] = found["devices"]
    (gpu["runs"][0] if key in gpu["runs"][0] else gpu)[key] = value
    [said] = device_problems(found)
    assert said.startswith(problem)


@pytest.mark.skipif(torch.cuda.is_available(), reason="says what there is where there is none")
def test_lack_of_a_gpu_is_said_in_one_line():
    done = run_doctor("--gpu", OMP_NUM_THREADS="1")
    assert done.returncode == 1
    assert done.stderr == ""
    problems = [line for line in done.stdout.splitlines() if line.startswith("PROBLEM")]
    assert len(problems) == 1
    assert re.match(
        r"PROBLEM      torch \S+ is built (without CUDA: install|for CUDA )", problems[0]
    )
    assert "frames a second" not in done.stdout
