"""What scoring an object leaves in a folder: pictures, ``frc.csv``, and ``scores.json`` last."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from fly64tasks.recon.result import Reconstructed
from fly64tasks.score.compare import Overlay
from fly64tasks.score.files import COMPARISON, FRC, PANELS, SCORES, THUMBNAIL, TRUTH_THUMBNAIL
from fly64tasks.score.picture import draw_comparison
from fly64tasks.score.record import write_frc, write_scores
from fly64tasks.score.thumbnails import draw_panels, draw_thumbnails


def write_scored(
    folder: Path,
    scores: dict[str, Any],
    laid: Overlay | None,
    found: Reconstructed | None,
    *,
    title: str,
    note: str,
) -> None:
    """Write all of it; ``scores`` then says what the colours of its pictures mean, too.

    Parameters
    ----------
    laid : Overlay or None
        The object over the truth; where there is none, ``found`` is shown alone.
    found : Reconstructed or None
        What has a probe, a loss and a scan to be drawn; None of an object alone.
    title, note : str
        Over the picture, and below.
    """
    if laid is not None:
        obj, truth, seen, rings = laid.aligned.obj, laid.truth, laid.region, laid.rings
    else:
        assert found is not None
        obj, truth, seen, rings = found.obj, None, np.ones(found.obj.shape, dtype=bool), None
    draw_comparison(
        folder / COMPARISON,
        obj,
        found,
        geometry=None if laid is None else laid.geometry,
        truth=truth,
        region=None if laid is None else seen,
        title=title,
        note=note,
    )
    thumbnails = folder / THUMBNAIL, folder / TRUTH_THUMBNAIL
    scores["picture"] = draw_thumbnails(*thumbnails, obj, truth=truth, seen=seen)
    scores["panels"] = draw_panels(folder / PANELS, obj, truth=truth, seen=seen)
    write_frc(folder / FRC, rings)
    write_scores(folder / SCORES, scores)
