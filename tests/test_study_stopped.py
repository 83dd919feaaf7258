"""A study that is asked to stop in the middle of a reconstruction: one way, whatever asks."""

from __future__ import annotations

import json
import re
import signal
from pathlib import Path

import pytest
from engine_project import assert_nothing_left, wait_for
from small_study import ONE_DOSE, begin_doit, new_project

STUDY = ONE_DOSE.replace("num_epochs = 3", 'algorithm = "LSQML"\nnum_epochs = 100000')
JOB = "recon:dose_1000_sparse_train"
RESULTS = "reports/dose_1000/sparse/train"


@pytest.mark.parametrize(
    ("jobs", "signum"),
    [
        ("0", signal.SIGINT),
        ("0", signal.SIGTERM),
        ("0", signal.SIGHUP),
        ("2", signal.SIGINT),
        pytest.param("2", signal.SIGTERM, marks=pytest.mark.slow),
        pytest.param("2", signal.SIGHUP, marks=pytest.mark.slow),
    ],
)
def test_reconstruction_leaves_a_checkpoint_and_says_so_in_the_same_words(
    tmp_path: Path, jobs: str, signum: signal.Signals
):
    project = new_project(tmp_path / "project", STUDY)
    doit = begin_doit(project, "run", "-j", jobs, JOB, "--events", "events.jsonl")
    events, folder = project / "events.jsonl", project / RESULTS
    wait_for(
        lambda: events.exists() and '"progress"' in events.read_text("utf-8"),
        120,
        lambda: events.read_text("utf-8") if events.exists() else "no event",
    )
    doit.send_signal(signum)
    printed = "".join(doit.communicate(timeout=30))
    assert doit.returncode == 128 + signum, printed
    assert "Traceback" not in printed
    assert_nothing_left(project)
    record = json.loads((folder / "run.json").read_text("utf-8"))
    assert (record["state"], record["exit_code"]) == ("interrupted", 75)
    words = rf"stopped by {signum.name} after epoch \d+; run again to go on from there"
    assert re.fullmatch(words, record["reason"])
    assert (folder / "checkpoint.pt").exists()
    assert not (folder / "reconstruction.npz").exists()
