"""Scripts for Tab completion, made by shtab from the commands' own parsers."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

import msgspec
import shtab

from fly64tasks.commandline import Parser
from fly64tasks.study.recon_settings import ReconSpec


def script(
    shell: str,
    prog: str,
    parsers: Mapping[str, Parser],
    purposes: Mapping[str, str],
) -> str:
    """Return the script that completes ``prog`` in a shell.

    Parameters
    ----------
    shell : str
        ``bash`` or ``zsh``.
    parsers : mapping
        The parser of each command.
    purposes : mapping
        What each command does, in a few words, which zsh shows.
    """
    whole = Parser(prog=prog)
    whole.add_argument("--version", action="version", help="show the version")
    whole.add_argument("--print-completion", choices=("bash", "zsh"), help="print this script")
    commands = whole.add_subparsers()
    for name, parser in parsers.items():
        _complete_values(parser)
        commands.add_parser(name, parents=[parser], add_help=False, help=purposes[name])
    text: str = shtab.complete(whole, shell)
    return text


def _complete_values(parser: argparse.ArgumentParser) -> None:
    """Say what the value of each option can be: a file, a folder, or one of a few words."""
    words = _words_of_settings()
    for action in parser._actions:
        if action.type is Path:
            action.complete = shtab.DIRECTORY if action.metavar == "DIR" else shtab.FILE  # type: ignore[attr-defined]
        elif action.dest in words and action.choices is None:
            action.choices = words[action.dest]


def _words_of_settings() -> dict[str, tuple[str, ...]]:
    """Return the words that a setting of `ReconSpec` takes, for those that take some.

    >>> _words_of_settings()["object_init"]
    ('ones', 'noise', 'guess')
    """
    return {
        field.name: words
        for field in msgspec.structs.fields(ReconSpec)
        if (words := _words_of(field.type))
    }


def _words_of(annotation: Any) -> tuple[str, ...]:
    if annotation is bool:
        return ("true", "false")
    if get_origin(annotation) is Literal:
        return get_args(annotation)
    return next((words for part in get_args(annotation) if (words := _words_of(part))), ())
