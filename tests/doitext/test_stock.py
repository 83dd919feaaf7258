"""In projects that do not ask for the journal, doit is stock doit: both are run and compared."""

from __future__ import annotations

import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from small_study import PROJECT

POINTS = tomllib.loads((PROJECT / "pyproject.toml").read_text("utf-8"))["project"]["entry-points"]
MAIN = """
import sys
from importlib.metadata import EntryPoint
import doit.plugin
points = {points!r}
doit.plugin.entry_points_impl = lambda: lambda group: [
    EntryPoint(*item, group) for item in points.get(group, {{}}).items()
]
sys.argv[0] = "doit"
from doit.doit_cmd import DoitMain
sys.exit(DoitMain().run(sys.argv[1:]))
"""

DODO = """
from helper import said

DOIT_CONFIG = {config!r} | {{"default_tasks": ["make", "check"]}}


def task_make():
    "Make a file."
    for i in range(4):
        yield {{
            "name": str(i),
            "actions": [f"echo {{i}} > made{{i}}"],
            "file_dep": ["source"],
            "targets": [f"made{{i}}"],
            "clean": True,
        }}


def task_check():
    return {{"actions": [said], "file_dep": ["made1"]}}


def task_fail():
    return {{"actions": ["exit 3"], "params": [{{"name": "x", "long": "xx", "default": ""}}]}}
"""

CALLS = """
list
list --all -s --deps
info make:1
-n 4
make -v2
no_such_task
check
run -a make:1 check
-n4 -P thread -c
-j 2
--nonsense
fail --xx 5
list no_such_task
x=3 make
info make:1
-f other.py list
ignore make:2
make
forget make:2
make
reset-dep make:3
clean -n
clean make:1
make
clean
forget
-d below -f ../dodo.py list
""".strip().splitlines()


def called(folder: Path, points: dict[str, dict[str, str]], *args: str) -> tuple[int, list[str]]:
    """Return the exit code, and the lines that were printed, sorted: some run at once."""
    done = subprocess.run(
        [sys.executable, "-c", MAIN.format(points=points), *args],
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    said = done.stdout.replace(str(folder.parent), "")
    assert "Traceback" not in said or "helper" in said, said
    return done.returncode, sorted(said.splitlines())


def plain_project(folder: Path, config: dict[str, str]) -> Path:
    """Make a project that knows nothing of us."""
    (folder / "below").mkdir(parents=True)
    (folder / "dodo.py").write_text(DODO.format(config=config))
    (folder / "helper.py").write_text("def said():\n    print('verified')\n")
    (folder / "other.py").write_text("def task_other():\n    return {'actions': ['true']}\n")
    (folder / "source").write_text("x")
    return folder


def files(folder: Path) -> dict[str, bytes]:
    """Return what lies there; of caches and states only that they do."""
    return {
        str(path.relative_to(folder)): b""
        if path.suffix == ".pyc" or "state" in path.name or not path.is_file()
        else path.read_bytes()
        for path in folder.rglob("*")
    }


@pytest.mark.parametrize("backend", [None, "json", "dbm", "sqlite3"])
def test_plain_project_behaves_as_with_stock_doit_alone(tmp_path: Path, backend: str | None):
    config = {"dep_file": "state"} | ({"backend": backend} if backend else {})
    stock, ours = (plain_project(tmp_path / name / "p", config) for name in ("stock", "ours"))
    codes = []
    for call in CALLS if backend == "json" else CALLS[:7]:
        expected = called(stock, {}, *call.split())
        found = called(ours, POINTS, *call.split())
        assert found == expected, call
        assert files(ours) == files(stock), call
        codes.append(expected[0])
    assert 0 in codes
    assert 3 in codes
    assert called(ours / "below", POINTS) == called(stock / "below", {})


def test_task_may_have_the_name_of_a_command_of_ours(tmp_path: Path):
    stock, ours = (plain_project(tmp_path / name / "p", {}) for name in ("stock", "ours"))
    for project in (stock, ours):
        dodo = (project / "dodo.py").read_text().replace("task_check", "task_verify")
        (project / "dodo.py").write_text(dodo)
    for call in ("list", "verify", "run verify", "clean verify", "forget verify"):
        assert called(ours, POINTS, *call.split()) == called(stock, {}, *call.split()), call


def test_help_is_doits_own_in_a_plain_project_and_ours_where_the_journal_is_asked_for(
    tmp_path: Path,
):
    plain = plain_project(tmp_path / "plain", {"backend": "json"})
    ours = plain_project(tmp_path / "ours", {"backend": "journal", "dep_file": "state"})
    assert any("--process=ARG" in line for line in called(plain, POINTS, "help", "run")[1])
    assert any("--dry-run" in line for line in called(ours, POINTS, "help", "run")[1])


@pytest.mark.parametrize("option", ["-n", "--dry-run", "-cn"])
def test_dry_run_writes_no_cache_of_what_it_reads(tmp_path: Path, option: str):
    project = plain_project(tmp_path / "ours", {"backend": "journal", "dep_file": "state"})
    before = files(project)
    code, said = called(project, POINTS, option)
    assert code == 0, said
    assert files(project) == before
