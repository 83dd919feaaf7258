"""What doit and the shell find of fly64tasks: the names of its entry points.

It is installed beside the package, by ``pip install -e`` too. There the package lies in a clone,
and when that was moved or deleted, doit would end in a traceback in every project of the
environment. With this, doit is stock doit in theirs, and says in one line what to do in ours.
"""

from __future__ import annotations

import json
import sys
from importlib import import_module, metadata
from importlib.util import find_spec
from typing import Any, NoReturn
from urllib.parse import unquote

_HOMES = {"main": "fly64tasks.cli", "Journal": "fly64tasks.doitext.state.journal"}
_COMMANDS = "fly64tasks.doit_commands"


def __getattr__(name: str) -> Any:
    if name.startswith("__"):
        raise AttributeError(name)
    found = find_spec("fly64tasks")
    if found is None or found.origin is None:  # nothing, or a folder of which caches are left
        return {"main": _main, "Journal": _Journal}.get(name) or _command(name)
    return getattr(import_module(_HOMES.get(name, _COMMANDS)), name)


def _lost() -> str:
    said = metadata.distribution("fly64tasks").read_text("direct_url.json")
    place = unquote(json.loads(said)["url"].removeprefix("file://")) if said else "its folder"
    return (
        f"fly64tasks was installed from {place} and is not there any more: `pip install -e .` in "
        "the clone where it lies now, or `pip uninstall fly64tasks`"
    )


def _main() -> int:
    print(f"error: {_lost()}", file=sys.stderr)
    return 1


class _Journal:
    """A state that cannot be opened. It has a class: doit loads every backend there is."""

    desc = "of fly64tasks, which is not there any more"

    def __init__(self, *_: Any, **__: Any) -> None:
        _refuse()


def _refuse() -> NoReturn:
    from doit.exceptions import InvalidCommand

    raise InvalidCommand(_lost())


def _command(attribute: str) -> type:
    """Return doit's command in place of ours; a name that doit has not may be a task's."""
    from doit.cmdparse import CmdParseError
    from doit.doit_cmd import DoitMain

    stock = {command.__name__: command for command in DoitMain.DOIT_CMDS}
    is_stock = attribute in stock
    base: Any = stock[attribute if is_stock else "Run"]
    names = {command.get_name() for command in stock.values()}

    class StandIn(base):
        name = base.get_name()
        doc_purpose = base.doc_purpose if is_stock else _Journal.desc

        def __init__(self, **given: Any) -> None:
            super().__init__(**given)
            self._cmds = given["cmds"]

        def parse_execute(self, in_args: list[str]) -> Any:
            known = self.loader.cmd_names
            self.loader.cmd_names = [n for n in known if n in names or not self._is_ours(n)]
            try:
                return super().parse_execute(in_args if is_stock else [attribute.lower(), *in_args])
            except CmdParseError as error:  # the option may be one of ours
                raise CmdParseError(f"{_lost()}; doit alone says: {error}") from None
            except ImportError as error:
                if (error.name or "").partition(".")[0] != "fly64tasks":
                    raise
                _refuse()

        def _is_ours(self, name: str) -> bool:
            return str(getattr(self._cmds[name], "location", "")).startswith(f"{__name__}:")

    return StandIn
