"""Score one measured scan: its fit, and where it has halves, how far these agree."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from fly64tasks.data import lineage
from fly64tasks.data.ownership import WRITER, refuse_foreign
from fly64tasks.data.readers import read_dataset
from fly64tasks.physics.alignment import illuminated_region
from fly64tasks.physics.image_quality import Undefined
from fly64tasks.recon.files import RECONSTRUCTION
from fly64tasks.recon.result import Reconstructed, read_reconstruction
from fly64tasks.score.compare import Fitted, refuse_another
from fly64tasks.score.exposure import exposure_of
from fly64tasks.score.files import COMPARISON, FRC, MEASURED_MARKS, SCORES, THUMBNAIL
from fly64tasks.score.halves import HALVES_METRICS, Halves, compare_halves
from fly64tasks.score.picture import draw_comparison
from fly64tasks.score.record import (
    SCHEMA,
    refuse_another_content,
    refuse_other_settings,
    write_frc,
    write_scores,
)
from fly64tasks.score.scorecard import metric, scores_of
from fly64tasks.score.thumbnails import draw_thumbnails
from fly64tasks.study.recon_settings import ReconSpec
from fly64tasks.study.stages import ScoreSpec

FIT_METRICS = (metric("chi2"), metric("r_factor"))
MEASURED_METRICS = (*FIT_METRICS, *HALVES_METRICS)
"""What can be said of a measured scan, in the order of tables."""


def score_scan(
    scan: Sequence[Path],
    folder: Path,
    halves: Sequence[Path],
    spec: ScoreSpec,
    recon: ReconSpec | None = None,
) -> dict[str, Any]:
    """Score the reconstruction of a scan; return what ``scores.json`` holds.

    Writes `MEASURED_MARKS` beside it; ``frc.csv`` holds the correlation of its halves.

    Parameters
    ----------
    scan : sequence of Path
        The files of the scan, the one that is named first.
    folder : Path
        The folder with ``reconstruction.npz``.
    halves : sequence of Path
        Those of the even and of the odd frames; empty where there are none.

    recon : ReconSpec, optional
        What it is to be reconstructed with.

    Raises
    ------
    DatasetError
        A file breaks its contract or was made with anything else, or a reconstruction is of
        something else.
    """
    for name, mark in MEASURED_MARKS.items():
        refuse_foreign(folder / name, mark)
    source, path = scan[0], folder / RECONSTRUCTION
    with lineage.unchanged(path):
        found = read_reconstruction(path)
        sha256 = lineage.digest(path)
    with contextlib.ExitStack() as reading:
        for file in scan:
            reading.enter_context(lineage.unchanged(file))
        dataset = read_dataset(
            source,
            diffraction=found.diffraction,
            orientation=found.orientation,
            obj=False,
            extras=False,
        )
        refuse_another_content(found, source, dataset.files)
    refuse_another(dataset, found)
    if recon is not None:
        refuse_other_settings(found, recon)
    fitted, apart = Fitted(dataset, found, spec), ""
    if halves:
        even, odd = (_read_half(half / RECONSTRUCTION) for half in halves)
        try:
            fitted = compare_halves(dataset, found, even, odd, spec)
        except Undefined as reason:
            apart = str(reason)
    compared = isinstance(fitted, Halves)
    scored = scores_of(fitted, metrics=MEASURED_METRICS if compared else FIT_METRICS)
    if apart:
        scored.notes.update(dict.fromkeys((each.key for each in HALVES_METRICS), apart))
    seen = illuminated_region(
        found.probe, found.positions_px, found.obj.shape, spec.region_threshold
    )
    draw_comparison(
        folder / COMPARISON, found.obj, found, truth=None, region=seen, title=folder.name, note=""
    )
    picture = draw_thumbnails(folder / THUMBNAIL, None, found.obj, truth=None, seen=seen)
    write_frc(folder / FRC, fitted.rings if isinstance(fitted, Halves) else None)
    scores = {
        "writer": WRITER,
        "schema": SCHEMA,
        "scan": folder.name,
        "fit": fitted.data_fit.said,
        "halves": _said_of_halves(fitted) if isinstance(fitted, Halves) else None,
        **scored.said(),
        "settings": spec.to_dict(),
        "set": {
            "path": str(source),
            "n_frames": len(found.positions_px),
            "n_frames_in_set": len(dataset.positions_px),
            "geometry": found.geometry.to_dict(),
            **exposure_of(fitted),
        },
        "picture": picture,
        "reconstruction": {
            "path": str(path),
            "sha256": sha256,
            **{key: found.metadata[key] for key in ("spec", "versions", "input")},
        },
    }
    write_scores(folder / SCORES, scores)
    return scores


def _read_half(path: Path) -> Reconstructed:
    with lineage.unchanged(path):
        return read_reconstruction(path)


def _said_of_halves(halves: Halves) -> dict[str, Any]:
    """Return what was removed from the odd half before it was held against the even one."""
    aligned = halves.aligned
    return {
        "frames": "even and odd, reconstructed apart",
        "pixels": int(halves.region.sum()),
        "scale": abs(aligned.scale),
        "phase_rad": float(np.angle(aligned.scale)),
        "ramp_rad_per_px": list(aligned.ramp_rad_per_px),
        "shift_px": list(aligned.shift_px),
    }
