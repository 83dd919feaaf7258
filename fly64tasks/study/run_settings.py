"""How a reconstruction is run: the command that does it, and how often it is put on disk."""

from __future__ import annotations

import functools
import json
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import msgspec

from fly64tasks.study import ptychi_options
from fly64tasks.study.recon_settings import ReconSpec
from fly64tasks.study.spec import Count, Positive, Spec
from fly64tasks.study.stages import ASSUMED, SIZES, TURNS, Geometry


class CheckpointSpec(Spec, frozen=True):
    """How often a reconstruction is put on disk while it runs; no result depends on it.

    Attributes
    ----------
    seconds : float
        Write a checkpoint every so many seconds, at the end of the epoch.
    epochs : int, never unless given
        And after every so many epochs.
    """

    seconds: Positive = 60.0
    epochs: Count | None = None


def runner_command(
    input_npz: Path | str,
    output_dir: Path | str,
    spec: ReconSpec,
    device: str = "auto",
    *,
    read_as: Mapping[str, str | bool] = MappingProxyType({}),
    geometry: Geometry = ASSUMED,
) -> list[str]:
    """Return the command line of `fly64tasks.runner` that reconstructs one set in this way.

    ``read_as`` says how the set is read, as `said_of_reading` returns it.

    >>> " ".join(runner_command("set.npz", "out", ReconSpec(num_epochs=20)))
    'python -m fly64tasks.runner --input-npz set.npz --output-dir out --num-epochs 20'
    >>> sizes = Geometry(pixel_size_m=7e-9, energy_ev=8e3, assumed=False)
    >>> read_as = {"diffraction": "intensity", "flip_y": True}
    >>> said = runner_command("a", "b", ReconSpec(), read_as=read_as, geometry=sizes)
    >>> " ".join(said[7:12])
    '--diffraction intensity --flip-y --pixel-size-m 7e-09'
    """
    said: list[tuple[str, Any]] = [
        (name, value)
        for name, default in _defaults().items()
        if (value := getattr(spec, name)) != default and name != "ptychi"
    ]
    said += [pair for pair in read_as.items() if pair[1] is not None]
    if device != "auto":
        said.append(("device", device))
    if geometry != ASSUMED:
        said += [(name, size) for name in SIZES if (size := getattr(geometry, name)) is not None]
    command = ["python", "-m", "fly64tasks.runner"]
    command += ["--input-npz", str(input_npz), "--output-dir", str(output_dir)]
    for name, value in said:
        command.append("--" + name.replace("_", "-"))
        if name not in TURNS:
            command.append(_said(value))
    for name, value in ptychi_options.flattened(spec.ptychi or {}):
        command += ["--set", f"{name}={_said(value)}"]
    return command


def _said(value: Any) -> str:
    """Return a value as an option takes it: numbers as JSON has them, and sooner than it does."""
    if type(value) in (int, float):
        return repr(value)
    return value if isinstance(value, str) else json.dumps(value)


@functools.cache
def _defaults() -> dict[str, Any]:
    """Return the settings of a reconstruction with their defaults; msgspec takes a millisecond."""
    return {field.name: field.default for field in msgspec.structs.fields(ReconSpec)}
