"""Phase D: thin the simulated sets of one dose to an overlap view."""

from __future__ import annotations

import logging
from dataclasses import replace
from pathlib import Path

from fly64tasks.data import lineage
from fly64tasks.data.dataset import PtychoDataset
from fly64tasks.data.frames import Kind
from fly64tasks.data.readers import read_dataset
from fly64tasks.data.writers.npz import write_dataset
from fly64tasks.errors import TooFewFrames
from fly64tasks.physics.optics import probe_diameter_px
from fly64tasks.physics.overlap import overlap_metrics
from fly64tasks.physics.thinning import select_view
from fly64tasks.study.stages import AS_STORED, Orientation, ViewSpec

logger = logging.getLogger(__name__)


def make_view(
    sources: dict[str, Path],
    targets: dict[str, Path],
    *,
    spec: ViewSpec,
    diffraction: Kind = "auto",
    orientation: Orientation = AS_STORED,
    asked: lineage.AskedSet | None = None,
) -> None:
    """Write the view's sets; nothing is written unless every split keeps enough frames.

    Parameters
    ----------
    sources, targets : dict
        Path to read and path to write for each split.
    diffraction : str
        Whether the sources hold ``amplitude`` or ``intensity``; ``auto`` finds out.
    orientation : Orientation
        How the sources are turned first.
    asked : AskedSet, optional
        What the sources are to be made from.

    Raises
    ------
    DatasetError
        A source breaks the contract or was made from anything else.
    TooFewFrames
        The view keeps fewer than ``min_positions`` of some splits; each is named.
    """
    made, few = {}, []
    for split, source in sources.items():
        try:
            made[split] = _view_of(source, spec, diffraction, orientation, asked)
        except TooFewFrames as error:
            few.append(str(error))
    if few:
        raise TooFewFrames(
            f"{'; '.join(few)}; {_more_frames(spec)}, scan a wider area, or skip what needs it: "
            "--allow-missing-phase-d"
        )
    for split, dataset in made.items():
        write_dataset(targets[split], dataset)


def _view_of(
    source: Path,
    spec: ViewSpec,
    diffraction: Kind,
    orientation: Orientation,
    asked: lineage.AskedSet | None,
) -> PtychoDataset:
    """Return the frames of one set that a view keeps; the others leave the memory."""
    dataset = read_dataset(source, diffraction=diffraction, orientation=orientation)
    if asked is not None:
        asked.refuse_other(dataset.metadata, source)
    for doubt in dataset.warnings:
        logger.warning("%s: %s", source, doubt)
    size = dataset.frame_size_px
    thinning = select_view(dataset.positions_px, spec, size, str(source))
    n, kept = len(dataset.positions_px), len(thinning.kept)
    view = dataset.select(thinning.kept)
    overlap = overlap_metrics(
        view.positions_px,
        diameter_px=spec.probe_diameter_px or probe_diameter_px(dataset.probe_guess),
        gridsize=spec.gridsize,
        neighbor_count=spec.neighbor_count,
    )
    source_lineage = dataset.metadata.get(lineage.KEY)
    made_from = {**source_lineage, "view": spec.to_dict()} if source_lineage else None
    metadata = {
        **dataset.metadata,
        "stage": "phase_d",
        "diffraction_order": "NHW",
        "overlap_view": spec.view,
        "spacing_threshold": spec.spacing_px(size),
        "selection_strategy": thinning.strategy,
        "n_accepted": kept,
        "n_rejected": n - kept,
        "acceptance_rate": kept / n,
        lineage.KEY: made_from,
        **overlap,
    }
    return replace(view, metadata=metadata)


def _more_frames(spec: ViewSpec) -> str:
    """Return what keeps more of them."""
    if spec.share is not None:
        return f"raise the share ({spec.share:g})"
    if spec.every is not None:
        return f"lower every ({spec.every})"
    return f"raise the overlap ({spec.overlap:g})"
