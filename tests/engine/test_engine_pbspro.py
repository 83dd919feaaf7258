"""The engine on PBS Pro, of which there is a stub only: qsub, qstat and qdel as shell scripts.

What it holds to, as PBS Pro does: a job starts in the home folder, with next to no environment.
"""

from __future__ import annotations

import os
import re
import signal
from pathlib import Path

import pytest
from engine_project import (
    assert_all_done,
    assert_nothing_left,
    new_project,
    start,
    under_way,
)

QSUB = """#!/bin/sh
echo "$@" >> {folder}/qsub.log
for script; do :; done
cp "$script" {folder}/script
cd / && env -i HOME=/ PATH=/usr/bin:/bin setsid bash "$script" > {folder}/job.out 2>&1 < /dev/null &
echo $! > {folder}/$!.pid
echo $!.stub
"""
QSTAT = """#!/bin/sh
list=""
for job; do
    case $job in *.stub)
        state=F; [ -d /proc/${{job%.stub}} ] && state=R
        list="$list${{list:+,}}\\"$job\\": {{\\"job_state\\": \\"$state\\"}}";;
    esac
done
echo "{{\\"Jobs\\": {{$list}}}}"
"""
QDEL = """#!/bin/sh
for job; do kill -TERM -- -${{job%.stub}}; done
"""
ENGINE = """
provider = "pbspro"
workers_per_node = 2
gpus_per_node = 4
cores_per_node = 8
queue = "debug"
account = "optics"
select_options = "system=polaris"
scheduler_options = "#PBS -l filesystems=home:eagle"
worker_init = "echo begun"
address = "127.0.0.1"
poll_s = 0.5
heartbeat_s = 5
"""


@pytest.fixture
def stub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A stub of PBS Pro on PATH."""
    folder = tmp_path / "pbs"
    folder.mkdir()
    for name, text in (("qsub", QSUB), ("qstat", QSTAT), ("qdel", QDEL)):
        (folder / name).write_text(text.format(folder=folder))
        (folder / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")
    return folder


def test_tasks_run_in_a_job_with_what_the_file_asks_for(stub: Path, tmp_path: Path):
    folder = new_project(tmp_path / "project", ENGINE)
    printed, _ = (process := start(folder, "-j", "2")).communicate(timeout=60)
    assert process.returncode == 0, printed
    assert_all_done(folder)
    assert re.match(r" *-q debug +-A optics /", (stub / "qsub.log").read_text())
    script = (stub / "script").read_text()
    assert "#PBS -l select=1:ncpus=8:ngpus=4:system=polaris\n" in script
    assert "#PBS -l filesystems=home:eagle\n" in script
    assert "\necho begun\n" in script


@pytest.mark.slow
def test_job_ends_with_doit(stub: Path, tmp_path: Path):
    folder = new_project(tmp_path / "project", ENGINE)
    process = under_way(folder, "-j", "2", steps=1)
    process.send_signal(signal.SIGTERM)
    printed, _ = process.communicate(timeout=15)
    assert process.returncode == 143, printed
    assert_nothing_left(folder)
