"""The names of sets below their root, as a pattern with fields: ``{dose}/{view}/{split}.npz``."""

from __future__ import annotations

import re
from collections.abc import Collection
from pathlib import PurePath
from string import Formatter

from fly64tasks.doitext.errors import nearest
from fly64tasks.study.cases import dose_name

PHASE_C = "{dose}/patched_{split}.npz"
PHASE_D = "{dose}/{view}/{view}_{split}.npz"

_FORMAT = re.compile(r"0?\d?(d|(\.\d)?[efg])")


class _Dose(int):
    """A dose in a pattern: its name, or the number itself in a format.

    >>> "{0}, {0:d}, {0:.0e}".format(_Dose(1000))
    'dose_1000, 1000, 1e+03'
    """

    def __format__(self, spec: str) -> str:
        return format(int(self), spec) if spec else dose_name(self)


def filled(pattern: str, *, dose: float, view: str = "", split: str) -> str:
    """Return the path that a pattern gives for a set.

    >>> filled(PHASE_D, dose=1e3, view="dense", split="train")
    'dose_1000/dense/dense_train.npz'
    >>> filled("{view}/{dose:.0e}_{split}.npz", dose=1e3, view="dense", split="test")
    'dense/1e+03_test.npz'
    """
    return pattern.format(dose=_Dose(dose), view=view, split=split)


def refuse_pattern(key: str, pattern: str, fields: Collection[str]) -> None:
    """Refuse what is no pattern of an NPZ below its root with these fields.

    Raises
    ------
    ValueError
        With the key, what was found, what was expected.
    """
    known = ", ".join(f"{{{name}}}" for name in fields)
    shown = f"{key} is {pattern[:100]!r}"
    try:
        parts = list(Formatter().parse(pattern))
    except ValueError as error:
        raise ValueError(f"{shown}: {error}; expected text with {known}") from None
    for _, name, spec, conversion in parts:
        if name is None:
            continue
        if name not in fields:
            near = nearest(name, fields)
            hint = f"did you mean {{{near}}}?" if near else f"known: {known}"
            raise ValueError(f"{shown}: unknown field {{{name[:60]}}}; {hint}")
        if conversion or (spec and not (name == "dose" and _FORMAT.fullmatch(spec))):
            raise ValueError(
                f"{shown}: the format of {{{name}}} can not be used; expected none"
                + (", or that of a number such as {dose:d} or {dose:.0e}" if name == "dose" else "")
            )
    path = PurePath(pattern)
    if path.is_absolute() or ".." in path.parts or pattern[:1] == "~" or path.suffix != ".npz":
        raise ValueError(f"{shown}, expected a path below the sets' root that ends in .npz")
