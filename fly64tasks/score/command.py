"""Score one reconstruction: the `score` action, `fly64tasks score`, `python -m fly64tasks.score`.

What needs the truth is scored only where there is one that the result can be laid over, pixel by
pixel; otherwise the data-space score stands alone and the others say why they are absent.
"""

from __future__ import annotations

import argparse
import csv
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
from scipy.ndimage import label

from fly64tasks.commandline import Parser, exit_code_of
from fly64tasks.data import lineage
from fly64tasks.data.dataset import PtychoDataset
from fly64tasks.data.lineage import AskedSet
from fly64tasks.data.ownership import WRITER, refuse_foreign
from fly64tasks.data.readers import read_dataset
from fly64tasks.doitext.atomic import replaced
from fly64tasks.doitext.errors import printable
from fly64tasks.doitext.spec import differences
from fly64tasks.errors import DatasetError
from fly64tasks.physics import alignment
from fly64tasks.physics.frc import RingCorrelation
from fly64tasks.recon.files import RECONSTRUCTION
from fly64tasks.recon.result import Reconstructed, read_reconstruction
from fly64tasks.score.compare import (
    Comparison,
    Fitted,
    Overlay,
    compare,
    refuse_another,
    why_no_truth,
)
from fly64tasks.score.exposure import exposure_of
from fly64tasks.score.files import (
    COMPARISON,
    FRC,
    FRC_COLUMNS,
    MARKS,
    PANELS,
    SCORES,
    THUMBNAIL,
    TRUTH_THUMBNAIL,
)
from fly64tasks.score.picture import draw_comparison
from fly64tasks.score.scorecard import METRICS, Metric, scores_of
from fly64tasks.score.thumbnails import draw_panels, draw_thumbnails
from fly64tasks.study.cases import Case
from fly64tasks.study.methods import Method
from fly64tasks.study.stages import ScoreSpec

PROG = "python -m fly64tasks.score"
Truth = Literal["objectGuess"]
SCHEMA = 1
SET_KEYS = (
    "dose_photons_per_frame",
    "split",
    "overlap_view",
    "spacing_threshold",
    "selection_strategy",
    "n_accepted",
    "n_rejected",
    "acceptance_rate",
    "gridsize",
    "neighbor_count",
    "overlap_group_members",
    "overlap_neighbors",
    "overlap_groups",
    "overlap_notes",
)


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
        refuse_another_content(found, input_npz)
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
    obj = found.obj if comparison is None else comparison.aligned.obj
    true_obj = None if comparison is None else comparison.truth
    region = None if comparison is None else comparison.region
    draw_comparison(
        output_dir / COMPARISON,
        obj,
        found if comparison is None else comparison.found,
        truth=true_obj,
        region=region,
        title=case.name if case else input_npz.name,
        note=scores["truth"]["reason"] or "",
    )
    seen = np.ones(obj.shape, dtype=bool) if region is None else region
    thumbnails = output_dir / THUMBNAIL, output_dir / TRUTH_THUMBNAIL
    scores["picture"] = draw_thumbnails(*thumbnails, obj, truth=true_obj, seen=seen)
    scores["panels"] = draw_panels(output_dir / PANELS, obj, truth=true_obj, seen=seen)
    write_frc(output_dir / FRC, None if comparison is None else comparison.rings)
    write_scores(output_dir / SCORES, scores)
    return scores


def assess(
    found: Reconstructed,
    dataset: PtychoDataset,
    spec: ScoreSpec,
    case: Case | None = None,
    *,
    truth: Truth | None = None,
) -> tuple[dict[str, Any], Comparison | None]:
    """Return the scores of a reconstruction, and it beside the truth where there is one.

    Raises
    ------
    DatasetError
        The set is not the one that was reconstructed.
    """
    refuse_another(dataset, found)
    absent = why_no_truth(dataset, found, truth)
    comparison = None if absent else compare(dataset, found, spec)
    fitted = comparison or Fitted(dataset, found, spec)
    scored = scores_of(fitted, absent)
    scores = {
        "writer": WRITER,
        "schema": SCHEMA,
        "case": None if case is None else {"name": case.name, **_fields(case)},
        "truth": {
            "comparable": comparison is not None,
            "reason": absent,
            "seeded": found.metadata["start"]["truth_seeded"]
            or (truth is not None and found.spec.object_init == "guess"),
        },
        "region": None if comparison is None else region_of(comparison),
        "alignment": None if comparison is None else alignment_of(comparison),
        "flat_object": None if comparison is None else {"complex_nrmse": comparison.flat_error},
        "fit": fitted.data_fit.said,
        "metrics": {metric.key: scored.values.get(metric.key) for metric in METRICS},
        "bounds": scored.bounds,
        "unresolved": scored.unresolved,
        "notes": scored.notes,
        "settings": spec.to_dict(),
        "set": {
            "n_frames": len(found.positions_px),
            "n_frames_in_set": len(dataset.positions_px),
            "simulated": dataset.is_simulated,
            "geometry": found.geometry.to_dict(),
            **{key: dataset.metadata[key] for key in SET_KEYS if key in dataset.metadata},
            **exposure_of(fitted),
        },
        "reconstruction": {key: found.metadata[key] for key in ("spec", "versions", "input")},
    }
    return scores, comparison


def refuse_another_content(found: Reconstructed, input_npz: Path) -> None:
    """Refuse a reconstruction of a file that holds something else by now; raises DatasetError."""
    if found.metadata["input"]["sha256"] != lineage.digest(input_npz):
        raise DatasetError(
            f"{found.name}: was made from another content of {found.metadata['input']['path']}; "
            "reconstruct again"
        )


def refuse_other_settings(found: Reconstructed, recon: Method) -> None:
    """Refuse a reconstruction that was made with other settings; raises DatasetError."""
    changes = "; ".join(differences(found.metadata["spec"], recon.settings()))
    if changes:
        raise DatasetError(
            f"{found.name}: was made with other settings ({changes}); run doit again to have it "
            "made as this study asks"
        )


def region_of(laid: Overlay) -> dict[str, Any]:
    """Return the pixels that were compared, as ``scores.json`` has them."""
    region = laid.region
    rows, columns = alignment.bounding_box(region)
    return {
        "threshold": laid.spec.region_threshold,
        "pixels": int(region.sum()),
        "share_of_object": float(region.mean()),
        "box_px": [rows.start, rows.stop, columns.start, columns.stop],
        "islands": int(label(region)[1]),
    }


def alignment_of(laid: Overlay) -> dict[str, Any]:
    """Return what was removed before comparing, as ``scores.json`` has it."""
    aligned = laid.aligned
    residual = alignment.residual_shift_px(aligned.obj, laid.truth, laid.region)
    return {
        "scale": abs(aligned.scale),
        "phase_rad": float(np.angle(aligned.scale)),
        "ramp_rad_per_px": list(aligned.ramp_rad_per_px),
        "shift_px": list(aligned.shift_px),
        "residual_shift_px": list(residual),
    }


def _fields(case: Case) -> dict[str, Any]:
    said = {key: getattr(case, key) for key in ("dose", "view", "split", "gridsize")}
    if case.variant:
        said |= {"method": case.method, "repeat": case.repeat}
    return said


def write_scores(path: Path, scores: dict[str, Any]) -> None:
    """Write ``scores.json``."""
    with replaced(path) as temporary:
        text = json.dumps(scores, indent=2, ensure_ascii=False, allow_nan=False)
        temporary.write_text(text + "\n", "utf-8")


def write_frc(path: Path, rings: RingCorrelation | None) -> None:
    """Write a ring correlation, a header alone where there is none."""
    with replaced(path) as temporary, temporary.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(FRC_COLUMNS)
        if rings is not None:
            columns = (
                rings.frequency_cycles_per_px,
                rings.correlation,
                rings.bit_threshold(1.0),
                rings.bit_threshold(0.5),
                rings.n_pixels,
            )
            writer.writerows(
                [f"{value:.6g}" for value in row] for row in zip(*columns, strict=True)
            )


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
    for metric in METRICS:
        print(f"{metric.label:<24}{_shown(metric, scores)}".rstrip())
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
