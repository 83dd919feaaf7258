"""doit's graph of tasks, in one order: those that are selected, and all that feeds them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from doit.control import TaskControl, TaskDispatcher
from doit.exceptions import InvalidCommand, InvalidTask
from doit.loader import generate_tasks

from .selection import Wanted, no_match, none_wanted


class Control(TaskControl):
    """doit's task control, with one order of execution, and strict about patterns.

    doit's own order among independent tasks changes from call to call (it comes from sets); here
    it is the order of definition, so that a dry run can tell it. A pattern that selects nothing
    is an error.

    Attributes
    ----------
    given : set of str
        The names of the tasks that have an input which no task makes.
    """

    selected_tasks: list[str]

    def __init__(self, task_list: Sequence[Any], **kwargs: Any) -> None:
        self._selecting = False
        self.given: set[str] = set()
        super().__init__(task_list, **kwargs)
        self._selecting = True

    def set_implicit_deps(self, targets: dict[str, str], task_list: Iterable[Any]) -> None:
        """Have each task depend on the tasks that make its inputs, in the order of definition.

        doit looks each input up in the list of these tasks: a report on ten thousand jobs has seven
        times as many inputs.
        """
        position = {name: index for index, name in enumerate(self.tasks)}
        for task in task_list:
            for path in task.targets:
                if (other := targets.setdefault(path, task.name)) != task.name:
                    raise InvalidTask(
                        f"Two different tasks can't have a common target. {path!r} is a target for "
                        f"{task.name} and {other}."
                    )
        for task in task_list:
            makers = set(map(targets.get, task.file_dep))
            if None in makers:
                self.given.add(task.name)
            makers.difference_update(task.task_dep, [None])
            task.task_dep.extend(sorted(makers, key=position.__getitem__))

    @property
    def delayed(self) -> list[Any]:
        """The tasks of doit's ``create_after`` that stand for others, not yet created."""
        return [task for task in self.tasks.values() if task.loader]

    def create(self, name: str) -> None:
        """Create, in the place of a delayed task, those that it stands for."""
        loader = self.tasks[name].loader
        made = generate_tasks(name, loader.creator(**(loader.kwargs or {})), loader.creator.__doc__)
        new = {task.name: task for task in made}
        others = list(self.tasks.items())
        self.tasks.clear()
        for other, task in others:
            if other == name:
                self.tasks.update(new)
            elif other not in new:  # a creator may make what several delayed tasks stand for
                self.tasks[other] = task
        self._def_order[:] = self.tasks
        self.set_implicit_deps(self.targets, made)

    def task_dispatcher(self) -> TaskDispatcher:
        """Doit's dispatcher, releasing tasks in the order in which they began to wait."""
        return _Dispatcher(self.tasks, self.targets, self.selected_tasks)

    def _get_wild_tasks(self, pattern: str) -> list[str]:
        names: list[str] = super()._get_wild_tasks(pattern)
        if self._selecting and not names:
            raise InvalidCommand(no_match(pattern, self.tasks))
        return names

    def choose(self, named: list[str] | None, default: list[str] | None, wanted: Wanted) -> None:
        """Select tasks.

        Parameters
        ----------
        named : list of str or None
            Names, targets and patterns of the command line, with task options.
        default : list of str or None
            What to select when nothing is named and nothing filtered; None means every task.
        wanted : Wanted
            Keeps, of the named tasks (or of all) and their sub-tasks, those that match.

        Raises
        ------
        InvalidCommand
            Nothing matches; the message lists the values that exist.
        """
        if not wanted:
            self.process(named or default)
            return
        self.process(named or None)
        candidates = list(dict.fromkeys(self.members(self.selected_tasks)))
        self.selected_tasks = [
            name for name in candidates if not wanted.misses(self.tasks[name].meta)
        ]
        if not self.selected_tasks:
            metas = [self.tasks[name].meta or {} for name in candidates]
            raise InvalidCommand(none_wanted(wanted, metas, named or ()))

    def members(self, names: Iterable[str]) -> Iterable[str]:
        """Yield the tasks of these names; those of a group in its place."""
        for name in names:
            task = self.tasks[name]
            if task.has_subtask:
                yield from (dep for dep in task.task_dep if self.tasks[dep].subtask_of == name)
            else:
                yield name

    def isolate(self) -> None:
        """Cut the selected tasks off from what feeds them: doit's ``--single``."""
        for name in self.members(self.selected_tasks):
            self.tasks[name].task_dep = []

    def closure(self, names: Iterable[str] | None = None) -> list[str]:
        """`names` (or what is selected) and all that feeds them, in the order of definition."""
        found = with_feeding(self.tasks, self.selected_tasks if names is None else names)
        return [name for name in self.tasks if name in found]


class _Dispatcher(TaskDispatcher):
    def _gen_node(self, parent: Any, task_name: str) -> Any:
        if task_name in self.nodes and not (parent and task_name in parent.ancestors):
            return None
        node = super()._gen_node(parent, task_name)
        if node is not None:
            node.waiting_me = _Ordered()
        return node


class _Ordered(dict[Any, None]):
    """A set that keeps the order of insertion."""

    __slots__ = ()

    def add(self, item: Any) -> None:
        self[item] = None


def with_feeding(tasks: Mapping[str, Any], names: Iterable[str]) -> set[str]:
    """Return the names, and those of all tasks that feed them."""
    todo = list(names)
    found = set(todo)
    while todo:
        task = tasks[todo.pop()]
        for dep in (*task.task_dep, *task.setup_tasks, *task.calc_dep):
            if dep not in found:
                found.add(dep)
                todo.append(dep)
    return found
