"""Tasks of doit's create_after, of which nobody knows before another task has run."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path

import pytest
from doitext_project import DOIT

DODO = """
from pathlib import Path
from doit import create_after

DOIT_CONFIG = {"backend": "journal", "dep_file": "s.db", "verbosity": 0, "manifest_dir": "m"}


def task_all():
    return {"actions": None, "task_dep": ["parts"]}


def cut():
    for name in Path("source").read_text().split():
        Path(f"{name}.raw").touch()


def task_cut():
    return {"actions": [cut], "file_dep": ["source"], "targets": ["a.raw"]}


@create_after(executed="cut", target_regex=".*[.]out")
def task_parts():
    "One for each part."
    for path in sorted(Path().glob("*.raw")):
        target = f"{path.stem}.out"
        yield {
            "name": path.stem,
            "actions": [f"cp {path} {target}"],
            "file_dep": [str(path)],
            "targets": [target],
            "meta": {"view": path.stem, "record": target},
        }
"""


class Folder:
    """A project, driven by processes of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / "dodo.py").write_text(DODO)
        (folder / "source").write_text("a b c")

    def doit(self, *args: str, code: int = 0) -> list[str]:
        """Run doit; return its lines."""
        done = subprocess.run([*DOIT, *args], cwd=self.folder, capture_output=True, text=True)
        assert done.returncode == code, done.stdout + done.stderr
        assert not done.stderr if code == 0 else "Traceback" not in done.stderr
        return [re.sub(" +", " ", line) for line in (done.stdout + done.stderr).splitlines()]


@pytest.fixture
def parts(tmp_path: Path) -> Folder:
    return Folder(tmp_path)


def test_dry_run_says_that_more_may_come(parts: Folder) -> None:
    may = "may run parts what it is, is known after cut"
    assert parts.doit("-n") == ["run cut never run", may, "1 run, 1 may run. Nothing was run."]
    for named in ("parts:b", "parts", "b.out"):
        lines = parts.doit("-n", named)
        assert [line.split()[0] for line in lines] == ["run", "may", "1"], lines
    assert [line.split()[0] for line in parts.doit("list", "-s")] == ["M", "R", "M"]
    assert parts.doit("list", "-q") == ["all", "cut", "parts"]
    assert parts.doit("manifest") == ["m/manifest.json: 0 jobs, 0 skipped"]
    assert parts.doit("verify", code=1)[-1] == "2 of 3 artifacts whole, 1 never made."


def test_run_counts_the_tasks_that_it_comes_to_know(parts: Folder) -> None:
    lines = parts.doit("--events", "events")
    assert [line.split()[0] for line in lines[1:-1]] == ["[2/4]", "[3/4]", "[4/4]"]
    assert lines[-1].startswith("4 done in ")
    end = json.loads((parts.folder / "events").read_text().splitlines()[-1])
    assert end["counts"] == {"done": 4}


def test_what_is_known_is_asked_filtered_and_verified_as_any_task(parts: Folder) -> None:
    parts.doit()
    names = ["cut", "parts:a", "parts:b", "parts:c"]
    assert sorted(parts.doit("-n")[:-1]) == [f"up to date {name}" for name in names]
    assert parts.doit("-n", "--view", "b")[0] == "up to date parts:b"
    assert parts.doit("list", "-q", "parts:*") == names[1:]
    assert parts.doit("manifest", "--view", "b,c")[0].endswith("2 jobs (2 done), 1 skipped")
    assert parts.doit("verify") == ["6 of 6 artifacts whole."]
    (parts.folder / "b.raw").write_text("other")
    assert parts.doit("-n", "parts:b")[0] == "run parts:b input changed: b.raw"
    assert [line.split()[0] for line in parts.doit("list", "-s")] == ["R", "U", "R", "U", "R", "U"]
    assert "no task" not in parts.doit("parts:nope", code=3)[0]
    (parts.folder / "source").write_text("a b c d")
    assert parts.doit("-n")[:2] == [
        "run cut input changed: source",
        "may run parts what it is, is known after cut",
    ]
    assert parts.doit()[-1].startswith("3 done, 2 up to date in")


def test_group_of_groups_that_never_ran_is_not_up_to_date(parts: Folder) -> None:
    (parts.folder / "dodo.py").write_text(
        DODO.replace("@create_after", "def never(**_):\n    return lambda f: f\n\n@never")
    )
    (parts.folder / "a.raw").touch()
    assert parts.doit("list", "-s") == ["R all", "R cut", "R parts One for each part.", "R parts:a"]
