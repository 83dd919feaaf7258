"""Graphs of many tasks: what is done for each must not grow with their number."""

from __future__ import annotations

import difflib
import json
import os
import random
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from doit.exceptions import InvalidTask
from doit.task import Task
from doitext_project import DOIT, MAIN

from fly64tasks.doitext.errors import nearest
from fly64tasks.doitext.graph import inputs
from fly64tasks.doitext.graph.control import Control
from fly64tasks.doitext.graph.manifest import FileNames
from fly64tasks.doitext.graph.sealed import refuse_foreign

MANY = 20_000


def cpu_s(call: Callable[[], Any]) -> float:
    began = time.process_time()
    call()
    return time.process_time() - began


def many(meta: dict[str, Any]) -> list[Task]:
    """So many tasks, and one that takes what all of them make."""
    makers = [Task(f"t{i}", None, targets=[f"{i}"], meta=dict(meta)) for i in range(MANY)]
    return [*makers, Task("report", None, file_dep=[task.targets[0] for task in makers], meta=meta)]


def test_task_with_many_inputs_is_placed_behind_their_makers_in_order():
    tasks = many({})
    assert cpu_s(lambda: Control(tasks)) < 1.5  # looking each up in a list takes five times as long
    assert tasks[-1].task_dep == [task.name for task in tasks[:-1]]


def test_what_a_task_names_itself_comes_first_and_once():
    first, second = Task("a", None, targets=["x"]), Task("b", None, targets=["y"])
    last = Task("c", None, file_dep=["x", "y"], task_dep=["b"])
    Control([first, second, last])
    assert last.task_dep == ["b", "a"]


def test_two_makers_of_one_file_are_refused_by_name():
    with pytest.raises(InvalidTask, match="'x' is a target for b and a"):
        Control([Task("a", None, targets=["x"]), Task("b", None, targets=["x"])])


def test_many_are_skipped_in_linear_time():
    tasks = many({"optional": "extra"})
    tasks[-1].meta = {"partial": True}
    control = Control(tasks)
    control.process(None)
    found = {task.name: ["input missing"] for task in tasks[:-1]}
    assert cpu_s(lambda: inputs.skip(control, found)) < 1.5
    assert (tasks[-1].task_dep, tasks[-1].file_dep) == ([], set())


def test_manifest_is_known_by_its_beginning(tmp_path: Path):
    path = tmp_path / FileNames().manifest
    path.write_text('{\n  "written": "')
    os.truncate(path, 2**29)  # of ten thousand jobs it has 20 MB
    assert cpu_s(lambda: refuse_foreign([path])) < 0.05  # else ten times that


def test_mistyped_name_is_compared_with_few_of_many():
    views = [f"view{i}_{split}" for i in range(50) for split in ("train", "test")]
    names = [f"recon:dose_{1000 * (i + 1)}_{view}" for i in range(1000) for view in views]
    assert cpu_s(lambda: nearest("recno:dose_5000_view4_test", names, 0.6)) < 2  # else 5 and more
    assert nearest("recno:dose_5000_view4_test", names, 0.6) == "recon:dose_5000_view4_test"


def test_nearest_name_is_that_of_difflib():
    draw = random.Random(0)

    def word() -> str:
        return "".join(draw.choice("abcd_") for _ in range(draw.randrange(9)))

    for _ in range(2000):
        asked, cutoff = word(), draw.choice([0.5, 0.6, 0.9])
        names = list(dict.fromkeys(word() for _ in range(draw.randrange(12))))
        [theirs] = difflib.get_close_matches(asked, names, n=1, cutoff=cutoff) or [None]
        assert nearest(asked, names, cutoff) == theirs, (asked, names)


FILES_OF_A_RUN = """
import json
from pathlib import Path

DOIT_CONFIG = {"backend": "journal", "dep_file": "s.db", "verbosity": 0}


def write(targets):
    Path(targets[0]).write_text("x")


def task_make():
    for i in range(50):
        yield {"name": str(i), "actions": [write], "targets": [f"{i}"],
               "uptodate": [True]}


def task_report():
    return {"actions": [write], "targets": ["report"],
            "file_dep": [f"{i}" for i in range(50)], "uptodate": [True]}
"""
COUNTED = f"""
import atexit, collections, json, os
seen, stat = collections.Counter(), os.stat

def counting(path, *args, **kwargs):
    seen[str(path)] += 1
    return stat(path, *args, **kwargs)

os.stat = counting
atexit.register(lambda: print(json.dumps(seen), file=open("seen.json", "w")))
{MAIN.replace("; ", chr(10))}
"""


@pytest.mark.parametrize("command", [["-n"], []])
def test_file_is_looked_at_once_in_a_command_that_runs_nothing(tmp_path: Path, command: list[str]):
    """The targets of 50 tasks are inputs of another."""
    (tmp_path / "dodo.py").write_text(FILES_OF_A_RUN)
    subprocess.run(DOIT, cwd=tmp_path, check=True)
    subprocess.run([sys.executable, "-c", COUNTED, *command], cwd=tmp_path, check=True)
    seen = json.loads((tmp_path / "seen.json").read_text())
    assert {seen[str(i)] for i in range(50)} == {1}


LEAVING = """
import os
import sys

DOIT_CONFIG = {"backend": "journal", "dep_file": "s.db", "verbosity": 0}


class Loop:
    def __init__(self):
        self.itself = self
        self.write = os.write

    def __del__(self):
        self.write(1, b"gone")


def leave():
    sys.loop = Loop()


def task_leave():
    return {"actions": [leave]}
"""


def test_what_a_task_leaves_is_collected_when_the_process_ends(tmp_path: Path):
    (tmp_path / "dodo.py").write_text(LEAVING, "utf-8")
    done = subprocess.run(DOIT, cwd=tmp_path, capture_output=True, text=True, check=True)
    assert done.stdout.endswith("gone"), done
