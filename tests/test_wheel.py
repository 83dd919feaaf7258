"""The wheel: what is in it, and a study made and run from it where no clone is near."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import zipfile
from importlib.util import find_spec
from pathlib import Path

import pytest
from small_study import PROJECT

from fly64tasks import __version__
from fly64tasks.setup.new import FILES, TEMPLATES

pytest.importorskip("hatchling", reason='hatchling is not installed: pip install -e ".[test]"')

DEPENDENCIES = ("doit", "numpy", "torch", "ptychi")
"""Packages in whose folders all that we depend on lies."""


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel of this tree."""
    folder = tmp_path_factory.mktemp("wheel")
    subprocess.run(
        [
            sys.executable, "-m", "pip", "wheel", "--quiet", "--disable-pip-version-check",
            "--no-deps", "--no-build-isolation", "--no-index", "--wheel-dir", folder, PROJECT,
        ],
        check=True,
    )  # fmt: skip
    (found,) = folder.glob("fly64tasks-*.whl")
    return found


def test_wheel_holds_the_templates_the_types_and_the_command(wheel: Path):
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
        points = archive.read(next(n for n in names if n.endswith("entry_points.txt"))).decode()
    inside = {f"fly64tasks/{path}" for path in ("py.typed", "cli.py", "__main__.py")}
    inside |= {f"fly64tasks/setup/templates/{name}/study.toml" for name in TEMPLATES}
    inside |= {f"fly64tasks/setup/templates/common/{FILES[n]}" for n in FILES if n != "study.toml"}
    inside |= {f"fly64tasks/setup/templates/measured/{n}" for n in ("dodo.py.txt", "README.md")}
    inside |= {"fly64tasks/setup/templates/methods/cnn.py.txt"}
    inside |= {f"fly64tasks/report/templates/report.{n}" for n in ("css", "js", "html.j2")}
    inside |= {"fly64tasks/report/templates/compare.js"}
    inside |= {f"fly64tasks/report/templates/{n}.html.j2" for n in ("measured", "parts")}
    inside |= {f"fly64tasks-{__version__}.data/data/share/doc/fly64tasks/index.md"}
    assert inside <= names
    tops = {name.partition("/")[0] for name in names}
    assert {re.sub(r"-.+\.", ".", top) for top in tops} == {
        "fly64tasks",
        "fly64tasks_entry.py",
        "fly64tasks.data",
        "fly64tasks.dist-info",
    }
    assert "fly64tasks = fly64tasks_entry:main" in points


@pytest.mark.slow
def test_new_study_runs_from_the_wheel_outside_any_clone(wheel: Path, tmp_path: Path):
    """A fresh environment: the wheel in it, and of this one only what the wheel depends on."""
    venv = tmp_path / "venv"
    subprocess.run([sys.executable, "-m", "venv", venv], check=True)
    bin_folder = venv / "bin"
    subprocess.run(
        [bin_folder / "pip", "install", "--quiet", "--no-deps", "--no-index", wheel], check=True
    )
    site = next(venv.glob("lib/python*/site-packages"))
    # After its own packages; the .pth files of the other folder, editable installs, are not read.
    folders = {str(Path(found.origin).parents[1]) for found in map(find_spec, DEPENDENCIES)}
    (site / "dependencies.pth").write_text("\n".join(folders))
    environment = {
        key: value for key, value in os.environ.items() if key not in ("PYTHONPATH", "VIRTUAL_ENV")
    }
    environment |= {"PATH": f"{bin_folder}:{os.environ['PATH']}", "HOME": str(tmp_path)}

    def run(*command: str | Path, cwd: Path = tmp_path) -> str:
        done = subprocess.run(
            command, cwd=cwd, env=environment, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    where = run(bin_folder / "python", "-c", "import fly64tasks; print(fly64tasks.__file__)")
    assert where.startswith(str(site))
    assert str(venv / "share/doc/fly64tasks") in run(bin_folder / "fly64tasks", "docs")
    page = (PROJECT / "docs/engine.md").read_text("utf-8")
    assert run(bin_folder / "fly64tasks", "docs", "docs/engine.md") == page
    run(bin_folder / "fly64tasks", "new", "s")
    study = tmp_path / "s" / "study.toml"
    small = study.read_text("utf-8")
    for given, wanted in (
        (r"doses = \[.*?\]", "doses = [1e4]"),
        (r"probe_size_px = 64", "probe_size_px = 32"),
        (r"object_size_px = 360", "object_size_px = 112"),
        (r"scan_step_px = 10.0", "scan_step_px = 5.0"),
        (r"scan_jitter_px = 1.5", "scan_jitter_px = 0.8"),
        (r"defocus_m = 57e-6", "defocus_m = 18e-6"),
        (r"# num_epochs = 200", "num_epochs = 3"),
    ):
        small, times = re.subn(given, wanted, small, count=1)
        assert times == 1, given
    study.write_text(small, "utf-8")
    # As `doit`, whose script lies where the dependencies do.
    said = run(bin_folder / "python", "-m", "doit", cwd=study.parent)
    assert "17 done" in said
    assert "<html" in (study.parent / "reports/index.html").read_text("utf-8")
    assert "All that is needed" in run(bin_folder / "fly64tasks", "doctor", "--seconds", "0.2")
