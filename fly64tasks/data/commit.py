"""The commit that a folder is at, of what git keeps there: read, not asked of git."""

from __future__ import annotations

from pathlib import Path


def commit_of(folder: Path) -> str | None:
    """Return the commit that a working copy is at, None where the folder is none.

    What was changed since is not seen.
    """
    try:
        git = folder / ".git"
        if git.is_file():  # of a worktree or a submodule: where the rest lies
            git = folder / git.read_text("utf-8").removeprefix("gitdir:").strip()
        head = (git / "HEAD").read_text("utf-8").strip()
        if not head.startswith("ref: "):
            return head
        name = head.removeprefix("ref: ")
        common = git / "commondir"
        shared = git / common.read_text("utf-8").strip() if common.is_file() else git
        if (shared / name).is_file():
            return (shared / name).read_text("utf-8").strip()
        packed = (shared / "packed-refs").read_text("utf-8").splitlines()
        return next((line.split()[0] for line in packed if line.endswith(f" {name}")), None)
    except (OSError, UnicodeDecodeError):
        return None
