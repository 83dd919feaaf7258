"""Tab in a real bash and a real zsh."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from small_study import SMALL_STUDY, doit, new_project
from tabs import SHELLS, shell

PRESSED = {
    "fly64tasks doct\t": ["doctor"],
    "fly64tasks recon --alg\t": ["--algorithm"],
    "fly64tasks recon --algorithm EP\t": ["EPIE"],
    "fly64tasks recon --object-init \t\t": ["ones", "noise", "guess"],
    "fly64tasks recon --help-\t": ["--help-all"],
    "fly64tasks recon --input-npz my_\t": ["my_scan.npz"],
    "fly64tasks score --output-dir re\t": ["results"],
    "fly64tasks new --template lsq\t": ["lsqml_baseline"],
    "fly64tasks --print-completion z\t": ["zsh"],
}

BASH_COMPLETION = Path("/usr/share/bash-completion/bash_completion")
PRESSED_FOR_DOIT = {
    "bash": {
        "doit mani\t": "manifest",
        "doit recon:dose_1000_b\t": "aseline_t",
    },
    "zsh": {
        "doit mani\t": "manifest",
        "doit rec\t": "recon",
        "doit run --dos\t": "--dose",
    },
}


def need(name: str) -> None:
    if shutil.which(SHELLS[name][0]) is None:
        pytest.skip(f"{name} is not installed (apt-get install {name})")


def settings_for(name: str, folder: Path, command: str, script: str) -> str:
    """Put a completion script where its shell finds it; return the line that loads it."""
    if name == "bash":
        (folder / f"{command}.bash").write_text(script)
        return f"source {command}.bash"
    (folder / ".zfunc").mkdir()
    (folder / ".zfunc" / f"_{command}").write_text(script)
    return "fpath=(~/.zfunc $fpath); autoload -Uz compinit && compinit -u -D"


@pytest.mark.parametrize("name", SHELLS)
def test_tab_completes_commands_options_words_and_files(name: str, tmp_path: Path):
    need(name)
    (tmp_path / "my_scan.npz").touch()
    (tmp_path / "results").mkdir()
    script = subprocess.run(
        [sys.executable, "-m", "fly64tasks", "--print-completion", name],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    settings = settings_for(name, tmp_path, "fly64tasks", script)
    with shell(name, tmp_path, settings) as terminal:
        for typed, expected in PRESSED.items():
            terminal.shows(typed, *expected)
            terminal.clear()


@pytest.mark.parametrize("name", SHELLS)
def test_tab_of_doit_knows_our_commands_tasks_and_filters(name: str, tmp_path: Path):
    need(name)
    if name == "bash" and not BASH_COMPLETION.exists():
        pytest.skip("bash-completion is not installed (apt-get install bash-completion)")
    project = new_project(tmp_path / "study", SMALL_STUDY)
    script = doit(project, "tabcompletion", "--shell", name)
    settings = [settings_for(name, project, "doit", script)]
    if name == "bash":
        settings.insert(0, f"source {BASH_COMPLETION}")
    with shell(name, project, *settings) as terminal:
        for typed, expected in PRESSED_FOR_DOIT[name].items():
            terminal.shows(typed, expected)
            terminal.clear()
