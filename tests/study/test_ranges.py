"""Ranges of pty-chi's own options: their kind is that of pty-chi, and wrong ones are named."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from fly64tasks.errors import StudyError
from fly64tasks.study.ranges import Choices, Numbers
from fly64tasks.study.recon_settings import ReconSpec
from fly64tasks.study.tuning import refuse_impossible, tuning_of, with_values

L1 = "object_options.l1_norm_constraint"
LSQML = ReconSpec(algorithm="LSQML")


def nested(name: str, value: Any) -> dict[str, Any]:
    """Return the table that TOML makes of a dotted key."""
    for part in reversed(f"ptychi.{name}".split(".")):
        value = {part: value}
    found: dict[str, Any] = value
    return found


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        (f"{L1}.weight", [0.1, 1], Numbers(low=0.1, high=1)),
        (f"{L1}.weight", {"low": 1, "high": 9, "log": True}, Numbers(low=1, high=9, log=True)),
        (f"{L1}.enabled", [True, False], Choices(choices=(True, False))),
        (
            f"{L1}.optimization_plan.stride",
            [1, 4],
            Numbers(low=1, high=4, whole=True),
        ),
        (
            f"{L1}.optimization_plan.stop",
            {"choices": ["none", 3]},
            Choices(choices=("none", 3)),
        ),
        ("object_options.optimizer", ["sgd", "adam"], Choices(choices=("sgd", "adam"))),
    ],
)
def test_kind_of_an_option_is_known_without_ptychi(name: str, value: Any, expected: Any):
    """As TOML has a dotted key, and as one key."""
    for table in (nested(name, value), {f"ptychi.{name}": value}):
        ranges = tuning_of(table, "tune")[1]
        assert ranges == {f"ptychi.{name}": expected}
        refuse_impossible(LSQML, ranges, "tune")


@pytest.mark.parametrize(
    ("name", "value", "problem"),
    [
        (f"{L1}.weigth", [1, 2], f"did you mean '{L1}.weight'?"),
        ("object_optins.step_size", [1, 2], "did you mean 'object_options'?"),
        (L1, {"low": 1, "high": 2}, f"ptychi.{L1}.low is no option of pty-chi"),
        (L1, [1, 2], f"ptychi.{L1} is a group of options, expected one of enabled"),
        (f"{L1}.weight", 3, r"weight is no range, expected \[low, high\]"),
        (f"{L1}.optimization_plan.stride", [1, 2.5], "expected whole numbers"),
        (f"{L1}.optimization_plan.stride", [0, 2], "stride is 0, expected int >= 1"),
        (f"{L1}.enabled", [1, False], "enabled is 1, expected true or false"),
        ("object_options.optimizer", ["adm"], "optimizer is 'adm', expected one of sgd"),
        ("object_options.optimizer_params", [1, 2], "is a table, expected an option that is a num"),
        (
            "object_options.hard_limits_magnitude_phase.abs_lim",
            [0, 1],
            "is a list, expected an option that is a number",
        ),
        ("reconstructor_options.num_epochs", [1, 9], "set by us; it follows from num_epochs"),
        ("reconstructor_options.random_seed", [1, 9], "set by us; it follows from seed"),
    ],
)
def test_option_that_can_not_be_searched_is_refused_by_its_name(
    name: str, value: Any, problem: str
):
    with pytest.raises(StudyError, match=problem):
        refuse_impossible(LSQML, tuning_of(nested(name, value), "study.toml: tune")[1], "tune")


def test_option_that_the_algorithm_has_not_is_refused_unless_that_is_searched_too():
    ranges = tuning_of(nested(f"{L1}.weight", [0, 1]), "tune")[1]
    with pytest.raises(StudyError, match="weight is not used by MAP, but by LSQML"):
        refuse_impossible(ReconSpec(), ranges, "tune")
    refuse_impossible(ReconSpec(), ranges | {"algorithm": Choices(choices=("LSQML",))}, "tune")


def test_trial_keeps_the_options_that_are_not_searched():
    present = ReconSpec(algorithm="LSQML", ptychi={"object_options": {"step_size": 0.5}})
    tried = with_values(present, {f"ptychi.{L1}.enabled": True}, "trial")
    assert tried.ptychi == {
        "object_options": {"step_size": 0.5, "l1_norm_constraint": {"enabled": True}}
    }


def test_study_that_searches_them_is_read_without_ptychi(tmp_path: Path):
    study = tmp_path / "study.toml"
    study.write_text(f"[tune]\nptychi.{L1}.weight = [0, 1]\n")
    reads = (
        "import sys; from pathlib import Path; from fly64tasks.study.study import read_study\n"
        f"read_study(Path({str(study)!r}))\n"
        "assert not {'numpy', 'torch', 'ptychi', 'optuna'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", reads], check=True)
    study.write_text(f"[tune]\nptychi.{L1}.weigth = [0, 1]\n")
    wrong = subprocess.run([sys.executable, "-c", reads], capture_output=True, check=False)
    assert f"did you mean '{L1}.weight'?".encode() in wrong.stderr
