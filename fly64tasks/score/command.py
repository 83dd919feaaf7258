"""Score one reconstruction: the `score` action, `fly64tasks score`, `python -m fly64tasks.score`.

What needs the truth is scored only where there is one that the result can be laid over, pixel by
pixel; otherwise the data-space score stands alone and the others say why they are absent.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from fly64tasks.commandline import Parser, exit_code_of
from fly64tasks.data import lineage
from fly64tasks.data.lineage import AskedSet
from fly64tasks.data.ownership import refuse_foreign
from fly64tasks.data.readers import read_dataset
from fly64tasks.doitext.errors import printable
from fly64tasks.recon.files import RECONSTRUCTION
from fly64tasks.recon.result import read_reconstruction
from fly64tasks.score.files import MARKS
from fly64tasks.score.folder import write_scored
from fly64tasks.score.metric import Metric
from fly64tasks.score.record import (
    Truth,
    assess,
    refuse_another_content,
    refuse_other_settings,
)
from fly64tasks.score.scorecard import METRICS
from fly64tasks.study.cases import Case
from fly64tasks.study.methods import Method
from fly64tasks.study.stages import ScoreSpec

PROG = "python -m fly64tasks.score"


def score(
    input_npz: Path,
    output_dir: Path,
    spec: ScoreSpec,
    case: Case | None = None,
    *,
    truth: Truth | None = None,
    asked: AskedSet | None = None,
    recon: Method | None = None,
) -> dict[str, Any]:
    """Score the reconstruction in a folder; return what ``scores.json`` holds.

    Writes ``scores.json``, ``frc.csv`` and pictures beside it.

    Parameters
    ----------
    input_npz : Path
        The set that was reconstructed; in a simulated one the object is the truth.
    output_dir : Path
        The folder with ``reconstruction.npz``.
    truth : str, optional
        ``objectGuess``: the set's object is the truth, though the set does not say so.
    asked : AskedSet, optional
        What the set is to be made from.
    recon : ReconSpec or ProgramSpec, optional
        What it is to be reconstructed with.

    Raises
    ------
    DatasetError
        A file breaks its contract or was made from or with anything else, or the reconstruction is
        of another set.
    """
    for name, mark in MARKS.items():
        refuse_foreign(output_dir / name, mark)
    path = output_dir / RECONSTRUCTION
    with lineage.unchanged(path):
        found = read_reconstruction(path)
        sha256 = lineage.digest(path)
    with lineage.unchanged(input_npz):
        dataset = read_dataset(
            input_npz,
            diffraction=found.diffraction,
            orientation=found.orientation,
            obj=truth is not None,
            extras=False,
        )
        refuse_another_content(found, input_npz, dataset.files)
    if asked is not None:
        asked.refuse_other(dataset.metadata, input_npz)
    if recon is not None:
        refuse_other_settings(found, recon)
    scores, comparison = assess(found, dataset, spec, case, truth=truth)
    scores["set"] = {"path": str(input_npz), **scores["set"]}
    scores["reconstruction"] = {
        "path": str(path),
        "sha256": sha256,
        **scores["reconstruction"],
    }
    write_scored(
        output_dir,
        scores,
        comparison,
        found if comparison is None else comparison.found,
        title=case.name if case else input_npz.name,
        note=scores["truth"]["reason"] or "",
    )
    return scores


def main(arguments: Sequence[str] | None = None, prog: str = PROG) -> int:
    """Run the command line, which help calls ``prog``; return its exit code."""
    parser = make_parser(prog)
    options = parser.parse_args(arguments)
    if options.object is None:
        for name in ("key", "label"):
            if getattr(options, name) is not None:
                parser.error(f"--{name} goes with --object")
        if options.output_dir is None:
            parser.error("the following arguments are required: --output-dir")
    return exit_code_of(lambda: _print_scores(options))


def make_parser(prog: str = PROG) -> Parser:
    """Return the parser of the command line, which help calls ``prog``."""
    parser = Parser(
        prog=prog,
        description="Score a reconstruction against the truth of its set and against its data, or "
        "any program's object against the truth.",
        epilog=f"example:\n  {prog} --input-npz my_scan.npz --output-dir out\n"
        f"  {prog} --input-npz my_scan.npz --object theirs.npy",
    )
    parser.add_argument(
        "--input-npz", type=Path, required=True, metavar="PATH", help="the set it was made from"
    )
    parser.add_argument(
        "--output-dir",
        type=Path,
        metavar="DIR",
        help="with reconstruction.npz; with --object, where scores are kept (default: nowhere)",
    )
    parser.add_argument(
        "--truth",
        choices=("objectGuess",),
        help="the set's objectGuess is the truth, though the set does not say that it is simulated",
    )
    parser.add_argument(
        "--object",
        type=Path,
        metavar="FILE",
        help="a complex object alone, of any program: NPY, NPZ, HDF5, MATLAB v7.3, a product",
    )
    parser.add_argument("--key", metavar="K", help="of the object in its file, if several could be")
    parser.add_argument("--label", metavar="L", help="what the object is called (default: FILE)")
    return parser


def _print_scores(options: argparse.Namespace) -> int:
    if options.object is None:
        scores = score(options.input_npz, options.output_dir, ScoreSpec(), truth=options.truth)
    else:
        from fly64tasks.score.alone import score_object

        scores = score_object(
            options.object,
            options.input_npz,
            ScoreSpec(),
            key=options.key,
            label=options.label,
            truth=options.truth,
            output_dir=options.output_dir,
        )
        said = scores["object"]
        print(f"{printable(said['label'])}: {said['placement']['words']}")
        print(f"scored on {said['share_of_region']:.0%} of the pixels that the scan lit")
    reason = scores["truth"]["reason"]
    shown = [one for one in METRICS if reason is None or scores["notes"].get(one.key) != reason]
    for metric in shown:
        print(f"{metric.label:<24}{_shown(metric, scores)}".rstrip())
    if without := len(METRICS) - len(shown):
        print(f"{printable(reason)}; {without} scores need one")
    return 0


def _shown(metric: Metric, scores: dict[str, Any]) -> str:
    value = scores["metrics"][metric.key]
    if value is None or metric.key in scores["unresolved"]:
        return f"- ({scores['notes'][metric.key]})"
    bound = "≥ " if metric.better == "higher" else "≤ "
    unit = metric.unit
    if metric.is_length and scores["set"]["geometry"]["assumed"]:
        unit += " (assumed pixel size)"
    return f"{bound if metric.key in scores['bounds'] else ''}{value:.4g} {unit}"
