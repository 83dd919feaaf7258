"""`fly64tasks crate`: an RO-Crate 1.2 of a study, to hand in with a paper or a deposit.

It is one file beside the study, ``ro-crate-metadata.json``: inputs, outputs and software, with
sizes and SHA-256, and an action for each reconstruction with its settings and times. It claims no
profile: those of workflow runs are of RO-Crate 1.1, and their validator refuses 1.2. JSON-LD by
hand: the `rocrate` package copies files into a crate and brings six others with it, where here
everything lies in its place and one JSON document is written. The tests hold it to
`rocrate-validator`.

Exit codes: 0 done, 2 usage or an unreadable study file, 3 unusable results, 74 the machine failed
it.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from fly64tasks.commandline import Parser, exit_code_of
from fly64tasks.crate.graph import METADATA, write_crate
from fly64tasks.doitext.errors import printable

PROG = "python -m fly64tasks crate"


def main(arguments: Sequence[str] | None = None, prog: str = PROG) -> int:
    """Run the command line, which help calls ``prog``; return its exit code."""
    options = make_parser(prog).parse_args(arguments)
    return exit_code_of(lambda: _print_crate(options))


def make_parser(prog: str = PROG) -> Parser:
    """Return the parser of the command line, which help calls ``prog``."""
    parser = Parser(
        prog=prog,
        usage="%(prog)s [FOLDER] [options]",
        description="Describe a study that was run as an RO-Crate 1.2: what it was made from, with "
        f"what, and what came out. Writes {METADATA} into its folder, which then is the crate.",
        epilog=f"example:\n  {prog} my_study --author 'Ada Lovelace' "
        "--license https://spdx.org/licenses/CC-BY-4.0",
    )
    parser.add_argument(
        "folder", nargs="?", type=Path, default=Path(), metavar="FOLDER", help="(default: here)"
    )
    parser.add_argument(
        "--study", default="study.toml", metavar="FILE", help="the study file (default: study.toml)"
    )
    parser.add_argument("--license", metavar="URL", help="under which the results may be used")
    parser.add_argument("--author", metavar="NAME", help="who hands it in")
    return parser


def _print_crate(options: argparse.Namespace) -> int:
    path, n_files, n_jobs = write_crate(
        options.folder, options.study, license_url=options.license, author=options.author
    )
    print(f"{printable(path)}: {n_files} files, {n_jobs} reconstructions")
    return 0
