"""``run.json``: what is said of a run, before it starts and once it has ended."""

from __future__ import annotations

import importlib.metadata
import platform
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from fly64tasks.data.ownership import WRITER
from fly64tasks.errors import Fly64Error, StoppedEarly
from fly64tasks.recon.start import Start
from fly64tasks.study.recon_settings import ReconSpec

PACKAGES = ("fly64tasks", "ptychi", "torch", "numpy")


def begun(
    input_npz: Path, sha256: str, start: Start, spec: ReconSpec, device: str, hardware: str
) -> dict[str, Any]:
    """Return what is known of a run before it starts; ``sha256`` is that of its input."""
    return {
        "writer": WRITER,
        "stage": "recon",
        "state": "failed",
        "exit_code": 1,
        "reason": None,
        "started": datetime.now(UTC).isoformat(timespec="seconds"),
        "spec": spec.to_dict(),
        "versions": {
            "python": platform.python_version(),
            **{name: importlib.metadata.version(name) for name in PACKAGES},
        },
        "input": {"path": str(input_npz), "sha256": sha256},
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
        },
        "set": {
            "simulated": start.simulated,
            "geometry": start.geometry.to_dict(),
            **start.said_of_the_set,
        },
        "device": {"name": device, "hardware": hardware},
    }


def ended(failure: BaseException) -> dict[str, Any]:
    """Return what is said of a run that did not end well."""
    cut_off = isinstance(failure, (KeyboardInterrupt, StoppedEarly))
    if isinstance(failure, KeyboardInterrupt):
        exit_code, otherwise = getattr(failure, "exit_code", 130), "interrupted"
    else:
        exit_code = failure.exit_code if isinstance(failure, Fly64Error) else 1
        otherwise = type(failure).__name__
    return {
        "state": "interrupted" if cut_off else "failed",
        "exit_code": exit_code,
        "reason": str(failure) or otherwise,
    }


def comments(record: dict[str, Any], epochs: int) -> str:
    """Return what a product of so many epochs says of itself in words."""
    spec, versions = record["spec"], record["versions"]
    sizes = "assumed" if record["set"]["geometry"]["assumed"] else "as given"
    return (
        f"{spec['algorithm']}, {epochs} epochs, by fly64tasks {versions['fly64tasks']} "
        f"with pty-chi {versions['ptychi']}, from {record['input']['path']} "
        f"(SHA-256 {record['input']['sha256']}). Pixel size, energy and distance are {sizes}."
    )
