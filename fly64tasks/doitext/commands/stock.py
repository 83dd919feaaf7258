"""Stock doit, for the projects that do not ask for the journal.

The entry points of a package serve every project of its environment, also those that know nothing
of it: there, our commands stand aside.
"""

from __future__ import annotations

import os
import re
from argparse import ArgumentParser
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from doit.cmd_base import Command
from doit.cmdparse import CmdOption
from doit.doit_cmd import DoitMain

from .dry import no_caches

_STOCK = {command.get_name(): command for command in DoitMain.DOIT_CMDS}
_MAY_BE_DRY = re.compile(r"--d|-[^-]*n")


class StandsAside(Command):
    """A command that is ours where it was asked for, and doit's own everywhere else.

    It was asked for where the project's settings name the command, or the journal as ``backend``.
    Where no ``dodo.py`` can be loaded, ours says so.
    """

    def __init__(self, **given: Any) -> None:
        self._given = given
        super().__init__(**given)

    def parse_execute(self, in_args: list[str]) -> Any:
        """Run the command, or doit's own."""
        if self._is_asked_for(in_args):
            return self.parse_execute_ours(in_args)
        command, args = self._stock(in_args)
        return command.parse_execute(args)

    def parse_execute_ours(self, in_args: list[str]) -> Any:
        """Run the command."""
        return super().parse_execute(in_args)

    def help(self) -> Any:
        """Return the text of ``doit help COMMAND``."""
        if self.name not in _STOCK or self._is_asked_for([]):
            return super().help()
        return self._stock([])[0].help()

    def _is_asked_for(self, args: list[str]) -> bool:
        if self.name in self.config.get("COMMAND", {}):
            return True
        loader, here = self._given["task_loader"], Path.cwd()
        try:
            with no_caches(any(map(_MAY_BE_DRY.match, args))):
                loader.setup(_where(loader, args) | self.opt_vals)
                settings = self.config_vals | loader.load_doit_config()
        except Exception:  # met again by the command, which says it
            return True
        finally:
            os.chdir(here)
        return bool(settings.get("backend") == "journal")

    def _stock(self, args: Sequence[str]) -> tuple[Command, list[str]]:
        """Return doit's command, and its arguments: a name that doit has not may be a task's."""
        cmds, loader = self._given["cmds"], self._given["task_loader"]

        def home(name: str) -> str:
            return str(getattr(cmds[name], "location", "").partition(":")[0])

        loader.cmd_names = [
            name for name in loader.cmd_names if name in _STOCK or home(name) != home(self.name)
        ]
        if self.name in _STOCK:
            return _STOCK[self.name](**self._given), list(args)
        return _STOCK["run"](**self._given), [self.name, *args]


def _where(loader: Any, args: Sequence[str]) -> dict[str, Any]:
    """Return where the tasks are looked for, as the command line says it in any place."""
    parser = ArgumentParser(add_help=False, allow_abbrev=False, exit_on_error=False)
    for option in map(CmdOption, loader.cmd_options):
        default = os.environ.get(option.env_var or "", option.default)
        if option.name == "seek_file":
            default = True  # a project of ours is found from its sub-folders
        flags = [*([f"-{option.short}"] if option.short else []), f"--{option.long}"]
        action = "store_true" if option.type is bool else "store"
        parser.add_argument(*flags, dest=option.name, default=default, action=action)
    return vars(parser.parse_known_args(args)[0])
