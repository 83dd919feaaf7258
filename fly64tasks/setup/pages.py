"""`fly64tasks docs [PAGE]`: the documentation, from the installed package, with no network.

The pages lie beside the package in a clone; a wheel puts them where a Python environment has
documents, ``share/doc/fly64tasks``.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, files
from pathlib import Path

import fly64tasks
from fly64tasks.commandline import Parser, exit_code_of
from fly64tasks.doitext.errors import nearest, printable
from fly64tasks.errors import ProjectError

PROG = "fly64tasks docs"
HOME = "index.md"
"""The page that leads to the others; in a clone it shows the README."""


def main(arguments: Sequence[str] | None = None, prog: str = PROG) -> int:
    """Run the command line, which help calls ``prog``; return its exit code."""
    parser = make_parser(prog)
    options = parser.parse_args(arguments)
    return exit_code_of(lambda: _print_page(options, parser))


def make_parser(prog: str = PROG) -> Parser:
    """Return the parser of the command line, which help calls ``prog``."""
    parser = Parser(
        prog=prog,
        description="Print a page of the documentation (Markdown), or which there are. Comments "
        "and errors that name docs/methods.md mean the page methods.",
        epilog=f"example:\n  {prog} methods | less",
    )
    parser.add_argument("page", nargs="?", metavar="PAGE", help="a page's name, as methods")
    return parser


def _print_page(options: argparse.Namespace, parser: Parser) -> int:
    folder = folder_of_pages()
    found = pages(folder)
    if options.page is None:
        width = max(map(len, found))
        for name, path in found.items():
            print(f"{name:<{width}}  {title(path)}")
        print(f"\nin {printable(folder)}; `{parser.prog} PAGE` prints one")
        return 0
    name = options.page.removeprefix("docs/").removesuffix(".md")
    if name not in found:
        near = nearest(name, found)
        hint = f"did you mean {near}?" if near else f"`{parser.prog}` lists them"
        parser.error(f"no page {options.page!r}; {hint}")
    sys.stdout.write(found[name].read_text("utf-8"))
    return 0


def folder_of_pages() -> Path:
    """Return the folder that the pages lie in.

    Raises
    ------
    ProjectError
        They were not installed with the package.
    """
    beside = Path(fly64tasks.__file__).parents[1] / "docs"
    if (beside / HOME).is_file() and (beside.parent / "pyproject.toml").is_file():
        return beside
    try:
        installed = files("fly64tasks") or []
    except PackageNotFoundError:
        installed = []
    for file in installed:
        if file.parts[-3:] == ("doc", "fly64tasks", HOME):
            path = Path(str(file.locate())).resolve()
            if path.is_file():
                return path.parent
    raise ProjectError(
        f"{beside}: the documentation is not there, nor in share/doc/fly64tasks of this Python "
        "environment; install the package anew, or see a clone's docs/"
    )


def pages(folder: Path) -> dict[str, Path]:
    """Return the pages by name, decisions last; without the home page, which is the README."""
    found = sorted(folder.glob("*.md")) + sorted(folder.glob("decisions/*.md"))
    names = {path.relative_to(folder).with_suffix("").as_posix(): path for path in found}
    return {name: path for name, path in names.items() if path.name != HOME}


def title(page: Path) -> str:
    """Return what a page calls itself: its first heading."""
    lines = page.read_text("utf-8").splitlines()
    return next((line.lstrip("# ") for line in lines if line.startswith("# ")), "")
