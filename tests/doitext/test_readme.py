"""The README of doitext, run: its project, its commands, and what they print."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

from lifted import SOURCE, Lifted, give_entry_points, lift

README = (SOURCE / "README.md").read_text("utf-8")
_FENCED = re.compile(r"^```(?:python|toml)\n# (.*)\n((?:.*\n)*?)```$", re.MULTILINE)
_VARYING = [
    (re.compile(r" +\d+\.\d s\b"), " T s"),
    (re.compile(r'"time": "[^"]*"'), '"time": T'),
    (re.compile(r'"seconds": \d\.\d+'), '"seconds": T'),
]
_COUNTED = re.compile(r"^\[\d+/(\d+)\]")


def blocks() -> dict[str, str]:
    """The files of the README, by the name in their first line."""
    return dict(_FENCED.findall(README))


def commands() -> list[tuple[str, list[str]]]:
    """Each command, with the lines that it is said to print."""
    found: list[tuple[str, list[str]]] = []
    for line in _FENCED.sub("", README).splitlines():
        if line.startswith("    $ "):
            found.append((line.removeprefix("    $ "), []))
        elif line.startswith("    "):
            found[-1][1].append(line.removeprefix("    "))
    return found


def plain(lines: list[str]) -> list[str]:
    """Lines without times, empty ones, and the order in which tasks end that run at once."""
    lines = [line for line in lines if line]
    for pattern, word in _VARYING:
        lines = [pattern.sub(word, line) for line in lines]
    ended = iter(sorted(_COUNTED.sub(r"[n/\1]", line) for line in lines if _COUNTED.match(line)))
    return [next(ended) if _COUNTED.match(line) else line for line in lines]


def printed(lifted: Lifted, command: str) -> list[str]:
    """What a command prints in a shell."""
    code, said = lifted.run("bash", "-c", command)
    assert "Traceback" not in said
    return [*said.splitlines(), *(["Killed"] if code == -9 else [])]


def test_what_the_readme_shows_is_what_happens(tmp_path: Path) -> None:
    lifted = lift(tmp_path, "doitext")
    for name in ("dodo.py", "pyproject.toml"):
        (lifted.project / name).write_text(blocks()[name])
    for command, said in commands():
        assert plain(printed(lifted, command)) == plain(said), command


def test_entry_points_of_a_package_serve_every_folder(tmp_path: Path) -> None:
    lifted = lift(tmp_path, "doitext")
    (lifted.project / "dodo.py").write_text(blocks()["dodo.py"])
    give_entry_points(lifted, tomllib.loads(blocks()["of a package"])["project"]["entry-points"])
    (lifted.project / "raw").mkdir()
    for name in ("bergen_2024", "bergen_2025", "oslo_2024", "oslo_2025"):
        (lifted.project / f"raw/{name}.txt").write_text("1 2 3 4")
    code, said = lifted.run("bash", "-c", "cd raw && doit")
    assert code == 0, said
    assert "5 done in " in said
    assert (lifted.project / "out/warmest.txt").read_text() == "3.0\n"
    assert "7 of 7 artifacts whole" in lifted.run("doit", "verify")[1]


def test_subclass_adds_an_option_and_names_the_manifest(tmp_path: Path) -> None:
    lifted = lift(tmp_path, "doitext")
    (lifted.site / "weather_commands.py").write_text(blocks()["weather_commands.py"])
    (lifted.project / "dodo.py").write_text(blocks()["dodo.py"])
    settings = blocks()["pyproject.toml"]
    named = settings.replace('"doitext.commands.run:Run"', '"weather_commands:Run"')
    (lifted.project / "pyproject.toml").write_text(named)
    said = lifted.run("doit", "help", "run")[1]
    assert "--allow-missing-maps" in said
    assert "years, such as 2024,2025" in said
    assert "--station=VALUE" in said
    (lifted.project / "raw").mkdir()
    (lifted.project / "raw/oslo_2025.txt").write_text("1 2 3")
    code, said = lifted.run("doit", "--year", "2025", "--station", "oslo")
    assert code == 0, said
    assert (lifted.project / "out/series.json").exists()


def test_every_module_has_its_place() -> None:
    for path in SOURCE.rglob("*.py"):
        assert path.stem == "__init__" or f"`{path.stem}`" in README, path
