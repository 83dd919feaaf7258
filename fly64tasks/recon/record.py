"""``run.json``: what is said of a run, before it starts and once it has ended."""

from __future__ import annotations

import importlib.metadata
import json
import platform
import shlex
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fly64tasks.data import lineage
from fly64tasks.data.commit import commit_of
from fly64tasks.data.ownership import WRITER
from fly64tasks.data.writers.product import SIZES_ARE
from fly64tasks.doitext.errors import in_one_line, printable
from fly64tasks.errors import Fly64Error, StoppedEarly
from fly64tasks.physics import probe_modes
from fly64tasks.recon import fit
from fly64tasks.recon.fit import Predicts
from fly64tasks.recon.start import Start
from fly64tasks.study.methods import ProgramSpec
from fly64tasks.study.recon_settings import ReconSpec

PACKAGES = ("fly64tasks", "ptychi", "torch", "numpy")


def begun(
    input_npz: Path,
    sha256: str,
    start: Start,
    spec: ReconSpec | ProgramSpec,
    device: str | None,
    hardware: str | None,
    read_as: Mapping[str, str | bool],
) -> dict[str, Any]:
    """Return what is known of a run before it starts.

    ``sha256`` is that of its input; ``read_as`` how the file was read, if that was said;
    ``device`` and ``hardware`` are None where a program of others chooses them.
    """
    return {
        "writer": WRITER,
        "stage": "recon",
        "state": "failed",
        "exit_code": 1,
        "reason": None,
        "started": datetime.now(UTC).isoformat(timespec="seconds"),
        "host": printable(platform.node()),
        "commit": commit_of(Path(__file__).parents[2]),
        "spec": spec.to_dict(),
        **({"data": dict(read_as)} if read_as else {}),
        "versions": {
            "python": platform.python_version(),
            **{name: importlib.metadata.version(name) for name in PACKAGES},
        },
        "input": {
            "path": str(input_npz),
            "sha256": sha256,
            **({"with": _digests(start.files)} if start.files else {}),
        },
        "start": {
            "n_frames": len(start.frames),
            "n_frames_in_set": start.n_frames_in_set,
            "frame_size_px": start.scale.frame_size_px,
            "holds_counts": start.scale.counts,
            "intensity_scale": start.scale.intensity,
            "canvas_shape": list(start.canvas.shape),
            "canvas_origin_px": list(start.canvas.origin_px),
            "frame_of_reference": start.canvas.frame,
            "comparable_truth": start.simulated and start.canvas.frame == "object",
            "truth_seeded": start.truth_seeded,
            **({"left_out_frames": list(start.left_out)} if start.left_out else {}),
        },
        "set": {
            "simulated": start.simulated,
            "geometry": start.geometry.to_dict(),
            **start.said_of_the_set,
        },
        "device": {"name": device, "hardware": hardware},
        "warnings": list(start.warnings),
    }


def _digests(files: Iterable[Path]) -> dict[str, str]:
    return {str(path): lineage.digest(path) for path in files}


def fit_of(start: Start, result: Predicts, spec: ReconSpec) -> dict[str, Any]:
    """Return how well a reconstruction fits the counts that it started from."""
    return fit.said_of_fit(
        map(np.sqrt, start.centred()),
        fit.predicted_by(result, spec, start.geometry),
        start.frames,
        counts=start.scale.counts,
        mask=start.mask,
    )


def found(result: Predicts, moved_px: NDArray[np.float64]) -> dict[str, Any]:
    """Return what is said of what was found besides an object and one mode of a probe.

    Parameters
    ----------
    moved_px : (n, 2) float
        What the positions were corrected by.
    """
    said: dict[str, Any] = {}
    probe, relaxation = result.probe, result.relaxation
    if len(probe) > 1:
        said["probe_mode_shares"] = probe_modes.shares(probe).tolist()
    if relaxation is not None:
        said["opr_mode_shares"] = relaxation.shares(probe).tolist()
    if result.slices is not None:
        said["slices"] = len(result.slices)
    if moved_px.any():
        distance = np.hypot(*moved_px.T)
        said["positions_moved_px"] = {
            "rms": float(np.sqrt((distance**2).mean())),
            "most": float(distance.max()),
        }
    return {"found": said} if said else {}


def head(record: dict[str, Any], command: Sequence[str]) -> list[str]:
    """Return the lines with which the log of a run begins."""
    versions = ", ".join(f"{name} {version}" for name, version in record["versions"].items())
    device = record["device"]
    begun = [
        f"command: {shlex.join(command)}",
        f"settings: {json.dumps(record['spec'])}",
        f"versions: {versions}",
        f"input: {record['input']['path']} (SHA-256 {record['input']['sha256']}), "
        f"{record['start']['n_frames']} of {record['start']['n_frames_in_set']} frames",
    ]
    if device["name"] is not None:
        begun.append(f"device: {device['name']} ({device['hardware']})")
    if record.get("resumed_after_epoch") is not None:
        begun.append(f"goes on after epoch {record['resumed_after_epoch']}")
    return [printable(line) for line in begun]


def outcome(record: dict[str, Any]) -> str:
    """Return the line with which the log of a run ends."""
    loss, said = record.get("loss"), record["reason"]
    when = f"after epoch {loss['epochs']}" if loss else "before the first epoch"
    if "program" in record:
        said = said or "its result is taken"
        return f"{record['state']}, exit code {record['exit_code']}: {said}"
    if loss and record["state"] == "done":
        said = f"loss {loss['last']:.4g}"
    return f"{record['state']} {when}, exit code {record['exit_code']}: {said}"


def ended(failure: BaseException) -> dict[str, Any]:
    """Return what is said of a run that did not end well."""
    match failure:
        case KeyboardInterrupt():
            exit_code, reason = getattr(failure, "exit_code", 130), str(failure) or "interrupted"
        case Fly64Error():
            exit_code, reason = failure.exit_code, str(failure)
        case _:
            exit_code, reason = 1, in_one_line(failure)
    cut_off = isinstance(failure, (KeyboardInterrupt, StoppedEarly))
    return {
        "state": "interrupted" if cut_off else "failed",
        "exit_code": exit_code,
        "reason": printable(reason),
    }


def comments(record: dict[str, Any], epochs: int) -> str:
    """Return what a product of so many epochs says of itself in words."""
    spec, versions = record["spec"], record["versions"]
    sizes = "assumed" if record["set"]["geometry"]["assumed"] else "as given"
    by = f"by fly64tasks {versions['fly64tasks']}"
    if "command" in spec:
        made = f"Written by {shlex.join(spec['command'])}, brought into this form {by}"
    else:
        made = f"{spec['algorithm']}, {epochs} epochs, {by} with pty-chi {versions['ptychi']}"
    return (
        f"{made}, from {record['input']['path']} "
        f"(SHA-256 {record['input']['sha256']}). {SIZES_ARE} {sizes}."
    )
