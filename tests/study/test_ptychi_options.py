"""pty-chi's own options: all of them, and none that it does not have."""

from __future__ import annotations

import json
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from ptychi_options import TARGET, as_text
from small_study import ONE_DOSE, doit, new_project

from fly64tasks import runner
from fly64tasks.errors import StudyError
from fly64tasks.recon import command as recon
from fly64tasks.recon.ptychi.options import ptychi_options
from fly64tasks.recon.start import read_start
from fly64tasks.study import ptychi_options as listed
from fly64tasks.study.recon_settings import ReconSpec
from fly64tasks.study.run_settings import runner_command
from fly64tasks.study.spec import parse_spec
from fly64tasks.study.study import Study, read_study

L1 = "object_options.l1_norm_constraint"


def plain(options: Any) -> dict[str, Any]:
    """Return pty-chi's options as JSON has them."""
    found: dict[str, Any] = json.loads(json.dumps(options.get_dict()))
    return found


def test_list_is_that_of_the_installed_ptychi():
    assert TARGET.read_text() == as_text(), "run python tools/ptychi_options.py"


@pytest.mark.parametrize(
    ("algorithm", "option", "value", "said"),
    [
        ("LSQML", f"{L1}.weigth", 1, f"did you mean '{L1}.weight'?"),
        ("LSQML", "object_optins", {"step_size": 1}, "did you mean 'object_options'?"),
        ("LSQML", "pad_for_shift", 1, "reconstructor_options.forward_model_options.pad_for_shift"),
        ("LSQML", "zzz", 1, "its groups are data_options, reconstructor_options, object_options"),
        ("LSQML", f"{L1}.weight", "x", f"ptychi.{L1}.weight is 'x', expected float"),
        ("LSQML", f"{L1}.weight", float("nan"), "is nan, expected float"),
        ("LSQML", f"{L1}.enabled", 1, "is 1, expected true or false"),
        ("LSQML", L1, True, "is a group of options, expected one of enabled, optim"),
        ("LSQML", "object_options.smoothness_constraint.alpha", 1, "float >= 0 and <= 0.125"),
        ("LSQML", "object_options.optimizer", "adm", "'adm', expected one of sgd, adam, "),
        ("LSQML", "probe_options.optimizer_params", {"lr": [[1]]}, "expected table"),
        ("LSQML", "reconstructor_options.num_epochs", 3, "set by us; it follows from num_epochs"),
        ("EPIE", "reconstructor_options.displayed_loss_function", "none", "one of mse, poisson"),
        ("EPIE", "reconstructor_options.gaussian_noise_std", 1, "not used by EPIE, but by LSQML"),
        ("MAP", f"{L1}.enabled", True, "is not used by MAP, but by LSQML, PIE, EPIE"),
    ],
)
def test_wrong_option_is_named(algorithm: str, option: str, value: Any, said: str):
    table = {"algorithm": algorithm, "ptychi": listed.nested({option: value})}
    with pytest.raises(StudyError) as caught:
        parse_spec(ReconSpec, table, "study.toml")
    assert said in str(caught.value)
    assert str(caught.value).startswith("study.toml: ptychi.")


def test_each_option_that_can_be_said_is_taken_and_reaches_ptychi(small_sets: dict[str, Path]):
    """With what it is by default: another value of each would ask for its meaning."""
    for algorithm in ("LSQML", "PIE", "DM", "BH", "AD"):
        spec = ReconSpec(algorithm=algorithm).resolved()
        start = read_start(small_sets["train"], spec)
        before = plain(ptychi_options(start, spec, "cpu"))
        options = {}
        for name in listed.names_for(algorithm):
            value: Any = before
            for part in name.split("."):
                value = value[part]
            options[name] = listed.UNSET if value is None else value
        assert len(options) > 180
        spec = ReconSpec(algorithm=algorithm, ptychi=listed.nested(options)).resolved()
        assert plain(ptychi_options(start, spec, "cpu")) == before


def test_option_changes_one_and_leaves_what_is_set_here(small_sets: dict[str, Path]):
    table = listed.nested({f"{L1}.enabled": True, f"{L1}.weight": 0.5})
    specs = [ReconSpec(algorithm="LSQML", ptychi=given).resolved() for given in (None, table)]
    start = read_start(small_sets["train"], specs[0])
    before, after = (ptychi_options(start, spec, "cpu").get_dict() for spec in specs)
    after["object_options"]["l1_norm_constraint"].update(enabled=False, weight=0)
    assert before == after


@pytest.mark.parametrize("command", [["list"], ["-n"]])
def test_doit_names_a_wrong_option_before_anything_runs(tmp_path: Path, command: list[str]):
    study = ONE_DOSE + 'algorithm = "LSQML"\n[recon.ptychi.object_options]\nstep_sise = 1\n'
    folder = new_project(tmp_path / "project", study)
    said = doit(folder, *command, code=3)
    assert "recon: ptychi.object_options.step_sise is no option" in said
    assert "did you mean 'object_options.step_size'?" in said


def test_a_study_with_options_is_read_without_ptychi(tmp_path: Path):
    path = tmp_path / "study.toml"
    path.write_text(f'[recon]\nalgorithm = "EPIE"\n[recon.ptychi]\n{L1}.enabled = true\n')
    code = (
        "import sys; from pathlib import Path; from fly64tasks.study.study import read_study\n"
        f"read_study(Path({str(path)!r}))\n"
        "print(*{'torch', 'numpy', 'ptychi', 'pydantic'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "\n"


def test_study_and_command_line_say_the_same(tmp_path: Path):
    path = tmp_path / "study.toml"
    path.write_text(
        f'[recon]\nalgorithm = "LSQML"\n[recon.ptychi]\n{L1}.enabled = true\n'
        "probe_options.support_constraint = {enabled = true, threshold = 0.01}\n"
        'reconstructor_options.displayed_loss_function = "poisson"\n'
        "probe_options.optimizer_params = {momentum = 0.9}\n"
    )
    spec = read_study(path).recon
    command = runner_command("in.npz", "out", spec)
    options = runner.make_parser().parse_args(command[3:])
    assert runner.spec_of(options) == spec
    assert shlex.join(command).count("--set") == 5


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (["object_options.stepsize=1"], "did you mean 'object_options.step_size'?"),
        (["object_options.step_size"], "expected GROUP.NAME=VALUE"),
        ([f"{L1}=1", f"{L1}.weight=1"], "below an option that is set"),
    ],
)
def test_runner_refuses_and_writes_nothing(
    given: list[str], said: str, small_sets: dict[str, Path], tmp_path: Path, capsys: Any
):
    flags = [flag for each in given for flag in ("--set", each)]
    where = ["--input-npz", str(small_sets["train"]), "--output-dir", str(tmp_path / "out")]
    assert runner.main([*where, "--algorithm", "LSQML", *flags]) == 2
    error = capsys.readouterr().err
    assert said in error
    assert error.count("\n") == 1
    assert not (tmp_path / "out").exists()


def test_what_ptychi_alone_knows_is_wrong_is_refused_before_a_folder(
    small_sets: dict[str, Path], tmp_path: Path
):
    table = listed.nested({"probe_position_options.optimizer": "lbfgs"})
    spec = ReconSpec(algorithm="LSQML", ptychi=table)
    with pytest.raises(StudyError, match="pty-chi refuses: LBFGS optimizer is currently only"):
        recon.run(small_sets["train"], tmp_path / "out", spec, device="cpu")
    assert not (tmp_path / "out").exists()


def test_options_change_the_result_and_are_recorded(small_sets: dict[str, Path], tmp_path: Path):
    table = listed.nested({"object_options.optimal_step_size_scaler": 0.5})
    records = [
        recon.run(small_sets["train"], tmp_path / str(i), ReconSpec(**spec), device="cpu")
        for i, spec in enumerate(
            {"algorithm": "LSQML", "num_epochs": 2, "ptychi": t} for t in (None, table)
        )
    ]
    assert "ptychi" not in records[0]["spec"]
    assert records[1]["spec"]["ptychi"] == table
    assert records[0]["loss"] != records[1]["loss"]


def test_no_options_are_as_an_empty_table():
    said = Study(recon=ReconSpec(ptychi={}))
    assert said == Study()
    assert "ptychi" not in Study().to_dict()["recon"]
