"""The documentation of the installed package: listed, printed, and named where there is no page."""

from __future__ import annotations

from pathlib import Path

import pytest
from small_study import PROJECT

from fly64tasks import cli
from fly64tasks.setup import pages


def test_every_page_is_listed_with_its_title_and_printed(capsys: pytest.CaptureFixture[str]):
    assert cli.main(["docs"]) == 0
    listed = dict(line.split(maxsplit=1) for line in capsys.readouterr().out.splitlines() if line)
    there = {path.relative_to(PROJECT / "docs") for path in (PROJECT / "docs").rglob("*.md")}
    assert {f"{name}.md" for name in listed if name != "in"} == {
        path.as_posix() for path in there if path != Path("index.md")
    }
    assert all(listed.values())
    for name in ("methods", "methods.md", "docs/methods.md"):
        assert cli.main(["docs", name]) == 0
        text = (PROJECT / "docs/methods.md").read_text("utf-8")
        assert capsys.readouterr().out == text
        assert text.startswith(f"# {listed['methods']}\n")


def test_page_that_is_not_there_is_a_usage_error_with_the_nearest(
    capsys: pytest.CaptureFixture[str],
):
    with pytest.raises(SystemExit, match="2"):
        cli.main(["docs", "metods"])
    assert "no page 'metods'; did you mean methods?" in capsys.readouterr().err


def test_documentation_that_was_not_installed_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.setattr(pages.fly64tasks, "__file__", str(tmp_path / "fly64tasks/__init__.py"))
    monkeypatch.setattr(pages, "files", lambda _: None)
    assert cli.main(["docs"]) == 3
    assert "the documentation is not there" in capsys.readouterr().err
