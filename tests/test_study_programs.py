"""Methods that are programs of others, as doit runs them: real processes, real files."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from pids import pid_in
from small_study import ONE_DOSE, doit, new_project

from fly64tasks.doitext.atomic import alive

PROGRAM = """
import sys
import numpy as np

step, source, *more = sys.argv[1:]
given = np.load(source)
if step == "train":
    with open(more[0], "w") as file:
        file.write(str(len(given["diffraction"])))
else:
    print("trained on", open(more[0]).read(), "frames")
    np.savez(more[1], object=np.ones(given["objectGuess"].shape, complex))
"""
STUDY = f"""{ONE_DOSE}
[views]
overlap = {{ dense = 0.7 }}

[methods.net]
train = ["python", "net.py", "train", "{{train_npz}}", "{{model}}"]
command = ["python", "net.py", "apply", "{{input_npz}}", "{{model}}", "{{output}}"]
"""
DENSE = ("--view", "dense")


def make(folder: Path, program: str = PROGRAM) -> Path:
    project = new_project(folder, STUDY)
    (project / "net.py").write_text(program)
    return project


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> Path:
    project = make(tmp_path_factory.mktemp("programs") / "Süß study")
    doit(project, "-j", "2", *DENSE)
    return project


@pytest.fixture
def project(done: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(done, tmp_path / "Süß study"))


def planned(project: Path, *arguments: str, code: int = 0) -> dict[str, str]:
    """Return what a dry run would run, with its reasons."""
    plan = json.loads(doit(project, "-n", "--json", *arguments, code=code))
    return {
        item["task"]: "; ".join(item["reasons"])
        for item in plan["tasks"]
        if item["verdict"] != "up to date"
    }


def test_program_is_trained_on_the_train_split_and_run_on_both(done: Path):
    results = done / "reports/dose_1000/dense"
    tails = [
        json.loads((results / f"{split}@net/run.json").read_text())["program"]["tail"]
        for split in ("train", "test")
    ]
    n = json.loads((results / "train/run.json").read_text())["start"]["n_frames"]
    assert tails == [[f"trained on {n} frames"]] * 2
    assert (results / "model@net/model").read_text() == str(n)
    assert not list(results.glob("*/scratch"))
    assert planned(done, *DENSE) == {}
    assert "not whole" not in doit(done, "verify", *DENSE)


def test_training_reads_the_train_split_alone(done: Path):
    said = doit(done, "list", "--deps", "train:dose_1000_dense@net")
    assert re.findall(r"-  (.*)", said) == [
        "data/phase_d/dose_1000/dense/dense_train.npz",
        "net.py",
    ]


def test_program_that_changed_makes_its_own_jobs_stale_alone(project: Path):
    (project / "net.py").write_text(PROGRAM + "\n# changed\n")
    changed = planned(project, *DENSE)
    of_net = [f"recon:dose_1000_dense_{split}@net" for split in ("train", "test")]
    assert changed["train:dose_1000_dense@net"] == "input changed: net.py"
    assert all(changed[name].startswith("input changed: net.py") for name in of_net)
    assert all(name.endswith("@net") for name in changed)

    text = STUDY.replace('"{output}"]', '"{output}"]\nseed = 3')
    (project / "net.py").write_text(PROGRAM)
    (project / "study.toml").write_text(text)
    assert planned(project, *DENSE)[of_net[0]] == "seed 0 -> 3"


def test_program_sees_the_gpu_of_its_worker_alone(project: Path):
    says = PROGRAM.replace(
        "import sys", "import os, sys\nprint(os.environ['CUDA_VISIBLE_DEVICES'])"
    )
    (project / "net.py").write_text(says)
    subprocess.run(
        [sys.executable, "-m", "doit", "-j", "2", "--method", "net", *DENSE],
        cwd=project,
        env={**os.environ, "CUDA_VISIBLE_DEVICES": "2,GPU-5"},
        stdout=subprocess.DEVNULL,
        check=True,
    )
    results = project / "reports/dose_1000/dense"
    records = ("model@net/train.json", "train@net/run.json", "test@net/run.json")
    seen = [json.loads((results / name).read_text())["program"]["tail"][0] for name in records]
    assert set(seen) <= {"2", "GPU-5"}, seen


def test_time_limit_makes_nothing_stale(project: Path):
    (project / "study.toml").write_text(f"{STUDY}timeout_s = 500\n")
    assert planned(project, *DENSE) == {}


def test_manifest_has_the_command_of_a_program(project: Path):
    doit(project, "manifest", *DENSE)
    manifest = json.loads((project / "reports/reconstruction_manifest.json").read_text())
    [job] = [job for job in manifest["jobs"] if job["task"] == "recon:dose_1000_dense_test@net"]
    assert job["command"] == ["python", "net.py", "apply", "{input_npz}", "{model}", "{output}"]
    assert (job["method"], job["algorithm"], job["return_code"]) == ("net", None, 0)
    assert job["status"] == "done"


def test_program_that_fails_fails_its_own_jobs_in_one_line(project: Path):
    (project / "net.py").write_text(PROGRAM.replace("np.savez(", "sys.exit('no layers')  # "))
    said = doit(project, "-c", *DENSE, code=1)
    for split in ("train", "test"):
        [line] = re.findall(rf"^\[.*recon:dose_1000_dense_{split}@net .*$", said, re.MULTILINE)
        assert "FAILED" in line
        assert "method net: command ended with exit code 1: no layers; its folder is kept" in line
        folder = project / f"reports/dose_1000/dense/{split}@net"
        assert (folder / "scratch/run/model").exists()
        assert not (folder / "reconstruction.npz").exists()
    assert "failed last time" in planned(project, *DENSE)["recon:dose_1000_dense_test@net"]

    doit(project, "clean", "--method", "net")
    assert not list(project.glob("reports/*/*/*@net"))


def test_training_that_fails_fails_its_method_in_one_line_and_the_others_run(project: Path):
    text = STUDY + "\n[methods.epie]\nalgorithm = 'EPIE'\nnum_epochs = 2\n"
    (project / "study.toml").write_text(text)
    failing = PROGRAM.replace('if step == "train":', 'if step == "train":\n    sys.exit("no loss")')
    (project / "net.py").write_text(failing)
    said = doit(project, "-c", "-j", "2", *DENSE, code=1)
    [line] = re.findall(r"^\[.*FAILED.*$", said, re.MULTILINE)
    assert "train:dose_1000_dense@net" in line
    assert "method net: train ended with exit code 1: no loss" in line
    for split in ("train", "test"):
        assert (project / f"reports/dose_1000/dense/{split}@epie/scores.json").exists()
        assert f"recon:dose_1000_dense_{split}@net" not in re.sub(r"(?m)^skipped.*$", "", line)
    left = planned(project, *DENSE)
    assert left["train:dose_1000_dense@net"].startswith("failed last time")
    assert all(name.endswith("@net") or name == "report" for name in left)


def test_set_of_the_study_is_no_file_of_a_program(project: Path):
    """It would be given the truth with its own files."""
    for named in ("data/phase_c/dose_1000/patched_train.npz", "./data/../data/base.npz"):
        text = STUDY.replace("[methods.net]", f"[methods.net]\nfiles = [{named!r}]")
        (project / "study.toml").write_text(text)
        said = doit(project, "list", code=3)
        assert "methods.net" in said
        assert "is among the study's sets, which hold the truth" in said
    (project / "study.toml").write_text(
        text.replace("[methods.net]", "[methods.net]\nsees_truth = true")
    )
    doit(project, "list", "-q")


def test_missing_file_of_a_program_is_named_before_anything_runs(project: Path):
    (project / "net.py").unlink()
    said = doit(project, *DENSE, code=3)
    assert "nothing was run" in said
    assert "net.py" in said


@pytest.mark.parametrize(
    ("signum", "jobs", "step"),
    [
        (signal.SIGINT, 0, "train"),
        (signal.SIGINT, 2, "train"),
        (signal.SIGKILL, 0, "train"),
        (signal.SIGKILL, 2, "train"),
        (signal.SIGKILL, 0, "apply"),
        (signal.SIGKILL, 2, "apply"),
    ],
    ids=lambda value: str(value).removeprefix("Signals."),
)
def test_program_ends_with_the_run_that_is_killed_and_the_next_run_finishes(
    signum: int, jobs: int, step: str, project: Path
):
    waits = f"    open({str(project / 'pid')!r}, 'w').write(str(__import__('os').getpid()))\n"
    waits += "    import time; time.sleep(600)\n"
    begin, _, end = PROGRAM.partition("given = ")
    (project / "net.py").write_text(f"{begin}if step == {step!r}:\n{waits}given = {end}")
    command = [sys.executable, "-m", "doit", "-j", str(jobs), *DENSE]
    process = subprocess.Popen(command, cwd=project, start_new_session=True)
    pid = pid_in(project / "pid")
    os.kill(process.pid, signum)
    assert process.wait(60) != 0
    deadline = time.monotonic() + 60
    while alive(pid) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not alive(pid)
    trained = (project / "reports/dose_1000/dense/model@net/model").exists()
    assert trained == (step == "apply")

    (project / "net.py").write_text(PROGRAM)
    left = planned(project, *DENSE)
    cut_off = [name for name, why in left.items() if "interrupted" in why]
    assert cut_off
    kind = "train" if step == "train" else "recon"
    assert all(name.startswith(f"{kind}:") and name.endswith("@net") for name in cut_off)
    doit(project, *DENSE)
    assert planned(project, *DENSE) == {}
