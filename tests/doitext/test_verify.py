"""``doit verify``: every way in which an artifact may not be what its task made."""

from __future__ import annotations

import contextlib
import json
import os
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from doitext_project import DOIT, MAIN, Project

from fly64tasks.doitext.errors import TaskError
from fly64tasks.doitext.spec import SpecUnchanged
from fly64tasks.doitext.state.record import TARGETS


@pytest.fixture
def made(project: Project) -> Project:
    """A source of the user's, a set made from it, and two results of that; all built."""
    project.write("source", "source")
    spec = {"num_epochs": 100}

    def tasks() -> list[dict[str, Any]]:
        settings = [SpecUnchanged(dict(spec))]
        return [
            project.task("make", file_dep=["source"], targets=["out/set"]),
            *(
                project.task(
                    "recon",
                    name=name,
                    content=f"{name} " * 20,
                    file_dep=["out/set"],
                    targets=[f"out/{name}", f"out/{name}.log"],
                    uptodate=settings,
                    meta={"split": name},
                )
                for name in ("train", "test")
            ),
        ]

    project.tasks = tasks
    project.config = {"spec": spec}
    assert project.doit().code == 0
    return project


def problems(project: Project, *args: str, code: int = 1) -> list[list[str]]:
    """The problem lines, as word, task and detail; the summary is left out."""
    result = project.doit("verify", *args)
    assert result.code == code, result
    return [line.split("  ") for line in _lines(result.out)[:-1]]


def _lines(text: str) -> list[str]:
    return ["  ".join(filter(None, map(str.strip, line.split("  ")))) for line in text.splitlines()]


def test_all_is_whole_after_a_run_and_nothing_is_written(made: Project) -> None:
    before = made.snapshot()
    result = made.doit("verify")
    assert (result.code, result.out) == (0, "5 of 5 artifacts whole.\n")
    assert made.snapshot() == before
    assert made.executed == []


def _flip(path: Path) -> None:
    status, content = path.stat(), bytearray(path.read_bytes())
    content[3] ^= 1
    path.write_bytes(content)
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))


DAMAGE: dict[str, tuple[Callable[[Path], object], str, str]] = {
    "flipped bit, time stamp as before": (_flip, "altered", "126 bytes, other content"),
    "cut": (lambda p: os.truncate(p, 50), "truncated", "50 of 126 bytes"),
    "empty": (lambda p: os.truncate(p, 0), "truncated", "0 of 126 bytes"),
    "longer": (lambda p: p.write_text("x" * 127), "altered", "127 bytes, 126 when made"),
    "gone": (Path.unlink, "missing", ""),
    "folder": (lambda p: (p.unlink(), p.mkdir()), "altered", "not a file"),
    "pipe": (
        lambda p: (p.unlink(), os.mkfifo(p)),
        "unreadable",
        "neither a file nor a folder",
    ),
    "link to nowhere": (lambda p: (p.unlink(), p.symlink_to("nowhere")), "missing", ""),
}


@pytest.mark.parametrize(("damage", "word", "detail"), DAMAGE.values(), ids=DAMAGE.keys())
def test_damaged_artifact_is_named_with_what_is_wrong(
    made: Project, damage: Callable[[Path], object], word: str, detail: str
) -> None:
    damage(Path("out/train"))
    words = f"out/train: {detail}" if detail else "out/train"
    assert problems(made) == [[word, "recon:train", words]]
    assert made.doit("verify").out.endswith(f"4 of 5 artifacts whole, 1 {word}.\n")
    assert problems(made, "--split", "test", code=0) == []


@pytest.fixture
def with_log(project: Project) -> Project:
    """A job that writes a log beside its target, which is no target, and the manifest of it."""

    def write(targets: list[str]) -> None:
        Path("out").mkdir(exist_ok=True)
        Path(targets[0]).write_text("result")
        Path("out/log").write_text("what happened")

    meta = {"record": "out/record.json", "log": "out/log", "split": "train"}
    job = {"basename": "job", "actions": [write], "targets": ["out/result"], "meta": meta}
    project.tasks = lambda: [job | {"uptodate": [True]}]
    project.config = {"manifest_dir": "out"}
    assert project.doit().code == 0
    assert project.doit("verify").out == "4 of 4 artifacts whole.\n"
    return project


def _edit(path: Path) -> None:
    content = path.read_text()
    path.write_text(content.replace("schema", "schemo").replace("what", "that"))


BESIDE: dict[str, tuple[Callable[[Path], object], str, str]] = {
    "deleted": (Path.unlink, "missing", "missing"),
    "emptied": (lambda p: os.truncate(p, 0), "truncated", "truncated"),
    "cut": (lambda p: os.truncate(p, 7), "truncated", "truncated"),
    "edited": (_edit, "altered", "altered"),
    "put in another's place": (lambda p: p.write_text("{\n}\n"), "truncated", "not recorded"),
    "a folder": (lambda p: (p.unlink(), p.mkdir()), "altered", "altered"),
}


@pytest.mark.parametrize(("damage", "of_log", "of_manifest"), BESIDE.values(), ids=BESIDE.keys())
def test_log_manifest_and_skip_summary_are_verified(
    with_log: Project, damage: Callable[[Path], object], of_log: str, of_manifest: str
) -> None:
    for name in ("log", "manifest.json", "skip_summary.json"):
        damage(Path("out", name))
    found = json.loads(with_log.doit("verify", "--json").out)["found"]
    words = {path: item["word"] for item in found for path in item["paths"]}
    assert words == {
        "out/result": "whole",
        "out/log": of_log,
        "out/manifest.json": of_manifest,
        "out/skip_summary.json": of_manifest,
    }
    assert with_log.doit("verify").code == 1
    assert with_log.doit("verify", "job").code == 1
    if of_log != "altered" or damage is _edit:  # a folder is its owner's to remove
        assert with_log.doit("-a").code == 0
        assert with_log.doit("verify").out == "4 of 4 artifacts whole.\n"


def test_log_of_a_run_before_its_digest_was_kept_is_named_as_not_verified(
    with_log: Project,
) -> None:
    with contextlib.closing(sqlite3.connect("state/doit.db")) as connection, connection:
        text = connection.execute("select task_data from doit").fetchone()[0]
        row = json.loads(text)
        del row[TARGETS]["out/log"]
        connection.execute("update doit set task_data = ?", (json.dumps(row),))
    result = with_log.doit("verify")
    assert result.out.splitlines() == [
        "not verified      job  out/log: no digest of it is recorded",
        "3 of 4 artifacts whole, 1 not verified.",
    ]
    assert result.code == 0
    assert with_log.doit("-n", "--json").verdicts == {"job": "up to date"}


def test_damaged_input_is_told_of_each_task_that_read_it(made: Project) -> None:
    _flip(Path("out/set"))
    assert problems(made) == [
        ["altered", "make", "out/set: 6 bytes, other content"],
        ["inputs changed", "recon:train", "out/set: not what the task read"],
        ["inputs changed", "recon:test", "out/set: not what the task read"],
    ]


def test_input_that_no_task_makes_is_told_apart(made: Project) -> None:
    _flip(Path("source"))
    assert problems(made) == [
        ["inputs changed", "make", "source: not what the task read (no task makes it)"]
    ]
    Path("source").unlink()
    assert problems(made, "make") == [
        ["inputs changed", "make", "source: missing (no task makes it)"]
    ]


def test_changed_setting_is_told_with_both_values(made: Project) -> None:
    made.config["spec"]["num_epochs"] = 200
    assert problems(made, "recon:train") == [
        ["settings changed", "recon:train", "num_epochs 100 -> 200"]
    ]


def test_what_never_ran_failed_or_was_cut_off_is_no_artifact(made: Project) -> None:
    fail = True

    def act() -> None:
        if fail:
            raise TaskError("diverged")

    former = made.tasks
    made.tasks = lambda: [
        *former(),
        {"basename": "bad", "actions": [act], "targets": ["out/bad"]},
        made.task("new", targets=["out/new"]),
        made.task("theirs", targets=["source"]),
    ]
    made.doit("bad")
    state = sqlite3.connect("state/doit.db")
    with state:
        state.execute(
            "update doit set task_data = replace(task_data, '\"MD5Checker\"', '\"interrupted\"')"
            " where task_id = 'recon:test'"
        )
    state.close()
    assert problems(made) == [
        ["interrupted", "recon:test", "cut off while it ran"],
        ["failed", "bad", "diverged"],
        ["never made", "new"],
        ["not recorded", "theirs", "there, but no run is recorded: source"],
    ]


def test_what_was_made_before_digests_were_recorded_is_said(made: Project) -> None:
    state = sqlite3.connect("state/doit.db")
    with state:
        for task_id, text in state.execute("select task_id, task_data from doit").fetchall():
            row = json.loads(text)
            row.pop(TARGETS, None)  # a group has none
            state.execute(
                "update doit set task_data = ? where task_id = ?", (json.dumps(row), task_id)
            )
    state.close()
    assert {words[0] for words in problems(made)} == {"not recorded"}
    made.doit()
    assert made.executed == []  # it is up to date all the same


def test_json_holds_every_artifact(made: Project) -> None:
    os.truncate("out/train", 0)
    result = made.doit("verify", "recon", "--json")
    assert result.code == 1
    said = json.loads(result.out)
    assert said["summary"] == {"truncated": 1, "whole": 3}
    assert said["found"][0] == {
        "task": "recon:train",
        "word": "truncated",
        "detail": "out/train: 0 of 126 bytes",
        "paths": ["out/train"],
    }


@pytest.mark.parametrize("line", [["zzz*"], ["--split", "none"], ["nope"]])
def test_nothing_that_matches_exits_with_3(made: Project, line: list[str]) -> None:
    assert made.doit("verify", *line).code == 3


def test_tasks_without_artifacts_exit_with_3(project: Project) -> None:
    project.tasks = lambda: [project.task("t")]
    result = project.doit("verify")
    assert result.code == 3
    assert "nothing to verify: no selected task makes a file" in result.err


def test_folder_is_whole_while_it_is_one(project: Project) -> None:
    project.tasks = lambda: [
        {"basename": "t", "actions": [lambda: Path("folder").mkdir()], "targets": ["folder"]}
    ]
    project.doit()
    assert problems(project, code=0) == []
    Path("folder").rmdir()
    assert problems(project) == [["missing", "t", "folder"]]


def test_it_works_in_a_sub_folder_beside_a_state_that_only_others_write(tmp_path: Path) -> None:
    (tmp_path / "dodo.py").write_text(
        "DOIT_CONFIG = {'backend': 'journal', 'dep_file': 'state/doit.db'}\n"
        "def task_t():\n    return {'actions': ['echo 1 > made'], 'targets': ['made']}\n"
    )
    (tmp_path / "deep/down").mkdir(parents=True)
    command = [sys.executable, "-B", "-c", MAIN]
    subprocess.run(command, cwd=tmp_path, check=True, capture_output=True)
    (tmp_path / "state/doit.db").chmod(0o400)
    (tmp_path / "state").chmod(0o500)
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")}
    try:
        done = subprocess.run(
            [*DOIT, "verify"],
            cwd=tmp_path / "deep/down",
            capture_output=True,
            text=True,
        )
    finally:
        (tmp_path / "state").chmod(0o700)
    assert (done.returncode, done.stdout) == (0, "1 of 1 artifacts whole.\n"), done.stderr
    assert before == {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")}


def test_targets_are_read_once_when_they_are_made(
    made: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    from doit import dependency

    read: list[str] = []
    digest = dependency.get_file_md5

    def counted(path: str) -> str:
        read.append(path)
        return str(digest(path))

    for path in [Path("source"), *Path("out").iterdir()]:
        os.utime(path, ns=(time.time_ns() - 10**9,) * 2)
    made.doit()
    monkeypatch.setattr(dependency, "get_file_md5", counted)
    made.doit()
    assert read == []
    made.doit("verify")
    assert sorted(read) == [
        "out/set",
        "out/test",
        "out/test.log",
        "out/train",
        "out/train.log",
        "source",
    ]
