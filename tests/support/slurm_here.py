"""A real Slurm on this machine for the length of some tests, without systemd or cgroups."""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

PROGRAMS = ("munged", "slurmctld", "slurmd", "sbatch", "squeue", "scancel")
_PATH = f"{os.environ['PATH']}:/usr/sbin:/sbin"
_CONF = """
ClusterName=test
SlurmctldHost={host}(127.0.0.1)
SlurmUser=root
SlurmctldPort={controller}
SlurmdPort={daemon}
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket
CredType=cred/munge
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd.log
SlurmdParameters=config_overrides
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
MpiDefault=none
ReturnToService=2
KillWait=5
NodeName={host} NodeAddr=127.0.0.1 CPUs=8 State=UNKNOWN
PartitionName=main Nodes={host} Default=YES State=UP
"""


def missing() -> str | None:
    """Return why there can be no Slurm here, None where there can."""
    absent = [name for name in PROGRAMS if shutil.which(name, path=_PATH) is None]
    if absent:
        return (
            f"no {', '.join(absent)}: apt-get install slurmctld slurmd slurm-client munge to "
            "test on a real Slurm"
        )
    return None if os.geteuid() == 0 else "slurmd is started as root only"


@contextlib.contextmanager
def slurm() -> Iterator[None]:
    """Run Slurm's daemons; Slurm's commands find them by the environment."""
    with contextlib.ExitStack() as stack:
        name = stack.enter_context(tempfile.TemporaryDirectory(prefix="slurm-"))
        folder = Path(name)
        folder.chmod(0o755)
        (folder / "munge.key").write_bytes(secrets.token_bytes(1024))
        (folder / "munge.key").chmod(0o600)
        (folder / "state").mkdir()
        (folder / "spool").mkdir()
        host = socket.gethostname().partition(".")[0]
        controller, daemon = _free_port(), _free_port()
        conf = _CONF.format(folder=folder, host=host, controller=controller, daemon=daemon)
        (folder / "slurm.conf").write_text(conf)
        former = dict(os.environ)
        stack.callback(_restore, former)
        os.environ.update(SLURM_CONF=str(folder / "slurm.conf"), PATH=_PATH)
        files = ("key", "socket", "pid", "log", "seed")
        flags = {"pid": "pid-file", "log": "log-file", "key": "key-file", "seed": "seed-file"}
        munge = [f"--{flags.get(file, file)}={folder}/munge.{file}" for file in files]
        for command in (
            ["munged", "--foreground", "--force", *munge],
            ["slurmctld", "-D", "-c"],
            ["slurmd", "-D", "-c"],
        ):
            log = stack.enter_context((folder / f"{command[0]}.out").open("wb"))
            stack.enter_context(_running(command, log))
            if command[0] == "munged":
                _wait((folder / "munge.socket").exists, "munged has no socket")
        _wait(lambda: "idle" in said("sinfo", "--noheader", "--format=%t"), "no idle node")
        yield


def said(*command: str) -> str:
    """Return what a command of Slurm's prints."""
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout


def jobs() -> list[str]:
    """Return the ids of the jobs that wait or run."""
    return said("squeue", "--noheader", "--format=%i", "--states=PD,R,CF").split()


@contextlib.contextmanager
def _running(command: list[str], log: object) -> Iterator[None]:
    """Run a daemon under the engine's keeper, so that nothing of it stays."""
    kept = [sys.executable, "-m", "fly64tasks.engine.keeper", "--", *command]
    process = subprocess.Popen(kept, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
    try:
        yield
    finally:
        process.terminate()
        process.wait(10)


def _wait(condition: object, complaint: str) -> None:
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline, complaint
        time.sleep(0.05)


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def _restore(former: dict[str, str]) -> None:
    os.environ.clear()
    os.environ.update(former)
