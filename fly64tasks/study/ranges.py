"""Ranges of settings that are searched: numbers, or some values, of `[recon]` and of pty-chi's own.

``prior = {low = 1, high = 1000, log = true}``, ``momentum = [0, 0.5]``, ``noise_model =
["GAUSSIAN", "POISSON"]``, ``ptychi.object_options.step_size = [0.1, 1]``.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from functools import cache
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from fly64tasks.doitext.errors import nearest
from fly64tasks.errors import StudyError, shortened
from fly64tasks.study import ptychi_options
from fly64tasks.study.recon_settings import ReconSpec
from fly64tasks.study.spec import Spec, parse_spec

PTYCHI = "ptychi."
"""Begins the keys of pty-chi's own options, whose names follow."""
Kind = Literal["int", "float", "words"]

_NOT_SEARCHED = {
    "seed": "the best of several draws is luck",
    "subsampling_seed": "the best of several draws is luck",
    "n_images": "other frames are another task",
    "half": "other frames are another task",
}


class Numbers(Spec, frozen=True):
    """A range of numbers, its ends included.

    ``log`` draws evenly in the logarithm; ``whole`` is what the setting takes.
    """

    low: int | float
    high: int | float
    log: bool = False
    whole: bool = False

    def __post_init__(self) -> None:
        if not -math.inf < self.low < self.high < math.inf:
            raise ValueError(
                f"low is {shortened(self.low)} and high {shortened(self.high)}, expected low below "
                "high"
            )
        if self.log and self.low <= 0:
            raise ValueError(f"low is {self.low}, expected more than 0 where log is true")

    @property
    def tried(self) -> tuple[Any, ...]:
        """Return what has to be possible: the ends."""
        return self.low, self.high

    def rounded(self, value: float) -> float:
        """Return a number of the range to four digits, as it is tried and said.

        >>> of_trust = Numbers(low=0.12344, high=1)
        >>> of_trust.rounded(0.123456), of_trust.rounded(0.12341)
        (0.1235, 0.12344)
        """
        return min(max(float(f"{value:.4g}"), self.low), self.high)


class Choices(Spec, frozen=True):
    """Some values, of which one is taken."""

    choices: Annotated[tuple[str | int | float | bool, ...], Meta(min_length=1, max_length=100)]

    def __post_init__(self) -> None:
        if len({(type(value), value) for value in self.choices}) < len(self.choices):
            raise ValueError(f"choices are {shortened(list(self.choices))}, expected each once")

    @property
    def tried(self) -> tuple[Any, ...]:
        """Return what has to be possible: all of them."""
        return self.choices


Range = Numbers | Choices


def by_key(table: Mapping[str, Any]) -> dict[str, Any]:
    """Return a table of ranges with one key for each setting, pty-chi's with their dotted names.

    >>> by_key({"prior": [1, 9], "ptychi": {"object_options": {"step_size": [0.1, 1]}}})
    {'prior': [1, 9], 'ptychi.object_options.step_size': [0.1, 1]}
    """
    found: dict[str, Any] = {}
    for key, value in table.items():
        if f"{key}." == PTYCHI and isinstance(value, dict):
            found |= {PTYCHI + name: one for name, one in ptychi_options.flattened(value)}
        else:
            found[key] = value
    return found


def range_of(key: str, value: Any, source: str, others: Iterable[str] = ()) -> Range:
    """Return the range that a table gives a setting.

    Parameters
    ----------
    others : iterable of str
        What else may stand in the table, for the hint at a key that is unknown.

    Raises
    ------
    StudyError
        There is no such setting, it is not searched, or the range is none.
    """
    where = f"{source}.{key}"
    kind = _kind_of(key, source, others)
    found: Range
    whole = {"whole": kind == "int"}
    if isinstance(value, dict) and "choices" in value:
        found = parse_spec(Choices, value, where)
    elif kind == "words" and isinstance(value, list):
        found = parse_spec(Choices, {"choices": value}, where)
    elif kind == "words" or not isinstance(value, (dict, list)):
        form = "a list of values" if kind == "words" else "[low, high], or {low = ..., high = ...}"
        raise StudyError(f"{where} is no range, expected {form}")
    elif isinstance(value, dict):
        found = parse_spec(Numbers, {**value, **whole}, where)
    elif len(value) != 2:
        raise StudyError(
            f"{where} has {len(value)} values, expected [low, high]; or {{choices = [...]}} for "
            "these alone"
        )
    else:
        found = parse_spec(Numbers, {"low": value[0], "high": value[1], **whole}, where)
    if key == "object_init" and "guess" in found.tried:
        raise StudyError(f"{where} has guess, expected none: it would start from the truth")
    numbers = [end for end in found.tried if end != ptychi_options.UNSET]
    if kind == "int" and not all(isinstance(number, int) for number in numbers):
        said = shortened(list(found.tried))
        raise StudyError(f"{where} is {said}, expected whole numbers")
    return found


def _kind_of(key: str, source: str, others: Iterable[str]) -> Kind:
    if key.startswith(PTYCHI):
        return _kind_of_ptychi(key.removeprefix(PTYCHI), source)
    if f"{key}." == PTYCHI:
        raise StudyError(
            f"{source}.{key} is no range, expected one of an option: {PTYCHI}GROUP.NAME = "
            "[low, high]"
        )
    if key in _NOT_SEARCHED:
        raise StudyError(
            f"{source}.{key}: {key} is not searched: {_NOT_SEARCHED[key]}; leave it out"
        )
    kind = _kinds().get(key)
    if kind is None:
        known = [*others, *_kinds()]
        near = nearest(key, known)
        hint = f"did you mean {near!r}?" if near else f"known: {', '.join(known)}"
        raise StudyError(f"{source}: unknown key {shortened(key)!r}; {hint}")
    return kind


def _kind_of_ptychi(name: str, source: str) -> Kind:
    """Return what the values of one of pty-chi's options are, from the list that we have of it."""
    try:
        kind = ptychi_options.kind_of(name)
    except ValueError as error:
        raise StudyError(f"{source}: {error}") from None
    if kind in ("list", "table"):
        raise StudyError(
            f"{source}: {PTYCHI}{name} is a {kind}, expected an option that is a number, a word, "
            "or true or false"
        )
    return "int" if kind == "int" else "float" if kind == "float" else "words"


@cache
def _kinds() -> dict[str, Kind]:
    """Return what the values of each setting are."""
    found: dict[str, Kind] = {}
    info = msgspec.inspect.type_info(ReconSpec)
    assert isinstance(info, msgspec.inspect.StructType)
    for field in info.fields:
        kinds = field.type.types if isinstance(field.type, msgspec.inspect.UnionType) else ()
        kinds = tuple(kinds) or (field.type,)
        if any(isinstance(kind, msgspec.inspect.FloatType) for kind in kinds):
            found[field.name] = "float"
        elif any(isinstance(kind, msgspec.inspect.IntType) for kind in kinds):
            found[field.name] = "int"
        else:
            found[field.name] = "words"
    return found
