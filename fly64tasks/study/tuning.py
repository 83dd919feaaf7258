"""What a search for settings tries: `[tune]` of a study, and what a command line says of it.

Its keys are those of `TuneSpec` and, for each setting that is searched, its range (`ranges`).
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from fly64tasks.errors import StudyError
from fly64tasks.study import ptychi_options
from fly64tasks.study.ranges import PTYCHI, Range, by_key, range_of
from fly64tasks.study.recon_settings import ReconSpec
from fly64tasks.study.spec import Count, Seed, Spec, parse_spec

Score = Literal["likelihood", "complex_nrmse"]

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


def tuning_of(table: Mapping[str, Any], source: str) -> tuple[TuneSpec, dict[str, Range]]:
    """Return how settings are searched and the range of each, by its key in `[recon]`.

    Those of `[recon.ptychi]` have ``ptychi.`` before their names.

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
    searched = by_key({key: value for key, value in table.items() if key not in _OWN})
    ranges = {key: range_of(key, value, source, _OWN) for key, value in searched.items()}
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
    """Return settings with the values of a trial; raises as `parse_spec`.

    >>> tried = {"algorithm": "LSQML", "ptychi.object_options.step_size": 0.5}
    >>> with_values(ReconSpec(), tried, "trial").ptychi
    {'object_options': {'step_size': 0.5}}
    """
    table = recon.to_dict() | {
        key: value for key, value in values.items() if not key.startswith(PTYCHI)
    }
    return parse_spec(ReconSpec, table | _options_of(recon, values), source)


def _options_of(recon: ReconSpec, values: Mapping[str, Any]) -> dict[str, Any]:
    """Return `[recon.ptychi]` with the values of a trial, where there is one."""
    options = dict(ptychi_options.flattened(recon.ptychi or {}))
    options |= {
        key.removeprefix(PTYCHI): value for key, value in values.items() if key.startswith(PTYCHI)
    }
    return {"ptychi": ptychi_options.nested(options)} if options else {}


_OWN = tuple(field.name for field in msgspec.structs.fields(TuneSpec))
