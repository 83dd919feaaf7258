from pathlib import Path

from fly64tasks.data.commit import commit_of

SHA = "4" * 40


def test_commit_is_that_of_a_branch_a_packed_one_or_a_bare_head(tmp_path: Path):
    git = tmp_path / ".git"
    (git / "refs/heads").mkdir(parents=True)
    (git / "HEAD").write_text("ref: refs/heads/main\n")
    assert commit_of(tmp_path) is None
    (git / "packed-refs").write_text(f"# pack-refs\n{SHA} refs/heads/main\n")
    assert commit_of(tmp_path) == SHA
    (git / "refs/heads/main").write_text("5" * 40 + "\n")
    assert commit_of(tmp_path) == "5" * 40
    (git / "HEAD").write_text(f"{SHA}\n")
    assert commit_of(tmp_path) == SHA


def test_commit_of_a_worktree_is_its_own(tmp_path: Path):
    git, tree = tmp_path / "main/.git", tmp_path / "tree"
    (git / "worktrees/tree").mkdir(parents=True)
    (git / "refs/heads").mkdir(parents=True)
    tree.mkdir()
    (tree / ".git").write_text(f"gitdir: {git}/worktrees/tree\n")
    (git / "worktrees/tree/HEAD").write_text("ref: refs/heads/other\n")
    (git / "worktrees/tree/commondir").write_text("../..\n")
    (git / "refs/heads/other").write_text(f"{SHA}\n")
    assert commit_of(tree) == SHA


def test_folder_that_is_no_working_copy_has_none(tmp_path: Path):
    assert commit_of(tmp_path) is None
