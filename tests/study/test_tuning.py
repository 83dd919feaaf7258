"""Ranges to search: what is taken, and what is refused before anything runs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from fly64tasks.errors import StudyError
from fly64tasks.study.measured import MeasuredStudy, read_measured_study
from fly64tasks.study.ranges import Choices, Numbers
from fly64tasks.study.recon_settings import ReconSpec
from fly64tasks.study.study import Study, read_study
from fly64tasks.study.tuning import (
    refuse_impossible,
    refuse_unpredictable,
    tuning_of,
)

ORTHO = {"algorithm": ["MAP", "LSQML"], "opr_modes": [0, 2]}


def test_each_form_of_a_range_is_read():
    table = {
        "prior": {"low": 1, "high": 1000, "log": True},
        "momentum": [0, 0.5],
        "num_epochs": [10, 20],
        "noise_model": ["GAUSSIAN", "POISSON"],
        "update_probe": [True, False],
        "batch_size": {"choices": [16, 32, 96]},
        "trials": 7,
        "cases": ["dose_1000_*"],
    }
    spec, ranges = tuning_of(table, "tune")
    assert (spec.trials, spec.cases, spec.score) == (7, ("dose_1000_*",), "likelihood")
    assert ranges == {
        "prior": Numbers(low=1, high=1000, log=True),
        "momentum": Numbers(low=0, high=0.5),
        "num_epochs": Numbers(low=10, high=20, whole=True),
        "noise_model": Choices(choices=("GAUSSIAN", "POISSON")),
        "update_probe": Choices(choices=(True, False)),
        "batch_size": Choices(choices=(16, 32, 96)),
    }
    refuse_impossible(ReconSpec(), ranges, "tune")


@pytest.mark.parametrize(
    ("table", "problem"),
    [
        ({"priro": [1, 2]}, "unknown key 'priro'; did you mean 'prior'?"),
        ({"trails": 3}, "unknown key 'trails'; did you mean 'trials'?"),
        ({"prior": [-1, 2]}, "prior is -1, expected `float` >= 0.0"),
        ({"probe_trust": [0, 1]}, "probe_trust is 0, expected `float` > 0.0"),
        ({"probe_modes": [1, 65]}, "probe_modes is 65, expected `int` <= 64"),
        ({"algorithm": ["MAP", "LSQM"]}, "algorithm is 'LSQM', expected one of .*mean LSQML"),
        ({"update_probe": [1, False]}, "update_probe is 1, expected true or false"),
        ({"prior": 3}, r"prior is no range, expected \[low, high\], or {low = ..., high = ...}"),
        ({"prior": [1, 2, 3]}, r"3 values, expected \[low, high\]; or {choices = \[...\]}"),
        ({"prior": [2, 1]}, "low is 2 and high 1, expected low below high"),
        ({"prior": [1, float("inf")]}, "expected low below high"),
        ({"prior": {"low": 0, "high": 3, "log": True}}, "expected more than 0 where log is true"),
        ({"prior": {"lo": 1, "high": 2}}, "unknown key 'lo'; did you mean 'low'?"),
        ({"prior": ["a", "b"]}, "low is 'a', expected"),
        ({"num_epochs": [1, 2.5]}, "expected whole numbers"),
        ({"refine": {"low": 1, "high": 2}}, "expected a list of values"),
        ({"refine": []}, "choices is"),
        ({"refine": ["MAP", "MAP"]}, "expected each once"),
        ({"opr_modes": [0, 2]}, "opr_modes is 2, expected 0 for MAP: use one of LSQML"),
        (
            {"seed": 1, "subsampling_seed": [1, 9]},
            "not searched: the best of several draws is luck",
        ),
        ({"ptychi": [1, 2]}, r"expected one of an option: ptychi.GROUP.NAME = \[low, high\]"),
        ({"object_init": ["ones", "guess"]}, "it would start from the truth"),
        ({"prior": [1, 10**400]}, "prior: Number out of range"),
        ({"prior": [float("nan"), 1]}, "expected low below high"),
        ({"trials": 0}, "trials is 0, expected `int` >= 1"),
        ({"held_out": 0.9}, "held_out is 0.9, expected `float` <= 0.5"),
        ({"score": "chi2"}, "score is 'chi2', expected one of complex_nrmse, likelihood"),
    ],
)
def test_what_can_not_be_searched_is_refused_by_its_key(table: dict[str, Any], problem: str):
    with pytest.raises(StudyError, match=problem):
        refuse_impossible(ReconSpec(), tuning_of(table, "study.toml: tune")[1], "tune")


def test_value_that_needs_another_ones_is_taken_where_that_is_searched_too():
    refuse_impossible(ReconSpec(), tuning_of(ORTHO, "tune")[1], "tune")


def test_what_each_frame_has_of_its_own_is_not_searched_by_frames_held_out():
    with pytest.raises(StudyError, match=r"opr_modes is 2, expected 0 .* the probe's weights"):
        refuse_unpredictable(ReconSpec(), tuning_of(ORTHO, "tune")[1], "tune")
    moving = ReconSpec(correct_positions=True)
    with pytest.raises(StudyError, match=r"correct_positions is True, expected false .* positions"):
        refuse_unpredictable(moving, {}, "tune")
    refuse_unpredictable(moving, {"correct_positions": Choices(choices=(False,))}, "tune")


def test_search_is_no_part_of_what_results_depend_on(tmp_path: Path):
    study = tmp_path / "study.toml"
    study.write_text("[tune]\nprior = [1, 9]\n")
    assert read_study(study).to_dict() == Study().to_dict()
    study.write_text("[scans]\na = 'a.npz'\n[tune]\nprior = [1, 9]\n")
    assert read_measured_study(study).to_dict() == MeasuredStudy(scans={"a": "a.npz"}).to_dict()
    study.write_text("[tune]\npriro = [1, 9]\n")
    with pytest.raises(StudyError, match=r"study.toml: tune: unknown key 'priro'; did you mean"):
        read_study(study)
