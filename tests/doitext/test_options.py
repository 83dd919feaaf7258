"""Options in any place on the line, and names and options that are none: what was meant."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
from doit.cmdparse import CmdOption, CmdParse
from doit.task import Task
from doitext_project import DOIT, Project

from fly64tasks.doitext.commands.options import sorted_out

COMMAND = CmdParse(
    [
        CmdOption({"name": "n", "short": "n", "type": bool, "default": False}),
        CmdOption({"name": "j", "short": "j", "type": int, "default": 0}),
        CmdOption({"name": "dose", "long": "dose", "type": list, "default": []}),
    ]
)


@pytest.mark.parametrize(
    ("line", "ours", "rest"),
    [
        (["a", "-n"], ["-n"], ["a"]),
        (["a", "--dose", "1", "b"], ["--dose", "1"], ["a", "b"]),
        (["a", "--dose=1"], ["--dose=1"], ["a"]),
        (["a", "-j2", "-j", "3"], ["-j2", "-j", "3"], ["a"]),
        (["a", "--", "-n"], [], ["a", "--", "-n"]),
        (["-c", "a", "-x"], [], ["-c", "a", "-x"]),
        (["a", "--dose"], ["--dose"], ["a"]),
        (["taking", "-n", "-j", "2"], ["-j", "2"], ["taking", "-n"]),
        (["taking", "--name", "a", "-n"], [], ["taking", "--name", "a", "-n"]),
        (["a", "-n", "taking", "-n"], ["-n"], ["a", "taking", "-n"]),
        (["all", "-j2", "x", "-j2"], ["-j2"], ["all", "x", "-j2"]),
    ],
)
def test_options_of_the_command_are_sorted_out(
    line: list[str], ours: list[str], rest: list[str]
) -> None:
    own = [
        {"name": "n", "short": "n", "type": bool, "default": False},
        {"name": "name", "long": "name", "type": str, "default": ""},
    ]
    tasks = {"taking": Task("taking", None, params=own), "all": Task("all", None, pos_arg="x")}
    assert sorted_out(line, COMMAND, tasks) == (ours, rest)


def _two_steps(project: Project) -> None:
    def fail() -> bool:
        project.executed.append("bad")
        print("said by bad")
        return False

    def tasks() -> list[dict[str, Any]]:
        meta = {"view": "dense"}
        return [
            project.task("first", targets=["made"], uptodate=[True]),
            {"basename": "bad", "actions": [fail]},
            project.task("after", file_dep=["made"], targets=["end"]),
            project.task("recon", name="x_dense", targets=["r1"], meta=meta),
            project.task("recon", name="x_sparse", targets=["r2"], meta={"view": "sparse"}),
        ]

    project.tasks = tasks


@pytest.mark.parametrize("options", [["-c"], ["--continue"], ["-cv0"], ["-c", "-v", "0"]])
def test_continue_may_stand_after_the_names(project: Project, options: list[str]) -> None:
    _two_steps(project)
    assert project.doit("bad", "after", *options).code == 1
    assert project.executed == ["bad", "first", "after"]


def test_every_option_of_doits_own_may_stand_after_a_name(project: Project) -> None:
    _two_steps(project)
    assert "said by bad" in project.doit("bad", "-v2").out
    assert "said by bad" in project.doit("bad", "-v", "2").out
    assert "said by bad" not in project.doit("bad", "-v0").out
    project.doit("after", "-s")
    assert project.executed == []  # its input, which it does not make, is not there
    project.doit("after")
    project.doit("after", "-s", "-a")
    assert project.executed == ["after"]
    project.doit("after", "-a")
    assert project.executed == ["first", "after"]
    assert project.doit("after", "-an").out.count("always (-a)") == 2
    assert project.doit("list", "recon", "-q", "--no-subtasks").out == "recon\n"
    assert project.doit("forget", "after", "-s").out == "forgetting first\nforgetting after\n"
    project.doit("first", "-o", "said.txt", "-r", "lines")
    assert Path("said.txt").read_text().startswith("1 up to date")


def test_group_of_flags_after_a_name_is_a_dry_run_too(project: Project) -> None:
    _two_steps(project)
    project.doit("first")
    before = project.snapshot()
    assert project.doit("after", "-cn").out.endswith("Nothing was run.\n")
    assert project.snapshot() == before


DODO = """
from doit import task_params

DOIT_CONFIG = {"backend": "journal", "dep_file": "s.db", "verbosity": 2}


def task_own():
    def say(c):
        print("own c", c)
    param = {"name": "c", "short": "c", "type": str, "default": "-"}
    return {"actions": [say], "params": [param]}


@task_params([{"name": "s", "short": "s", "type": bool, "default": False}])
def task_made(s):
    return {"actions": [lambda: print("made s", s)]}
"""


@pytest.mark.parametrize(
    ("line", "said"),
    [
        (["own", "-c", "x"], "own c x"),
        (["own", "-a", "-c", "x"], "own c x"),
        (["-c", "own"], "own c -"),
        (["made", "-s"], "made s True"),
        (["made", "-c"], "made s False"),
    ],
)
def test_option_that_a_task_has_itself_is_that_tasks(
    tmp_path: Path, line: list[str], said: str
) -> None:
    (tmp_path / "dodo.py").write_text(DODO)
    command = [*DOIT, *line]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    assert said in done.stdout


def test_option_that_doit_needs_before_the_tasks_is_said_to_belong_there(tmp_path: Path) -> None:
    (tmp_path / "dodo.py").write_text(DODO)
    command = [*DOIT, "made", "-f", "dodo.py"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    said = "ERROR: option -f not recognized after the name of a task; say -f before it\n"
    assert (done.returncode, done.stderr) == (3, said)


@pytest.mark.parametrize("command", [[], ["list"], ["clean"], ["forget"], ["ignore"], ["info"]])
@pytest.mark.parametrize(
    ("word", "meant"),
    [
        ("recno", "did you mean recon?"),
        ("recon:x_dnese", "did you mean recon:x_dense?"),
        ("x_dense", "did you mean recon:x_dense?"),
        ("recon:x", "did you mean 'recon:x_*'?"),
        ("dense", "did you mean --view dense?"),
        ("madee", "did you mean made?"),
        ("zzz", "there are: first, bad, after, recon"),
    ],
)
def test_name_that_there_is_not_is_told_with_what_was_meant(
    project: Project, command: list[str], word: str, meant: str
) -> None:
    _two_steps(project)
    result = project.doit(*command, word)
    assert result.code == 3
    what = "command, task or target" if not command else "task or target"
    assert result.err == f"ERROR: no {what} is called '{word}'; {meant}\n"


@pytest.mark.parametrize(
    ("line", "meant"),
    [
        (["lst"], "did you mean list?"),
        (["recno:*"], "did you mean recon:*? There are: "),
        (["--view", "dnse"], "did you mean --view dense? values that exist: view: dense, sparse"),
        (["--vew", "dense"], "option --vew not recognized; did you mean --view? See `"),
        (["recon", "-v"], "option -v requires argument; see `"),
    ],
)
def test_command_pattern_view_and_option_are_told_with_what_was_meant(
    project: Project, line: list[str], meant: str
) -> None:
    _two_steps(project)
    result = project.doit(*line)
    assert result.code == 3
    assert meant in result.err
    assert result.err.count("\n") == 1


@pytest.mark.parametrize("line", [["-h"], ["--help", "x"], ["run", "-h"], ["run", "--help"]])
def test_help_of_run_is_printed_with_the_other_commands(project: Project, line: list[str]) -> None:
    _two_steps(project)
    said = project.doit(*line) if line[0] != "--help" else project.doit("recon", "--help")
    assert (said.code, said.err, project.executed) == (0, "", [])
    assert "-n, --dry-run" in said.out
    assert "OTHER COMMANDS" in said.out
    assert "list tasks from dodo file" in said.out


@pytest.mark.parametrize("command", ["list", "clean", "forget", "ignore", "info", "verify"])
def test_each_command_answers_help(project: Project, command: str) -> None:
    for flag in ("-h", "--help"):
        said = project.doit(command, flag)
        assert (said.code, said.err) == (0, "")
        assert f" {command}" in said.out.split("OPTIONS")[0]


def test_reasons_longer_than_a_line_are_cut_with_a_count(project: Project) -> None:
    names = [f"data/a_rather_long_folder/set_{i}" for i in range(200)]
    for name in names:
        project.write(name, "x")
    inputs: list[str] = []
    project.tasks = lambda: [project.task("report", file_dep=inputs, targets=["page"])]
    inputs = names[:1]
    project.doit()
    inputs = names
    line = project.doit("-n").out.splitlines()[0]
    assert len(line) < 160
    assert line.endswith(", and 197 more")
    assert len(project.doit("-n", "--json").reasons["report"]) == 199
    assert f"  input added: {names[-1]}\n" in project.doit("info", "report").out


def test_one_reason_longer_than_a_line_is_cut_with_its_length(project: Project) -> None:
    def fail() -> None:
        raise ValueError("word " * 200)

    project.tasks = lambda: [{"basename": "t", "actions": [fail], "targets": ["made"]}]
    project.doit()
    line = project.doit("-n").out.splitlines()[0]
    assert len(line) < 180
    assert line.endswith(" characters)")
    assert len(project.doit("-n", "--json").reasons["t"][0]) > 900
    [found] = json.loads(project.doit("verify", "--json").out)["found"]
    assert len(found["detail"]) > 900
    assert len(project.doit("verify").out.splitlines()[0]) < 180


def test_info_says_in_words_why_a_task_would_run(project: Project) -> None:
    _two_steps(project)
    never = project.doit("info", "after")
    assert never.code == 1
    assert "status: run\n  never run\n" in never.out
    assert "inputs\n  made\n" in never.out
    assert "targets\n  end\n" in never.out
    assert "after\n  first\n" in never.out
    project.doit("after")
    assert project.doit("info", "after").code == 0
    Path("end").unlink()
    said = project.doit("info", "after")
    assert "status: run\n  target missing: end\n" in said.out
    group = project.doit("info", "recon")
    assert "  recon:x_dense: run\n" in group.out
    hidden = project.doit("info", "after", "--no-status")
    assert (hidden.code, "status" in hidden.out) == (0, False)
    assert project.doit("info").err == "ERROR: info takes the name of one task, found none\n"
    assert project.doit("info", "after", "bad").code == 3


def test_ignore_and_reset_dep_take_patterns_and_filters(project: Project) -> None:
    _two_steps(project)
    assert project.doit("ignore").code == 3
    assert project.doit("ignore", "--view", "dense").out == "ignoring recon:x_dense\n"
    assert project.doit("-n", "--json", "recon").verdicts == {
        "recon:x_dense": "ignored",
        "recon:x_sparse": "run",
    }
    assert project.doit("ignore", "recon:*_sparse").out == "ignoring recon:x_sparse\n"
    assert project.doit("forget", "--view", "dense,sparse").code == 0
    assert set(project.doit("-n", "--json", "recon").verdicts.values()) == {"run"}
    project.doit("recon")
    assert project.doit("reset-dep", "--view", "dense").out == "processed recon:x_dense\n"
    assert "nothing was forgotten: name tasks" in project.doit("forget").err
