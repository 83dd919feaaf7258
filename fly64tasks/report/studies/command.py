"""`fly64tasks compare STUDY STUDY ...`: settings and scores that differ, from what studies left.

Exit codes: 0 done, 2 usage, 3 a folder can not be used, 74 the machine failed it.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

from fly64tasks.commandline import Parser, exit_code_of
from fly64tasks.data.ownership import refuse_foreign
from fly64tasks.doitext.atomic import replaced

PROG = "python -m fly64tasks compare"


def main(arguments: Sequence[str] | None = None, prog: str = PROG) -> int:
    """Run the command line, which help calls ``prog``; return its exit code."""
    parser = make_parser(prog)
    options = parser.parse_args(arguments)
    if len(options.studies) < 2:
        parser.error("expected two studies or more")
    return exit_code_of(lambda: _compare(options))


def make_parser(prog: str = PROG) -> Parser:
    """Return the parser of the command line, which help calls ``prog``."""
    parser = Parser(
        prog=prog,
        usage="%(prog)s STUDY STUDY [STUDY ...] [options]",
        description="Say which settings and which scores of studies differ. Each is held against "
        "the first, job by job, by the jobs' names.",
        epilog=f"example:\n  {prog} study_a study_b --html compared.html",
    )
    parser.add_argument(
        "studies",
        nargs="*",
        type=Path,
        metavar="STUDY",
        help="a study's folder, or the folder that its reports lie in",
    )
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--json", action="store_true", help="print everything as JSON")
    form.add_argument("--csv", action="store_true", help="print every score as CSV")
    parser.add_argument(
        "--html", type=Path, metavar="FILE", help="write a page that needs no network"
    )
    return parser


def _compare(options: argparse.Namespace) -> int:
    from fly64tasks.report.files import PAGE_MARK
    from fly64tasks.report.studies.differences import differences_of
    from fly64tasks.report.studies.records import read_records
    from fly64tasks.report.studies.text import as_json, csv_text, text_of

    if options.html is not None:
        refuse_foreign(options.html, f"{PAGE_MARK}\n<title>Studies compared".encode())
    first, *others = read_records(options.studies)
    compared = [differences_of(first, other) for other in others]
    if options.html is not None:
        from fly64tasks.report.studies.page import render

        page = render(compared)
        with replaced(options.html) as temporary:
            temporary.write_text(page, "utf-8")
    if options.json:
        print(json.dumps(as_json(compared), indent=2, ensure_ascii=False))
    else:
        sys.stdout.write(csv_text(compared) if options.csv else text_of(compared))
    return 0
