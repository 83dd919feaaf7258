"""When a run has diverged: values are not finite, the loss rose, the object left its scale."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from fly64tasks.errors import failed_reconstruction
from fly64tasks.physics.scan import patches_inside
from fly64tasks.recon.found import Reconstruction
from fly64tasks.recon.start import Start
from fly64tasks.study.recon_settings import ReconSpec

LOSS_RATIO = 1.1
COLLAPSED_MAGNITUDE_RATIO = 10.0


def refuse_diverged(result: Reconstruction, start: Start, spec: ReconSpec) -> None:
    """Refuse a result that is not finite, or that is finite but no reconstruction.

    Raises
    ------
    ReconstructionError
        Says what is wrong with it.
    """
    found: dict[str, NDArray[Any]] = {
        "object": result.obj,
        "probe": result.probe,
        "scan": result.positions_px,
    }
    if result.slices is not None:
        found["object's layers"] = result.slices
    if result.relaxation is not None:
        found["OPR modes"] = result.relaxation.modes
        found["OPR weights"] = result.relaxation.weights
    for name, array in found.items():
        bad = array.size - int(np.count_nonzero(np.isfinite(array)))
        if bad:
            raise failed_reconstruction(
                f"the {name} holds {bad} values that are not finite", spec.algorithm
            )
    size, canvas = start.probe.shape[-1], (start.obj.shape[-2], start.obj.shape[-1])
    off = np.flatnonzero(~patches_inside(result.positions_px, size, canvas))
    if spec.correct_positions and len(off):
        raise failed_reconstruction(
            f"diverged: {len(off)} corrected positions put their patches off the object (first: "
            f"frame {start.frames[off[0]]})",
            spec.algorithm,
        )
    first, last = result.loss[result.comparable_from], result.loss[-1]
    # DM's loss is the change of the exit waves, which need not be largest at first.
    if spec.algorithm != "DM" and last > LOSS_RATIO * first:
        raise failed_reconstruction(
            f"diverged: the loss ended at {last:.3g}, above its start of {first:.3g}",
            spec.algorithm,
        )
    seen = _illuminated(start)
    ratio = float(np.abs(result.obj[seen]).mean() / np.abs(start.obj[seen]).mean())
    if not 1 / COLLAPSED_MAGNITUDE_RATIO < ratio < COLLAPSED_MAGNITUDE_RATIO:
        raise failed_reconstruction(
            f"diverged: the object's mean magnitude went to {ratio:.3g} of its start",
            spec.algorithm,
        )


def _illuminated(start: Start) -> NDArray[np.bool_]:
    """Return where on the canvas the middle half of any frame's patch lies."""
    seen = np.zeros(start.obj.shape, dtype=bool)
    half = max(start.probe.shape[-1] // 4, 1)
    for y, x in np.round(start.positions_px).astype(int):
        seen[y - half : y + half, x - half : x + half] = True
    return seen
