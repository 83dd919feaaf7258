"""Errors that one line says all of: those whose cause is the user's to mend, or the machine's."""

from __future__ import annotations

import difflib
import errno
import os
import signal
import sys
import traceback
from collections import Counter
from collections.abc import Iterable, Sequence

_OF_THE_MACHINE = {
    # disks: full, read-only, broken, gone
    *(errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EIO, errno.ENXIO, errno.ENODEV),
    # file systems of other machines
    *(errno.ESTALE, errno.ENOTCONN, errno.ETIMEDOUT, errno.EHOSTDOWN, errno.EHOSTUNREACH),
    *(errno.ENETDOWN, errno.ENETUNREACH),
    # what this process may have and do
    *(errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.EACCES, errno.EPERM),
}


def printable(text: object) -> str:
    r"""`text` with all that could steer a terminal escaped: a file may be named by anyone.

    Examples
    --------
    >>> printable("süß\x1b[2J")
    'süß\\x1b[2J'
    """
    text = str(text)
    if text.isprintable():
        return text
    return "".join(
        char if char.isprintable() else char.encode("unicode_escape").decode("ascii")
        for char in text
    )


def printable_lines(text: object) -> str:
    """`text` as `printable` has it, with its line breaks."""
    return "\n".join(map(printable, str(text).split("\n")))


def nearest(word: str, known: Iterable[str], cutoff: float = 0.5) -> str | None:
    """What of `known` was probably meant by `word`, whatever its case; None where nothing is near.

    Examples
    --------
    >>> nearest("lsqml", ["MAP", "LSQML"]), nearest("recno", ["recon", "score"]), nearest("x", [])
    ('LSQML', 'recon', None)
    """
    names: dict[str, str] = {}
    for name in known:
        names.setdefault(name.lower(), name)
    near = _closest(word[:100].lower(), names, cutoff)
    return None if near is None else names[near]


def _closest(word: str, names: Iterable[str], cutoff: float) -> str | None:
    """What ``difflib.get_close_matches`` puts first.

    That compares the word with each of a hundred thousand names. Their letters alone say how alike
    they can be at most; the promising ones come first, and those that can not win are left out.
    """
    letters = Counter(word).items()
    promising = []
    for name in names:
        length = len(word) + len(name)
        if 2.0 * min(len(word), len(name)) < cutoff * length:
            continue
        common = sum([min(times, name.count(letter)) for letter, times in letters])
        at_most = 2.0 * common / length if length else 1.0
        if at_most >= cutoff:
            promising.append((at_most, name))
    matcher = difflib.SequenceMatcher(b=word)
    best: tuple[float, str | None] = cutoff, None
    for at_most, name in sorted(promising, reverse=True):
        if at_most < best[0]:
            break
        matcher.set_seq1(name)
        alike = matcher.ratio()
        if alike >= cutoff and (best[1] is None or (alike, name) > best):
            best = alike, name
    return best[1]


def in_short(reasons: Sequence[str], most: int = 120) -> str:
    """`reasons` as one line: those that have room in about so many characters, and a count.

    Examples
    --------
    >>> in_short(["never run"]), in_short(["input added: a", "input added: b", "c"], most=20)
    ('never run', 'input added: a, and 2 more')
    >>> in_short(["word " * 100], most=20)
    'word word word word ... (500 characters)'
    """
    if not reasons:
        return ""
    said, *others = reasons
    if len(said) > most:
        said = f"{said[:most].rstrip()} ... ({len(said)} characters)"
    for left in range(len(others), 0, -1):
        more = others[len(others) - left]
        if len(said) + len(more) + 2 > most:
            return f"{said}, and {left} more"
        said = f"{said}; {more}"
    return said


class TaskError(Exception):
    """A failure whose message says it all: reported in one line, without a traceback.

    Any exception class may join by setting the class attribute ``task_error = True``; one that has
    ``optional``, a word of ``meta["optional"]``, makes a skip of the failure where that is allowed.
    """

    task_error = True


def is_task_error(error: BaseException) -> bool:
    """Whether `error` is to be reported in one line."""
    return getattr(error, "task_error", False) is True


def in_one_line(error: BaseException) -> str:
    r"""The class of an exception and the first line of what it says.

    What follows is advice, as of CUDA, or detail; the traceback has it.

    Examples
    --------
    >>> in_one_line(RuntimeError("CUDA error: out of resources\nCompile with TORCH_USE_CUDA_DSA."))
    'RuntimeError: CUDA error: out of resources'
    >>> in_one_line(KeyError("probe")), in_one_line(AssertionError())
    ("KeyError: 'probe'", 'AssertionError')
    """
    parts = traceback.format_exception_only(error)
    text = next(part for part in parts if not part.startswith(" "))  # a SyntaxError shows its code
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return " ".join(lines[: 2 if lines[0].endswith(":") else 1])


def machine_fault(error: BaseException) -> str | None:
    """What failed on the machine, in one printable line; None where it was not the machine.

    Of the machine are: a disk that is full, read-only, broken or gone, a quota, a file server that
    does not answer, missing rights, too many open files, and no memory left. A file that does not
    exist is not: whoever names a file is to see to it that it is there.

    Examples
    --------
    >>> machine_fault(OSError(errno.ENOSPC, "", "data/base.npz"))
    'No space left on device: data/base.npz'
    >>> machine_fault(FileNotFoundError(errno.ENOENT, "", "data/base.npz"))
    """
    if isinstance(error, MemoryError):
        return printable(f"Out of memory: {error}" if str(error) else "Out of memory")
    if not isinstance(error, OSError) or error.errno not in _OF_THE_MACHINE:
        return None
    where = "" if error.filename is None else f": {error.filename}"
    return printable(f"{os.strerror(error.errno)}{where}")


def reader_gone() -> int:
    """Return the exit code of a command whose output nobody reads on, and be silent from here.

    As in `doit list | head`: what is still buffered would fail once more at exit.
    """
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return 128 + signal.SIGPIPE


def exited(error: SystemExit) -> str:
    """What a call of ``sys.exit`` is, in one printable line: never the end of doit.

    Examples
    --------
    >>> exited(SystemExit(0)), exited(SystemExit("no probe"))
    ('called sys.exit(0)', "called sys.exit('no probe')")
    """
    return printable(f"called sys.exit({'' if error.code is None else repr(error.code)})")
