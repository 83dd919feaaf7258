"""`python -m fly64tasks.runner`: reconstruct one NPZ of any origin.

Exit codes: 0 done, 1 failed or diverged, 2 usage, 3 the input breaks the contract, 4 the checkpoint
is of another run, 74 the machine failed it (disk, memory), 75 stopped with a checkpoint (SIGTERM,
SIGHUP, --max-seconds), 130 interrupted.
"""

from __future__ import annotations

import argparse
import contextlib
import signal
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import msgspec

from fly64tasks.commandline import Parser, exit_code_of
from fly64tasks.doitext.errors import printable
from fly64tasks.recon.command import run
from fly64tasks.recon.epochs import showing
from fly64tasks.study import paths
from fly64tasks.study.spec import parse_spec
from fly64tasks.study.study import CheckpointSpec, ReconSpec, algorithms


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; return its exit code."""
    began = time.monotonic()
    options = _parser().parse_args(arguments)
    return exit_code_of(lambda: _reconstruct(options, began))


def _reconstruct(options: argparse.Namespace, began: float) -> int:
    table = {
        field.name: getattr(options, field.name)
        for field in msgspec.structs.fields(ReconSpec)
        if getattr(options, field.name) is not None
    }
    spec = parse_spec(ReconSpec, table, "command line", as_text=True)
    checkpoint = parse_spec(CheckpointSpec, _checkpoint_table(options), "command line")
    with showing(options.events) as on_epoch, _stopping(began, options.max_seconds) as why_stop:
        record = run(
            options.input_npz,
            options.output_dir,
            spec,
            device=options.device,
            on_epoch=on_epoch,
            checkpoint=checkpoint,
            fresh=options.fresh,
            why_stop=why_stop,
        )
    result = printable(options.output_dir / paths.RECONSTRUCTION)
    print(
        f"{result}: {record['start']['n_frames']} frames, "
        f"{record['loss']['epochs']} epochs of {spec.algorithm} in {record['seconds']:.0f} s on "
        f"{record['device']['name']}, loss {record['loss']['last']:.4g}"
    )
    return 0


@contextlib.contextmanager
def _stopping(began: float, max_seconds: float | None) -> Iterator[Callable[[], str | None]]:
    """Yield what says why to stop: a signal came, or the time is over. A second signal ends all.

    SIGHUP comes when a terminal is closed; under `nohup` it is ignored, and stays so.
    """
    came: list[str] = []

    def note(signum: int, frame: object) -> None:
        came.append(signal.Signals(signum).name)
        signal.signal(signum, signal.SIG_DFL)

    def why_stop() -> str | None:
        if came:
            return f"stopped by {came[0]}"
        if max_seconds is not None and time.monotonic() - began >= max_seconds:
            return f"stopped: {max_seconds:g} s are over (--max-seconds)"
        return None

    former = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGHUP)}
    for number, handler in former.items():
        if handler is not signal.SIG_IGN:
            signal.signal(number, note)
    try:
        yield why_stop
    finally:
        for number, handler in former.items():
            signal.signal(number, handler)


def _checkpoint_table(options: argparse.Namespace) -> dict[str, Any]:
    given = {"seconds": options.checkpoint_seconds, "epochs": options.checkpoint_epochs}
    return {key: value for key, value in given.items() if value is not None}


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
        "batch_size": "frames in a minibatch, at most",
        "batching": "COMPACT, RANDOM or UNIFORM minibatches",
        "update_probe": "true or false: let the probe change",
        "noise_model": "GAUSSIAN or POISSON (LSQML)",
        "momentum": "momentum acceleration gain, 0 for none (LSQML)",
        "damping": "restraint where the illumination is weak, as a share of its peak (LSQML)",
        "warmup_epochs": "first epochs, in small random minibatches; 0 for none (LSQML)",
        "warmup_batch_size": "frames in a minibatch of those, at most",
        "plateau_epochs": "stop early once so many epochs brought no lower loss",
        "plateau_tolerance": "the relative fall of the loss that counts as lower",
        "fast_fourier_shift": "true or false: our faster form of pty-chi's sub-pixel shift",
        "object_init": "ones, noise, or guess for the set's objectGuess",
        "n_images": "use at most so many frames, drawn at random",
        "subsampling_seed": "seed of that draw",
        "seed": "seed of the reconstruction",
        "refine": "LSQML or MAP: what follows the warm-up (LSQML)",
        "prior": "weight of the object's squared differences, in nats, 0 for none (MAP)",
        "probe_trust": "how far the probe may be off, as a share of its RMS (MAP)",
        "low_frequency": "help the phase converge below so many cycles per px (MAP)",
        "tolerance_nats": "converged once 5 epochs bring less per lit pixel (MAP)",
    }
    for field in msgspec.structs.fields(ReconSpec):
        flag = "--" + field.name.replace("_", "-")
        if field.default is not None:
            default = field.default
        else:
            unset = {"n_images": "all", "plateau_epochs": "never"}
            default = unset.get(field.name, "what suits the algorithm")
        parser.add_argument(flag, metavar="VALUE", help=f"{helps[field.name]} (default: {default})")
    parser.add_argument(
        "--device", default="auto", metavar="NAME", help="auto, cpu, cuda or cuda:i (default: auto)"
    )
    group = parser.add_argument_group(
        "long runs",
        "A run that is cut off leaves checkpoint.pt in its output folder; the next one goes on "
        "from it, to the same bytes.",
    )
    group.add_argument(
        "--checkpoint-seconds",
        type=float,
        metavar="S",
        help=f"write a checkpoint every S seconds (default: {CheckpointSpec().seconds:g})",
    )
    group.add_argument(
        "--checkpoint-epochs", type=int, metavar="N", help="and after every N epochs"
    )
    group.add_argument(
        "--max-seconds",
        type=float,
        metavar="S",
        help="after S seconds write a checkpoint and exit with 75, as after SIGTERM or SIGHUP",
    )
    group.add_argument(
        "--fresh", action="store_true", help="start anew, whatever checkpoint is there"
    )
    parser.add_argument(
        "--events", type=Path, metavar="PATH", help="append a JSON line per epoch to this file"
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())
