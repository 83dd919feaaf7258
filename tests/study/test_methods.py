"""The methods and draws of a study: names, settings, and what is refused with which words."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest

from fly64tasks.errors import StudyError
from fly64tasks.study.methods import ProgramSpec
from fly64tasks.study.paths import Layout
from fly64tasks.study.recon_settings import ReconSpec
from fly64tasks.study.spec import parse_spec
from fly64tasks.study.study import Study

TRAIN = ["python", "cnn.py", "train", "{train_npz}", "{model}"]
APPLY = ["python", "cnn.py", "apply", "{input_npz}", "{model}", "{output}"]


def study(**table: Any) -> Study:
    return parse_spec(Study, {"doses": [1e3], **table}, "study.toml")


def test_first_draw_by_main_comes_first_and_has_plain_names():
    asked = study(repeats=2, methods={"epie": {"algorithm": "EPIE"}})
    names = [case.name for case in asked.cases()]
    assert names[:6] == [case.name for case in study().cases()]
    assert names[6::6] == [
        "dose_1000_baseline_train@epie",
        "dose_1000_baseline_train@2",
        "dose_1000_baseline_train@epie@2",
    ]


def test_method_is_recon_with_what_it_changes():
    asked = study(
        recon={"num_epochs": 7},
        methods={"epie": {"algorithm": "EPIE"}, "few": {"num_epochs": 2}},
    )
    assert asked.all_methods == {
        "main": ReconSpec(num_epochs=7),
        "epie": ReconSpec(num_epochs=7, algorithm="EPIE"),
        "few": ReconSpec(num_epochs=2),
    }


def test_method_may_ask_what_recon_s_own_algorithm_has_and_the_default_s_has_not():
    asked = study(recon={"algorithm": "LSQML"}, methods={"opr": {"opr_modes": 2}})
    assert asked.all_methods["opr"] == ReconSpec(algorithm="LSQML", opr_modes=2)


def test_list_makes_a_method_of_each_value():
    asked = study(methods={"momentum": {"algorithm": "LSQML", "momentum": [0, 1.5]}})
    found = {name: spec.momentum for name, spec in asked.all_methods.items()}
    assert found == {"main": 2.0, "momentum_0": 0.0, "momentum_1": 1.5}


def test_further_draws_have_other_seeds_of_the_noise_and_of_the_reconstruction():
    asked = study(repeats=3, recon={"seed": 5})
    seeds = [asked.simulation_of(repeat).seed for repeat in asked.draws]
    assert seeds[0] == 42
    assert len(set(seeds)) == 3
    plain, second, third = (next(asked.cases_of(repeat=repeat)) for repeat in asked.draws)
    assert asked.method_of(plain) == asked.recon.resolved()
    assert len({asked.method_of(case).seed for case in (plain, second, third)}) == 3
    assert msgspec.structs.replace(asked.method_of(third), seed=5) == asked.method_of(plain)


def test_no_two_jobs_have_one_folder_and_no_two_sets_one_file(tmp_path: Path):
    asked = study(
        doses=[1, 2],
        repeats=3,
        views={"overlap": {"draw2": 0.7, "model": 0.6, "train": 0.2}},
        methods={"test": {"num_epochs": 2}, "model": {"seed": [1, 2]}},
    )
    layout = Layout.of(asked, study_folder=tmp_path, project=tmp_path)
    cases = list(asked.cases())
    assert len({layout.recon_dir(case) for case in cases}) == len(cases) == 2 * 4 * 2 * 3 * 4
    of_main = [case for case in cases if case.method == "main"]
    assert len({layout.dataset(case) for case in of_main}) == len(of_main)
    models = {layout.model_dir(case) for case in cases}
    assert not models & {layout.recon_dir(case) for case in cases}


def test_program_is_trained_once_per_dose_view_and_draw():
    asked = study(repeats=2, methods={"cnn": {"train": TRAIN, "command": APPLY}})
    names = [case.name for case in asked.trainings()]
    assert names == [
        f"dose_1000_{view}_train@cnn{draw}"
        for draw in ("", "@2")
        for view in ("baseline", "dense", "sparse")
    ]
    program = asked.all_methods["cnn"]
    assert isinstance(program, ProgramSpec)
    assert program.files_used == ("cnn.py",)
    assert "train" not in program.settings("command")
    assert "command" not in program.settings("train")


@pytest.mark.parametrize(
    ("methods", "words"),
    [
        ({"main": {}}, "methods: 'main' can not be a method's name"),
        ({"EPIE": {}}, "methods: 'EPIE' can not be a method's name"),
        ({"2": {}}, "methods: '2' can not be a method's name"),
        ({"a/b": {}}, "methods: 'a/b' can not be a method's name"),
        ({"x" * 41: {}}, "expected up to 40 lower-case letters"),
        ({"a": {"momentumm": 1}}, "'methods.a.momentumm'; did you mean 'methods.a.momentum'?"),
        ({"a": {"comand": ["x"]}}, "'methods.a.comand'; did you mean 'methods.a.command'?"),
        ({"a": {"momentum": -1}}, "methods.a: momentum is -1, expected `float` >= 0.0"),
        ({"a": {"momentum": []}}, "methods.a.momentum is an empty list"),
        ({"a": {"momentum": [1], "damping": [1]}}, "momentum and damping are lists"),
        ({"a": {"seed": [1]}, "a_0": {}}, "methods: a_0 is there twice"),
        ({"a": {"algorithm": ["DM", "D"]}}, "methods.a: algorithm is 'D', expected one of"),
        ({"a": {"train": TRAIN}}, "methods.a: Object missing required field `command`"),
        ({"a": {"command": ["x"], "momentum": 1}}, "momentum is a setting of [recon] and command"),
        ({"a": {"command": ["x", "{input_npz}"]}}, "command names no {output}"),
        ({"a": {"command": ["{inputnpz}"]}}, "placeholder {inputnpz}; did you mean {input_npz}?"),
        ({"a": {"command": ["{0}"]}}, "placeholder {0}; known: {input_npz}, {model}, {output}"),
        ({"a": {"command": ["{input_npz"]}}, "can not be filled in"),
        ({"a": {"command": APPLY}}, "command names {model} and there is no train"),
        ({"a": {"command": APPLY, "train": ["x", "{model}"]}}, "train names no {train_npz}"),
        ({"a": {"command": APPLY, "train": [*TRAIN, "{input_npz}"]}}, "placeholder {input_npz}"),
        ({"a": {"command": ["{input_npz}", "{output}"], "output": "../x.npz"}}, "output is"),
        ({"a": {"command": ["{input_npz}", "{output}"], "output": "x.mat"}}, "output is"),
        ({"a": {"command": ["{input_npz}", "{output}"], "timeout_s": 0}}, "timeout_s is 0"),
    ],
    ids=lambda value: str(value)[:60],
)
def test_method_that_can_not_be_is_refused_by_name(methods: dict[str, Any], words: str):
    with pytest.raises(StudyError) as refused:
        study(methods=methods)
    assert words in str(refused.value)


def test_noise_is_drawn_again_only_where_it_is_ours(tmp_path: Path):
    with pytest.raises(StudyError, match=r"repeats is 2, expected 1 where simulation\.noise is"):
        study(repeats=2, simulation={"noise": "none"})
    for key in ("phase_c_root", "phase_d_root"):
        asked = study(repeats=2, paths={key: "mine"})
        with pytest.raises(StudyError, match=rf"where sets are your own \({key}\)"):
            Layout.of(asked, study_folder=tmp_path, project=tmp_path)


def test_study_without_methods_says_nothing_of_them():
    assert study() == study(repeats=1, methods={})
    assert not {"repeats", "methods"} & study(repeats=1, methods={}).to_dict().keys()
