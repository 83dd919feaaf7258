"""The verdict on one task, from what it read, made and depends on, and from what runs before it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Literal, NamedTuple

from doit.task import result_dep
from doit.tools import config_changed, run_once, timeout

from ..errors import machine_fault
from ..spec import SpecUnchanged
from ..state.journal import Journal
from ..state.record import ATTEMPT, CHECKER, FAILED, INTERRUPTED, Row
from .current import is_current
from .inputs import drop_missing, is_partial
from .targets import TargetsChanged, watch

Word = Literal["run", "may run", "up to date", "error", "ignored", "skipped"]

_STEADY = (bool, type(None), SpecUnchanged, TargetsChanged, config_changed, timeout)


class Verdict(NamedTuple):
    """What a run would do with a task, and why.

    Attributes
    ----------
    task : str
        Its name.
    word : str
        ``run``, ``may run`` (an earlier task may make the same bytes again), ``up to date``,
        ``error``, ``ignored`` (by ``doit ignore``) or ``skipped``.
    reasons : tuple of str
        In words.
    """

    task: str
    word: Word
    reasons: tuple[str, ...] = ()


class Before:
    """What the tasks that come before are going to do, as far as a plan has gone.

    Parameters
    ----------
    makers : mapping of str to str
        The task that makes a file.

    Attributes
    ----------
    running : set of str
        Tasks that run or may run.
    stirred : set of str
        Tasks behind which something runs or may run.
    """

    def __init__(self, makers: Mapping[str, str]) -> None:
        self._makers = makers
        self.running: set[str] = set()
        self.stirred: set[str] = set()

    def remade(self, paths: Iterable[str]) -> dict[str, str]:
        """Those of the files that an earlier task is going to make, or may, each with the task."""
        if not self.running:
            return {}
        makers = ((path, self._makers.get(path)) for path in paths)
        return {path: maker for path, maker in makers if maker in self.running}

    def comes(self, path: str) -> bool:
        """Whether an earlier task is going to make a file, or may."""
        return self._makers.get(path) in self.running

    def stirs(self, task: Any) -> bool:
        """Whether the task names one of these tasks among those that it waits for."""
        if not (self.running or self.stirred):
            return False
        named = *task.task_dep, *task.setup_tasks, *task.calc_dep
        return not (self.running.isdisjoint(named) and self.stirred.isdisjoint(named))


class Judge:
    """The verdict on a task that does something and can start.

    Parameters
    ----------
    tasks : mapping of str to doit.task.Task
        The graph.
    dependencies
        doit's dependency manager, on a `Journal`.
    always : bool
        Run tasks that are up to date too.
    before : Before
        What is planned already.
    """

    def __init__(
        self, tasks: Mapping[str, Any], dependencies: Any, always: bool, before: Before
    ) -> None:
        self._tasks = tasks
        self._dependencies = dependencies
        self._state: Journal = dependencies.backend
        self._always = always
        self._before = before

    def verdict(self, task: Any) -> Verdict:
        """What a run would do with the task, if it is asked for."""
        try:
            return self._by_files(task)
        except OSError as error:
            said = machine_fault(error)
            if said is None:
                raise
            return Verdict(task.name, "error", (said,))

    def _by_files(self, task: Any) -> Verdict:
        """The verdict on a task by what it read, made and depends on."""
        before = self._before
        doubtful = self._always or task.name in before.stirred or before.remade(task.file_dep)
        if not doubtful and is_current(task, self._dependencies):
            return Verdict(task.name, "up to date")
        if is_partial(task):
            drop_missing(task, before.comes, self._state.statuses.exists)
        row = self._state.row(task.name).copy()
        try:
            return self._by_doit(task)
        finally:
            self._state.put_back(task.name, row)

    def _by_doit(self, task: Any) -> Verdict:
        """The verdict on a task, from doit's own reasons and from what runs before it."""
        name, stirred = task.name, task.name in self._before.stirred
        watch(task, self._state, self._before.comes)
        row = self._state.row(name).copy()
        status = self._dependencies.get_status(task, self._tasks, get_log=True)
        reasons = status.reasons
        remade = self._before.remade(task.file_dep)
        missing = sorted(reasons["missing_file_dep"])
        lost = [path for path in missing if path not in remade]
        if lost and not stirred:
            return Verdict(name, "error", tuple(f"input missing: {path}" for path in lost))

        certain: list[str] = []
        doubts: list[str] = []
        if self._always:
            certain.append("always (-a)")
        for item, *_ in task.uptodate:
            false = any(item is said for said, *_ in reasons["uptodate_false"])
            if self._unsteady(item, stirred):
                doubts.append("after what it depends on")
            elif false:
                certain += _explained(item, self._dependencies.get_values(name))
        if reasons["has_no_dependencies"]:
            certain.append("always runs: it has no inputs")
        certain += [f"target missing: {path}" for path in reasons["missing_target"]]
        if reasons["checker_changed"]:
            certain.append("the way of checking files changed")
        certain += [f"input added: {path}" for path in reasons["added_file_dep"]]
        certain += [f"input no longer used: {path}" for path in reasons["removed_file_dep"]]
        for path in sorted({*reasons["changed_file_dep"], *missing, *remade}):
            if path in lost:
                doubts.append(f"input missing: {path}, unless an earlier task makes it")
            elif path not in remade:
                if path not in reasons["added_file_dep"]:  # said already
                    certain.append(f"input changed: {path}")
            elif row.get(path) is None:
                certain.append(f"after {remade[path]}")
            else:
                doubts.append(f"after {remade[path]}")
        doubts += [f"after {dep}" for dep in task.calc_dep if dep in self._before.running]

        failed = [self._failed(by) for by in dict.fromkeys(remade.values())]
        if certain and not lost:
            return Verdict(name, "run", (*self._history(row, certain), *filter(None, failed)))
        if doubts:
            return Verdict(name, "may run", (*dict.fromkeys(doubts), *filter(None, failed)))
        return Verdict(name, "up to date")

    def _failed(self, name: str | None) -> str | None:
        """That a task before failed when it last ran, and may again."""
        row = self._state.row(name) if name else {}
        if row.get(CHECKER) != FAILED:
            return None
        return f"{name} failed last time: {row[ATTEMPT]['message']}"

    def _unsteady(self, item: Any, stirred: bool) -> bool:
        """Whether an ``uptodate`` item may answer otherwise once earlier tasks have run."""
        if isinstance(item, result_dep):
            return item.dep_name in self._before.running or item.dep_name in self._before.stirred
        return stirred and item is not run_once and not isinstance(item, _STEADY)

    def _history(self, row: Row, certain: list[str]) -> list[str]:
        """The reasons to give: a cut-off, failed or missing record explains all others."""
        if not row:
            return ["never run"] if not self._always else certain
        if row.get(CHECKER) == INTERRUPTED:
            holder = self._state.at_it(row)
            return [f"running now: {holder}" if holder else "interrupted"]
        if row.get(CHECKER) == FAILED:
            return [f"failed last time: {row[ATTEMPT]['message']}"]
        return list(dict.fromkeys(certain))


def _explained(item: Any, values: Mapping[str, Any]) -> list[str]:
    if hasattr(item, "explain"):
        return list(item.explain(values)) or ["settings not recorded"]
    if item is False:
        return ["always runs"]
    if isinstance(item, result_dep):
        return [f"result of {item.dep_name} changed"]
    if isinstance(item, config_changed):
        return ["settings changed"]
    return [f"not up to date by {item if isinstance(item, str) else _name(item)}"]


def _name(item: Any) -> str:
    return getattr(item, "__name__", type(item).__name__)
