"""What the commands on a task graph share: filters, options in any place, the journal."""

from __future__ import annotations

import getopt
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from doit.cmd_base import DoitCmdBase
from doit.cmdparse import CmdOption, CmdParse, CmdParseError
from doit.exceptions import InvalidCommand, InvalidDodoFile, InvalidTask

from ..errors import printable_lines, reader_gone
from ..garbage import collected_later
from ..graph import inputs
from ..graph.control import Control
from ..graph.delayed import create_known
from ..graph.manifest import FileNames, Manifest
from ..graph.plan import Planner
from ..graph.selection import MetaFilter, Wanted, declared, no_such
from ..state.claims import Claims
from ..state.digests import MD5Checker
from ..state.journal import Journal
from .options import SortingLoader, parted, refused, sorted_out
from .stock import StandsAside


@dataclass(frozen=True)
class AllowMissing:
    """An option that skips, instead of refusing, optional tasks whose inputs are missing.

    Parameters
    ----------
    option : str
        The option, without dashes.
    optional : str
        The ``meta["optional"]`` of the tasks that it is about.
    help : str
        One line for ``doit help``.
    """

    option: str
    optional: str
    help: str

    def as_option(self) -> CmdOption:
        """The option, as doit knows it."""
        return flag(f"allow_{self.optional}", self.option, self.help, section="inputs")


class GraphCommand(StandsAside, DoitCmdBase):
    """A doit command with filters on ``task.meta``.

    A project names its filters in ``[tool.doit.filters]`` of its pyproject.toml, or subclasses the
    commands, which gives them help texts and `allow_missing` too.
    """

    filters: tuple[MetaFilter, ...] = ()
    allow_missing: ClassVar[tuple[AllowMissing, ...]] = ()
    manifest_names: ClassVar[FileNames] = FileNames()

    own_options: ClassVar[tuple[CmdOption, ...]] = ()
    """Further options, which have to be known before there are tasks."""

    execute_tasks = True
    """To doit: leave tasks of ``create_after`` to be created when what they wait for is there."""

    loader: Any
    wanted: Wanted
    control: Control
    state: Journal

    def __init__(self, config: Any = None, **given: Any) -> None:
        table = (config or {}).get("GLOBAL", {}).get("filters", {})
        own = {item.key for item in self.filters}
        self.filters += tuple(item for item in declared(table) if item.key not in own)
        self._commands: Any = given.get("cmds") or {}
        super().__init__(config=config, **given)

    # ---- options

    def get_options(self) -> list[CmdOption]:
        """Doit's options of the command, and ours."""
        options: list[CmdOption] = super().get_options()
        for option in options:
            if option.name == "seek_file":
                option.default = True  # `doit` in a sub-folder means the graph above it
        return [*options, *self._ours()]

    def _ours(self) -> list[CmdOption]:
        return [
            *self.own_options,
            *(item.option() for item in self.filters),
            *(item.as_option() for item in self.allow_missing),
            _setting("manifest_dir"),
            _setting("describe"),
            _setting("about"),
        ]

    def variables(self) -> Sequence[str]:
        """What may be said as ``name=value``, for who takes it for an option."""
        return ()

    def parse_execute_ours(self, in_args: list[str]) -> Any:
        """Run the command; its options may stand in any place.

        Those that have to be known before there are tasks come first, the others wait for the
        tasks, which may have some of the same name.
        """
        if {"-h", "--help"} & set(in_args[: in_args.index("--") if "--" in in_args else None]):
            self._help()
            return 0
        flags = [option.short for option in self.cmdparser.options if option.type is bool]
        early = CmdParse([*self._ours(), *map(CmdOption, self.base_options)])
        ours, rest = sorted_out(parted(in_args, "".join(flags)), early, {})
        try:
            return super().parse_execute_ours(ours + rest)
        except CmdParseError as error:
            error.args = tuple(map(printable_lines, error.args))
            if isinstance(error.__context__, getopt.GetoptError):  # doit would dump every option
                see = f"{self.bin_name} help {self.name}"
                said = refused(error.__context__, self.cmdparser, in_args, self.variables(), see)
                raise CmdParseError(said) from None
            raise
        except (InvalidCommand, InvalidDodoFile, InvalidTask) as error:  # names are anybody's
            error.args = tuple(map(printable_lines, error.args))
            if unknown := getattr(error, "not_found", None):
                commands = self._commands if self.name == "run" else ()
                said = no_such(unknown, self.task_list, self.filters, commands)
                raise InvalidCommand(said) from None
            raise
        except BrokenPipeError:
            return reader_gone()

    def _help(self) -> None:
        """Print what the command is and takes."""
        print(self.help())

    def get_backends(self) -> dict[str, Any]:
        """Doit's backends and the journal."""
        return {**super().get_backends(), "journal": Journal}

    def get_checker_cls(self, check_file_uptodate: Any) -> Any:
        """Doit's checker; for MD5, the one that keeps digests."""
        if check_file_uptodate == "md5":
            return MD5Checker
        return super().get_checker_cls(check_file_uptodate)

    def execute(self, params: Any, args: list[str]) -> int:
        """Run the command on the filtered graph."""
        self.wanted = Wanted.of(self.filters, params)
        self.outstream = sys.stdout
        self.params = params
        late = [CmdOption(option) for option in self.cmd_options]
        self.loader = SortingLoader(self.loader, CmdParse(late), params)
        with collected_later():
            return int(super().execute(params, args) or 0)

    # ---- for the commands

    def connect(self, control: Control) -> None:
        """Take the graph, and the journal as its state."""
        self.state = self.dep_manager.backend
        if not isinstance(self.state, Journal):
            raise InvalidCommand(
                f"backend {self.params['backend']!r}: `{self.bin_name} {self.name}` keeps its "
                "state in a journal; set DOIT_CONFIG['backend'] = 'journal'"
            )
        if isinstance(self.dep_manager.checker, MD5Checker):
            self.dep_manager.checker.digests = self.state.digests
            self.dep_manager.checker.statuses = self.state.statuses
        self.control = control
        if control.delayed:
            always = bool(self.params.get("always"))
            create_known(control, lambda: Planner(control, self.dep_manager, always).verdicts())

    def claims(self) -> Claims:
        """The folders that the tasks of the graph write."""
        return Claims(self.control.tasks, self.state)

    def prepare(
        self, named: list[str], control: Control, single: bool = False
    ) -> dict[str, list[str]]:
        """Select tasks, connect the state, look at the inputs.

        Parameters
        ----------
        named : list of str
            Names, targets and patterns of the command line.
        control : Control
            The graph.
        single : bool
            Leave out what feeds the selected tasks.

        Returns
        -------
        dict of str to list of str
            The tasks that are skipped because their inputs are missing, with the reasons.
            ``self.broken`` holds those that may not be skipped.
        """
        self.connect(control)
        control.choose(list(named), self.params.get("default_tasks"), self.wanted)
        if single:
            control.isolate()
        found = inputs.problems(control, self.dep_manager.status_is_ignore)
        skipped = inputs.skip(control, inputs.may_be_missing(control, found, self.allowed))
        self.broken = {name: words for name, words in found.items() if name not in skipped}
        return skipped

    @property
    def allowed(self) -> list[str]:
        """The words of ``meta["optional"]`` whose options are given."""
        return [item.optional for item in self.allow_missing if self.params[_name(item)]]

    def helpful_options(self) -> list[str]:
        """The options that would skip some of what is broken."""
        return [
            f"--{item.option}"
            for item in self.allow_missing
            if any(
                (self.control.tasks[name].meta or {}).get("optional") == item.optional
                for name in self.broken
            )
        ]

    def manifest(self) -> Manifest:
        """What makes the manifest."""
        return Manifest(
            self.control,
            self.state,
            self.filters,
            self.params["describe"],
            self.params["about"] or {},
        )

    def manifest_files(self) -> tuple[Path, Path] | None:
        """Where manifest and skip summary lie; None where DOIT_CONFIG names no folder for them."""
        folder = self.params["manifest_dir"]
        return self.manifest_names.within(Path(folder)) if folder else None


def flag(name: str, long: str, help: str, short: str = "", section: str = "") -> CmdOption:
    """An option that is on or off."""
    return CmdOption(
        {
            "section": section,
            "name": name,
            "short": short,
            "long": long,
            "type": bool,
            "default": False,
            "help": help,
        }
    )


def _name(item: AllowMissing) -> str:
    return str(item.as_option().name)


def _setting(name: str) -> CmdOption:
    """A value that only DOIT_CONFIG may give."""
    return CmdOption({"name": name, "default": None})
