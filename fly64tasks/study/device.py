"""Where reconstructions run, by name. Whether there is such a device only torch knows."""

from __future__ import annotations

import re

from fly64tasks.errors import StudyError

_NAME = re.compile(r"auto|cpu|cuda(:\d+)?", re.ASCII)


def refuse_unknown_device(name: str) -> None:
    """Refuse what is no device's name.

    Raises
    ------
    StudyError
        Not ``auto``, ``cpu``, ``cuda`` or ``cuda:i``.
    """
    if not _NAME.fullmatch(name):
        raise StudyError(f"device {name!r} is unknown, expected auto, cpu, cuda or cuda:0, ...")
