"""``_metadata``: JSON that a stranger may have written, read strictly and within bounds.

The standard library's parser takes NaN, keeps the last of two equal keys, and leaves by
RecursionError where brackets nest; here each is a ValueError in a few words.
"""

from __future__ import annotations

import json
import math
import zipfile
from typing import Any, NoReturn

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
