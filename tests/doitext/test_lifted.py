"""doitext under another name, in a project of another kind, where fly64tasks is not to be had."""

from __future__ import annotations

import ast
import json
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from engine_project import assert_nothing_left
from lifted import SOURCE, Lifted, lift

NEEDED = {"doit", "rich"}
"""What its README names, besides Python."""

DODO = """
import time
from pathlib import Path

from doit_more.atomic import replaced
from doit_more.spec import SpecUnchanged

DOIT_CONFIG = {"backend": "journal", "dep_file": "state/doit.db", "verbosity": 0}
LETTERS = 3


def bake(name, letters, targets):
    with Path("log").open("a") as log:
        log.write(f"{name}\\n")
    while name == "rye" and not Path("go").exists():
        time.sleep(0.01)
    with replaced(targets[0]) as temporary:
        temporary.write_text(name[:letters])


def task_bake():
    for name in ("wheat", "rye", "spelt"):
        yield {
            "name": name,
            "actions": [(bake, [name, LETTERS])],
            "targets": [f"loaves/{name}"],
            "uptodate": [SpecUnchanged({"oven": {"letters": LETTERS}})],
            "meta": {"grain": name},
        }
"""
PYPROJECT = """
[tool.doit.plugins.command]
run = "doit_more.commands.run:Run"
list = "doit_more.commands.list:List"
manifest = "doit_more.commands.manifest:Manifest"
verify = "doit_more.commands.verify:Verify"

[tool.doit.plugins.backend]
journal = "doit_more.state.journal:Journal"

[tool.doit.filters]
grain = "str"
"""


@pytest.fixture
def bakery(tmp_path: Path) -> Lifted:
    """Three loaves; the second waits for the file ``go``."""
    lifted = lift(tmp_path, "doit_more")
    (lifted.project / "dodo.py").write_text(DODO)
    (lifted.project / "pyproject.toml").write_text(PYPROJECT)
    return lifted


def plan(bakery: Lifted, *arguments: str) -> dict[str, list[str]]:
    """The tasks of a dry run that are not up to date, with their reasons."""
    code, said = bakery.run("doit", "-n", "--json", *arguments)
    assert code == 0, said
    tasks = json.loads(said)["tasks"]
    return {item["task"]: item["reasons"] for item in tasks if item["verdict"] != "up to date"}


def baked(bakery: Lifted) -> list[str]:
    log = bakery.project / "log"
    return log.read_text().split() if log.exists() else []


def test_nothing_of_ours_can_be_imported(bakery: Lifted) -> None:
    code, said = bakery.run("python", "-c", "import fly64tasks")
    assert code == 1
    assert "No module named 'fly64tasks'" in said


@pytest.mark.parametrize(
    "jobs", [[], ["-j2"], ["-j2", "-P", "process"]], ids=lambda jobs: "".join(jobs)
)
def test_run_is_foretold_killed_and_resumed(bakery: Lifted, jobs: list[str]) -> None:
    never = {f"bake:{name}": ["never run"] for name in ("wheat", "rye", "spelt")}
    assert plan(bakery) == never
    assert plan(bakery, "--grain", "rye,spelt") == {k: never[k] for k in ("bake:rye", "bake:spelt")}
    assert sorted(path.name for path in bakery.project.iterdir()) == ["dodo.py", "pyproject.toml"]

    with bakery.popen("doit", *jobs, "bake:wheat", "bake:rye") as process:
        while "rye" not in baked(bakery) or "bake:wheat" in plan(bakery):
            assert process.poll() is None, process.communicate()
            time.sleep(0.01)
        process.send_signal(signal.SIGKILL)
    assert_nothing_left(bakery.project)
    assert plan(bakery) == {"bake:rye": ["interrupted"], "bake:spelt": ["never run"]}

    (bakery.project / "go").touch()
    before = len(baked(bakery))
    code, said = bakery.run("doit", *jobs)
    assert code == 0, said
    assert sorted(baked(bakery)[before:]) == ["rye", "spelt"]
    assert plan(bakery) == {}
    code, said = bakery.run("doit", "verify")
    assert (code, said) == (0, "3 of 3 artifacts whole.\n")


def test_changed_number_is_told_and_damage_is_found(bakery: Lifted) -> None:
    (bakery.project / "go").touch()
    code, said = bakery.run("doit")
    assert code == 0, said
    dodo = bakery.project / "dodo.py"
    dodo.write_text(DODO.replace("LETTERS = 3", "LETTERS = 2"))
    changed = ["oven.letters 3 -> 2"]
    assert plan(bakery, "--grain", "rye") == {"bake:rye": changed}
    assert len(plan(bakery)) == 3
    dodo.write_text(DODO)
    assert plan(bakery) == {}
    (bakery.project / "loaves/rye").write_text("eyr")
    code, said = bakery.run("doit", "verify")
    assert code == 1
    assert said.splitlines() == [
        "altered           bake:rye  loaves/rye: 3 bytes, other content",
        "2 of 3 artifacts whole, 1 altered.",
    ]


def imports(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """Level and name of each module that a module imports."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((0, item.name) for item in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.level, node.module or ""


def test_imports_are_of_its_own_of_python_or_declared() -> None:
    for path in SOURCE.rglob("*.py"):
        text = path.read_text("utf-8")
        assert "fly64tasks" not in text, path
        depth = len(path.relative_to(SOURCE).parts)
        for level, name in imports(ast.parse(text)):
            assert level <= depth, f"{path} reaches out of the folder"
            if level == 0:
                assert name.split(".")[0] in NEEDED | sys.stdlib_module_names, f"{path}: {name}"


def test_folders_import_nothing_of_themselves() -> None:
    for path in SOURCE.rglob("__init__.py"):
        assert not list(imports(ast.parse(path.read_text("utf-8")))), path
