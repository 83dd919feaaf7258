"""What the manifest says of a job besides what doit knows: one entry a column."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec

Share = Annotated[float, msgspec.Meta(ge=0, le=1)]


class _Device(msgspec.Struct, frozen=True):
    name: str | None = None


class _Set(msgspec.Struct, frozen=True):
    selection_strategy: str | None = None
    acceptance_rate: Share | None = None


class _Record(msgspec.Struct, frozen=True):
    """``run.json``, as far as the manifest has it."""

    exit_code: int | None = None
    device: _Device = _Device()
    input: dict[str, str] | None = None
    set: _Set = _Set()
    warnings: tuple[str, ...] = ()


def describe(task: Any, record: dict[str, Any] | None) -> dict[str, Any]:
    """Return what the manifest says of a job besides what doit knows.

    Parameters
    ----------
    task : doit.task.Task
    record : dict or None
        The job's ``run.json``, None where there is none.

    Raises
    ------
    ValueError
        The record is none of the runner's.
    """
    found = msgspec.convert(record or {}, _Record)
    return {
        "algorithm": task.meta["algorithm"],
        "num_epochs": task.meta["num_epochs"],
        "output_dir": task.meta["output_dir"],
        "return_code": found.exit_code,
        "device": found.device.name,
        "input": found.input,
        "selection_strategy": found.set.selection_strategy,
        "acceptance_rate": found.set.acceptance_rate,
        "warnings": list(found.warnings),
    }
