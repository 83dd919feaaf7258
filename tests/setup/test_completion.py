"""Tab in a real bash and a real zsh."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from tabs import SHELLS, shell

PRESSED = {
    "fly64tasks doc\t": ["doctor"],
    "fly64tasks recon --alg\t": ["--algorithm"],
    "fly64tasks recon --algorithm EP\t": ["EPIE"],
    "fly64tasks recon --object-init \t\t": ["ones", "noise", "guess"],
    "fly64tasks recon --help-\t": ["--help-all"],
    "fly64tasks recon --input-npz my_\t": ["my_scan.npz"],
    "fly64tasks score --output-dir re\t": ["results"],
    "fly64tasks new --template lsq\t": ["lsqml_baseline"],
    "fly64tasks --print-completion z\t": ["zsh"],
}


def need(name: str) -> None:
    if shutil.which(SHELLS[name][0]) is None:
        pytest.skip(f"{name} is not installed (apt-get install {name})")


def printed(*command: str, cwd: Path | None = None) -> str:
    return subprocess.run(
        [sys.executable, "-m", *command], cwd=cwd, capture_output=True, text=True, check=True
    ).stdout


@pytest.mark.parametrize("name", SHELLS)
def test_tab_completes_commands_options_words_and_files(name: str, tmp_path: Path):
    need(name)
    (tmp_path / "my_scan.npz").touch()
    (tmp_path / "results").mkdir()
    script = printed("fly64tasks", "--print-completion", name)
    if name == "bash":
        (tmp_path / "fly64tasks.bash").write_text(script)
        settings = "source fly64tasks.bash"
    else:
        (tmp_path / ".zfunc").mkdir()
        (tmp_path / ".zfunc/_fly64tasks").write_text(script)
        settings = "fpath=(~/.zfunc $fpath); autoload -Uz compinit && compinit -u -D"
    with shell(name, tmp_path, settings) as terminal:
        for typed, expected in PRESSED.items():
            terminal.shows(typed, *expected)
            terminal.clear()
