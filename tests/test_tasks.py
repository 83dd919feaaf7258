"""Case to task: names, files, what makes a task stale, and nothing touched in the making."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest
from doit.task import Task

from fly64tasks import tasks
from fly64tasks.doitext.graph.control import Control
from fly64tasks.doitext.spec import SpecUnchanged
from fly64tasks.study.paths import Layout
from fly64tasks.study.recon_settings import ReconSpec
from fly64tasks.study.study import Study
from fly64tasks.tasks.actions import _through_the_engine as through_the_engine

STUDY = Study()
LAYOUT = Layout.of(STUDY, study_folder=Path(), project=Path())
CASES = {case.name: case for case in STUDY.cases()}


def test_recon_reads_one_npz_and_writes_its_folder():
    task = tasks.recon(STUDY, LAYOUT, CASES["dose_1000_dense_train"])
    assert task["name"] == "dose_1000_dense_train"
    assert task["file_dep"] == ["data/phase_d/dose_1000/dense/dense_train.npz"]
    assert task["targets"] == [
        "reports/dose_1000/dense/train/reconstruction.npz",
        "reports/dose_1000/dense/train/product.h5",
        "reports/dose_1000/dense/train/losses.csv",
        "reports/dose_1000/dense/train/run.json",
    ]
    assert {key: task["meta"][key] for key in ("dose", "view", "split", "gridsize")} == {
        "dose": 1000.0,
        "view": "dense",
        "split": "train",
        "gridsize": 2,
    }
    assert (
        task["doc"] == "Reconstruct 1000 photons per frame, dense, train: MAP, at most 200 epochs"
    )


def test_every_dependency_is_a_target_of_another_task():
    made = {LAYOUT.base.as_posix()}
    needed: set[str] = set()
    for dose in STUDY.sorted_doses:
        made |= set(tasks.simulate(STUDY, LAYOUT, dose)["targets"])
        needed |= set(tasks.simulate(STUDY, LAYOUT, dose)["file_dep"])
        for view in STUDY.thinned_views:
            made |= set(tasks.views(STUDY, LAYOUT, dose, view)["targets"])
            needed |= set(tasks.views(STUDY, LAYOUT, dose, view)["file_dep"])
    for case in STUDY.cases():
        for task in (tasks.recon(STUDY, LAYOUT, case), tasks.score(STUDY, LAYOUT, case)):
            made |= set(task["targets"])
            needed |= set(task["file_dep"])
    needed |= set(tasks.report(STUDY, LAYOUT)["file_dep"])
    assert needed < made
    assert {Path(path).name for path in made - needed} == {"product.h5"}


def dependence(study: Study) -> dict[str, str]:
    """Return what each kind of task depends on besides its files."""
    case = next(study.cases())
    made: dict[str, dict[str, Any]] = {
        "base": tasks.base(study, LAYOUT),
        "simulate": tasks.simulate(study, LAYOUT, case.dose),
        "views": tasks.views(study, LAYOUT, case.dose, "dense"),
        "recon": tasks.recon(study, LAYOUT, case),
        "score": tasks.score(study, LAYOUT, case),
        "report": tasks.report(study, LAYOUT),
    }
    return {
        kind: json.dumps([c.spec for c in task["uptodate"] if isinstance(c, SpecUnchanged)])
        for kind, task in made.items()
    }


@pytest.mark.parametrize(
    ("table", "stale"),
    [
        ({"score": {"region_threshold": 0.2}}, {"score", "report"}),
        ({"recon": {"num_epochs": 7}}, {"recon", "report"}),
        ({"views": {"overlap": {"dense": 0.6, "sparse": 0.2}}}, {"views", "report"}),
        ({"simulation": {"seed": 7}}, {"simulate", "report"}),
        ({"simulation": {"patches": True}}, {"simulate", "report"}),
        ({"data": {"truth": "objectGuess"}}, {"score", "report"}),
        ({"data": {"diffraction": "intensity"}}, {"report"}),  # no set is the user's
        ({"data": {"flip_y": True}}, {"report"}),
        ({"base": {"seed": 7}}, {"base", "report"}),
        ({"name": "other"}, {"report"}),
    ],
    ids=lambda value: str(sorted(value) if isinstance(value, set) else value),
)
def test_stage_depends_on_its_own_spec_alone(table: dict[str, Any], stale: set[str]):
    before, after = dependence(STUDY), dependence(msgspec.convert(table, Study))
    assert {kind for kind in before if before[kind] != after[kind]} == stale


def test_score_waits_for_its_own_reconstruction_alone_and_runs_on_a_worker():
    """So that under ``-j`` one job is scored while the next is reconstructed."""
    study, layout = Study(), Layout.of(Study(), study_folder=Path(), project=Path())
    cases = list(study.cases())
    made = [Task(**tasks.recon(study, layout, case)) for case in cases]
    for task in made:
        task.name = f"recon:{task.name}"
    scores = [Task(**tasks.score(study, layout, case)) for case in cases]
    control = Control([*made, *scores])
    for recon, score in zip(made, scores, strict=True):
        assert control.tasks[score.name].task_dep == [recon.name]
        [(action, *_)] = score._actions
        assert action is through_the_engine


def test_device_is_no_part_of_what_makes_a_result_stale():
    assert "device" not in dependence(STUDY)["recon"]


def test_saying_what_is_the_default_makes_nothing_stale():
    said = Study(recon=ReconSpec(batch_size=100_000, batching="RANDOM"))
    assert dependence(said) == dependence(STUDY)


def test_settings_that_came_later_make_nothing_stale():
    """What was made before they were there stays up to date, and says the same of itself."""
    before = " ".join(dependence(STUDY).values())
    later = ("patches", '"data":', '"truth":', '"diffraction":', '"flip_y":', '"ptychi":')
    later += ('"probe_modes":', '"correct_positions":', '"half":', "pattern")
    later += ('"opr_modes":', '"slices":', '"slice_spacing_m":', '"cuda_graph":')
    assert not [key for key in later if key in before]
    assert "patches" not in STUDY.simulation.to_dict()
    for data in ({}, {"flip_y": False, "detector_transpose": False}):
        said = msgspec.convert({"simulation": {"patches": False}, "data": data}, Study)
        assert dependence(said) == dependence(STUDY)
    truth = msgspec.convert({"data": {"truth": "objectGuess"}}, Study)
    assert truth.to_dict()["data"] == {"diffraction": "auto", "truth": "objectGuess"}


def test_what_the_user_s_sets_hold_is_said_to_what_reads_them(tmp_path: Path):
    study = msgspec.convert({"data": {"diffraction": "intensity", "flip_y": True}}, Study)
    own = Layout.of(study, study_folder=tmp_path, project=tmp_path, phase_c_root=tmp_path / "c")
    found = {}
    for view in ("baseline", "dense"):
        case = next(case for case in study.cases() if case.view == view)
        found[view] = tasks.recon(study, own, case)["uptodate"][0].spec
    said = {view: (spec.get("diffraction"), spec.get("flip_y")) for view, spec in found.items()}
    # the views are ours: amplitudes, and turned already
    assert said == {"baseline": ("intensity", True), "dense": (None, None)}
    views = tasks.views(study, own, 1e3, "dense")
    assert views["uptodate"][0].spec["diffraction"] == "intensity"
    assert views["uptodate"][0].spec["flip_y"] is True


def test_making_tasks_touches_no_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    for case in STUDY.cases():
        tasks.recon(STUDY, LAYOUT, case)
    assert list(tmp_path.iterdir()) == []


def test_clean_removes_what_we_wrote_and_the_folders_that_it_empties(tmp_path: Path):
    layout = Layout.of(STUDY, study_folder=tmp_path, project=tmp_path)
    task = tasks.recon(STUDY, layout, CASES["dose_1000_dense_train"])
    folder = layout.recon_dir(CASES["dose_1000_dense_train"])
    folder.mkdir(parents=True)
    for target in task["targets"]:
        Path(target).touch()
    (tmp_path / "reports" / "mine.txt").touch()
    for action, arguments in task["clean"]:
        action(*arguments, Task("recon", None))
    assert [path.name for path in (tmp_path / "reports").iterdir()] == ["mine.txt"]
