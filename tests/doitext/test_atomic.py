"""Files are whole or absent, and what dead processes left is swept."""

from __future__ import annotations

import os
import socket
import subprocess
from pathlib import Path

import pytest
from doit.dependency import JSONCodec
from doitext_project import Project

from fly64tasks.doitext.atomic import replaced, sweep
from fly64tasks.doitext.state.journal import Journal


def dead_process() -> int:
    done = subprocess.Popen(["true"])
    done.wait()
    return done.pid


def test_an_error_leaves_the_old_file_and_no_other(tmp_path: Path) -> None:
    path = tmp_path / "f"
    path.write_text("old")

    def write_half() -> None:
        with replaced(path) as temporary:
            temporary.write_text("ne")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        write_half()
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_the_temporary_file_has_the_suffix_of_the_final_one(tmp_path: Path) -> None:
    with replaced(tmp_path / "new/x.npz") as temporary:
        assert temporary.suffix == ".npz"
        assert temporary.parent == tmp_path / "new"
        temporary.touch()
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["x.npz"]


def test_sweep_removes_only_what_dead_processes_of_this_host_left(tmp_path: Path) -> None:
    host, dead = socket.gethostname(), dead_process()
    gone = [
        tmp_path / f".x.{host}-{dead}-0123abcd.tmp",
        tmp_path / f".x.{host}-{dead}-0123abcd.tmp.npz",
    ]
    kept = [
        tmp_path / f".x.npz.{host}-{os.getpid()}-0123abcd.tmp",
        tmp_path / f".x.npz.other.host-{dead}-0123abcd.tmp",
        tmp_path / ".x.npz.tmp",
        tmp_path / "x.tmp",
        tmp_path / f"x.npz.{host}-{dead}-0123abcd.tmp",
    ]
    for path in [*gone, *kept]:
        path.touch()
    assert sweep([str(tmp_path / "x.npz")]) == gone
    assert sorted(tmp_path.iterdir()) == sorted(kept)


def test_the_next_run_sweeps_beside_the_targets_of_a_cut_off_task(project: Project) -> None:
    project.write("source", "s")
    name = f".made.{socket.gethostname()}-{dead_process()}-0123abcd.tmp"
    for folder in ("cut", "other"):
        project.write(f"{folder}/{name}", "half")
    project.tasks = lambda: [project.task("t", file_dep=["source"], targets=["cut/made"])]
    state = Journal("state/doit.db", JSONCodec())
    state.lock()
    state.begin("t", ["cut/made"])
    state.dump()
    state.unlock()
    assert project.doit("-n", "--json").reasons == {"t": ["interrupted"]}
    project.doit()
    assert not Path("cut", name).exists()
    assert Path("other", name).exists()
