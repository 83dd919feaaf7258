"""Which tasks a command line means: names, targets, patterns, and filters on ``task.meta``."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from doit.cmdparse import CmdOption, CmdParseError
from doit.control import TaskControl, TaskDispatcher
from doit.exceptions import InvalidCommand, InvalidTask
from doit.loader import generate_tasks

from ..errors import nearest, printable

_SHOWN = 20


@dataclass(frozen=True)
class MetaFilter:
    """An option ``--key VALUE[,VALUE...]`` that selects tasks by ``task.meta[key]``.

    Parameters
    ----------
    key : str
        The key of ``meta`` and the name of the option.
    help : str
        One line for ``doit help``.
    parse : callable
        Turns the text of the command line into a value of ``meta``; numbers compare as numbers.
    """

    key: str
    help: str
    parse: Callable[[str], object] = str

    def option(self) -> CmdOption:
        """The option, as doit knows it."""
        return CmdOption(
            {
                "section": "filters",
                "name": f"filter_{self.key}",
                "long": self.key,
                "type": list,
                "default": [],
                "metavar": "VALUE[,VALUE]",
                "help": self.help,
            }
        )

    def values(self, texts: Iterable[str]) -> list[object]:
        """The values that the option was given, in the order of the command line."""
        words = [word.strip() for text in texts for word in text.split(",") if word.strip()]
        if not words:
            raise CmdParseError(f"--{self.key}: no value given, expected --{self.key} VALUE,...")
        try:
            return [self.parse(word) for word in words]
        except ValueError as error:
            raise CmdParseError(f"--{self.key}: {error}") from None


_KINDS: dict[object, Callable[[str], object]] = {"str": str, "int": int, "float": float}


def declared(table: Mapping[str, object]) -> tuple[MetaFilter, ...]:
    """The filters of a table ``{key: kind}``, where a kind is ``str``, ``int`` or ``float``.

    Examples
    --------
    >>> [year] = declared({"year": "int"})
    >>> year.values(["2024,2025"])
    [2024, 2025]
    """
    return tuple(MetaFilter(key, f"by {key}", _kind(key, kind)) for key, kind in table.items())


def _kind(key: str, kind: object) -> Callable[[str], object]:
    def refuse(_: str) -> object:
        raise ValueError(f"filters.{key} is {kind!r}, expected 'str', 'int' or 'float'")

    return _KINDS.get(kind, refuse) if isinstance(kind, str) else refuse


def _among(value: object, wanted: Iterable[object]) -> bool:
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return any(
            isinstance(item, (int, float)) and math.isclose(value, item, rel_tol=1e-9)
            for item in wanted
        )
    return value in wanted


@dataclass(frozen=True)
class Wanted:
    """The filters in use, each with its values.

    Examples
    --------
    >>> dose = MetaFilter("dose", "photons per frame", float)
    >>> wanted = Wanted.of([dose], {"filter_dose": ["1e3,1e4"]})
    >>> wanted.misses({"dose": 1000}), wanted.misses({"dose": 1e5})
    ([], ['dose is 100000, not 1000, 10000'])
    """

    choices: tuple[tuple[MetaFilter, tuple[object, ...]], ...] = ()

    @classmethod
    def of(cls, filters: Iterable[MetaFilter], params: Any) -> Wanted:
        """The filters that a parsed command line names."""
        given = [(item, params.get(f"filter_{item.key}")) for item in filters]
        return cls(tuple((item, tuple(item.values(texts))) for item, texts in given if texts))

    def __bool__(self) -> bool:
        return bool(self.choices)

    def misses(self, meta: Any) -> list[str]:
        """Why a task with `meta` is not wanted, in words; empty when it is."""
        return [
            f"{item.key} is {_word((meta or {}).get(item.key))}, not {_words(values)}"
            for item, values in self.choices
            if not (item.key in (meta or {}) and _among(meta[item.key], values))
        ]

    def as_dict(self) -> dict[str, list[object]]:
        """The filters as JSON-ready data."""
        return {item.key: list(values) for item, values in self.choices}

    def __str__(self) -> str:
        return " ".join(f"--{item.key} {_words(values, ',')}" for item, values in self.choices)


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
            group = pattern.split(":")[0] if ":" in pattern else None
            members = [name for name in self.tasks if group and name.startswith(f"{group}:")]
            known = members or [name for name in self.tasks if ":" not in name]
            near = None if members or group is None else nearest(group, known)
            hint = f"did you mean {near}{pattern[len(group or '') :]}? There" if near else "there"
            raise InvalidCommand(f"no task matches '{pattern}'; {hint} are: {_some(known)}")
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
            exist = "; ".join(
                f"{item.key}: {_words(grid_values(metas, item.key)) or 'none'}"
                for item, _ in wanted.choices
            )
            among = f" among {_some(named)}" if named else ""
            hint = "".join(_meant(metas, item, values) for item, values in wanted.choices)
            raise InvalidCommand(
                f"no task{among} matches {wanted}; {hint}values that exist: {exist}"
            )

    def members(self, names: Iterable[str]) -> Iterable[str]:
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
        todo = list(self.selected_tasks if names is None else names)
        found = set(todo)
        while todo:
            task = self.tasks[todo.pop()]
            for dep in (*task.task_dep, *task.setup_tasks, *task.calc_dep):
                if dep not in found:
                    found.add(dep)
                    todo.append(dep)
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


def grid_values(metas: Iterable[Any], key: str) -> list[object]:
    """The distinct values of ``meta[key]``, in order of appearance."""
    return list(dict.fromkeys(meta[key] for meta in metas if key in meta))


def _meant(metas: Iterable[Any], item: MetaFilter, values: Iterable[object]) -> str:
    """What a filter was probably to say, where a value of it does not exist."""
    exist = grid_values(metas, item.key)
    texts = [str(value) for value in values if not _among(value, exist)]
    words = [word for word in exist if isinstance(word, str)]
    found = [near for near in (nearest(text, words) for text in texts) if near]
    return f"did you mean --{item.key} {','.join(found)}? " if found else ""


def no_such(
    name: str, tasks: Sequence[Any], filters: Iterable[MetaFilter], commands: Iterable[str] = ()
) -> str:
    """What is said of a name that no task and no target has: what was probably meant.

    Parameters
    ----------
    name : str
    tasks : sequence of doit.task.Task
        Those that there are.
    filters : iterable of MetaFilter
        One of their values may have been meant.
    commands : iterable of str
        What else the name may have been.
    """
    said = f"no {'command, ' if commands else ''}task or target is called {printable(name)!r}"
    names = [task.name for task in tasks]
    metas = [task.meta or {} for task in tasks]
    meant = [each for each in names if ":" in each and each.partition(":")[2] == name]
    meant += [
        f"--{item.key} {name}"
        for item in filters
        if any(_word(value) == name for value in grid_values(metas, item.key))
    ]
    if any(each.startswith(f"{name}_") for each in names):
        meant.append(f"'{name}_*'")
    if not meant:
        targets = [target for task in tasks for target in task.targets]
        # A command or a step that was mistyped is meant before one of a thousand long names is.
        short = [*commands, *(each for each in names if ":" not in each)]
        near = nearest(name, short, 0.6) or nearest(name, [*names, *targets], 0.6)
        meant = [near] if near else []
    if meant:
        return printable(f"{said}; did you mean {' or '.join(meant[:3])}?")
    steps = [each for each in names if ":" not in each]
    return printable(f"{said}; there are: {_some(steps)}")


def _word(value: object) -> str:
    return "not set" if value is None else f"{value:g}" if _is_float(value) else str(value)


def _is_float(value: object) -> bool:
    return isinstance(value, float) and value < 1e15 and value == int(value)


def _words(values: Iterable[object], separator: str = ", ") -> str:
    return separator.join(_word(value) for value in values)


def _some(names: Sequence[str]) -> str:
    rest = len(names) - _SHOWN
    return ", ".join(names[:_SHOWN]) + (f" and {rest} more" if rest > 0 else "")
