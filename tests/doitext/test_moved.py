"""Files under another path than before are the same files if they hold the same."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from doitext_project import Project, Result


@pytest.fixture
def study(project: Project) -> Project:
    """Two sets, each of two inputs whose places matter, and a sum: below folders that may move."""
    project.config = {"data": "data", "out": "out"}
    for name in ("a", "b"):
        project.write(f"data/{name}/train", f"train {name}")
        project.write(f"data/{name}/test", f"test {name}")

    def tasks() -> list[dict[str, Any]]:
        data, out = project.config["data"], project.config["out"]
        made = [
            project.task(
                "join",
                name=name,
                file_dep=[f"{data}/{name}/train", f"{data}/{name}/test"],
                targets=[f"{out}/{name}/joined"],
            )
            for name in ("a", "b")
        ]
        joined = [f"{out}/{name}/joined" for name in ("a", "b")]
        return [*made, project.task("sum", file_dep=joined, targets=[f"{out}/sum"])]

    project.tasks = tasks
    project.doit()
    return project


def move(study: Project, key: str, to: str) -> None:
    Path(to).parent.mkdir(parents=True, exist_ok=True)
    Path(study.config[key]).rename(to)
    study.config[key] = to


def up_to_date(result: Result) -> bool:
    return set(result.verdicts.values()) == {"up to date"}


@pytest.mark.parametrize("to", ["other", "z/deeper/data", "/absolute"])
@pytest.mark.parametrize("keys", [["data"], ["out"], ["data", "out"]])
def test_renamed_folder_makes_nothing_stale(study: Project, keys: list[str], to: str) -> None:
    for key in keys:
        move(study, key, str(study.folder / f"{to[1:]}_{key}") if to[0] == "/" else f"{to}_{key}")
    before = study.snapshot()
    assert up_to_date(study.doit("-n", "--json"))
    assert study.doit("verify").out == "3 of 3 artifacts whole.\n"
    assert study.snapshot() == before
    assert study.doit().code == 0
    assert study.executed == []
    assert study.doit("verify").out == "3 of 3 artifacts whole.\n"
    study.write(f"{study.config['data']}/b/test", "edited")
    edited = f"{study.config['data']}/b/test"
    assert study.doit("-n", "--json").reasons["join:b"] == [f"input changed: {edited}"]
    study.doit()
    assert study.executed == ["join:b", "sum"]


def test_one_file_may_have_another_name_while_folders_are_renamed_too(project: Project) -> None:
    project.config = {"set": "set", "out": "out"}
    for path in ("set", "out/a/part", "out/b/part"):
        project.write(path, f"held by {path}")

    def tasks() -> list[dict[str, Any]]:
        name, out = project.config["set"], project.config["out"]
        read = [name, f"{out}/a/part", f"{out}/b/part"]
        return [project.task("score", file_dep=read, targets=[f"{out}/score"])]

    project.tasks = tasks
    assert project.doit().code == 0
    move(project, "set", "first")
    move(project, "out", "other")
    assert up_to_date(project.doit("-n", "--json"))
    project.write("first", "another")
    assert project.doit("-n", "--json").verdicts == {"score": "run"}


@pytest.mark.parametrize("keys", [["data"], ["out"], ["data", "out"]])
def test_task_with_a_log_follows_its_folders(project: Project, keys: list[str]) -> None:
    project.config = {"data": "data", "out": "out"}
    project.write("data/set", "a set")
    project.write("out/log", "a log")

    def tasks() -> list[dict[str, Any]]:
        data, out = project.config["data"], project.config["out"]
        made = {"file_dep": [f"{data}/set"], "targets": [f"{out}/made"]}
        return [project.task("job", **made, meta={"log": f"{out}/log"})]

    project.tasks = tasks
    assert project.doit().code == 0
    for key in keys:
        move(project, key, f"other_{key}")
    assert up_to_date(project.doit("-n", "--json"))
    assert project.doit("verify").code == 0


def test_files_that_changed_places_are_not_the_same(study: Project) -> None:
    move(study, "data", "other")
    (train, test) = (Path("other/a/train"), Path("other/a/test"))
    contents = train.read_bytes(), test.read_bytes()
    train.write_bytes(contents[1])
    test.write_bytes(contents[0])
    assert study.doit("-n", "--json").verdicts == {
        "join:a": "run",
        "join:b": "up to date",
        "sum": "may run",
    }
    study.doit()
    assert study.executed[0] == "join:a"


def test_file_that_was_edited_when_it_moved_is_found(study: Project) -> None:
    move(study, "out", "other")
    study.write("other/a/joined", "test a")
    planned = study.doit("-n", "--json")
    assert planned.verdicts["sum"] == "run"
    assert study.doit("verify").code == 1


def test_file_that_will_be_made_again_may_be_the_same(study: Project) -> None:
    move(study, "out", "other")
    Path("other/a/joined").unlink()
    planned = study.doit("-n", "--json")
    assert planned.verdicts == {"join:a": "run", "join:b": "up to date", "sum": "may run"}
    assert planned.reasons["sum"] == ["after join:a"]
    study.doit()
    assert study.executed == ["join:a"]


def test_lists_of_other_lengths_are_other_inputs(study: Project) -> None:
    first = study.tasks

    def fewer() -> list[dict[str, Any]]:
        made = first()
        made[-1]["file_dep"] = ["out/a/joined"]
        return made

    study.tasks = fewer
    reasons = study.doit("-n", "--json").reasons["sum"]
    assert reasons == ["input no longer used: out/b/joined"]
