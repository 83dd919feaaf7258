"""What a search for settings tries: `[tune]` of a study, and ranges of the command line.

Its keys are those of `TuneSpec` and, for each setting of `[recon]` that is searched, its range:
``prior = {low = 1, high = 1000, log = true}``, ``momentum = [0, 0.5]``, ``noise_model =
["GAUSSIAN", "POISSON"]``.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping
from functools import cache
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from fly64tasks.doitext.errors import nearest
from fly64tasks.errors import StudyError, shortened
from fly64tasks.study.recon_settings import ReconSpec
from fly64tasks.study.spec import Count, Seed, Spec, parse_spec

Score = Literal["likelihood", "complex_nrmse"]

_NOT_SEARCHED = {
    "seed": "the best of several draws is luck",
    "subsampling_seed": "the best of several draws is luck",
    "n_images": "other frames are another task",
    "half": "other frames are another task",
    "ptychi": "ranges are taken of the other keys",
}
_OF_EACH_FRAME = {
    "opr_modes": (0, "the probe's weights"),
    "correct_positions": (False, "the positions"),
}
_MOST_COMBINATIONS = 4096


class TuneSpec(Spec, frozen=True):
    """How settings are searched.

    Attributes
    ----------
    cases : list of str, those of the command line unless given
        Jobs of the study, or patterns of their names.
    score : str
        What is to be small: the negative log likelihood of frames held out, or complex_nrmse.
    held_out : float
        The share of the frames that is held out.
    trials : int
        How many settings are tried, in all.
    batch : int
        So many are chosen at a time, knowing those before.
    seed : int
        Of the choice of settings and of the frames held out.
    """

    cases: tuple[str, ...] = ()
    score: Score = "likelihood"
    held_out: Annotated[float, Meta(gt=0, le=0.5)] = 0.2
    trials: Count = 40
    batch: Annotated[int, Meta(ge=1, le=1000)] = 8
    seed: Seed = 0


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


def tuning_of(table: Mapping[str, Any], source: str) -> tuple[TuneSpec, dict[str, Range]]:
    """Return how settings are searched and the range of each, by its key in `[recon]`.

    Raises
    ------
    StudyError
        An unknown key, with the nearest known one, or a range that is none.

    Examples
    --------
    >>> tuning_of({"trials": 9, "momentum": [0, 0.5]}, "study.toml: tune")[1]
    {'momentum': Numbers(low=0, high=0.5, log=False, whole=False)}
    """
    own = {key: value for key, value in table.items() if key in _OWN}
    ranges = {key: _range(key, value, source) for key, value in table.items() if key not in _OWN}
    return parse_spec(TuneSpec, own, source), ranges


def refuse_impossible(recon: ReconSpec, ranges: Mapping[str, Range], source: str) -> None:
    """Refuse a range with an end that `[recon]` takes beside no value of the other ranges.

    Raises
    ------
    StudyError
        What `ReconSpec` says of it.
    """
    for key, searched in ranges.items():
        others = {name: one.tried for name, one in ranges.items() if name != key}
        combined = (
            dict(zip(others, values, strict=True)) for values in itertools.product(*others.values())
        )
        combinations = [{}, *itertools.islice(combined, _MOST_COMBINATIONS)]
        for value in searched.tried:
            first: StudyError | None = None
            for combination in combinations:
                try:
                    with_values(recon, {**combination, key: value}, source)
                    break
                except StudyError as error:
                    first = first or error
            else:
                assert first is not None
                raise first


def refuse_unpredictable(recon: ReconSpec, ranges: Mapping[str, Range], source: str) -> None:
    """Refuse settings with which a frame that is held out could not be predicted.

    Raises
    ------
    StudyError
        Each frame has something of its own that is found with it.
    """
    for key, (off, what) in _OF_EACH_FRAME.items():
        tried = ranges[key].tried if key in ranges else (getattr(recon, key),)
        if any(value != off for value in tried):
            none = "false" if off is False else f"{off}"
            raise StudyError(
                f"{source}: {key} is {max(tried)}, expected {none} where frames are held out: "
                f"nothing finds {what} of those; score by complex_nrmse, or search with {key} = "
                f"{{choices = [{none}]}}"
            )


def with_values(recon: ReconSpec, values: Mapping[str, Any], source: str) -> ReconSpec:
    """Return settings with the values of a trial; raises as `parse_spec`."""
    return parse_spec(ReconSpec, {**recon.to_dict(), **values}, source)


def _range(key: str, value: Any, source: str) -> Range:
    where = f"{source}.{key}"
    kind = _kinds().get(key)
    if kind is None:
        near = nearest(key, [*_kinds(), *_OWN])
        hint = f"did you mean {near!r}?" if near else f"known: {', '.join([*_OWN, *_kinds()])}"
        raise StudyError(f"{source}: unknown key {shortened(key)!r}; {hint}")
    if key in _NOT_SEARCHED:
        raise StudyError(f"{where}: {key} is not searched: {_NOT_SEARCHED[key]}; leave it out")
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
    if kind == "int" and not all(isinstance(end, int) for end in found.tried):
        said = shortened(list(found.tried))
        raise StudyError(f"{where} is {said}, expected whole numbers")
    return found


@cache
def _kinds() -> dict[str, Literal["int", "float", "words"]]:
    """Return what the values of each setting are."""
    found: dict[str, Literal["int", "float", "words"]] = {}
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


_OWN = tuple(field.name for field in msgspec.structs.fields(TuneSpec))
