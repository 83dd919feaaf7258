"""Specs: frozen settings that are closed to unknown keys, and errors that say which key is wrong.

`msgspec` checks types and ranges. Naming the nearest known key and the offending value is ours,
because an error that says only ``unknown field`` sends people to the source.
"""

from __future__ import annotations

import functools
import inspect
import re
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Any, ClassVar, NamedTuple, TypeVar, get_args, get_origin

import msgspec
from msgspec import Meta, Struct

from fly64tasks.doitext.errors import nearest
from fly64tasks.errors import StudyError, shortened

Count = Annotated[int, Meta(ge=1, le=10**9)]
Seed = Annotated[int, Meta(ge=0, lt=2**32)]
Positive = Annotated[float, Meta(gt=0, le=1e300)]
NotNegative = Annotated[float, Meta(ge=0, le=1e300)]

MOST_BYTES = 2**18
MOST_DOTS = 4000  # tomllib takes the square of a dotted key's parts


class Spec(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Base of every spec: immutable, comparable, closed to unknown keys."""

    added_later: ClassVar[tuple[str, ...]] = ()
    """Fields that a former version did not have. `to_dict` leaves them out while they have their
    default, so that what was made before them is up to date, and says of itself what it said."""
    of_no_result: ClassVar[tuple[str, ...]] = ()
    """Fields that no result depends on. `to_dict` leaves them out."""

    def to_dict(self) -> dict[str, Any]:
        """Return what results depend on as JSON-ready builtins, keys in the order of definition."""
        built: dict[str, Any] = msgspec.to_builtins(self)
        for name in self.of_no_result:
            del built[name]
        for name, default in _later_or_nested(type(self)):
            value = getattr(self, name)
            if name in self.added_later and value == default:
                del built[name]
            elif isinstance(value, Spec):
                built[name] = value.to_dict()
        return built


SpecT = TypeVar("SpecT", bound=Spec)


@functools.cache
def _later_or_nested(spec_type: type[Spec]) -> tuple[tuple[str, Any], ...]:
    """Return the fields that `Spec.to_dict` looks at, with their defaults."""
    return tuple(
        (
            field.name,
            field.default
            if field.default_factory is msgspec.NODEFAULT
            else field.default_factory(),
        )
        for field in msgspec.structs.fields(spec_type)
        if field.name in spec_type.added_later or isinstance(field.default, Spec)
    )


class Setting(NamedTuple):
    """A field of a spec as a command line offers it: its name, its meaning, its default."""

    name: str
    meaning: str
    default: str


def settings_of(spec_type: type[Spec]) -> Iterator[Setting]:
    """Yield the fields of a spec, with the meaning that its docstring gives under *Attributes*.

    >>> class Sampling(Spec, frozen=True):
    ...     '''How frames are drawn.
    ...
    ...     Attributes
    ...     ----------
    ...     n : int, all unless given
    ...         Frames to draw.
    ...     '''
    ...     n: int | None = None
    >>> list(settings_of(Sampling))
    [Setting(name='n', meaning='frames to draw', default='all')]
    """
    described = inspect.getdoc(spec_type) or ""
    for field in msgspec.structs.fields(spec_type):
        entry = re.search(
            rf"^{field.name} : \w+(?:, (.*) unless given)?\n    (.*)\.$", described, re.MULTILINE
        )
        unset, meaning = entry.groups() if entry else (None, "")
        if meaning[1:2].islower():
            meaning = meaning[0].lower() + meaning[1:]
        yield Setting(field.name, meaning, str(unset if field.default is None else field.default))


def parse_spec(
    spec_type: type[SpecT], table: dict[str, Any], source: str, *, as_text: bool = False
) -> SpecT:
    """Return the spec that a table describes; ``source`` names it in errors.

    ``as_text`` takes numbers and truth values written as text, as a command line gives them.

    Raises
    ------
    StudyError
        An unknown key (with the nearest known one) or a value of the wrong type or range.
    """
    if isinstance(table, dict):
        _refuse_unknown_keys(spec_type, table, source, prefix="")
    try:
        return msgspec.convert(table, spec_type, strict=not as_text)
    except msgspec.ValidationError as error:
        raise StudyError(f"{source}: {_explain(str(error), table, spec_type)}") from None


def changed(spec: SpecT, changes: dict[str, Any], source: str) -> SpecT:
    """Return a spec with some keys changed; raises as `parse_spec`."""
    return checked(spec, source, changes) if changes else spec


def checked(spec: SpecT, source: str, changes: Mapping[str, Any] = MappingProxyType({})) -> SpecT:
    """Return a spec that was made in Python once its values are held against their types.

    msgspec takes any value there. Numbers of numpy become plain ones; raises as `parse_spec`.
    """
    try:
        table = msgspec.to_builtins(spec, enc_hook=_plain)
    except TypeError as error:
        raise StudyError(f"{source}: {error}") from None
    return parse_spec(type(spec), {**table, **changes}, source)


def _plain(value: Any) -> Any:
    """Return a number of numpy as one of Python's."""
    if not hasattr(value, "item"):
        raise TypeError(f"found {_short(value)}, expected numbers, words, true or false")
    return value.item()


def read_spec(spec_type: type[SpecT], path: Path, kind: str) -> SpecT:
    """Read and check a TOML file; ``kind`` says in errors what was expected.

    Raises
    ------
    StudyError
        The file can not be read, is not TOML, holds an unknown key or a value out of range.
    """
    return parse_spec(spec_type, read_table(path, kind), str(path))


def read_table(path: Path, kind: str) -> dict[str, Any]:
    """Read a TOML file; ``kind`` says in errors what was expected.

    Raises
    ------
    StudyError
        The file can not be read, or is not TOML.
    """
    try:
        if path.exists() and not (path.is_file() or path.is_dir()):
            raise StudyError(f"{path}: is neither a file nor a link to one; expected {kind}")
        with path.open("rb") as file:
            raw = file.read(MOST_BYTES + 1)
        if len(raw) > MOST_BYTES:
            raise StudyError(f"{path}: longer than {MOST_BYTES} bytes; expected {kind}")
        if raw.count(b".") > MOST_DOTS:
            raise StudyError(f"{path}: holds more than {MOST_DOTS} dots; expected {kind}")
        return tomllib.loads(raw.decode())
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise StudyError(f"{path}: {reason}; expected {kind}") from None
    except RecursionError:
        raise StudyError(f"{path}: not valid TOML: nested too deep") from None
    except ValueError as error:  # not TOML, not UTF-8, a number of thousands of digits
        raise StudyError(f"{path}: not valid TOML: {error}") from None


def _refuse_unknown_keys(
    spec_type: type[Spec], table: dict[str, Any], source: str, prefix: str
) -> None:
    fields = {field.name: field for field in msgspec.structs.fields(spec_type)}
    for key, value in table.items():
        if key not in fields:
            near = nearest(key, fields)
            hint = f"did you mean {prefix + near!r}?" if near else f"known: {', '.join(fields)}"
            raise StudyError(f"{source}: unknown key {_short(prefix + key)}; {hint}")
        if not isinstance(value, dict):
            continue
        nested, named = _spec_of(fields[key].type)
        if nested is not None:
            tables = value if named else {"": value}
            for name, table in tables.items():
                if isinstance(table, dict):
                    below = f"{prefix}{key}.{name}." if named else f"{prefix}{key}."
                    _refuse_unknown_keys(nested, table, source, prefix=below)


def _spec_of(annotation: Any) -> tuple[type[Spec] | None, bool]:
    """Return the spec that a field holds, None where it holds none, and whether by name in a dict.

    >>> _spec_of(Spec), _spec_of(dict[str, Spec | str])[1], _spec_of(dict[str, int])
    ((<class 'fly64tasks.study.spec.Spec'>, False), True, (None, False))
    """
    if isinstance(annotation, type) and issubclass(annotation, Spec):
        return annotation, False
    if get_origin(annotation) is Annotated:
        return _spec_of(get_args(annotation)[0])
    if get_origin(annotation) is dict:
        choices = get_args(annotation)[1]
        for choice in get_args(choices) or (choices,):
            if isinstance(choice, type) and issubclass(choice, Spec):
                return choice, True
    return None, False


def _explain(message: str, table: dict[str, Any], spec_type: type[Spec]) -> str:
    """Return msgspec's message with the key first, the offending value and what may stand there.

    ``Expected `int` >= 1 - at `$.recon.num_epochs``` becomes
    ``recon.num_epochs is 0, expected `int` >= 1``, and of another type it says in words what is
    taken: ``recon.update_probe is 'maybe', expected true or false``.
    """
    match = re.fullmatch(r"(.*) - at `(key in )?\$\.?(.*)`", message)
    if match is None:
        return message
    reason, _, where = match.groups()
    value: Any = table
    for part in re.findall(r"\w+|\.\.\.", where):
        if part == "..." or not hasattr(value, "__getitem__"):
            break
        try:
            value = value[int(part) if part.isdigit() else part]
        except (KeyError, IndexError, TypeError):
            break
    if reason.startswith(("Invalid enum value", "Expected `str`", "Expected `str | null`")):
        choices = [str(each) for each in _choices(msgspec.inspect.type_info(spec_type), where)]
        near = nearest(value, choices) if isinstance(value, str) else None
        hint = f"; did you mean {near}?" if near else ""
        if choices:
            return f"{where} is {_short(value)}, expected one of {', '.join(choices)}{hint}"
    if not reason.startswith("Expected"):
        return f"{where + ': ' if where else ''}{reason}"
    if other_type := re.fullmatch(r"Expected `([\w| ]+)`, got `.*`", reason):
        kinds = [kind for kind in other_type[1].split(" | ") if kind != "null"]
        reason = f"expected {' or '.join(_IN_WORDS.get(kind, kind) for kind in kinds)}"
    return f"{where or 'the study'} is {_short(value)}, {reason[0].lower()}{reason[1:]}"


_IN_WORDS = {
    "bool": "true or false",
    "int": "a whole number",
    "float": "a number",
    "str": "text",
    "array": "a list",
    "object": "a table",
}


def _choices(kind: msgspec.inspect.Type, where: str) -> Iterator[Any]:
    """Yield the words that may stand at a key; none where it takes anything else.

    >>> from typing import Literal
    >>> kind = dict[str, Literal["poisson", "none"] | None]
    >>> list(_choices(msgspec.inspect.type_info(kind), "[...]"))
    ['none', 'poisson']
    """
    part = re.match(r"\W*(\w+|\.\.\.)", where)
    if isinstance(kind, msgspec.inspect.UnionType):
        for each in kind.types:
            yield from _choices(each, where)
    elif part is None:
        yield from getattr(kind, "values", ())
    elif isinstance(kind, msgspec.inspect.StructType):
        for field in kind.fields:
            if field.name == part[1]:
                yield from _choices(field.type, where[part.end() :])
    else:
        for holds in ("value_type", "item_type"):
            if hasattr(kind, holds):
                yield from _choices(getattr(kind, holds), where[part.end() :])


def _short(value: Any) -> str:
    """Return a value as an error quotes it, whatever its size and depth."""
    try:
        text = repr(value)
    except (RecursionError, ValueError):  # nested too deep; an int too long for decimal digits
        text = f"a {type(value).__name__} too large to show"
    return shortened(text)
