"""What lies in a fresh clone besides the code: the folders that `doit` fills, each with a word."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest
from small_study import PROJECT, doit


@pytest.mark.parametrize("folder", ["data", "reports"])
def test_folder_of_results_holds_a_readme_and_git_ignores_all_else(folder: str):
    readme = PROJECT / folder / "README.md"
    text = readme.read_text("utf-8")
    assert 3 < len(text.splitlines()) < 15
    for target, anchor in re.findall(r"\]\(([^)#]+)#([^)]+)\)", text):
        headings = re.findall(r"^#+ (.*)", (PROJECT / folder / target).read_text(), re.MULTILINE)
        assert anchor in [re.sub(r"[^\w -]", "", h.lower()).replace(" ", "-") for h in headings]
    if not (PROJECT / ".git").exists():
        pytest.skip("no clone: git is not asked")
    for name, ignored in (("README.md", False), ("base.npz", True), ("a/b.npz", True)):
        asked = subprocess.run(
            ["git", "-C", PROJECT, "check-ignore", "-q", f"{folder}/{name}"], check=False
        )
        assert (asked.returncode == 0) is ignored, name


def test_readmes_of_the_folders_survive_run_verify_manifest_and_clean(done_project: Path):
    readmes = [Path(folder, "README.md") for folder in ("data", "reports")]
    for readme in readmes:
        shutil.copy(PROJECT / readme, done_project / readme)
    assert "up to date" in doit(done_project)
    assert "artifacts whole" in doit(done_project, "verify")
    doit(done_project, "manifest")
    doit(done_project, "clean", "-a")
    for readme in readmes:
        assert (done_project / readme).read_bytes() == (PROJECT / readme).read_bytes()
    assert [path.name for path in (done_project / "data").iterdir()] == ["README.md"]
