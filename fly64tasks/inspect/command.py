"""`fly64tasks inspect FILE`: what a scan holds, what to doubt of it, and the command to run next.

Exit codes: 0 read, 2 usage, 3 the file can not be read, or no reconstruction can come of it, 74 the
machine failed it.
"""

from __future__ import annotations

import argparse
import json
import shlex
import sys
import textwrap
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fly64tasks.commandline import Parser, exit_code_of
from fly64tasks.doitext.errors import printable
from fly64tasks.errors import StudyError
from fly64tasks.study.stages import Orientation, said_of_reading

if TYPE_CHECKING:
    from fly64tasks.inspect.facts import Inspection
    from fly64tasks.inspect.orientations import Ranking

PROG = "python -m fly64tasks inspect"
_LABEL = 14
_WIDTH = 100


def main(arguments: Sequence[str] | None = None, prog: str = PROG) -> int:
    """Run the command line, which help calls ``prog``; return its exit code."""
    options = make_parser(prog).parse_args(arguments)
    return exit_code_of(lambda: _inspect(options, prog))


def make_parser(prog: str = PROG) -> Parser:
    """Return the parser."""
    from fly64tasks.runner import add_reading_options, add_sizes_and_turns

    parser = Parser(
        prog=prog,
        usage="%(prog)s FILE [options]",
        description="Say what a scan holds, what is to be doubted of it, and what to run next. "
        "FILE is any that `fly64tasks recon` reads.",
        epilog=f"example:\n  {prog} scan.cxi --picture scan.png",
    )
    parser.add_argument("file", type=Path, metavar="FILE")
    parser.add_argument(
        "--picture",
        type=Path,
        metavar="PATH",
        help="draw the scan with the probe's disc, probe and mean frame (PNG, SVG, PDF)",
    )
    parser.add_argument(
        "--orientations",
        action="store_true",
        help="try the 8 orientations of scan against detector on a few frames",
    )
    parser.add_argument(
        "--device", default="auto", metavar="NAME", help="for these: auto, cpu, cuda or cuda:i"
    )
    parser.add_argument("--json", action="store_true", help="print all of it as JSON")
    group = parser.add_argument_group("how it is read, as `recon` has them")
    add_reading_options(group)

    def add(field: str, flag: str, **option: Any) -> None:
        group.add_argument(flag, **option)

    add_sizes_and_turns(add)
    return parser


def _inspect(options: argparse.Namespace, prog: str) -> int:
    from fly64tasks.runner import orientation_of, sizes_of

    geometry, given = sizes_of(options)
    orientation = orientation_of(options)
    if options.orientations and orientation.moves_positions:
        raise StudyError(
            "--orientations tries --swap-xy, --flip-y and --flip-x: expected it without them"
        )
    from fly64tasks.inspect import facts

    found = facts.inspect(
        options.file,
        diffraction=options.diffraction,
        orientation=orientation,
        geometry=geometry,
        given=given,
    )
    if options.picture is not None:
        from fly64tasks.inspect import picture

        picture.draw(options.picture, found)
    ranking = None
    if options.orientations and found.refusal is None:
        ranking = _search(found, options.device)
        if ranking.tells:
            best = dict.fromkeys((*orientation.turns, *ranking.best.turns), True)
            orientation = Orientation(**best)
    following = None
    if found.refusal is None:
        flags = said_of_reading(options.diffraction, orientation) | given
        following = _next(options.file, prog, flags)
    said = found.said() | {
        "orientations": None if ranking is None else ranking.said(),
        "picture": None if options.picture is None else str(options.picture),
        "next": following,
    }
    if options.json:
        print(json.dumps(said, indent=2, allow_nan=False))
    else:
        for line in _lines(said, found):
            print(printable(line))
    if found.refusal is not None:
        print(f"error: {printable(found.refusal)}", file=sys.stderr)
        return 3
    return 0


def _search(found: Inspection, device: str) -> Ranking:
    from fly64tasks.inspect import orientations

    shown = sys.stderr.isatty()

    def on_tried(count: int) -> None:
        if shown:
            end = "\n" if count == 8 else ""
            print(f"\rorientations tried: {count} of 8", end=end, file=sys.stderr, flush=True)

    return orientations.search(
        found.dataset, found.geometry, str(found.path), device=device, on_tried=on_tried
    )


def _next(path: Path, prog: str, flags: dict[str, Any]) -> str:
    """Return the command line that reconstructs a scan, as it may be pasted."""
    name = str(path)
    words = ["--input", f"./{name}" if name.startswith("-") else name, "--output-dir", "out"]
    for field, value in flags.items():
        words.append("--" + field.replace("_", "-"))
        if value is not True:
            words.append(str(value))
    return f"{prog.rpartition(' ')[0]} recon {shlex.join(words)}"


def _lines(said: dict[str, Any], found: Inspection) -> Iterator[str]:
    from fly64tasks.inspect.picture import in_characters

    yield f"{said['path']}: {said['format']}"
    for file in said["files"]:
        yield from _of_arrays(file, named=len(said["files"]) > 1)
    yield ""
    yield from _labelled(_of_scan(said))
    yield ""
    doubts = said["doubts"] or ["none"]
    if said["refusal"] is None or said["doubts"]:
        yield from _labelled(("doubts" if not row else "", text) for row, text in enumerate(doubts))
    if said["refusal"] is None:
        drawn = [f"  {line}".rstrip() for line in in_characters(found)]
        yield from ["", *drawn] if drawn else []
    if said["orientations"]:
        yield ""
        yield from _of_orientations(said["orientations"])
    if said["next"]:
        yield ""
        yield f"next: {said['next']}"


def _of_arrays(file: dict[str, Any], *, named: bool) -> Iterator[str]:
    if named:
        yield f"  {file['path']}"
    width = max((len(array["name"]) for array in file["arrays"]), default=0)
    for array in file["arrays"]:
        shape = array["shape"]
        size = "" if shape is None else f"{' x '.join(map(str, shape)) or 'one value'}  "
        yield f"  {array['name']:<{width}}  {size}{array['dtype']}"
    if file["and_more"]:
        yield f"  and {file['and_more']} more"


def _of_scan(said: dict[str, Any]) -> Iterator[tuple[str, str]]:
    frames, scan, probe, sizes = (said[key] for key in ("frames", "scan", "probe", "geometry"))
    size = frames["size_px"]
    masked = f", {frames['masked_share']:.2%} of the pixels masked" * (frames["masked_share"] > 0)
    yield "frames", f"{frames['count']:,} of {size} x {size} px{masked}"
    if frames["diffraction_from"]:
        yield "", frames["diffraction_from"]
    light = said["photons_per_frame"]
    photons = frames["unit"] == "photons"
    unit = "; no photon counts: in a unit of its own" if frames["unit"] else ", in whatever unit"
    yield (
        "a frame holds",
        f"{_brief(light['least'])} to {_brief(light['most'])}{' photons' * photons}, "
        f"median {_brief(light['median'])}{'' if photons else unit}",
    )
    pixel_nm = sizes["pixel_size_m"] * 1e9
    height, width = (_brief(span) for span in scan["span_px"])
    yield "scan", f"{height} x {width} px (y, x), {_lengths_um(scan['span_m'])} um"
    modes = f"{probe['modes']} modes, " if probe["modes"] > 1 else ""
    across = _brief(probe["diameter_px"])
    yield "probe", f"{modes}{across} px across, {_brief(probe['diameter_px'] * pixel_nm)} nm"
    if "nearest_spacing_px" in scan:
        yield (
            "overlap",
            f"neighbours lie {_brief(scan['nearest_spacing_px'])} px apart, "
            f"{scan['nearest_spacing_diameters']:.2g} of the probe's diameter; their discs share "
            f"{scan['nearest_disc_overlap']:.0%}",
        )
    shown = {
        "pixel_size_m": f"pixel {pixel_nm:.4g} nm",
        "energy_ev": f"{sizes['energy_ev']:.6g} eV",
        "detector_pixel_size_m": f"detector pixel {sizes['detector_pixel_size_m'] * 1e6:.4g} um",
    }
    assumed = said["assumed_sizes"]
    options = ", ".join("--" + name.replace("_", "-") for name in assumed)
    yield (
        "sizes",
        ", ".join(text + " (assumed)" * (name in assumed) for name, text in shown.items())
        + (f"; give what you know: {options}" if assumed else ""),
    )
    obj = said["object"]
    yield "object", "none" if obj is None else f"{obj['shape'][0]} x {obj['shape'][1]} px"
    if said["truth"]:
        yield "truth", "objectGuess: the set is simulated"
    elif obj is None:
        yield "truth", "none"
    else:
        yield "truth", "none said; if it is objectGuess: fly64tasks score --truth objectGuess"


def _of_orientations(said: dict[str, Any]) -> Iterator[str]:
    yield (
        f"orientations, each {said['epochs']} epochs of LSQML on {said['frames']} frames, by loss:"
    )
    for tried in said["tried"]:
        flags = " ".join("--" + name.replace("_", "-") for name in tried["turns"])
        loss = "failed" if tried["loss"] is None else f"{tried['loss']:.4g}"
        yield f"  {flags or 'as stored':<30}{loss}"
    yield from textwrap.wrap(said["words"], _WIDTH)


def _labelled(rows: Any) -> Iterator[str]:
    """Yield rows of a label and a text, which is wrapped under itself."""
    for label, text in rows:
        lines = textwrap.wrap(
            printable(text), _WIDTH - _LABEL, break_on_hyphens=False, break_long_words=False
        )
        yield from (f"{'' if row else label:<{_LABEL}}{line}" for row, line in enumerate(lines))


def _brief(value: float | None) -> str:
    if value is None:
        return "?"
    return f"{value:,.0f}" if 1000 <= abs(value) < 1e7 else f"{value:.4g}"


def _lengths_um(spans_m: Sequence[float | None]) -> str:
    return " x ".join(_brief(None if span is None else span * 1e6) for span in spans_m)


if __name__ == "__main__":
    sys.exit(main())
