"""Options in any place on the line: doit takes what follows a task's name for that task's own."""

from __future__ import annotations

import contextlib
import getopt
from collections.abc import Mapping, Sequence
from typing import Any

from doit.cmdparse import CmdOption, CmdParse, TaskParse

from ..errors import nearest, printable


def sorted_out(
    args: Sequence[str], command: CmdParse, tasks: Mapping[str, Any]
) -> tuple[list[str], list[str]]:
    """The options of a command among `args`, and the rest.

    Parameters
    ----------
    args : sequence of str
        Of the command line.
    command : CmdParse
        Knows the options.
    tasks : mapping of str to doit.task.Task
        What a task that is named before them takes itself, stays with it.

    Examples
    --------
    >>> parser = CmdParse([CmdOption({"name": "v", "short": "v", "type": int, "default": 1})])
    >>> sorted_out(["build", "-x", "-v", "2", "--", "-v3"], parser, {})
    (['-v', '2'], ['build', '-x', '--', '-v3'])
    """
    ours: list[str] = []
    rest: list[str] = []
    task, own = None, None
    todo = list(args)
    while todo:
        arg = todo[0]
        if arg == "--" or (task and task.pos_arg and not arg.startswith("-")):
            break
        if arg == "-" or not arg.startswith("-"):
            task = tasks.get(arg)
            own = _options_of(task) if task else own
            rest.append(todo.pop(0))
            continue
        if count := own and _taken(own, todo):
            place = rest
        elif count := _taken(command, todo):
            place = ours
        else:
            place, count = rest, 1
        place += todo[:count]
        del todo[:count]
    return ours, rest + todo


def _options_of(task: Any) -> TaskParse:
    return TaskParse([CmdOption(option) for option in (*task.params, *task.creator_params)])


def _taken(parser: CmdParse, args: Sequence[str]) -> int:
    """How many of `args` are the first option and its value; 0 where it is not the parser's."""
    with contextlib.suppress(getopt.GetoptError):
        left = getopt.getopt([args[0], "value"], parser.get_short(), parser.get_long())[1]
        return 1 if left else min(2, len(args))
    return 0


def parted(args: Sequence[str], flags: str) -> list[str]:
    """`args` with each group of short flags, none of which takes a value, as so many.

    Examples
    --------
    >>> parted(["build", "-cn", "-j2", "--", "-cn"], "cn")
    ['build', '-c', '-n', '-j2', '--', '-cn']
    """
    end = args.index("--") if "--" in args else len(args)
    found: list[str] = []
    for arg in args[:end]:
        letters = arg[1:] if arg[:1] == "-" else ""
        group = len(letters) > 1 and set(letters) <= set(flags)
        found += [f"-{letter}" for letter in letters] if group else [arg]
    return found + list(args[end:])


class SortingLoader:
    """doit's loader of tasks, which then takes the options of the command from among them.

    Parameters
    ----------
    loader
        doit's.
    command : CmdParse
        Knows the options.
    params : dict
        Where their values go.
    """

    def __init__(self, loader: Any, command: CmdParse, params: dict[str, Any]) -> None:
        self._loader = loader
        self._command = command
        self._params = params

    def __getattr__(self, name: str) -> Any:
        return getattr(self._loader, name)

    def load_tasks(self, cmd: Any, pos_args: list[str]) -> list[Any]:
        """The tasks; `pos_args` is left with their names and their own options."""
        ours, rest = sorted_out(pos_args, self._command, {})
        tasks: list[Any] = self._loader.load_tasks(cmd=cmd, pos_args=rest)
        if ours:
            by_name = {task.name: task for task in tasks}
            ours, named = sorted_out(pos_args, self._command, by_name)
            if named != rest:  # a task takes one of them; its creator may have to be told
                tasks = self._loader.load_tasks(cmd=cmd, pos_args=named)
            self._command.parse_only(ours, self._params)
            pos_args[:] = named
        return tasks


def refused(
    error: getopt.GetoptError,
    command: CmdParse,
    args: Sequence[str],
    variables: Sequence[str],
    see: str,
) -> str:
    """Why an option is refused, and what to say in its place.

    Parameters
    ----------
    error : getopt.GetoptError
    command : CmdParse
        The options that there are.
    args : sequence of str
        Of the command line.
    variables : sequence of str
        What may be said as ``name=value``.
    see : str
        Where help is.
    """
    said = printable(error)
    dashes = "--" if len(error.opt) > 1 else "-"
    option, _ = command.get_option(dashes + error.opt)
    if option is not None and option.type is not bool and "requires" in said:
        return f"{said}; see `{see}`"
    if option is not None:
        return f"{said} after the name of a task; say {dashes}{error.opt} before it"
    name = error.opt.replace("-", "_")
    if name in variables:
        return f"{said}: it is a variable, said as {printable(f'{name}={_value(error.opt, args)}')}"
    names = [each.long for each in command.options if each.long]
    near = nearest(error.opt, [*names, *variables], cutoff=0.7) if dashes == "--" else None
    if near:
        meant = f"--{near}" if near in names else f"{near}="
        return f"{said}; did you mean {meant}? See `{see}`"
    return f"{said}; see `{see}`"


def _value(option: str, args: Sequence[str]) -> str:
    """The value that an option was given that there is not."""
    for arg, after in zip(args, [*args[1:], "-"], strict=True):
        name, joined, value = arg.partition("=")
        if name == f"--{option}":
            return value if joined or after.startswith("-") else after
    return "VALUE"
