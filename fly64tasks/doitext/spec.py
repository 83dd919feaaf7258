"""What a task's result depends on besides its files, kept so that a change can be worded."""

from __future__ import annotations

import inspect
import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from doit.exceptions import InvalidTask

_KEY = "_spec"
_WIDTH = 40


ITEM_SIGNATURE = inspect.Signature(
    [inspect.Parameter(name, inspect.Parameter.POSITIONAL_ONLY) for name in ("task", "values")]
)
"""Of a callable ``uptodate`` item. doit inspects each; a ready one saves it 30 microseconds."""


class SpecUnchanged:
    """An ``uptodate`` item that holds a JSON-ready mapping and knows what changed in it.

    Parameters
    ----------
    spec : mapping
        Strings, numbers, booleans, None, lists and mappings of them.
    besides : sequence of str
        Keys of it, nested ones dotted, a change of which is none.

    Examples
    --------
    >>> SpecUnchanged({"num_epochs": 200}).explain({"_spec": {"num_epochs": 100}})
    ['num_epochs 100 -> 200']
    """

    __signature__ = ITEM_SIGNATURE

    def __init__(self, spec: Mapping[str, Any], besides: Sequence[str] = ()) -> None:
        self.spec = spec
        self._besides = tuple(f"{key} " for key in besides)

    def configure_task(self, task: Any) -> None:
        """Have doit store the mapping when `task` succeeds."""
        task.value_savers.append(lambda: {_KEY: self._plain(task.name)})

    def __call__(self, task: Any, values: Mapping[str, Any]) -> bool:
        """Whether the mapping equals the one stored with `values`."""
        stored = values.get(_KEY)
        if stored == self.spec or stored == self._plain(task.name):
            return True
        return bool(self._besides) and stored is not None and not self.explain(values)

    def explain(self, values: Mapping[str, Any]) -> list[str]:
        """The changes since `values` were stored, in words; empty when nothing was stored."""
        stored = values.get(_KEY)
        found = () if stored is None else differences(stored, self._plain("spec"))
        return [words for words in found if not words.startswith(self._besides)]

    def _plain(self, name: str) -> Any:
        try:
            return json.loads(json.dumps(self.spec))
        except TypeError as error:
            raise InvalidTask(f"{name}: SpecUnchanged takes JSON values only: {error}") from None


def differences(old: Any, new: Any, key: str = "") -> Iterator[str]:
    """Yield ``key old -> new`` for each changed value of two JSON trees, nested keys dotted.

    Examples
    --------
    >>> list(differences({"a": {"b": 1}, "c": 2}, {"a": {"b": 3}, "d": 4}))
    ['a.b 1 -> 3', 'c 2 -> nothing', 'd nothing -> 4']
    """
    if isinstance(old, dict) and isinstance(new, dict):
        for name in dict.fromkeys([*old, *new]):
            dotted = f"{key}.{name}" if key else str(name)
            if name not in new:
                yield f"{dotted} {_short(old[name])} -> nothing"
            elif name not in old:
                yield f"{dotted} nothing -> {_short(new[name])}"
            else:
                yield from differences(old[name], new[name], dotted)
    elif old != new:
        yield f"{key} {_short(old)} -> {_short(new)}"


def _short(value: Any) -> str:
    text = value if isinstance(value, str) and value else json.dumps(value)
    return text if len(text) <= _WIDTH else f"{text[: _WIDTH - 3]}..."
