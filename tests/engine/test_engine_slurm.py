"""The engine on a real Slurm: one node, on this machine."""

from __future__ import annotations

import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import slurm_here
from engine_project import (
    DODO,
    assert_all_done,
    assert_nothing_left,
    begun,
    new_project,
    start,
    under_way,
    wait_for,
)
from small_study import ONE_DOSE

ENGINE = """
provider = "slurm"
blocks = 2
workers_per_node = 2
cores_per_node = 1
exclusive = false
address = "127.0.0.1"
poll_s = 1
heartbeat_s = 5
"""


@pytest.fixture(scope="module", autouse=True)
def cluster() -> Iterator[None]:
    reason = slurm_here.missing()
    if reason:
        pytest.skip(reason)
    with slurm_here.slurm():
        yield


def project_on_slurm(folder: Path, more: str = "") -> Path:
    return new_project(folder, ENGINE + more)


def test_cancelled_job_is_replaced_and_its_tasks_run_again(tmp_path: Path):
    slow = DODO.replace('"seconds": 0.5', '"seconds": 3')  # still at work when it is cancelled
    folder = new_project(tmp_path / "project", ENGINE, slow)
    process = under_way(folder, "--engine", "engine.toml")
    cancelled = slurm_here.jobs()[0]
    subprocess.run(["scancel", cancelled], check=True)
    printed, _ = process.communicate(timeout=60)
    assert process.returncode == 0, printed
    assert "6 done" in printed
    assert 6 < len(begun(folder)) <= 8, "each task that was lost ran once more"
    assert_all_done(folder)
    assert slurm_here.jobs() == []
    assert not (folder / "state" / ".engine").exists()


@pytest.mark.slow
@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGKILL])
def test_jobs_end_with_doit(tmp_path: Path, how: signal.Signals):
    folder = project_on_slurm(tmp_path / "project")
    process = under_way(folder, "-j", "4", steps=1)
    process.send_signal(how)
    printed, _ = process.communicate(timeout=15)
    assert process.returncode == (-how if how is signal.SIGKILL else 128 + how), printed
    within_s = 15 if how is signal.SIGKILL else 4
    wait_for(lambda: not slurm_here.jobs(), within_s, slurm_here.jobs)
    assert_nothing_left(folder)


def test_refused_job_fails_in_one_line_with_what_slurm_said(tmp_path: Path):
    folder = project_on_slurm(tmp_path / "project", 'partition = "gpus"\n')
    process = start(folder, "-j", "1")
    printed, _ = process.communicate(timeout=40)
    assert process.returncode == 1, printed
    assert "no worker could be started" in printed
    assert "invalid partition specified: gpus" in printed
    assert "Traceback" not in printed


def test_folder_with_a_blank_is_refused_by_name(tmp_path: Path):
    folder = project_on_slurm(tmp_path / "a project")
    printed, _ = start(folder, "-j", "1").communicate(timeout=40)
    assert "a path with a blank, expected one without" in printed
    assert "run_dir" in printed


@pytest.mark.slow
def test_small_study_runs_on_slurm(project: Path, tmp_path: Path):
    (project / "study.toml").write_text(ONE_DOSE, "utf-8")
    engine = ENGINE.replace("workers_per_node = 2", "workers_per_node = 1")
    (project / "slurm.toml").write_text(f'{engine}run_dir = "{tmp_path}/shared"\n', "utf-8")
    process = start(project, "-j", "4", "--engine", "slurm.toml")
    printed, _ = process.communicate(timeout=300)
    assert process.returncode == 0, printed
    assert "17 done" in printed
    assert len(list(project.glob("reports/**/reconstruction.npz"))) == 6
    assert_nothing_left(project)
    assert list((tmp_path / "shared").iterdir()) == []
