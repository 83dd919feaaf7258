"""``_metadata``: JSON that a stranger may have written, read strictly and within bounds.

The standard library's parser takes NaN, keeps the last of two equal keys, and leaves by
RecursionError where brackets nest; here each is a ValueError in a few words.
"""

from __future__ import annotations

import json
import math
import zipfile
from collections.abc import Collection, Mapping
from typing import Annotated, Any, NoReturn

import msgspec
from msgspec import Meta, Struct

from fly64tasks.errors import DatasetError, StudyError
from fly64tasks.study.spec import parse_spec
from fly64tasks.study.stages import SIZES, Geometry

COMPRESSIONS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
"""Those of numpy. Of others, zipfile unpacks all that it has read, whatever was asked for."""
METADATA_LIMIT_BYTES = 2**24
"""Most that ``_metadata`` may take in an NPZ, where text has four bytes a character."""


def parse_metadata(text: str) -> dict[str, Any]:
    """Return the JSON object in ``text``.

    Raises
    ------
    ValueError
        It is no JSON, no object, nested too deep, holds a number that is not finite or too long,
        a key twice, or text that is no Unicode.

    Examples
    --------
    >>> parse_metadata('{"dose": 1e3}')
    {'dose': 1000.0}
    """
    try:
        found = json.loads(
            text,
            parse_constant=_not_finite,
            parse_float=_finite,
            parse_int=_whole,
            object_pairs_hook=_once,
        )
        json.dumps(found, ensure_ascii=False).encode()  # JSON can escape what no text can hold
    except RecursionError:
        raise ValueError("nested too deep") from None
    except UnicodeEncodeError:
        raise ValueError("half of a character (a lone surrogate)") from None
    if not isinstance(found, dict):
        raise ValueError(f"JSON {type(found).__name__}")  # noqa: TRY004
    return found


Number = Annotated[float, Meta(ge=-1e18, le=1e18)]
"""What a record can repeat and a report can show."""


class _Said(Struct):
    """What sets may say of themselves that is used further on, and in which type."""

    simulated: bool = False
    lineage: dict[str, Any] | None = None
    diffraction_order: str | None = None
    dose_photons_per_frame: Number | None = None
    split: str | None = None
    overlap_view: str | None = None
    selection_strategy: str | None = None
    acceptance_rate: Number | None = None
    spacing_threshold: Number | None = None
    n_accepted: Number | None = None
    n_rejected: Number | None = None
    probe_diameter_px: Number | None = None
    gridsize: Number | None = None
    neighbor_count: Number | None = None
    overlap_group_members: Number | None = None
    overlap_neighbors: Number | None = None
    overlap_groups: Number | None = None
    overlap_notes: list[str] | None = None


def why_unusable(metadata: Mapping[str, Any]) -> str | None:
    """Return what of a set's metadata is of another type than it is used in, None where none is.

    >>> why_unusable({"simulated": "yes"})
    'Expected `bool`, got `str` - at `$.simulated`'
    """
    try:
        msgspec.convert(metadata, _Said)
    except msgspec.ValidationError as error:
        return str(error)
    return None


def geometry_of(
    metadata: Mapping[str, Any], otherwise: Geometry, name: str, given: Collection[str] = ()
) -> Geometry:
    """Return the physical sizes of a set: its own, and for those that it does not say, others.

    Sizes that a set calls assumed give way to measured and to given ones. Those that it says
    without a word are known.

    Parameters
    ----------
    metadata : mapping
        Of the set, with ``geometry`` or without.
    otherwise : Geometry
        Of the study or the command line.
    name : str
        Of the set, in errors.
    given : collection of str
        The sizes of ``otherwise`` that were asked for: the set may say no other ones.

    Raises
    ------
    DatasetError
        The set's geometry can not be used, or says another size than one that is ``given``.

    Examples
    --------
    >>> measured = Geometry(pixel_size_m=7e-9, energy_ev=8e3, assumed=False)
    >>> geometry_of({}, measured, "set.npz") == measured
    True
    >>> found = geometry_of({"geometry": {"pixel_size_m": 5e-9}}, measured, "set.npz")
    >>> found.pixel_size_m, found.energy_ev, found.assumed
    (5e-09, 8000.0, False)
    """
    table = metadata.get("geometry")
    if table is None or table == {}:
        return otherwise
    try:
        own = parse_spec(Geometry, table, f"{name}: _metadata.geometry")
    except StudyError as error:
        raise DatasetError(str(error)) from None
    if table.get("assumed"):
        if not otherwise.assumed:
            return otherwise
        table = {key: value for key, value in table.items() if key not in given}
    for key in given:
        if key in table and getattr(own, key) != getattr(otherwise, key):
            raise DatasetError(
                f"{name}: _metadata.geometry says {key} {getattr(own, key):g}, asked for is "
                f"{getattr(otherwise, key):g}; expected one: leave out what is wrong"
            )
    known = {*table, *given}
    assumed = otherwise.assumed and not all(key in known for key in SIZES)
    return parse_spec(Geometry, {**otherwise.to_dict(), "assumed": assumed, **table}, name)


def _not_finite(text: str) -> NoReturn:
    raise ValueError(f"{text} is not JSON")


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError("a number past double precision")
    return number


def _whole(text: str) -> int:
    if len(text) > 300:
        raise ValueError(f"a whole number of {len(text)} digits")
    return int(text)


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in pairs:
        if key in found:
            raise ValueError(f"key {key[:40]!r} twice")
        found[key] = value
    return found
