"""`fly64tasks convert SOURCE TARGET`: a scan of one format into another, its frames block by block.

Exit codes: 0 done, 2 usage, 3 the source can not be read or used, 74 the machine failed it.
"""

from __future__ import annotations

import argparse
import importlib
import shlex
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fly64tasks.commandline import Parser, exit_code_of
from fly64tasks.doitext.errors import printable
from fly64tasks.errors import DatasetError, StudyError

if TYPE_CHECKING:
    from fly64tasks.data.measurement import Measurement
    from fly64tasks.study.stages import Geometry

PROG = "python -m fly64tasks convert"


@dataclass(frozen=True)
class Target:
    """A format that is written.

    Attributes
    ----------
    purpose : str
        In a few words, for help.
    fits : callable
        Whether a file's name asks for it.
    needs_object : bool
        Whether it has to have an object: ones, where the scan has none.
    of_result : bool
        Whether it is made of a reconstruction, not of a scan.
    """

    purpose: str
    fits: Callable[[Path], bool]
    needs_object: bool = False
    of_result: bool = False


TARGETS = {
    "comparison": Target(
        "a reconstruction for PtychoPINN's comparison",
        lambda path: path.name == "ptychi_reconstruction.npz",
        of_result=True,
    ),
    "tiff": Target(
        "phase and amplitude of an object, TIFF",
        lambda path: path.suffix.lower() in (".tif", ".tiff"),
        of_result=True,
    ),
    "npz": Target("a set of ours, NPZ", lambda path: path.suffix.lower() == ".npz"),
    "cxi": Target("CXI 1.6 with NXcxi_ptycho's fields", lambda path: path.suffix == ".cxi"),
    "pair": Target(
        "a dp/para pair (pty-chi, PtychoViT)",
        lambda path: path.stem.endswith(("_dp", "_para")),
        needs_object=True,
    ),
    "ptychodus": Target(
        "diffraction.h5, and product.h5 beside it",
        lambda path: path.name == "diffraction.h5",
        needs_object=True,
    ),
    "ptychopinn": Target("PtychoPINN's NPZ of counts", lambda path: False, needs_object=True),
}
"""The formats that can be written; the first that a name fits is taken."""


def main(arguments: Sequence[str] | None = None, prog: str = PROG) -> int:
    """Run the command line, which help calls ``prog``; return its exit code."""
    options = make_parser(prog).parse_args(arguments)
    return exit_code_of(lambda: _convert(options, prog))


def make_parser(prog: str = PROG) -> Parser:
    """Return the parser."""
    formats = "\n".join(f"  {name:<12}{target.purpose}" for name, target in TARGETS.items())
    parser = Parser(
        prog=prog,
        usage="%(prog)s SOURCE TARGET [options]",
        description="Convert a scan, or a reconstruction, from one format into another.\n\n"
        "SOURCE is a scan of any format that is read: our NPZ, a dp/para pair, Ptychodus, CXI, "
        "tike, ptypy, PtyLab, or a key map (TOML) for any HDF5 file.\n\n"
        f"TARGET's name says its format, or --to does:\n{formats}",
        epilog=f"example:\n  {prog} scan.cxi my_scan.npz",
    )
    parser.add_argument("source", type=Path, metavar="SOURCE")
    parser.add_argument("target", type=Path, metavar="TARGET")
    parser.add_argument(
        "--to",
        choices=tuple(TARGETS),
        metavar="FORMAT",
        help="write this format, whatever the name",
    )
    return parser


def _convert(options: argparse.Namespace, prog: str) -> int:
    written, said, notes = convert(options.source, options.target, options.to)
    for note in notes:
        print(f"warning: {printable(note)}", file=sys.stderr)
    names = ", ".join(printable(path) for path in written)
    print(f"{names}: {printable(said)}")
    if (options.to or format_of(options.target)) == "npz":
        recon = prog.rpartition(" ")[0] + " recon"
        source = shlex.quote(str(written[0]))
        print(f"next: {recon} --input {printable(source)} --output-dir out")
    return 0


def convert(
    source: Path, target: Path, to: str | None = None
) -> tuple[list[Path], str, tuple[str, ...]]:
    """Convert a scan, or a reconstruction, into another format.

    Parameters
    ----------
    source, target : Path
    to : str, optional
        One of `TARGETS`; what the name of ``target`` asks for unless given.

    Returns
    -------
    written : list of Path
    said : str
        What it is, in words.
    notes : tuple of str
        What was left out or guessed, a line each.

    Raises
    ------
    DatasetError
        The source can not be read, or what has the target's name is somebody else's, part of the
        source, or no conversion.
    StudyError
        The target's name asks for no format.
    """
    wanted = to or format_of(target)
    if target.exists() and source.exists() and target.samefile(source):
        raise StudyError(f"{target}: is the source, expected another name for the target")
    if TARGETS[wanted].of_result:
        return _write_result(source, target, wanted)
    from fly64tasks.data.ownership import reading
    from fly64tasks.data.readers import open_measurement

    with (
        open_measurement(source) as measurement,
        reading((source, measurement.path, *measurement.files)),
    ):
        return _write_scan(measurement, target, wanted)


def format_of(target: Path) -> str:
    """Return the format that a target's name asks for.

    >>> format_of(Path("scan_dp.hdf5")), format_of(Path("scan.npz"))
    ('pair', 'npz')
    """
    for name, known in TARGETS.items():
        if known.fits(target):
            return name
    raise StudyError(
        f"{target}: its name asks for no format, expected NAME.npz, NAME_dp.hdf5, diffraction.h5, "
        "NAME.cxi or NAME.tif, or --to FORMAT"
    )


def _write_scan(
    measurement: Measurement, target: Path, wanted: str
) -> tuple[list[Path], str, tuple[str, ...]]:
    import numpy as np

    from fly64tasks.data.survey import guessed_probe, survey
    from fly64tasks.data.writers.counts import whole_counts

    notes = measurement.notes
    complete = measurement
    frames = measurement.frames
    seen = survey(measurement)
    if not seen.mean.any():
        raise measurement.error("has no photons in any frame, expected some")
    if measurement.probe is None:
        probe, said = guessed_probe(measurement, seen.mean)
        complete, notes = replace(complete, probe=probe), (*notes, said)
    if TARGETS[wanted].needs_object:
        complete = _with_object(complete)
    counts = whole_counts(measurement, seen)
    if counts is None and wanted == "npz":

        def root(block: Any) -> Any:
            return np.sqrt(np.where(block >= 0, block, np.nan)).astype(np.float32)

        counts = frames.mapped(root, dtype=np.float32)
    elif counts is None:
        counts = frames
    if wanted not in ("npz", "ptychopinn") and complete.geometry.assumed:
        notes += (f"{_sizes(complete.geometry)}: other programs will take them for measured",)
    if wanted == "pair" and measurement.mask is not None and not measurement.mask.all():
        bad = int((~measurement.mask).sum())
        notes += (f"a dp/para pair has no mask: {bad} bad pixels are left to be known otherwise",)
    if wanted != "npz" and seen.bad:
        notes += (
            f"{seen.bad:,} bad pixels of single frames are written as 0 counts: a {wanted} file "
            "has no mask of single frames",
        )
    module = importlib.import_module(f"fly64tasks.data.writers.{wanted}")
    write = module.write_measurement if wanted == "npz" else module.write
    written: list[Path] = write(target, complete, counts)
    n, height, width = frames.shape
    said = f"{n:,} frames of {height} x {width} px from {measurement.kind}"
    return written, f"{said}, {_sizes(complete.geometry)}", notes


def _with_object(measurement: Measurement) -> Measurement:
    """Return a scan with an object, of ones and large enough where it has none."""
    import numpy as np

    from fly64tasks.physics.scan import canvas_of

    if measurement.obj is not None:
        return measurement
    size = measurement.frames.shape[-1]
    canvas = canvas_of(measurement.positions_px, size, None, str(measurement.path))
    return replace(
        measurement,
        obj=np.ones(canvas.shape, np.complex64),
        positions_px=measurement.positions_px + np.array(canvas.origin_px),
    )


def _sizes(geometry: Geometry) -> str:
    assumed = " (assumed, at least in part)" if geometry.assumed else ""
    return f"pixel {geometry.pixel_size_m * 1e9:.4g} nm, {geometry.energy_ev:.6g} eV{assumed}"


def _write_result(
    source: Path, target: Path, wanted: str
) -> tuple[list[Path], str, tuple[str, ...]]:
    from fly64tasks.data.writers import ptychopinn, tiff

    obj, positions, pixel, assumed, algorithm = _result(source)
    if wanted == "tiff":
        written = tiff.write(target, obj, pixel)
    else:
        written = ptychopinn.write_comparison(target, obj, positions, algorithm)
    size = "" if pixel is None else f", pixel {pixel * 1e9:.4g} nm{' (assumed)' * assumed}"
    said = f"object of {obj.shape[0]} x {obj.shape[1]} px by {algorithm}{size}"
    return written, said, ()


def _result(source: Path) -> tuple[Any, Any, float | None, bool, str]:
    """Return a reconstruction's object, positions, pixel size, whether that is assumed, algorithm.

    It is ours or a product.
    """
    from contextlib import ExitStack

    from fly64tasks.data.readers import is_hdf5

    if is_hdf5(source):
        from fly64tasks.data.readers.hdf5 import Hdf5
        from fly64tasks.data.readers.ptychodus import is_product, of_product

        with ExitStack() as stack:
            file = Hdf5(source, stack, [])
            if not is_product(file):
                raise DatasetError(
                    f"{source}: is no reconstruction, expected a product.h5 or our "
                    "reconstruction.npz"
                )
            found = of_product(file)
        if found.obj is None:
            raise found.error(
                "holds an object of several slices, expected one; our reconstruction.npz beside "
                "such a product has their product"
            )
        pixel, assumed = found.pixel_size_m, found.sizes_assumed
        return found.obj, found.positions_px, pixel, assumed, "Ptychodus product"
    from fly64tasks.recon.result import read_reconstruction

    ours = read_reconstruction(source)
    pixel, assumed = ours.geometry.pixel_size_m, ours.geometry.assumed
    return ours.obj, ours.positions_px, pixel, assumed, ours.spec.algorithm


if __name__ == "__main__":
    sys.exit(main())
