"""Write `fly64tasks/study/ptychi_options.json`: what the options of the installed pty-chi are.

python tools/ptychi_options.py

A study is read without importing pty-chi, and refuses a wrong option by this list.
"""

from __future__ import annotations

import dataclasses
import enum
import json
import typing
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ptychi.api.options.base import Options

import fly64tasks.study
from fly64tasks.recon.ptychi.options import OPTIONS

TARGET = Path(fly64tasks.study.__file__).with_name("ptychi_options.json")

_KINDS = {bool: "true or false", int: "int", float: "float", str: "text", dict: "table"}
_BOUNDS = ("ge", "gt", "le", "lt")


def described() -> dict[str, Any]:
    """Return the options of all algorithms: kind, bounds, and the algorithms that have each."""
    options: dict[str, dict[str, Any]] = {}
    for algorithm, cls in OPTIONS.items():
        if algorithm == "MAP":  # of ours: its own are settings, pty-chi's it does not use
            continue
        for name, about in _walk(cls()):
            entry = options.setdefault(name, {**about, "of": []})
            if {**about, "of": entry["of"]} != entry:
                raise ValueError(f"{name} is not the same for {entry['of']} and {algorithm}")
            entry["of"].append(algorithm)
    algorithms = [name for name in OPTIONS if name != "MAP"]
    for entry in options.values():
        if entry["of"] == algorithms:
            del entry["of"]
    return {"algorithms": algorithms, "options": options}


def _walk(options: Any, prefix: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    said = options.get_non_data_fields()
    for field in dataclasses.fields(options):
        value = getattr(options, field.name)
        if isinstance(value, Options):
            yield from _walk(value, f"{prefix}{field.name}.")
        else:
            bounds = type(options).__pydantic_fields__[field.name].metadata
            found = {
                key: getattr(bound, key)
                for bound in bounds
                for key in _BOUNDS
                if hasattr(bound, key)
            }
            yield (
                f"{prefix}{field.name}",
                {
                    **(_kind(field.type) if field.name in said else {"kind": "array"}),
                    **found,
                },
            )


def _kind(annotation: Any) -> dict[str, Any]:
    """Return what a value of a type is."""
    members = [kind for kind in typing.get_args(annotation) if kind is not type(None)]
    is_union = typing.get_origin(annotation) is typing.Union
    optional = {"optional": True} if is_union and type(None) in typing.get_args(annotation) else {}
    kind = members[0] if is_union else annotation
    if is_union and len(members) > 1:
        return {"kind": "list" if set(members) <= {list, tuple} else "array", **optional}
    if typing.get_origin(kind) is not None:  # a sequence of choices
        return {"kind": "list", "choices": [str(each) for each in typing.get_args(kind)[0]]}
    if isinstance(kind, type) and issubclass(kind, enum.StrEnum):
        return {"kind": "text", "choices": [str(each) for each in kind], **optional}
    return {"kind": _KINDS[kind], **optional}


def as_text() -> str:
    """Return the file: an option a line."""
    about = described()
    lines = (f"  {json.dumps(k)}: {json.dumps(v)}" for k, v in about.pop("options").items())
    head = json.dumps(about)[:-1]
    return f'{head}, "options": {{\n' + ",\n".join(lines) + "\n}}\n"


if __name__ == "__main__":
    TARGET.write_text(as_text())
