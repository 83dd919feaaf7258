"""pty-chi's own options, `[recon.ptychi]`: which there are, and what they take.

They are checked by the list of them beside this module, which `tools/ptychi_options.py` writes: a
study is read without importing pty-chi. What is a setting of ours is refused here, so that a number
appears once.
"""

from __future__ import annotations

import functools
import json
import math
import operator
from collections.abc import Callable, Collection, Iterator
from pathlib import Path
from typing import Any, Final

from fly64tasks.doitext.errors import nearest
from fly64tasks.errors import shortened

UNSET: Final = "none"
"""TOML has no null: what stands for pty-chi's None."""

_OURS: Final = {
    "data_options.wavelength_m": "[geometry] energy_ev",
    "data_options.free_space_propagation_distance_m": "nothing: frames are far fields",
    "data_options.fft_shift": "nothing: frames are centred",
    "data_options.data": "the set",
    "data_options.valid_pixel_mask": "mask in the set",
    "reconstructor_options.num_epochs": "num_epochs",
    "reconstructor_options.batch_size": "batch_size",
    "reconstructor_options.batching_mode": "batching",
    "reconstructor_options.default_device": "--device",
    "reconstructor_options.random_seed": "seed",
    "reconstructor_options.noise_model": "noise_model",
    "reconstructor_options.momentum_acceleration_gain": "momentum",
    "reconstructor_options.preconditioning_damping_factor": "damping",
    "reconstructor_options.chunk_length": "batch_size",
    "object_options.initial_guess": "object_init",
    "object_options.slice_spacings_m": "slice_spacing_m",
    "object_options.pixel_size_m": "[geometry] pixel_size_m",
    "object_options.pixel_size_aspect_ratio": "nothing: pixels are square",
    "object_options.determine_position_origin_coords_by": "nothing: the set's positions are kept",
    "object_options.position_origin_coords": "nothing: the set's positions are kept",
    "probe_options.optimizable": "update_probe",
    "probe_options.initial_guess": "probeGuess in the set",
    "probe_options.pixel_size_m": "[geometry] pixel_size_m",
    "probe_options.pixel_size_aspect_ratio": "nothing: pixels are square",
    "probe_position_options.optimizable": "correct_positions",
    "probe_position_options.position_x_px": "xcoords in the set",
    "probe_position_options.position_y_px": "ycoords in the set",
    "opr_mode_weight_options.initial_weights": "opr_modes",
    "opr_mode_weight_options.optimizable": "opr_modes",
}
"""What says the same here."""

_ALWAYS_SET: Final = frozenset({"reconstructor_options.displayed_loss_function"})
"""What pty-chi could do without, and we not: the losses of a run are shown and judged."""

_USED_BY_MAP: Final = frozenset({"reconstructor_options.exclude_measured_pixels_below"})


def flattened(table: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Yield each option of a table with its dotted name.

    >>> dict(flattened({"probe_options": {"center_constraint": {"enabled": True}}}))
    {'probe_options.center_constraint.enabled': True}
    """
    for key, value in table.items():
        name = f"{prefix}{key}"
        if isinstance(value, dict) and name in _groups():
            yield from flattened(value, f"{name}.")
        else:
            yield name, value


def nested(options: dict[str, Any]) -> dict[str, Any]:
    """Return the table of options with dotted names: the other way round than `flattened`.

    Raises
    ------
    ValueError
        A name is that of an option and of a group.
    """
    table: dict[str, Any] = {}
    for name, value in options.items():
        *groups, last = name.split(".")
        there = table
        for group in groups:
            there = there.setdefault(group, {})
            if not isinstance(there, dict):
                said = f"{name} is below an option that is set"
                raise ValueError(said)  # noqa: TRY004
        there[last] = value
    return table


def of_algorithm(table: dict[str, Any] | None, algorithm: str) -> dict[str, Any] | None:
    """Return those options of a table that an algorithm has."""
    options = {
        name: value for name, value in flattened(table or {}) if algorithm in _algorithms(name)
    }
    return nested(options) or None


def said(text: str) -> tuple[str, Any]:
    """Return name and value of ``GROUP.NAME=VALUE``, as a command line gives them.

    >>> said("object_options.l1_norm_constraint.weight=0.1")
    ('object_options.l1_norm_constraint.weight', 0.1)

    Raises
    ------
    ValueError
        There is no ``=``.
    """
    name, equals, value = text.partition("=")
    if not equals:
        raise ValueError(f"--set is {shortened(repr(text))}, expected GROUP.NAME=VALUE")
    try:
        return name, json.loads(value)
    except (ValueError, RecursionError):
        return name, value


def refuse_wrong(table: dict[str, Any], algorithms: Collection[str]) -> None:
    """Refuse an option that pty-chi does not have, that none of the algorithms uses, or its value.

    Raises
    ------
    ValueError
        Names it, with the nearest name or what its value is to be.
    """
    for name, value in flattened(table):
        kind_of(name)
        quoted = _quoted(name)
        having = _algorithms(name)
        if not set(algorithms) & set(having):
            raise ValueError(
                f"{quoted} is not used by {' and '.join(algorithms)}, but by {', '.join(having)}"
            )
        about = _known()[name]
        problem = _problem(value, {**about, "optional": False} if name in _ALWAYS_SET else about)
        if problem:
            found = shortened(repr(value))
            raise ValueError(f"{quoted} is {found}, expected {problem}")


def kind_of(name: str) -> str:
    """Return what the values of an option are: ``int``, ``float``, ``text``, ``true or false`` ...

    Raises
    ------
    ValueError
        There is no such option, with the nearest name, or it is set by us.
    """
    if name in _groups():
        raise ValueError(
            f"{_quoted(name)} is a group of options, expected one of {_options_in(name)}"
        )
    if name not in _known():
        raise ValueError(f"{_quoted(name)} is no option of pty-chi; {_hint(name)}")
    kind: str = _known()[name]["kind"]
    if name in _OURS or kind == "array":
        raise ValueError(
            f"{_quoted(name)} is set by us; it follows from {_OURS.get(name, 'the set')}"
        )
    return kind


def _quoted(name: str) -> str:
    return f"ptychi.{shortened(name)}"


def _options_in(group: str) -> str:
    names = (name.removeprefix(f"{group}.") for name in _known() if name.startswith(f"{group}."))
    return ", ".join(dict.fromkeys(name.partition(".")[0] for name in names))


def _hint(name: str) -> str:
    """Return the nearest name, or what there is to choose from."""
    known = [each for each in (*_groups(), *_known()) if each not in _OURS]
    found = nearest(name, known, cutoff=0.7)
    near = [found] if found else []
    if not near:  # its last part, in a wrong group or in none
        last = name[:200].rpartition(".")[2]
        near = [each for each in known if each.rpartition(".")[2] == last]
    if near:
        return f"did you mean {near[0]!r}?"
    return f"its groups are {', '.join(group for group in _groups() if '.' not in group)}"


def _problem(value: Any, about: dict[str, Any]) -> str | None:
    """Return what is expected in place of a value that an option does not take."""
    if about.get("optional") and value == UNSET:
        return None
    kind, choices = about["kind"], about.get("choices")
    number = isinstance(value, (int, float)) and not isinstance(value, bool)
    in_bounds = number and all(
        holds(value, about[key]) for key, holds in _HOLDS.items() if key in about
    )
    fits = {
        "true or false": isinstance(value, bool),
        "int": in_bounds and isinstance(value, int) and abs(value) < 2**53,
        "float": in_bounds and math.isfinite(value),
        "text": isinstance(value, str) and (choices is None or value in choices),
        "table": isinstance(value, dict) and all(_is_plain(item) for item in value.values()),
        "list": isinstance(value, list) and all(_is_item(item, choices) for item in value),
    }
    if fits[kind]:
        return None
    if choices:
        expected = f"{'some' if kind == 'list' else 'one'} of {', '.join(choices)}"
    else:
        signs = [f"{_SIGNS[key]} {about[key]:g}" for key in _SIGNS if key in about]
        expected = " ".join([{"list": "a list of numbers"}.get(kind, kind), " and ".join(signs)])
    return expected.strip() + (f" or {UNSET!r}" if about.get("optional") else "")


def _is_item(item: Any, choices: list[str] | None) -> bool:
    if choices is not None:
        return item in choices
    return _is_plain(item) and not isinstance(item, (bool, str, list))


def _is_plain(item: Any) -> bool:
    """Return whether a value can be put into JSON."""
    if isinstance(item, float):
        return math.isfinite(item)
    if isinstance(item, list):
        return all(_is_plain(each) and not isinstance(each, list) for each in item)
    return isinstance(item, (bool, str)) or (isinstance(item, int) and abs(item) < 2**53)


_SIGNS: Final = {"ge": ">=", "gt": ">", "le": "<=", "lt": "<"}
_HOLDS: Final[dict[str, Callable[[Any, Any], bool]]] = {
    "ge": operator.ge,
    "gt": operator.gt,
    "le": operator.le,
    "lt": operator.lt,
}


def names_for(algorithm: str) -> list[str]:
    """Return the names of the options that may be set for an algorithm."""
    return [
        name
        for name, about in _known().items()
        if algorithm in _algorithms(name) and name not in _OURS and about["kind"] != "array"
    ]


def _algorithms(name: str) -> list[str]:
    """Return the algorithms that use an option: MAP applies no constraint of pty-chi's."""
    about = _known().get(name, {"of": []})
    having: list[str] = about.get("of", _listed()["algorithms"])
    return ["MAP", *having] if name in _USED_BY_MAP else having


def _known() -> dict[str, dict[str, Any]]:
    options: dict[str, dict[str, Any]] = _listed()["options"]
    return options


@functools.cache
def _groups() -> tuple[str, ...]:
    """Return the dotted names that options are below."""
    above: dict[str, None] = {}
    for name in _known():
        parts = name.split(".")[:-1]
        above |= dict.fromkeys(".".join(parts[: i + 1]) for i in range(len(parts)))
    return tuple(above)


@functools.cache
def _listed() -> dict[str, Any]:
    listed: dict[str, Any] = json.loads(Path(__file__).with_suffix(".json").read_bytes())
    return listed
