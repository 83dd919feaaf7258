"""A study as an RO-Crate: what it says, that it says it of the files, and that it is accepted."""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
import sys
import venv
from pathlib import Path
from typing import Any

import pytest
from scored_study import STUDY, layout_in, write_run, write_scores, write_study
from small_study import PROJECT

from fly64tasks.crate.command import main
from fly64tasks.crate.entities import NO_LICENSE
from fly64tasks.crate.graph import METADATA
from fly64tasks.doitext.state.claims import MARK
from fly64tasks.recon.files import RUN_RECORD

FIRST = next(iter(STUDY.cases()))
OFFLINE = PROJECT / "tests/support/rocrate_offline.py"


@pytest.fixture
def study(tmp_path: Path) -> Path:
    """The folder of a study that was run: its records are there, its sets are not."""
    folder = tmp_path / "a study"
    folder.mkdir()
    write_study(folder)
    (folder / "study.toml").write_text('name = "of two doses"\ndoses = [1e3, 1e4]\n')
    return folder


def crate_of(folder: Path, *arguments: str) -> dict[str, dict[str, Any]]:
    """Write the crate of a study; return its entities by their names."""
    assert main([str(folder), *arguments]) == 0
    crate = json.loads((folder / METADATA).read_text("utf-8"))
    assert crate["@context"] == "https://w3id.org/ro/crate/1.2/context"
    found = {entity["@id"]: entity for entity in crate["@graph"]}
    assert len(found) == len(crate["@graph"])
    return found


def test_crate_has_every_file_with_its_size_and_digest(study: Path):
    found = crate_of(study)
    files = {name: entity for name, entity in found.items() if entity["@type"] == "File"}
    there = {
        path.relative_to(study).as_posix()
        for path in study.rglob("*")
        if path.is_file() and path.name != METADATA
    }
    assert set(files) == there
    assert {part["@id"] for part in found["./"]["hasPart"]} == there
    for name, entity in files.items():
        content = (study / name).read_bytes()
        assert entity["contentSize"] == str(len(content))
        assert entity["sha256"] == hashlib.sha256(content).hexdigest()
    assert found["./"]["name"] == "Ptychography study of two doses"
    assert found["./"]["license"] == NO_LICENSE


def test_long_settings_that_begin_alike_are_two(study: Path):
    """As the command lines of programs do."""
    asked = [f"{'word ' * 40}{number}" for number in (1, 2)]
    for case, command in zip(STUDY.cases(), asked, strict=False):
        path = layout_in(study).recon_dir(case) / RUN_RECORD
        run = json.loads(path.read_text("utf-8"))
        run["spec"] = {"command": ["python", command]}
        path.write_text(json.dumps(run), "utf-8")
    found = crate_of(study)
    said = [one["value"] for one in found.values() if one.get("name") == "recon.command"]
    assert sorted(said) == [json.dumps(["python", command]) for command in asked]


def test_program_its_training_and_its_model_are_in_the_crate(study: Path):
    train = ["python", "net.py", "train", "{train_npz}", "{model}"]
    apply = ["python", "net.py", "apply", "{input_npz}", "{model}", "{output}"]
    with (study / "study.toml").open("a") as file:
        file.write(f"[methods.net]\ntrain = {train}\ncommand = {apply}\n")
    (study / "net.py").write_text("the network")
    place = layout_in(study).recon_dir(FIRST)
    run = json.loads((place / RUN_RECORD).read_text("utf-8"))
    (place / RUN_RECORD).write_text(json.dumps(run | {"spec": {"command": apply}}), "utf-8")
    model = place.with_name("model@net")
    model.mkdir()
    (model / "model").write_text("weights")
    trained = run | {"spec": {"train": train}, "stage": "train"}
    (model / "train.json").write_text(json.dumps(trained), "utf-8")

    found = crate_of(study)
    assert found["net.py"]["sha256"] == hashlib.sha256(b"the network").hexdigest()
    said = model.relative_to(study).as_posix().replace("@", "%40")
    training = found[f"#train-{said}"]
    assert training["name"] == f"Train {model.relative_to(study).as_posix()}"
    assert {"@id": f"{said}/model"} in training["result"]
    applied = found[f"#reconstruct-{place.relative_to(study).as_posix()}"]
    assert {"@id": "net.py"} in training["object"]
    assert {"@id": "net.py"} in applied["object"]
    assert f"{len(list(STUDY.cases()))} reconstructions" in found["./"]["description"]


def test_each_reconstruction_is_an_action_with_settings_software_input_and_results(study: Path):
    found = crate_of(study)
    actions = [entity for entity in found.values() if entity["@type"] == "CreateAction"]
    assert len(actions) == len(list(STUDY.cases()))
    place = layout_in(study).recon_dir(FIRST).relative_to(study).as_posix()
    action = found[f"#reconstruct-{place}"]
    assert action["startTime"] == "2026-01-02T03:04:05+00:00"
    assert action["endTime"] == "2026-01-02T03:04:17.500000+00:00"
    objects = [found[item["@id"]] for item in action["object"]]
    assert objects[0]["sha256"] == "11" * 32
    settings = {entity["name"]: entity["value"] for entity in objects[1:]}
    assert settings["recon.num_epochs"] == "3"
    assert {item["@id"] for item in action["result"]} == {
        path.relative_to(study).as_posix() for path in (study / place).iterdir()
    }
    program = found[action["instrument"]["@id"]]
    assert (program["name"], program["version"]) == ("fly64tasks", "0.1.0")
    needs = {found[item["@id"]]["name"] for item in program["softwareRequirements"]}
    assert needs == {"python", "ptychi"}
    assert all(
        reference["@id"] in found
        for entity in found.values()
        for value in entity.values()
        for reference in (value if isinstance(value, list) else [value])
        if isinstance(reference, dict) and not reference["@id"].startswith("https://w3id.org/ro/")
    )


def test_job_that_failed_is_a_failed_action_with_its_reason(study: Path):
    write_run(layout_in(study), FIRST, state="failed", exit_code=4, reason="diverged in epoch 3")
    place = layout_in(study).recon_dir(FIRST).relative_to(study).as_posix()
    action = crate_of(study)[f"#reconstruct-{place}"]
    assert action["error"] == "diverged in epoch 3"
    assert action["actionStatus"]["@id"].endswith("/FailedActionStatus")


def test_licence_and_author_are_those_that_are_said(study: Path):
    licence = "https://spdx.org/licenses/CC-BY-4.0"
    found = crate_of(study, "--license", licence, "--author", "Ada")
    assert found["./"]["license"] == {"@id": licence}
    assert found[found["./"]["author"]["@id"]]["name"] == "Ada"
    again = crate_of(study)
    assert again["./"]["license"] == NO_LICENSE


def test_results_of_another_study_below_ours_are_left_out(study: Path):
    other = layout_in(study).artifact_root / "other"
    shutil.copytree(layout_in(study).recon_dir(FIRST), other / "dose_1/baseline/train")
    for left in ("index.html", MARK):  # its report, or what it has before there is one
        (other / left).write_text("of another study")
        assert not [name for name in crate_of(study) if "/other/" in name]
        (other / left).unlink()


def test_what_can_not_be_described_is_refused_in_one_line(
    study: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    run = layout_in(study).recon_dir(FIRST) / RUN_RECORD
    (study / "data").mkdir(exist_ok=True)
    (tmp_path / "not run").mkdir()
    shutil.copy(study / "study.toml", tmp_path / "not run")
    (study / "data/set.npz").write_text("changed since")
    for arguments, message in (
        ([str(tmp_path / "absent")], "study.toml: no such file"),
        ([str(tmp_path / "not run")], "holds no run.json below data and reports; expected a study"),
        ([str(study)], "set.npz: is not the content that was reconstructed"),
    ):
        assert main(arguments) in (2, 3)
        assert message in (error := capsys.readouterr().err)
        assert error.count("\n") == 1
    (study / "data/set.npz").unlink()
    run.write_text("{")
    assert main([str(study)]) == 1
    assert "run.json: damaged" in capsys.readouterr().err
    write_run(layout_in(study), FIRST)
    write_scores(layout_in(study), FIRST)
    assert main([str(study), "--license", "mine"]) == 3
    (study / METADATA).write_text("{}")
    assert main([str(study)]) == 3
    assert (study / METADATA).read_text() == "{}"


@pytest.mark.slow
def test_crate_of_a_real_study_is_accepted_by_the_validator(done_project: Path, tmp_path: Path):
    """`rocrate-validator`, every requirement of RO-Crate 1.2; its context comes from a file."""
    venv.create(tmp_path / "venv", with_pip=True)
    python = tmp_path / "venv/bin/python"
    packages = ["roc-validator==0.13.0", "rocrate==0.16.0"]
    pip = [python, "-m", "pip", "install", "--quiet", *packages]
    done = subprocess.run(pip, capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"roc-validator can not be installed: {done.stderr.strip().splitlines()[-1]}")
    [context] = (tmp_path / "venv").rglob("rocrate/data/ro-crate.jsonld")
    say = ["--license", "https://spdx.org/licenses/CC-BY-4.0", "--author", "Ada"]
    for rights in ([], say):
        command = [sys.executable, "-m", "fly64tasks", "crate", *rights]
        subprocess.run(command, cwd=done_project, check=True)
        validate = ["--disable-color", "validate", str(done_project), "-p", "ro-crate-1.2", "-v"]
        done = subprocess.run(
            [python, OFFLINE, context, *validate, "--no-paging"],
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout
        assert "is a valid ro-crate-1.2" in done.stdout
    (done_project / METADATA).write_text(
        (done_project / METADATA).read_text("utf-8").replace('"version"', '"wersion"')
    )
    done = subprocess.run([python, OFFLINE, context, *validate, "--no-paging"], check=False)
    assert done.returncode != 0
