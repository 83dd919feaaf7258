"""An editable install whose clone was moved: one line in our studies, stock doit in all else."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest
from small_study import PROJECT

pytest.importorskip("hatchling", reason='hatchling is not installed: pip install -e ".[test]"')

DODO = """
def task_verify():
    return {"actions": ["echo hi"]}
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An environment, a study, a plain project, and a clone that was moved after its install."""
    folder = tmp_path_factory.mktemp("moved")
    clone, venv = folder / "clone", folder / "venv"
    (folder / "plain").mkdir()
    (folder / "plain/dodo.py").write_text(DODO)
    shutil.copytree(
        PROJECT / "fly64tasks", clone / "fly64tasks", ignore=shutil.ignore_patterns("__pycache__")
    )
    for name in (
        "pyproject.toml",
        "fly64tasks_entry.py",
        "README.md",
        "LICENSE",
        "dodo.py",
        "study.toml",
    ):
        shutil.copy(PROJECT / name, clone / name)
    subprocess.run([sys.executable, "-m", "venv", venv], check=True)
    site = next(venv.glob("lib/python*/site-packages"))
    doit = find_spec("doit")
    assert doit is not None
    assert doit.origin is not None
    (site / "dependencies.pth").write_text(str(Path(doit.origin).parents[1]))
    subprocess.run(
        [
            venv / "bin/pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps",
            "--no-build-isolation", "--no-index", "--editable", clone,
        ],
        check=True,
        env=environment(),
    )  # fmt: skip
    said(folder, "fly64tasks", "new", "study", code=0)
    assert "47 run" in said(folder / "study", "doit", "-n", code=0)[-1]
    clone.rename(folder / "elsewhere")
    return folder


def environment() -> dict[str, str]:
    """Return what a shell has in which nothing says where our package lies."""
    return {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}


def said(where: Path, command: str, *args: str, code: int) -> list[str]:
    """Run a command of the environment; return the lines that it printed."""
    programs = {
        "doit": ("python", "-m", "doit"),
        "fly64tasks": ("fly64tasks",),
        "module": ("python", "-m", "fly64tasks"),
    }
    folder = where if (where / "venv").exists() else where.parent
    program, *first = programs[command]
    done = subprocess.run(
        [folder / "venv/bin" / program, *first, *args],
        cwd=where,
        env=environment() | {"PYTHONSAFEPATH": "1"},  # as the script `doit`: not from the folder
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    assert done.returncode == code, done.stdout
    return done.stdout.splitlines()


@pytest.mark.parametrize("place", ["study", "elsewhere"])
@pytest.mark.parametrize("call", ["", "list", "verify", "-c", "-n", "--dose 1000", "engine"])
def test_doit_in_a_study_says_in_one_line_what_to_do(folder: Path, place: str, call: str):
    [line] = said(folder / place, "doit", *call.split(), code=3)
    expected = f"fly64tasks was installed from {folder}/clone and is not there any more: `pip "
    assert expected in line
    assert line.startswith("ERROR: ")


def test_command_says_it_too(folder: Path):
    [line] = said(folder, "fly64tasks", "--version", code=1)
    assert line.startswith(f"error: fly64tasks was installed from {folder}/clone and is not there")
    [line] = said(folder, "module", "doctor", code=1)
    assert line.endswith("No module named fly64tasks")


@pytest.mark.parametrize(
    ("call", "expected"),
    [
        ("", ".  verify"),
        ("list", "verify"),
        ("run verify", ".  verify"),
        ("verify", ".  verify"),
        ("-n 2", ".  verify"),
        ("clean", ""),
        ("forget verify", "forgetting verify"),
    ],
)
def test_doit_in_other_projects_is_stock_doit(folder: Path, call: str, expected: str):
    lines = said(folder / "plain", "doit", *call.split(), code=0)
    assert not any("fly64tasks" in line for line in lines)
    assert "".join(line.strip() for line in lines if line != "hi") == expected


def test_page_shows_the_line(folder: Path):
    [line] = said(folder / "study", "doit", code=3)
    page = (PROJECT / "docs/install.md").read_text("utf-8")
    assert line.replace(f"{folder}/clone", "/home/me/fly64tasks") in page
