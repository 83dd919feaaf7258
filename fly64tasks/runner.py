"""Reconstruct one NPZ with pty-chi: the `recon` action, and `python -m fly64tasks.runner`.

Checks come first and cost no import of torch; results are written last, each whole or absent.
Exit codes: 0 done, 1 failed or diverged, 2 usage, 3 the input breaks the contract, 130 interrupted.
"""

from __future__ import annotations

import contextlib
import csv
import importlib.metadata
import json
import logging
import platform
import resource
import sys
import threading
import time
import warnings
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from fly64tasks import layout, lineage
from fly64tasks.commandline import Parser
from fly64tasks.dataset import PtychoDataset, read_dataset
from fly64tasks.doitext.atomic import replaced
from fly64tasks.doitext.errors import printable
from fly64tasks.epochs import EpochCallback, showing
from fly64tasks.errors import DatasetError, Fly64Error, ReconstructionError, StudyError
from fly64tasks.npz import WRITER, refuse_foreign, write_npz
from fly64tasks.product import write_product
from fly64tasks.spec import parse_spec
from fly64tasks.start import Start, start_of
from fly64tasks.study import Geometry, ReconSpec, algorithms

PACKAGES = ("fly64tasks", "ptychi", "torch", "numpy")


def run(
    input_npz: Path,
    output_dir: Path,
    spec: ReconSpec,
    *,
    device: str = "auto",
    on_epoch: EpochCallback = lambda epoch, num_epochs, loss: None,
) -> dict[str, Any]:
    """Reconstruct one set and write its results; return the run's record.

    Writes ``reconstruction.npz``, ``product.h5``, ``losses.csv``, ``run.json`` and ``ptychi.log``.
    An input that breaks the contract leaves nothing; a failed reconstruction leaves the log, the
    losses and a ``run.json`` that says why, and no result.

    Parameters
    ----------
    device : str
        ``auto``, ``cpu``, ``cuda`` or ``cuda:i``; never part of what makes a result stale.
    on_epoch : callable
        Called after each epoch with its number, their total and the loss.

    Raises
    ------
    DatasetError
        The input breaks the contract, before anything is written.
    StudyError
        There is no such device.
    ReconstructionError
        The result is not finite or diverged.
    """
    spec = spec.resolved()
    dataset = read_dataset(input_npz)
    start = start_of(dataset, spec, str(input_npz))
    geometry = geometry_of(dataset, str(input_npz))
    record = _record(input_npz, dataset, start, spec, geometry)
    for name in (layout.RECONSTRUCTION, layout.RUN_RECORD):
        refuse_foreign(output_dir / name)

    from fly64tasks import reconstruct  # costs seconds: only for inputs that can be reconstructed

    resolved = reconstruct.resolve_device(device)
    record["device"] = {"name": resolved, "hardware": reconstruct.device_name(resolved)}
    output_dir.mkdir(parents=True, exist_ok=True)
    for name in (layout.RECONSTRUCTION, layout.PRODUCT):
        (output_dir / name).unlink(missing_ok=True)
    losses: Sequence[float] = ()
    began = time.perf_counter()
    try:
        with reconstruct.ONE_AT_A_TIME, _logging_to(output_dir / layout.LOG):
            began = time.perf_counter()
            result = reconstruct.reconstruct(
                start,
                spec,
                geometry,
                device=resolved,
                on_epoch=lambda epoch, loss: on_epoch(epoch, spec.num_epochs, loss),
            )
        losses = result.loss
        record.update(state="done", exit_code=0, ptychi_options=result.options)
        write_npz(
            output_dir / layout.RECONSTRUCTION,
            {
                "object": result.obj,
                "probe": result.probe,
                "positions_px": start.positions_px,
                "loss": np.array(losses),
            },
            {key: record[key] for key in ("stage", "spec", "versions", "input", "start", "set")},
        )
        write_product(
            output_dir / layout.PRODUCT,
            name=input_npz.stem,
            comments=_comments(record, geometry),
            obj=result.obj,
            probe=result.probe,
            positions_px=start.positions_px,
            loss=np.array(losses),
            geometry=geometry,
        )
    except ReconstructionError as error:
        losses = error.losses
        record.update(state="failed", exit_code=error.exit_code, reason=str(error))
        raise ReconstructionError(
            f"{input_npz}: {error} (log: {output_dir / layout.LOG})", losses
        ) from None
    except BaseException as error:
        if isinstance(error, KeyboardInterrupt):
            record.update(state="interrupted", exit_code=130)
        record["reason"] = str(error) or type(error).__name__
        raise
    finally:
        record["seconds"] = round(time.perf_counter() - began, 3)
        record["peak_memory_bytes"] = {
            "process": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
            "device": reconstruct.peak_device_memory_bytes(resolved),
        }
        if losses:
            record["loss"] = {"first": losses[0], "last": losses[-1], "epochs": len(losses)}
        _write_json(output_dir / layout.RUN_RECORD, record)
        _write_losses(output_dir / layout.LOSSES, losses)
    return record


def geometry_of(dataset: PtychoDataset, name: str) -> Geometry:
    """Return the set's geometry as its metadata has it, else the assumed one.

    Raises
    ------
    DatasetError
        The metadata hold a geometry that is not one.
    """
    table = dataset.metadata.get("geometry", {})
    try:
        return parse_spec(Geometry, table, f"{name}: _metadata.geometry")
    except StudyError as error:
        raise DatasetError(str(error)) from None


def _record(
    input_npz: Path, dataset: PtychoDataset, start: Start, spec: ReconSpec, geometry: Geometry
) -> dict[str, Any]:
    """Return what is known of a run before it starts."""
    keys = (
        "dose_photons_per_frame",
        "overlap_view",
        "split",
        "selection_strategy",
        "acceptance_rate",
    )
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
        "input": {"path": str(input_npz), "sha256": lineage.digest(input_npz)},
        "start": {
            "n_frames": len(start.frames),
            "n_frames_in_set": len(dataset.positions_px),
            "frame_size_px": dataset.frame_size_px,
            "holds_counts": start.counts,
            "intensity_scale": start.intensity_scale,
            "canvas_shape": list(start.canvas.shape),
            "canvas_origin_px": list(start.canvas.origin_px),
            "frame_of_reference": start.canvas.frame,
            "comparable_truth": dataset.is_simulated and start.canvas.frame == "object",
            "truth_seeded": start.truth_seeded,
        },
        "set": {
            "simulated": dataset.is_simulated,
            "geometry": geometry.to_dict(),
            **{key: dataset.metadata[key] for key in keys if key in dataset.metadata},
        },
    }


def _comments(record: dict[str, Any], geometry: Geometry) -> str:
    """Return what a product says of itself in words."""
    spec, versions = record["spec"], record["versions"]
    sizes = "assumed" if geometry.assumed else "as given"
    return (
        f"{spec['algorithm']}, {spec['num_epochs']} epochs, by fly64tasks {versions['fly64tasks']} "
        f"with pty-chi {versions['ptychi']}, from {record['input']['path']} "
        f"(SHA-256 {record['input']['sha256']}). Pixel size, energy and distance are {sizes}."
    )


@contextlib.contextmanager
def _logging_to(path: Path) -> Iterator[None]:
    """Send this thread's log records and warnings to a new file, and to it alone."""
    thread = threading.get_ident()
    path.unlink(missing_ok=True)  # a link would have us write to where it leads
    handler = logging.FileHandler(path, mode="w", encoding="utf-8")
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    handler.addFilter(lambda record: record.thread == thread)
    root, ptychi = logging.getLogger(), logging.getLogger("ptychi")
    level = ptychi.level
    ptychi.setLevel(logging.INFO)
    # pty-chi draws its own progress bar where this logger's level is below WARNING.
    logging.getLogger("ptychi.reconstructors.base").setLevel(logging.WARNING)
    root.addHandler(handler)
    try:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("default")
            yield
    finally:
        for warning in caught:
            logging.getLogger("ptychi").warning(
                "%s: %s", warning.category.__name__, warning.message
            )
        root.removeHandler(handler)
        handler.close()
        ptychi.setLevel(level)


def _write_losses(path: Path, losses: Sequence[float]) -> None:
    with replaced(path) as temporary, temporary.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["epoch", "loss"])
        writer.writerows((epoch, repr(loss)) for epoch, loss in enumerate(losses, start=1))


def _write_json(path: Path, value: dict[str, Any]) -> None:
    with replaced(path) as temporary:
        temporary.write_text(json.dumps(value, indent=2, ensure_ascii=False) + "\n", "utf-8")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; return its exit code."""
    options = _parser().parse_args(arguments)
    table = {
        field.name: getattr(options, field.name)
        for field in msgspec.structs.fields(ReconSpec)
        if getattr(options, field.name) is not None
    }
    try:
        spec = parse_spec(ReconSpec, table, "command line", as_text=True)
        with showing(options.events) as on_epoch:
            record = run(
                options.input_npz,
                options.output_dir,
                spec,
                device=options.device,
                on_epoch=on_epoch,
            )
    except Fly64Error as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    except OSError as error:
        said = f"{error.filename or ''}: {error.strerror or error}"
        print(f"error: {printable(said)}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("error: interrupted", file=sys.stderr)
        return 130
    result = printable(options.output_dir / layout.RECONSTRUCTION)
    print(
        f"{result}: {record['start']['n_frames']} frames, "
        f"{spec.num_epochs} epochs of {spec.algorithm} in {record['seconds']:.0f} s on "
        f"{record['device']['name']}, loss {record['loss']['last']:.4g}"
    )
    return 0


def _parser() -> Parser:
    """Return the parser: one option per field of `ReconSpec`, and where to read, write and run."""
    parser = Parser(
        prog="python -m fly64tasks.runner",
        description="Reconstruct one NPZ of the DATA-001 contract with pty-chi.",
    )
    parser.add_argument("--input-npz", type=Path, required=True, metavar="PATH")
    parser.add_argument("--output-dir", type=Path, required=True, metavar="DIR")
    helps = {
        "algorithm": f"pty-chi reconstructor: {', '.join(algorithms())}",
        "num_epochs": "passes over all frames",
        "batch_size": "frames in a minibatch",
        "batching": "COMPACT, RANDOM or UNIFORM minibatches",
        "update_probe": "true or false: let the probe change",
        "noise_model": "GAUSSIAN or POISSON (LSQML)",
        "momentum": "momentum acceleration gain, 0 for none (LSQML)",
        "object_init": "ones, noise, or guess for the set's objectGuess",
        "n_images": "use at most so many frames, drawn at random",
        "subsampling_seed": "seed of that draw",
        "seed": "seed of the reconstruction",
    }
    for field in msgspec.structs.fields(ReconSpec):
        flag = "--" + field.name.replace("_", "-")
        if field.default is not None:
            default = field.default
        else:
            default = "all" if field.name == "n_images" else "what suits the algorithm"
        parser.add_argument(flag, metavar="VALUE", help=f"{helps[field.name]} (default: {default})")
    parser.add_argument(
        "--device", default="auto", metavar="NAME", help="auto, cpu, cuda or cuda:i (default: auto)"
    )
    parser.add_argument(
        "--events", type=Path, metavar="PATH", help="append a JSON line per epoch to this file"
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())
