"""Random graphs and edits: the dry run says what the run then does, and writes nothing."""

from __future__ import annotations

import os
import random
import shutil
from collections import Counter
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
from doit.dependency import JSONCodec
from doit.task import result_dep
from doit.tools import config_changed, run_once

from fly64tasks.doitext.spec import SpecUnchanged
from fly64tasks.doitext.state.journal import Journal

SOURCES = ["s0", "s1", "s2"]


class RandomGraph:
    """A graph that can be edited, as a function of one random seed."""

    def __init__(self, project: Any, seed: int) -> None:
        self.project = project
        self.random = random.Random(seed)
        self.specs: list[dict[str, Any]] = []
        for number in range(self.random.randint(1, 8)):
            self.specs.append(self._new(number))
        for source in SOURCES:
            project.write(source, source)
        project.tasks = self.build

    def _some(self, items: list[Any], chance: float) -> list[Any]:
        return [item for item in items if self.random.random() < chance]

    def _new(self, number: int) -> dict[str, Any]:
        earlier = [f"t{index}" for index in range(number)]
        made = [path for spec in self.specs for path in spec["targets"]]
        pick = self.random.random
        return {
            "name": f"t{number}",
            "file_dep": self._some(SOURCES, 0.3) + self._some(made, 0.4),
            "targets": [f"out/t{number}_{i}" for i in range(self.random.choice([0, 1, 1, 2]))],
            "task_dep": self._some(earlier, 0.1),
            "setup": self._some(earlier, 0.07),
            "getargs": self.random.choice(earlier) if earlier and pick() < 0.06 else None,
            "result_dep": self.random.choice(earlier) if earlier and pick() < 0.1 else None,
            "constant": pick() < 0.4,
            "result": pick() < 0.5,
            "spec": {"a": 1, "b": {"c": 2}} if pick() < 0.6 else None,
            "steady": self.random.choice([None, None, None, True, False, run_once]),
            "config": {"x": 1} if pick() < 0.2 else None,
            "watched": self.random.choice(made) if made and pick() < 0.1 else None,
            "group": pick() < 0.3,
        }

    def build(self) -> list[dict[str, Any]]:
        """The tasks as they are now."""
        return [self._task(spec) for spec in self.specs]

    def _full(self, name: str) -> str:
        spec = self.specs[int(name[1:])]
        return f"group:{name}" if spec["group"] else name

    def _task(self, spec: dict[str, Any]) -> dict[str, Any]:
        def act(task: Any, dependencies: list[str], targets: list[str]) -> dict[str, str] | None:
            self.project.executed.append(task.name)
            if Path(f"fail_{spec['name']}").exists():
                raise RuntimeError("as asked")
            text = "same" if spec["constant"] else ""
            if not spec["constant"]:
                text += "".join(Path(path).read_text()[:99] for path in sorted(dependencies))
                text += str(spec["spec"])
            for target in targets:
                Path(target).parent.mkdir(exist_ok=True)
                Path(target).write_text(text)
            return {"text": text} if spec["result"] else None

        uptodate: list[Any] = []
        needed = list(spec["task_dep"])
        if spec["spec"]:
            uptodate.append(SpecUnchanged(spec["spec"]))
        if spec["steady"] is not None:
            uptodate.append(spec["steady"])
        if spec["config"]:
            uptodate.append(config_changed(spec["config"]))
        if spec["result_dep"]:
            uptodate.append(result_dep(self._full(spec["result_dep"])))
        if spec["watched"]:
            uptodate.append((_holds, [spec["watched"]]))
            needed.append(spec["watched"].removeprefix("out/").split("_")[0])
        task = {
            "actions": [act],
            "file_dep": spec["file_dep"],
            "targets": spec["targets"],
            "task_dep": [self._full(name) for name in dict.fromkeys(needed)],
            "setup": [self._full(name) for name in spec["setup"]],
            "uptodate": uptodate,
        }
        if spec["getargs"] and self.specs[int(spec["getargs"][1:])]["result"]:
            task["getargs"] = {"given": (self._full(spec["getargs"]), "text")}
        names = {"basename": "group", "name": spec["name"]}
        return {**task, **(names if spec["group"] else {"basename": spec["name"]})}

    def edit(self) -> None:
        """Change something at random."""
        spec = self.random.choice(self.specs)
        files = [*SOURCES, *(path for item in self.specs for path in item["targets"])]
        path = Path(self.random.choice(files))
        kind = self.random.randrange(17)
        if kind == 0:
            path.parent.mkdir(exist_ok=True)
            path.write_text(f"edit {self.random.randrange(3)}")
        elif kind == 1 and path.exists():
            path.touch()
        elif kind in (2, 3) and str(path) not in SOURCES:
            path.unlink(missing_ok=True)
        elif kind == 4 and spec["spec"]:
            spec["spec"] = {"a": self.random.randrange(3), "b": {"c": 2}}
        elif kind == 5 and spec["config"]:
            spec["config"] = {"x": self.random.randrange(3)}
        elif kind == 6:
            spec["file_dep"] = sorted({*spec["file_dep"], self.random.choice(SOURCES)})
        elif kind == 7 and spec["file_dep"]:
            spec["file_dep"] = spec["file_dep"][1:]
        elif kind == 8:
            self.project.doit("forget", self._full(spec["name"]))
        elif kind == 9:
            self._cut_off(self._full(spec["name"]), spec["targets"])
        elif kind in (10, 13, 14, 15) and str(path) in SOURCES:
            path.unlink(missing_ok=True)
        elif kind == 11:
            flag = Path(f"fail_{spec['name']}")
            flag.unlink() if flag.exists() else flag.touch()
        elif kind == 16 and path.is_file() and str(path) not in SOURCES:
            os.truncate(path, path.stat().st_size // 2)
        elif kind == 12 and self.random.random() < 0.3:
            self.project.doit("ignore", self._full(spec["name"]))

    @staticmethod
    def _cut_off(name: str, targets: list[str]) -> None:
        """Leave the state as a doit does that is killed during a task."""
        state = Journal("state/doit.db", JSONCodec())
        state.lock()
        state.begin(name, targets)
        state.dump()
        state.unlock()

    def arguments(self) -> list[str]:
        """Options and names for one call."""
        names = [self._full(spec["name"]) for spec in self._some(self.specs, 0.3)]
        options = self._some(["-a"], 0.1) + self._some(["-c"], 0.3) + self._some(["-s"], 0.1)
        return [*options, *(names if self.random.random() < 0.4 else [])]


def _holds(path: str) -> bool:
    return Path(path).exists() and len(Path(path).read_text()) % 2 == 0


def check(project: Any, seed: int) -> Counter[str]:
    """Edit, plan and run five times; returns how often each verdict was given."""
    given: Counter[str] = Counter()
    graph = RandomGraph(project, seed)
    for step in range(5):
        for _ in range(graph.random.randrange(4) if step else 0):
            graph.edit()
        arguments = graph.arguments() if step else []
        for source in SOURCES:
            if graph.random.random() < 0.5 and not Path(source).exists():
                project.write(source, "restored")
        if step == 1:
            arguments = []
        before = project.snapshot()
        planned = project.doit("-n", "--json", *arguments)
        assert project.snapshot() == before, "the dry run changed the disk"
        assert project.executed == [], "the dry run executed a task"
        with mock.patch("fly64tasks.doitext.graph.judgement.is_current", return_value=False):
            by_doit = project.doit("-n", "--json", *arguments)
        assert planned == by_doit, "doit itself says otherwise than the look that spares it"
        verdicts = planned.verdicts
        given.update(verdicts.values())
        jobs = ["-j2"] if graph.random.random() < 0.2 else []
        done = project.doit(*jobs, *arguments)
        executed = list(project.executed)
        where = f"seed {seed}, step {step}: {arguments} {planned.out} {executed} {done}"
        may = [name for name, word in verdicts.items() if word in ("run", "may run")]
        assert set(executed) <= set(may), where
        assert jobs or executed == [name for name in may if name in executed], f"order: {where}"
        assert "run" in verdicts.values() or "may run" not in verdicts.values(), where
        assert len(executed) == len(set(executed)), where
        if planned.code:
            assert "error" in verdicts.values() and done.code, where
        elif done.code == 0:
            must = [name for name, word in verdicts.items() if word == "run"]
            assert set(must) <= set(executed), where
        else:
            assert list(Path().glob("fail_*")) or "may run" in verdicts.values(), where
        if done.code == 3:
            assert not executed, where
    return given


@pytest.mark.parametrize("seed", range(100))
def test_dry_run_agrees_with_the_run(project: Any, seed: int) -> None:
    check(project, seed)


def test_the_dry_run_is_seldom_in_doubt(project: Any) -> None:
    given: Counter[str] = Counter()
    for seed in range(1000, 1040):
        given += check(project, seed)
        shutil.rmtree("state")
        for path in [*Path().glob("out/*"), *Path().glob("fail_*")]:
            path.unlink()
    assert given["may run"] < 0.25 * given.total(), given
    assert min(given[word] for word in ("run", "up to date", "error", "ignored")) > 5, given


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(100, 600))
def test_dry_run_agrees_with_the_run_on_many_graphs(project: Any, seed: int) -> None:
    check(project, seed)
