"""One command for all that is no task: what it says, returns and imports."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import pytest

from fly64tasks import __version__, cli, runner
from fly64tasks.score import command as score

HEAVY = {"numpy", "scipy", "torch", "ptychi", "matplotlib", "skimage", "h5py", "parsl", "doit"}


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "fly64tasks", *arguments],
        capture_output=True,
        text=True,
        check=False,
    )


def test_command_is_installed_under_its_name():
    if "console_scripts" not in {p.group for p in metadata.distribution("fly64tasks").entry_points}:
        pytest.skip("installed before there was a command: pip install -e .")
    found = metadata.entry_points(group="console_scripts", name="fly64tasks")
    assert [point.value for point in found] == ["fly64tasks_entry:main"]


@pytest.mark.parametrize(
    "arguments", [["--help"], ["--version"], ["new", "--help"], ["doctor", "--help"], ["recno"]]
)
def test_startup_imports_nothing_heavy(arguments: list[str]):
    code = (
        f"import sys\nfrom fly64tasks.cli import main\ntry: main({arguments!r})\n"
        "except SystemExit: pass\nprint(*{m.partition('.')[0] for m in sys.modules})"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
    )
    assert not HEAVY & set(done.stdout.splitlines()[-1].split())


@pytest.mark.parametrize("command", [(), *((name,) for name in cli.COMMANDS)])
def test_help_fits_a_screen_and_has_an_example(
    command: tuple[str, ...], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("COLUMNS", "80")
    with pytest.raises(SystemExit) as stop:
        cli.main([*command, "--help"])
    assert stop.value.code == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) <= 40
    assert max(map(len, lines)) <= 80
    example = lines[lines.index("example:") + 1]
    assert example.startswith("  " + " ".join(("fly64tasks", *command)))


def test_help_lists_the_commands_in_one_line_each(capsys: pytest.CaptureFixture[str]):
    with pytest.raises(SystemExit):
        cli.main(["--help"])
    lines = capsys.readouterr().out.splitlines()
    for name, (purpose, _) in cli.COMMANDS.items():
        assert f"  {name:<10}{purpose}" in lines


def test_settings_that_help_does_not_describe_are_named_and_described_by_help_all(
    capsys: pytest.CaptureFixture[str],
):
    texts = []
    for option in ("--help", "--help-all"):
        with pytest.raises(SystemExit):
            cli.main(["recon", option])
        texts.append(capsys.readouterr().out)
    options = [
        flag for action in runner.make_parser()._actions for flag in action.option_strings if flag
    ]
    assert "--damping" in options
    for text in texts:
        assert [option for option in options if option not in text] == []
    assert "--damping VALUE" not in texts[0]
    assert "--damping VALUE" in texts[1]


@pytest.mark.parametrize(
    ("module", "prog"),
    [("fly64tasks", "recon"), ("fly64tasks.runner", ""), ("fly64tasks.score", "")],
)
def test_help_calls_the_command_as_it_was_called(module: str, prog: str):
    called = [word for word in (module, prog) if word]
    done = subprocess.run(
        [sys.executable, "-m", *called, "--help"], capture_output=True, text=True, check=True
    )
    assert done.stdout.startswith(f"usage: python -m {' '.join(called)} ")


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("recno", "did you mean recon?"),
        ("docter", "did you mean doctor?"),
        (
            "x\x1b[2J",
            "expected new, recon, convert, inspect, score, compare, tune, crate, docs, doctor",
        ),
    ],
)
def test_unknown_command_is_one_line_and_2(name: str, hint: str, capsys: pytest.CaptureFixture):
    assert cli.main([name]) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert error.endswith(f"; {hint}\n")
    assert error.isascii()
    assert "\x1b" not in error


def test_version_and_no_command(capsys: pytest.CaptureFixture[str]):
    done = run("--version")
    assert (done.returncode, done.stdout) == (0, f"fly64tasks {__version__}\n")
    assert cli.main([]) == 2
    assert "commands:" in capsys.readouterr().err


def test_recon_and_score_are_the_two_modules(small_sets: dict[str, Path], tmp_path: Path):
    where = ["--input-npz", str(small_sets["train"]), "--output-dir", str(tmp_path / "out")]
    done = run("recon", *where, "--num-epochs", "2")
    assert done.returncode == 0, done.stderr
    assert "2 epochs of MAP" in done.stdout
    done = run("score", *where)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "out/scores.json").exists()


def test_exit_codes_are_those_of_the_modules(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], small_sets: dict[str, Path]
):
    absent = ["--input-npz", str(tmp_path / "absent.npz"), "--output-dir", str(tmp_path / "out")]
    good = ["--input-npz", str(small_sets["train"]), "--output-dir", str(tmp_path / "out")]
    for name, module, arguments in (
        ("recon", runner, absent),
        ("recon", runner, [*good, "--num-epochs", "0"]),
        ("score", score, absent),
        ("score", score, good),
    ):
        expected = module.main(arguments), capsys.readouterr().err
        assert expected[0] > 0
        assert (cli.main([name, *arguments]), capsys.readouterr().err) == expected


@pytest.mark.parametrize("arguments", [["new", "study"], ["doctor", "--seconds", "0"]])
def test_reader_that_has_gone_is_no_error(arguments: list[str], tmp_path: Path):
    read, write = os.pipe()
    os.close(read)
    done = subprocess.run(
        [sys.executable, "-m", "fly64tasks", *arguments],
        cwd=tmp_path,
        stdout=write,
        stderr=subprocess.PIPE,
        text=True,
        check=False,
    )
    os.close(write)
    assert (done.returncode, done.stderr) == (128 + signal.SIGPIPE, "")
