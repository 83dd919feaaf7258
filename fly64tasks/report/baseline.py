"""The overlap of the baseline, which no view was made of: from the positions that were fitted.

Views store it in their sets when they are made. The baseline's sets are made before there is a
view, and stay as they are: with it they would be other files, and all that was made of them stale.
"""

from __future__ import annotations

import functools
from dataclasses import replace

import msgspec
import numpy as np

from fly64tasks.errors import DatasetError
from fly64tasks.physics.overlap import nearest_overlap, overlap_metrics
from fly64tasks.recon.files import RECONSTRUCTION
from fly64tasks.recon.result import read_reconstruction
from fly64tasks.report.results import Job
from fly64tasks.study.cases import BASELINE
from fly64tasks.study.study import Study


def with_overlap(study: Study, job: Job) -> Job:
    """Return a job that has the overlap metrics of its set, as one of a view has them."""
    views = study.views
    if job.case.view != BASELINE or job.scores is None:
        return job
    table = job.scores.set
    diameter = views.probe_diameter_px or table.get("probe_diameter_px")
    if not isinstance(diameter, int | float) or not 0 < diameter < np.inf:
        return job
    try:
        positions = read_reconstruction(job.folder / RECONSTRUCTION).given_positions_px
    except DatasetError:  # the report is on what was scored; doit verify tells what became of it
        return job
    relative = positions - positions[0]  # alike on every canvas
    said = _metrics(relative.tobytes(), float(diameter), views.gridsizes[0], views.neighbor_count)
    # What scoring said stays to the last digit, unless the study says another diameter.
    both = table | said if views.probe_diameter_px else said | table
    return replace(job, scores=msgspec.structs.replace(job.scores, set=both))


@functools.lru_cache(maxsize=16)
def _metrics(
    positions: bytes, diameter_px: float, gridsize: int, neighbor_count: int
) -> dict[str, object]:
    """Return both kinds of metrics; doses share their positions, which are looked at once."""
    positions_px = np.frombuffer(positions).reshape(-1, 2)
    return {
        **nearest_overlap(positions_px, diameter_px),
        **overlap_metrics(
            positions_px,
            diameter_px=diameter_px,
            gridsize=gridsize,
            neighbor_count=neighbor_count,
        ),
    }
