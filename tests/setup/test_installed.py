"""What is installed, held against what the metadata ask for."""

from __future__ import annotations

import platform
import subprocess
import tomllib
from importlib import metadata

import pytest
from small_study import PROJECT

from fly64tasks.setup.installed import Installed, held_against

HERE = {"doit": "0.37.1", "torch": "2.15.0+cpu", "pytest": "9.1"}


@pytest.mark.parametrize(
    ("requirement", "problem"),
    [
        ("doit>=0.37", None),
        ("torch>=2.15", None),
        ("doit", None),
        ("parsl>=1; sys_platform == 'plan9'", None),
        ("doit>=1", "doit 0.37.1 is installed, expected >=1: pip install --upgrade 'doit>=1'"),
        ("torch<2", "torch 2.15.0+cpu is installed, expected <2: pip install --upgrade 'torch<2'"),
        ("ptychi>=2.2", "ptychi is not installed: pip install 'ptychi>=2.2'"),
    ],
)  # fmt: skip
def test_requirement_is_met_or_said_with_what_to_do(requirement: str, problem: str | None):
    assert held_against([requirement], version_of=HERE.get).problems == (
        () if problem is None else (problem,)
    )


def test_extras_lack_what_is_absent_and_our_own_name_is_no_package():
    needs = [
        "doit>=0.37",
        "pytest>=9; extra == 'test'",
        "mypy>=2; extra == 'dev'",
        "fly64tasks[test]; extra == 'dev'",
    ]
    found = held_against(needs, ["test", "dev"], version_of=HERE.get)
    assert found.extras == {"test": (), "dev": ("mypy>=2",)}
    assert found.problems == ()


def test_other_python_is_a_problem():
    assert held_against([], python=">=3.11").problems == ()
    here = platform.python_version()
    assert held_against([], python=">=4").problems == (
        f"python is {here}, expected >=4: make a virtual environment of it",
    )


def test_package_that_is_only_found_says_so(monkeypatch: pytest.MonkeyPatch):
    def absent(name: str) -> None:
        raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr(metadata, "metadata", absent)
    assert Installed.here().problems == (
        "fly64tasks is not installed, only found: `pip install -e .` in its folder",
    )


def test_this_environment_is_whole():
    found = Installed.here()
    assert found.problems == ()
    assert {"doit", "numpy", "torch", "ptychi"} < set(found.versions)


def test_lowest_versions_are_those_of_every_bound():
    """What `.ci/lowest` takes out of pyproject.toml with sed."""
    leg = (PROJECT / ".ci/lowest").read_text("utf-8")
    [line] = [line for line in leg.splitlines() if line.startswith("sed ")]
    command = line.partition(" > ")[0]
    said = subprocess.check_output(command, shell=True, cwd=PROJECT, text=True).splitlines()
    table = tomllib.loads((PROJECT / "pyproject.toml").read_text("utf-8"))["project"]
    assert said == [need.replace(">=", "==") for need in table["dependencies"]]
    assert all("==" in need for need in said)
