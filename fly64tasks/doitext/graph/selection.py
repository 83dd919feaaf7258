"""What a command line asks for: filters on ``task.meta``, and what is said of what there is not."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from doit.cmdparse import CmdOption, CmdParseError

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


def grid_values(metas: Iterable[Any], key: str) -> list[object]:
    """The distinct values of ``meta[key]``, in order of appearance."""
    return list(dict.fromkeys(meta[key] for meta in metas if key in meta))


def none_wanted(wanted: Wanted, metas: Sequence[Any], named: Sequence[str]) -> str:
    """What is said of filters that no task matches: what was probably meant, and what exists.

    Parameters
    ----------
    wanted : Wanted
    metas : sequence of mapping
        The ``meta`` of the tasks among which they were looked for.
    named : sequence of str
        By what these were named on the command line; empty for all.
    """
    exist = "; ".join(
        f"{item.key}: {_words(grid_values(metas, item.key)) or 'none'}"
        for item, _ in wanted.choices
    )
    among = f" among {_some(named)}" if named else ""
    hint = "".join(_meant(metas, item, values) for item, values in wanted.choices)
    return f"no task{among} matches {wanted}; {hint}values that exist: {exist}"


def _meant(metas: Iterable[Any], item: MetaFilter, values: Iterable[object]) -> str:
    """What a filter was probably to say, where a value of it does not exist."""
    exist = grid_values(metas, item.key)
    texts = [str(value) for value in values if not _among(value, exist)]
    words = [word for word in exist if isinstance(word, str)]
    found = [near for near in (nearest(text, words) for text in texts) if near]
    return f"did you mean --{item.key} {','.join(found)}? " if found else ""


def no_match(pattern: str, names: Collection[str]) -> str:
    """What is said of a pattern that none of the tasks' names matches."""
    group = pattern.split(":")[0] if ":" in pattern else None
    members = [name for name in names if group and name.startswith(f"{group}:")]
    known = members or [name for name in names if ":" not in name]
    near = None if members or group is None else nearest(group, known)
    hint = f"did you mean {near}{pattern[len(group or '') :]}? There" if near else "there"
    return f"no task matches '{pattern}'; {hint} are: {_some(known)}"


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
