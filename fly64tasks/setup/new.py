"""`fly64tasks new DIR`: the files of a study, in a folder of its own.

A template is a folder of `templates/`; what it lacks of the files is `common`'s.
"""

from __future__ import annotations

import os
import shlex
import shutil
import tempfile
from collections.abc import Sequence
from importlib import resources
from pathlib import Path

from fly64tasks.commandline import Parser, exit_code_of
from fly64tasks.doitext.errors import printable
from fly64tasks.errors import ProjectError

PROG = "fly64tasks new"
TEMPLATES = {
    "default": "built-in object, 3 doses, 3 views: 18 reconstructions",
    "lsqml_baseline": "the same, pty-chi's LSQML with fixed settings",
    "measured": "scans of your own: files of any format, under any names",
    "methods": "methods against each other, a network among them: 120 reconstructions",
}
FILES = {
    "dodo.py": "dodo.py.txt",
    "study.toml": "study.toml",
    "README.md": "README.md",
    ".gitignore": "gitignore.txt",
}
"""The files of a project, and their names in a template: git would heed a .gitignore there."""
_FURTHER = {"methods": {"cnn.py": "cnn.py.txt"}}
"""Those that one template has besides."""
_FIRST = {"measured": "  name your scans below [scans] in study.toml\n"}
"""What a template needs before it can run."""


def main(arguments: Sequence[str] | None = None, prog: str = PROG) -> int:
    """Run the command line, which help calls ``prog``; return its exit code."""
    options = make_parser(prog).parse_args(arguments)
    return exit_code_of(lambda: _make_and_say(options.folder, options.template))


def make_parser(prog: str = PROG) -> Parser:
    """Return the parser of the command line, which help calls ``prog``."""
    about = "\n".join(f"  {name:<16}{words}" for name, words in TEMPLATES.items())
    parser = Parser(
        prog=prog,
        description=f"Write the files of a study into a folder: {', '.join(FILES)}. "
        "A folder that is not there is made; nothing is ever overwritten.",
        epilog=f"templates:\n{about}\n\nexample:\n  {prog} my_study && cd my_study && doit",
    )
    parser.add_argument("folder", type=Path, metavar="DIR", help="the study's folder")
    parser.add_argument(
        "--template", choices=TEMPLATES, default="default", help="what to start from, see below"
    )
    return parser


def _make_and_say(folder: Path, template: str) -> int:
    new_project(folder, template)
    shown = shlex.quote(printable(folder))
    print(
        f"{shown}: wrote {', '.join(files_of(template))} (template {template})\n"
        "Next:\n"
        f"  cd {shown}\n"
        f"{_FIRST.get(template, '')}"
        "  doit list      every task\n"
        "  doit -n        what would run, and why\n"
        "  doit           run it, and then open reports/index.html\n"
        "The settings are in study.toml; `fly64tasks doctor` says how long they take here."
    )
    return 0


def new_project(folder: Path, template: str = "default") -> None:
    """Write a study's files into a folder: all of them, or none.

    Parameters
    ----------
    folder : Path
        Made where it does not exist. Other files in it stay as they are.
    template : str
        One of `TEMPLATES`.

    Raises
    ------
    ProjectError
        A file of the study is there already; nothing was written.
    """
    if folder.exists() and not folder.is_dir():
        raise ProjectError(f"{folder}: is a file, expected a folder; choose another name")
    files = files_of(template)
    taken = [name for name in files if os.path.lexists(folder / name)]
    if taken:
        raise ProjectError(
            f"{folder}: already holds {', '.join(taken)}, and nothing was written; choose another "
            "folder, or move what is there away"
        )
    made = _missing_folders(folder)
    written: list[Path] = []
    try:
        folder.mkdir(parents=True, exist_ok=True)
        staging = Path(tempfile.mkdtemp(prefix=".fly64tasks-new-", dir=folder))
        written.append(staging)
        for name in files:
            (staging / name).write_bytes(content(template, name))
        for name in files:
            (staging / name).rename(folder / name)
            written.append(folder / name)
        staging.rmdir()
    except BaseException:
        for path in written:
            shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)
        for path in made:
            if path.is_dir():
                path.rmdir()
        raise


def files_of(template: str) -> dict[str, str]:
    """Return the files of a project, and their names in its template."""
    return {**FILES, **_FURTHER.get(template, {})}


def content(template: str, name: str) -> bytes:
    """Return what a file of a new project holds."""
    templates = resources.files("fly64tasks.setup") / "templates"
    file = files_of(template)[name]
    own = templates / template / file
    return (own if own.is_file() else templates / "common" / file).read_bytes()


def _missing_folders(folder: Path) -> list[Path]:
    """Return the folders that are to be made, the innermost first."""
    return [path for path in (folder, *folder.parents) if not path.exists()]
