"""What `fly64tasks doctor` says, here and where things are missing."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from fly64tasks.engine.machine import Machine
from fly64tasks.setup import doctor
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
