"""What a run would do, found by driving doit's own dispatcher without running anything."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Literal, NamedTuple

from doit.task import result_dep
from doit.tools import config_changed, run_once, timeout

from ..errors import machine_fault
from ..spec import SpecUnchanged
from ..state.journal import Journal
from ..state.notes import used
from ..state.record import ATTEMPT, CHECKER, FAILED, INTERRUPTED, Row
from .control import Control
from .current import calculated, is_current
from .inputs import does_something, drop_missing, is_partial
from .targets import TargetsChanged, watch

Word = Literal["run", "may run", "up to date", "error", "ignored", "skipped"]

_STEADY = (bool, type(None), SpecUnchanged, TargetsChanged, config_changed, timeout)
_RUN_STATUS = {"up to date": "up-to-date", "error": "failure", "ignored": "ignore"}


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


class Planner:
    """Verdicts for the selected tasks and all that feeds them.

    Parameters
    ----------
    control : Control
        With tasks selected.
    dependencies
        doit's dependency manager, on a `Journal`.
    always : bool
        Run tasks that are up to date too.
    broken : mapping of str to list of str
        Tasks that cannot start, with the reasons.
    """

    def __init__(
        self,
        control: Control,
        dependencies: Any,
        always: bool = False,
        broken: Mapping[str, list[str]] | None = None,
    ) -> None:
        self._tasks = control.tasks
        self._counted = len(self._tasks)
        self._targets = control.targets
        self._dispatcher = control.task_dispatcher()
        self._selected = set(control.selected_tasks)
        self._firm: set[str] | None = None
        self._dependencies = dependencies
        self._state: Journal = dependencies.backend
        self._always = always
        self._broken = broken or {}
        self._verdicts: dict[str, Verdict] = {}
        self._running: set[str] = set()  # tasks that run or may run
        self._stirred: set[str] = set()  # tasks behind which something runs or may run
        self._unknown: dict[str, str] = {}  # delayed tasks, by what they wait for
        feeding = control.closure() if control.delayed else ()
        loaders = {
            task.loader.basename or task.name: task.loader
            for task in (control.tasks[name] for name in feeding)
            if task.loader
        }
        for name, loader in loaders.items():
            loader.creator = self._stand_in(name, loader)

    def verdicts(self) -> list[Verdict]:
        """The verdicts, in the order of execution; groups, which do nothing, have none."""
        with used(self._state.notes):
            return self._in_order()

    def _in_order(self) -> list[Verdict]:
        node, order = None, []
        while True:
            try:
                node = self._dispatcher.generator.send(node)
            except StopIteration:
                break
            task = node.task
            verdict = self._verdicts.get(task.name)
            if verdict is None:
                verdict = self._verdicts[task.name] = self._judge(task, node)
                if verdict.word in ("run", "may run"):
                    self._running.add(task.name)
                    if task.setup_tasks:
                        if verdict.word == "run" and self._is_firm(task.name):
                            self._selected |= set(task.setup_tasks)
                            self._firm = None
                        node.run_status = "run"  # doit sends the task again, after its setup tasks
                        continue
            if verdict.word == "up to date":
                task.values = calculated(self._dependencies.get_values(task.name))
            node.run_status = _RUN_STATUS.get(verdict.word, "successful")
            if does_something(task) or self._is_unknown(task.name):
                order.append(verdict)
        return order

    def _stand_in(self, name: str, loader: Any) -> Callable[..., Any]:
        """A creator that makes one task of which nothing is known, if what it waits for runs."""
        create, cause = loader.creator, loader.task_dep

        @functools.wraps(create)
        def ask(**options: Any) -> Any:
            found = self._verdicts.get(cause)
            if found is None or (found.word == "up to date" and cause not in self._stirred):
                return create(**options)
            self._unknown[name] = cause
            return {
                "actions": [_nothing],
                "targets": [group.target for group in loader.regex_groups.values()],
            }

        return ask

    def _is_unknown(self, name: str) -> bool:
        return bool(self._unknown) and not self._unknown.keys().isdisjoint(
            (name, name.partition(":")[0])
        )

    def _needed(self, names: Iterable[str]) -> set[str]:
        todo, found = list(names), set(names)
        while todo:
            for dep in self._tasks[todo.pop()].task_dep:
                if dep not in found:
                    found.add(dep)
                    todo.append(dep)
        return found

    def _is_firm(self, name: str) -> bool:
        """Whether the task is asked for, and not only where one before it runs."""
        if self._firm is None or len(self._tasks) != self._counted:  # some are created now
            self._counted, self._firm = len(self._tasks), self._needed(self._selected)
        return name in self._firm

    def _active(self, name: str) -> bool:
        return name in self._running

    def _remade(self, paths: Iterable[str]) -> dict[str, str]:
        """Those of the files that an earlier task is going to make, or may, each with the task."""
        if not self._running:
            return {}
        makers = ((path, self._targets.get(path)) for path in paths)
        return {path: maker for path, maker in makers if maker in self._running}

    def _comes(self, path: str) -> bool:
        """Whether an earlier task is going to make a file, or may."""
        maker = self._targets.get(path)
        return maker is not None and self._active(maker)

    def _judge(self, task: Any, node: Any) -> Verdict:
        if node.ignored_deps:
            return Verdict(task.name, "ignored", (f"after {node.ignored_deps[0].task.name}",))
        if self._dependencies.status_is_ignore(task):
            return Verdict(task.name, "ignored", ("by doit ignore",))
        if task.name in self._broken:
            return Verdict(task.name, "error", tuple(self._broken[task.name]))
        if node.bad_deps:
            names = ", ".join(bad.task.name for bad in node.bad_deps)
            return Verdict(task.name, "error", (f"after {names}, which is in error",))
        if self._is_unknown(task.name):
            cause = self._unknown[task.name.partition(":")[0]]
            return Verdict(task.name, "may run", (f"what it is, is known after {cause}",))
        if self._comes_after(task, self._running) or self._comes_after(task, self._stirred):
            self._stirred.add(task.name)
        if not does_something(task):
            return Verdict(task.name, "up to date")
        try:
            verdict = self._judge_files(task)
        except OSError as error:
            said = machine_fault(error)
            if said is None:
                raise
            return Verdict(task.name, "error", (said,))
        if verdict.word == "run" and not self._is_firm(task.name):
            return Verdict(task.name, "may run", (*verdict.reasons, "if a task asks for its setup"))
        return verdict

    @staticmethod
    def _comes_after(task: Any, names: set[str]) -> bool:
        """Whether the task names one of these among those that it waits for."""
        return bool(names) and not names.isdisjoint(
            (*task.task_dep, *task.setup_tasks, *task.calc_dep)
        )

    def _judge_files(self, task: Any) -> Verdict:
        """The verdict on a task by what it read, made and depends on."""
        doubtful = self._always or task.name in self._stirred or self._remade(task.file_dep)
        if not doubtful and is_current(task, self._dependencies):
            return Verdict(task.name, "up to date")
        if is_partial(task):
            drop_missing(task, self._comes, self._state.statuses.exists)
        row = self._state.row(task.name).copy()
        try:
            return self._judge_status(task)
        finally:
            self._state.put_back(task.name, row)

    def _judge_status(self, task: Any) -> Verdict:
        """The verdict on a task, from doit's own reasons and from what runs before it."""
        name, stirred = task.name, task.name in self._stirred
        watch(task, self._state, self._comes)
        row = self._state.row(name).copy()
        status = self._dependencies.get_status(task, self._tasks, get_log=True)
        reasons = status.reasons
        remade = self._remade(task.file_dep)
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
        doubts += [f"after {dep}" for dep in task.calc_dep if self._active(dep)]

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
            return self._active(item.dep_name) or item.dep_name in self._stirred
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


def merged(
    planned: Iterable[Verdict], left_out: Iterable[Verdict], control: Control
) -> list[Verdict]:
    """Verdicts in the order of execution, those left out where they are defined among them."""
    others = {verdict.task: verdict for verdict in left_out}
    placed = {verdict.task: [verdict] for verdict in planned}
    before: list[Verdict] = []
    last = before
    for name in control.tasks:
        if name in placed:
            last = placed[name]
        elif name in others:
            last.append(others[name])
    return [*before, *(verdict for found in placed.values() for verdict in found)]


def create_known(control: Control, dependencies: Any, always: bool = False) -> None:
    """Create the tasks of ``create_after`` whose cause is up to date, for patterns and filters.

    Parameters
    ----------
    control, dependencies, always
        As of `Planner`; what `control` selects does not matter, and is lost.
    """
    known: dict[str, bool] = {}
    todo = control.delayed
    while todo:
        task = todo.pop()
        cause = task.loader and task.loader.task_dep
        if cause and cause not in known and not _waits(control, cause):
            control.process([cause])
            verdicts = Planner(control, dependencies, always).verdicts()
            known[cause] = all(verdict.word == "up to date" for verdict in verdicts)
        if task.loader and (known.get(cause, False) if cause else True):
            control.create(task.name)
            todo = control.delayed


def _waits(control: Control, name: str) -> bool:
    """Whether a task is, or needs, one that is not created yet."""
    return any(control.tasks[needed].loader for needed in control.closure([name]))


def _nothing() -> None:
    """What a task does of which nothing is known yet."""


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
