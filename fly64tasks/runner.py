"""`fly64tasks recon`, `python -m fly64tasks.runner`: reconstruct one scan of any origin.

Exit codes: 0 done, 1 failed or diverged, 2 usage, 3 the input breaks the contract, 4 the checkpoint
is of another run, 74 the machine failed it (disk, memory), 75 stopped with a checkpoint (Ctrl-C,
SIGTERM, SIGHUP, --max-seconds); 130, 143, 129 stopped at once by a second Ctrl-C, SIGTERM, SIGHUP.
"""

from __future__ import annotations

import argparse
import sys
import time
from argparse import SUPPRESS
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, get_args

import msgspec

from fly64tasks.commandline import Parser, exit_code_of
from fly64tasks.doitext.errors import printable
from fly64tasks.doitext.running import signals
from fly64tasks.errors import StudyError
from fly64tasks.recon.command import run
from fly64tasks.recon.epochs import showing
from fly64tasks.recon.files import RECONSTRUCTION
from fly64tasks.recon.fit import in_short
from fly64tasks.study import ptychi_options
from fly64tasks.study.recon_settings import CheckpointSpec, ReconSpec
from fly64tasks.study.spec import parse_spec, settings_of
from fly64tasks.study.stages import Geometry, Orientation

PROG = "python -m fly64tasks.runner"

_SIZES = {
    "pixel_size_m": "pixel of the object, where the set says none (default: 1e-8, assumed)",
    "energy_ev": "photon energy, where the set says none (default: 8800, assumed)",
    "detector_pixel_size_m": "pixel of the detector: sets the distance in product.h5",
}
"""The fields of `Geometry` that may be given, and what they are."""

_TURNS = {
    "swap_xy": "swap the axes of the positions",
    "flip_y": "turn the positions' y round (after a swap)",
    "flip_x": "turn the positions' x round (after a swap)",
    "detector_transpose": "transpose the frames",
}
"""The fields of `Orientation`, and what they do."""

_SWITCHES = {
    field.name
    for field in msgspec.structs.fields(ReconSpec)
    if bool in (field.type, *get_args(field.type))
}
"""Settings that are true where they are named without a value."""

_OFTEN_SET = ("algorithm", "num_epochs", "prior", "n_images", "seed")
_GROUPS = {
    "algorithm": ("algorithm", "num_epochs", "batch_size", "batching", "update_probe", "seed"),
    "MAP": ("prior", "edge", "probe_trust", "low_frequency", "tolerance_nats", "cuda_graph"),
    "LSQML": (
        *("noise_model", "momentum", "damping", "warmup_epochs", "warmup_batch_size"),
        *("refine", "fast_fourier_shift"),
    ),
    "beam and scan": (
        *("probe_modes", "opr_modes", "correct_positions", "slices", "slice_spacing_m"),
    ),
    "early end": ("plateau_epochs", "plateau_tolerance"),
    "start": ("object_init", "n_images", "subsampling_seed", "half"),
    "physical sizes": tuple(_SIZES),
    "orientation of the scan to its detector": tuple(_TURNS),
}
"""The settings as ``--help-all`` groups them; one in no group is a "more setting"."""


def main(arguments: Sequence[str] | None = None, prog: str = PROG) -> int:
    """Run the command line, which help calls ``prog``; return its exit code."""
    began = time.monotonic()
    given = sys.argv[1:] if arguments is None else arguments
    options = make_parser(prog, everything="--help-all" in given).parse_args(given)
    return exit_code_of(lambda: _reconstruct(options, began))


def _reconstruct(options: argparse.Namespace, began: float) -> int:
    spec = spec_of(options)
    geometry, sizes = sizes_of(options)
    checkpoint = parse_spec(CheckpointSpec, _checkpoint_table(options), "command line")

    def why_stop() -> str | None:
        if options.max_seconds is not None and time.monotonic() - began >= options.max_seconds:
            return f"stopped: {options.max_seconds:g} s are over (--max-seconds)"
        return signals.why_stop()

    with showing(options.events) as on_epoch, signals.noted():
        record = run(
            options.input_npz,
            options.output_dir,
            spec,
            diffraction=options.diffraction,
            orientation=orientation_of(options),
            device=options.device,
            geometry=geometry,
            given=sizes,
            on_epoch=on_epoch,
            checkpoint=checkpoint,
            fresh=options.fresh,
            why_stop=why_stop,
        )
    result = printable(options.output_dir / RECONSTRUCTION)
    print(
        f"{result}: {record['start']['n_frames']} frames, "
        f"{record['loss']['epochs']} epochs of {spec.algorithm} in {record['seconds']:.0f} s on "
        f"{record['device']['name']}, loss {record['loss']['last']:.4g}, {in_short(record['fit'])}"
    )
    return 0


def spec_of(options: argparse.Namespace) -> ReconSpec:
    """Return the settings that a command line gives.

    Raises
    ------
    StudyError
        One of them is wrong.
    """
    table = {
        field.name: getattr(options, field.name)
        for field in msgspec.structs.fields(ReconSpec)
        if field.name != "ptychi" and getattr(options, field.name) is not None
    }
    if options.ptychi:
        table["ptychi"] = _options_table(options.ptychi)
    return parse_spec(ReconSpec, table, "command line", as_text=True)


def _options_table(given: Sequence[str]) -> dict[str, Any]:
    """Return pty-chi's options as a study file has them."""
    try:
        return ptychi_options.nested(dict(map(ptychi_options.said, given)))
    except ValueError as error:
        raise StudyError(f"command line: {error}") from None


def sizes_of(options: argparse.Namespace) -> tuple[Geometry, dict[str, Any]]:
    """Return the physical sizes of a command line, and those of them that were given.

    Raises
    ------
    StudyError
        One is no size.
    """
    sizes = {name: size for name in _SIZES if (size := getattr(options, name)) is not None}
    # Lengths in nm rest on the first, the wavelength on the second.
    known = {"pixel_size_m", "energy_ev"} <= sizes.keys()
    table = {**sizes, "assumed": not known}
    return parse_spec(Geometry, table, "command line", as_text=True), sizes


def orientation_of(options: argparse.Namespace) -> Orientation:
    """Return how a command line wants the set turned."""
    return Orientation(**{name: getattr(options, name) for name in _TURNS})


def add_reading_options(parser: argparse._ActionsContainer) -> None:
    """Add the options that say how a set is read; `add_sizes_and_turns` adds the others."""
    parser.add_argument(
        "--diffraction",
        choices=("auto", "amplitude", "intensity"),
        default="auto",
        metavar="KIND",
        help="amplitude, intensity, or auto (default: auto)",
    )


def add_sizes_and_turns(add: Callable[..., object]) -> None:
    """Add an option for each size and turn, by a function that takes field, flag and more."""
    for name, meaning in _SIZES.items():
        add(name, _flag(name), help=meaning, metavar="VALUE")
    for name, meaning in _TURNS.items():
        add(name, _flag(name), help=meaning, action="store_true")


def _flag(field: str) -> str:
    return "--" + field.replace("_", "-")


def _checkpoint_table(options: argparse.Namespace) -> dict[str, Any]:
    given = {"seconds": options.checkpoint_seconds, "epochs": options.checkpoint_epochs}
    return {key: value for key, value in given.items() if value is not None}


def make_parser(prog: str = PROG, *, everything: bool = True) -> Parser:
    """Return the parser: one option per field of `ReconSpec`, and where to read, write and run.

    Parameters
    ----------
    prog : str
        What help calls the command.
    everything : bool
        Whether help describes every setting; else those that are often set, and names the others.
    """
    parser = Parser(
        prog=prog,
        usage="%(prog)s --input PATH --output-dir DIR [options]",
        description="Reconstruct one scan with pty-chi: any that `fly64tasks convert` reads.",
        epilog=f"example:\n  {prog} --input my_scan.npz --output-dir out",
    )
    parser.add_argument("--help-all", action="help", help="show this with every setting described")
    parser.add_argument(
        "--input",
        "--input-npz",
        dest="input_npz",
        type=Path,
        required=True,
        metavar="PATH",
    )
    parser.add_argument("--output-dir", type=Path, required=True, metavar="DIR")
    add_reading_options(parser)
    settings = _Settings(parser, everything)
    for setting in settings_of(ReconSpec):
        if setting.name == "ptychi":
            form = {"action": "append", "metavar": "GROUP.NAME=VALUE", "dest": "ptychi"}
            settings.add("ptychi", "--set", help=setting.meaning, **form)
            continue
        said = f"{setting.meaning} (default: {setting.default})"
        form = {"nargs": "?", "const": "true"} if setting.name in _SWITCHES else {}
        settings.add(setting.name, _flag(setting.name), help=said, metavar="VALUE", **form)
    add_sizes_and_turns(settings.add)
    settings.name_the_others()
    parser.add_argument(
        "--device", default="auto", metavar="NAME", help="auto, cpu, cuda or cuda:i (default: auto)"
    )
    group = parser.add_argument_group(
        "long runs: one that is cut off goes on from its checkpoint.pt"
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
        help="stop after S seconds, exit code 75, as Ctrl-C",
    )
    group.add_argument(
        "--fresh", action="store_true", help="start anew, whatever checkpoint is there"
    )
    parser.add_argument(
        "--events", type=Path, metavar="PATH", help="append a JSON line per epoch to this file"
    )
    return parser


class _Settings:
    """The options of `ReconSpec`'s fields, in groups.

    Parameters
    ----------
    parser : Parser
        Gets the groups.
    everything : bool
        Whether each is described; else those of `_OFTEN_SET` are, and the others named.
    """

    def __init__(self, parser: Parser, everything: bool) -> None:
        self._parser, self._everything = parser, everything
        titles = (*_GROUPS, "more settings") if everything else ("settings",)
        self._groups = {title: parser.add_argument_group(title) for title in titles}
        self._others: list[str] = []

    def add(self, field: str, flag: str, **option: Any) -> None:
        """Add one option, as argparse takes it, to its group."""
        title = "settings"
        if self._everything:
            titles = (title for title, fields in _GROUPS.items() if field in fields)
            title = next(titles, "more settings")
        elif field not in _OFTEN_SET:
            self._others.append(flag)
            option["help"] = SUPPRESS
        self._groups[title].add_argument(flag, **option)

    def name_the_others(self) -> None:
        """Name in help what it does not describe."""
        if self._others:
            names = ", ".join(self._others)
            self._parser.add_argument_group("more settings, see --help-all", names)


if __name__ == "__main__":
    sys.exit(main())
