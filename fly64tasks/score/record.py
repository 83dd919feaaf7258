"""What is said of a reconstruction that was scored: ``scores.json`` and ``frc.csv``.

What needs the truth is scored only where there is one that the result can be laid over, pixel by
pixel; otherwise the data-space score stands alone and the others say why they are absent.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Literal

import numpy as np
from scipy.ndimage import label

from fly64tasks.data import lineage
from fly64tasks.data.dataset import PtychoDataset
from fly64tasks.data.ownership import WRITER
from fly64tasks.doitext.atomic import replaced
from fly64tasks.doitext.spec import differences
from fly64tasks.errors import DatasetError
from fly64tasks.physics import alignment
from fly64tasks.physics.frc import RingCorrelation
from fly64tasks.recon.result import Reconstructed
from fly64tasks.score.compare import (
    Comparison,
    Fitted,
    Overlay,
    compare,
    refuse_another,
    why_no_truth,
)
from fly64tasks.score.exposure import exposure_of
from fly64tasks.score.files import FRC_COLUMNS
from fly64tasks.score.scorecard import METRICS, scores_of
from fly64tasks.study.cases import Case
from fly64tasks.study.methods import Method
from fly64tasks.study.stages import ScoreSpec

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
        **scored.said(METRICS),
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


def refuse_another_content(found: Reconstructed, input_npz: Path, beside: Iterable[Path]) -> None:
    """Refuse a reconstruction of files that hold something else by now; raises DatasetError.

    Parameters
    ----------
    beside : iterable of Path
        What else the set is read from.
    """
    said = found.metadata["input"]
    digests = {Path(name).name: digest for name, digest in said.get("with", {}).items()}
    now = {path.name: lineage.digest(path) for path in beside}
    if said["sha256"] != lineage.digest(input_npz) or digests != now:
        raise DatasetError(
            f"{found.name}: was made from another content of {said['path']}; reconstruct again"
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
