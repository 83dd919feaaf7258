"""Files that are whole or absent: written beside their place, then renamed into it."""

from __future__ import annotations

import contextlib
import os
import re
import secrets
import socket
from collections.abc import Iterable, Iterator
from pathlib import Path

_TEMPORARY = re.compile(r"\..+\.(?P<host>[^/]+)-(?P<pid>\d+)-[0-9a-f]{8}\.tmp(\.[^.]*)?")


@contextlib.contextmanager
def replaced(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Yield a temporary path that becomes `path` if the block ends without an error.

    The folder of `path` is made when it does not exist. The content is on disk before the name
    is, so that not even a power cut leaves half a file under the final name. After an error the
    temporary file is removed and `path` is as it was; an `OSError` names `path`. The temporary name
    has the suffix of `path`, by which some writers choose the format.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     with replaced(Path(folder) / "answer.txt") as temporary:
    ...         _ = temporary.write_text("42")
    ...     [item.name for item in Path(folder).iterdir()]
    ['answer.txt']
    """
    final = Path(path)
    final.parent.mkdir(parents=True, exist_ok=True)
    unique = f"{socket.gethostname()}-{os.getpid()}-{secrets.token_hex(4)}"
    temporary = final.with_name(f".{final.stem}.{unique}.tmp{final.suffix}")
    try:
        yield temporary
        _to_disk(temporary)
        temporary.replace(final)
        _to_disk(final.parent)
    except OSError as error:
        if str(error.filename or temporary) == str(temporary):
            error.filename, error.filename2 = str(final), None
        raise
    finally:
        with contextlib.suppress(OSError):  # its folder is gone, or may only be read now
            temporary.unlink(missing_ok=True)


def sweep(targets: Iterable[str]) -> list[Path]:
    """Remove the temporary files that dead processes of this host left beside `targets`.

    Returns
    -------
    list of Path
        The removed files. Those of living processes and of other hosts stay.
    """
    removed = []
    for folder in sorted({Path(target).parent for target in targets}):
        for item in sorted(folder.glob(".*.tmp*")):
            match = _TEMPORARY.fullmatch(item.name)
            if match and match["host"] == socket.gethostname() and not alive(int(match["pid"])):
                item.unlink(missing_ok=True)
                removed.append(item)
    return removed


def alive(pid: int) -> bool:
    """Whether process `pid` of this host exists and has not ended (a zombie has)."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(errors="replace")
    except OSError:  # gone meanwhile, or no Linux
        return not Path("/proc/self").exists()
    return stat.rpartition(")")[2].split()[0] != "Z"


def _to_disk(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
