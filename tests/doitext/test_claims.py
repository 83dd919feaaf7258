"""Whose a folder is: marks, locks, and who is refused."""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
import subprocess
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from doit.exceptions import InvalidCommand
from doitext_project import DOIT, Project, wait_until_up

from fly64tasks.doitext.graph.manifest import FileNames
from fly64tasks.doitext.graph.sealed import refuse_foreign
from fly64tasks.doitext.spec import SpecUnchanged
from fly64tasks.doitext.state.claims import LOCK, MARK, Claim, Owner


@dataclass
class Mine:
    """Who writes, where, and with which state."""

    project: Project
    file: str = "mine.toml"
    folder: str = "out"
    state: str = "out/.db"
    content: str = "mine"

    def doit(self, *args: str) -> Any:
        def made() -> list[str]:
            return [str(path) for path in Path(self.folder).glob("made*")]

        claim = Claim(self.folder, Owner(self.file, self.folder), made, "say --take-over")
        target = f"{self.folder}/made"
        spec, meta = SpecUnchanged({"content": self.content}), {"claim": claim}
        task = self.project.task(
            "t", self.content, targets=[target], uptodate=[spec], meta=meta, clean=True
        )
        self.project.tasks = lambda: [task]
        self.project.config = {"dep_file": self.state, "manifest_dir": self.folder}
        Path(self.file).touch()
        return self.project.doit(*args)


@pytest.fixture
def mine(project: Project) -> Mine:
    """A first study, done."""
    first = Mine(project)
    assert first.doit().code == 0
    return first


def everything(project: Project) -> dict[str, tuple[int, bytes]]:
    return {path: content for path, content in project.snapshot().items() if ".toml" not in path}


def test_first_run_leaves_a_mark_and_the_next_ones_find_it(mine: Mine) -> None:
    assert json.loads(Path("out", MARK).read_text()) == {"file": "../mine.toml", "folder": "."}
    assert "1 up to date" in mine.doit().out


COMMANDS = (
    *([], ["-n"], ["-n", "--json"], ["t"], ["manifest"], ["clean"], ["clean", "-n"]),
    *(["forget", "t"], ["forget", "--all"], ["ignore", "t"], ["reset-dep"]),
)


@pytest.mark.parametrize("line", COMMANDS, ids=str)
@pytest.mark.parametrize("state", ["out/.db", "own.db"])
def test_another_is_refused_by_name_before_a_byte_changes(
    mine: Mine, state: str, line: list[str]
) -> None:
    other = replace(mine, file="other.toml", state=state, content="other")
    before = everything(mine.project)
    result = other.doit(*line)
    assert result.code == 3
    assert result.err == (
        "ERROR: out: belongs to mine.toml, whose results lie in out; this is other.toml, whose "
        "results lie in out: say --take-over\n"
    )
    assert everything(mine.project) == before


def test_what_only_reads_works_for_another(mine: Mine) -> None:
    other = replace(mine, file="other.toml")
    assert other.doit("list", "-s").code == 0
    assert other.doit("verify").code == 0


def test_state_of_another_is_refused(mine: Mine) -> None:
    other = replace(mine, file="other.toml", folder="elsewhere", state="out/.db")
    before = everything(mine.project)
    result = other.doit()
    assert result.code == 3
    assert result.err.startswith("ERROR: out/.db: is the record of mine.toml, whose results lie in")
    assert everything(mine.project) == before


def test_take_over_makes_it_anew_and_refuses_the_former(mine: Mine) -> None:
    other = replace(mine, file="other.toml", state="own.db", content="other")
    planned = other.doit("-n", "--take-over", "--json")
    assert planned.reasons == {"t": ["never run"]}
    assert other.doit("--take-over").code == 0
    assert Path("out/made").read_text() == "other"
    assert mine.doit().code == 3
    assert "belongs to other.toml" in mine.doit().err
    assert other.doit().code == 0


def test_project_may_be_moved_and_copied(mine: Mine) -> None:
    here = Path.cwd()
    for name in ("moved", "copied"):
        (here / name).mkdir()
        for item in ("mine.toml", "out"):
            (
                shutil.move
                if name == "copied"
                else shutil.copytree
                if item == "out"
                else shutil.copy
            )(here / item, here / name / item)
        os.chdir(here / name)
        assert "up to date" in mine.doit("-n").out
        os.chdir(here)


def test_results_of_the_same_file_may_be_moved(project: Project) -> None:
    first = Mine(project)
    first.doit()
    Path("out").rename("results")
    moved = replace(first, folder="results", state="results/.db")
    assert moved.doit("-n").code == 0
    assert json.loads(Path("results", MARK).read_text())["folder"] == "."


def without_marks() -> None:
    """What an earlier version has left."""
    Path("out", MARK).unlink()
    Path("out", LOCK).unlink()
    connection = sqlite3.connect("out/.db")
    with connection:
        connection.execute("drop table owner")
    connection.close()


def test_folder_of_an_earlier_version_is_adopted_where_all_is_recorded(mine: Mine) -> None:
    without_marks()
    made = Path("out/made").stat().st_mtime_ns
    assert "up to date" in mine.doit("-n").out
    assert not Path("out", MARK).exists()
    assert mine.doit().code == 0
    assert Path("out/made").stat().st_mtime_ns == made
    assert replace(mine, file="other.toml").doit().code == 3


def test_folder_without_a_mark_is_refused_where_something_is_not_recorded(mine: Mine) -> None:
    without_marks()
    other = replace(mine, file="other.toml", state="own.db")
    before = everything(mine.project)
    for line in ([], ["-n"], ["clean"]):
        result = other.doit(*line)
        assert result.code == 3
        assert "out: holds what own.db has no record of: out/made; this is other" in result.err
    assert everything(mine.project) == before
    assert mine.doit().code == 0


@pytest.mark.parametrize(
    "junk", ["", "junk", "[]", '{"file": 1, "folder": 2}', "[" * 10_000, "\0"], ids=lambda x: x[:9]
)
def test_mark_that_is_none_is_named(mine: Mine, junk: str) -> None:
    Path("out", MARK).write_text(junk)
    result = mine.doit()
    assert result.code == 3
    assert f"out/{MARK}: says not whose the folder is" in result.err
    assert "Traceback" not in result.err
    assert mine.doit("--take-over").code == 0
    assert mine.doit().code == 0


def test_clean_gives_a_folder_up(mine: Mine) -> None:
    mine.doit("clean")
    assert not Path("out", MARK).exists()
    assert not Path("out", LOCK).exists()


def test_manifest_of_another_program_is_refused_and_left_alone(mine: Mine) -> None:
    for name in ("manifest.json", "skip_summary.json"):
        path = Path("out", name)
        kept = path.read_bytes()
        path.write_text('{"precious": 1}')
        for line in ([], ["manifest"]):
            result = mine.doit(*line)
            assert result.code == 3
            assert f"out/{name}: exists and was not written by doit" in result.err
        assert path.read_text() == '{"precious": 1}'
        path.write_bytes(kept)


NAMES = FileNames()


@pytest.mark.parametrize(
    "ours", ["", " \n" * 99, "{ }", "{\n" + " " * 99 + "}", '{\n  "sch', '{\n  "schema": 1']
)
def test_manifest_that_says_nothing_or_is_cut_short_may_be_ours(tmp_path: Path, ours: str) -> None:
    (tmp_path / NAMES.manifest).write_text(ours)
    refuse_foreign(NAMES.within(tmp_path))


@pytest.mark.parametrize("foreign", ["{}}", " " * 99 + "x", '{\n  "schemes": 1', '{"schema": 1}'])
def test_manifest_that_begins_otherwise_is_refused(tmp_path: Path, foreign: str) -> None:
    (tmp_path / NAMES.skips).write_text(foreign)
    with pytest.raises(InvalidCommand, match="was not written by doit"):
        refuse_foreign(NAMES.within(tmp_path))


LONG = """
import os
import time
from pathlib import Path

from fly64tasks.doitext.state.claims import Claim, Owner

name = os.environ["WHO"]
DOIT_CONFIG = {"backend": "journal", "dep_file": f"{name}.db", "verbosity": 0}
claim = Claim("out", Owner(name, name), list, "say --take-over")


def wait():
    Path("up").touch()
    time.sleep(600)


def task_long():
    return {"actions": [wait], "meta": {"claim": claim}}
"""


def test_folder_is_not_taken_over_while_its_owner_writes(project: Project) -> None:
    project.write("dodo.py", LONG)
    running = subprocess.Popen(DOIT, stderr=subprocess.DEVNULL, env={**os.environ, "WHO": "a"})
    try:
        wait_until_up(project.folder, running)
        refused = subprocess.run(
            [*DOIT, "--take-over"],
            capture_output=True,
            text=True,
            check=False,
            env={**os.environ, "WHO": "b"},
        )
        assert refused.returncode == 3
        assert f"ERROR: out: in use by pid {running.pid}" in refused.stderr
    finally:
        running.kill()
        running.wait()


def test_two_that_begin_at_once_in_a_new_folder_do_not_both_write(project: Project) -> None:
    project.write("dodo.py", LONG.replace("time.sleep(600)", "time.sleep(1)"))
    command = [*DOIT, "--wait"]
    ends = [
        subprocess.Popen(
            command, stderr=subprocess.PIPE, text=True, env={**os.environ, "WHO": name}
        )
        for name in "ab"
    ]
    said = [process.communicate(timeout=60)[1] for process in ends]
    assert sorted(process.returncode for process in ends) == [0, 3]
    assert any("belongs to" in text for text in said)
