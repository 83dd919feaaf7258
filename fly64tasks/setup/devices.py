"""What `fly64tasks doctor --gpu` says of CUDA devices: a line for each thing, and the problems."""

from __future__ import annotations

import math
from typing import Any

TRANSFORM_TOLERANCE = 1e-5
"""How far a device's transforms may be from the CPU's, as a share of their largest value: single
precision over 64 x 64 px is within 1e-6."""
LOSS_TOLERANCE = 1e-3
"""How far the losses of MAP's first epochs may be, as a share: they differ by rounding, which grows
from step to step."""
CONTEXT_BYTES = 0.6e9
"""What a process takes of a device before it holds a tensor, about."""


def device_lines(found: dict[str, Any]) -> list[str]:
    """Return what is to be said of what `setup.gpu` found."""
    lines = [f"{'CUDA build':<13}torch {found['torch']}, for CUDA {found['cuda'] or 'none'}"]
    if "missing" in found:
        return lines
    lines.append(f'{"study":<13}device = "cuda" is accepted, and is {found["accepted"]}')
    cpu = found["cpu"]
    lines.append(
        f"{'CPU':<13}{cpu['epoch_ms']:.1f} ms an epoch of MAP, {found['frames']} frames, one thread"
    )
    for each in found["devices"]:
        first, second = each["runs"]
        free, total = each["free_bytes"] / 1e9, each["total_bytes"] / 1e9
        worker = first["peak_bytes"] + CONTEXT_BYTES
        same = "the same bytes" if first["digest"] == second["digest"] else "OTHER BYTES"
        losses = _loss_difference(first, cpu)
        lines += [
            f"{each['device']:<13}{each['name']}, capability {each['capability']}, "
            f"{free:.1f} of {total:.1f} GB free",
            f"{'':<13}transforms differ from the CPU's by {each['transform']:.1e} of the largest "
            f"value (at most {TRANSFORM_TOLERANCE:g} is right)",
            f"{'':<13}losses of {len(first['losses'])} epochs differ by {losses:.1e} (at most "
            f"{LOSS_TOLERANCE:g} is right)",
            f"{'':<13}{second['epoch_ms']:.1f} ms an epoch, "
            f"{cpu['epoch_ms'] / second['epoch_ms']:.1f} times the CPU's speed; "
            f"two runs end in {same}",
            f"{'':<13}memory for {int(each['free_bytes'] // worker)} workers of "
            f"{worker / 1e9:.1f} GB; small jobs gain nothing by more than one",
        ]
    return lines


def device_problems(found: dict[str, Any]) -> list[str]:
    """Return what is wrong, in words that say what to do; nothing where all is well."""
    if "missing" in found:
        return [found["missing"]]
    problems = []
    for each in found["devices"]:
        name, (first, second) = each["device"], each["runs"]
        losses = _loss_difference(first, found["cpu"])
        unlike = "a driver or a build of torch that is broken? See whether another version helps"
        # Written so that a NaN is a problem.
        if not each["transform"] <= TRANSFORM_TOLERANCE:
            problems.append(f"{name}: transforms are not those of the CPU: {unlike}")
        if not losses <= LOSS_TOLERANCE:
            problems.append(f"{name}: losses are not those of the CPU: {unlike}")
        if first["digest"] != second["digest"]:
            problems.append(f"{name}: two runs of the same end in other bytes: {unlike}")
        problems += [f"{name}: {doubt}" for doubt in first["doubts"]]
    return problems


def _loss_difference(run: dict[str, Any], cpu: dict[str, Any]) -> float:
    pairs = zip(run["losses"], cpu["losses"], strict=True)
    differences: list[float] = [abs(there - here) / abs(here) for there, here in pairs]
    return math.nan if any(map(math.isnan, differences)) else max(differences)
