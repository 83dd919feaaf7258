"""`fly64tasks COMMAND`: all that is no task of a study, behind one name.

Each command is a module with ``main(arguments, prog)`` and ``make_parser(prog)``, imported when it
is called: `fly64tasks --help` pays for none of them.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Sequence
from typing import Any

from fly64tasks import __version__
from fly64tasks.commandline import Parser
from fly64tasks.doitext.errors import nearest, printable

PROG = "fly64tasks"
SHELLS = ("bash", "zsh")
COMMANDS = {
    "new": ("start a study in a folder of its own", "fly64tasks.setup.new"),
    "recon": ("reconstruct one scan with pty-chi", "fly64tasks.runner"),
    "convert": ("convert a scan from one format into another", "fly64tasks.convert"),
    "inspect": ("say what a scan holds and what to doubt of it", "fly64tasks.inspect.command"),
    "score": ("score one reconstruction", "fly64tasks.score.command"),
    "compare": (
        "say which settings and scores of studies differ",
        "fly64tasks.report.studies.command",
    ),
    "tune": ("search settings for jobs of a study", "fly64tasks.tune.command"),
    "crate": ("describe a study that was run as an RO-Crate", "fly64tasks.crate.command"),
    "docs": ("print a page of the documentation", "fly64tasks.setup.pages"),
    "doctor": ("say what is installed, what is missing, how fast it is", "fly64tasks.setup.doctor"),
}
"""What each command does, and the module that does it."""


def main(arguments: Sequence[str] | None = None, prog: str = PROG) -> int:
    """Run the command line, which help calls ``prog``; return its exit code."""
    given = sys.argv[1:] if arguments is None else list(arguments)
    name = given[0] if given else ""
    if name in COMMANDS:
        code: int = _module(name).main(given[1:], prog=f"{prog} {name}")
        return code
    if name and not name.startswith("-"):
        near = nearest(name, COMMANDS)
        hint = f"did you mean {near}?" if near else f"expected {', '.join(COMMANDS)}"
        print(f"error: unknown command {printable(name)}; {hint}", file=sys.stderr)
        return 2
    parser = _make_parser(prog)
    options = parser.parse_args(given)
    if options.print_completion:
        print(_completion(options.print_completion))
        return 0
    parser.print_help(sys.stderr)
    return 2


def _module(name: str) -> Any:
    return importlib.import_module(COMMANDS[name][1])


def _make_parser(prog: str) -> Parser:
    commands = "\n".join(f"  {name:<10}{purpose}" for name, (purpose, _) in COMMANDS.items())
    parser = Parser(
        prog=prog,
        usage="%(prog)s COMMAND [options]",
        description="Ptychography dose/overlap studies, reconstructed with pty-chi.\n\n"
        f"commands:\n{commands}",
        epilog=f"{prog} COMMAND --help says more of each; `doit` runs a study.\n\n"
        f"example:\n  {prog} new my_study && cd my_study && doit",
    )
    parser.add_argument("--version", action="version", version=f"fly64tasks {__version__}")
    parser.add_argument(
        "--print-completion",
        choices=SHELLS,
        metavar="SHELL",
        help=f"print a script for Tab completion ({', '.join(SHELLS)})",
    )
    return parser


def _completion(shell: str) -> str:
    """Return the completion script of the console command for a shell."""
    from fly64tasks.setup.completion import script

    parsers = {name: _module(name).make_parser(f"{PROG} {name}") for name in COMMANDS}
    purposes = {name: purpose for name, (purpose, _) in COMMANDS.items()}
    return script(shell, PROG, parsers, purposes)
