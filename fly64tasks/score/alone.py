"""Score an object of any program against the truth of a set: no probe, no loss, no settings.

The scores that need the truth are those of `fly64tasks.score.record`, on the same region, as far
as the object reaches, with the same alignment. What needs the data stays empty: an object alone
predicts none.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from fly64tasks.data import lineage
from fly64tasks.data.dataset import PtychoDataset
from fly64tasks.data.metadata import geometry_of
from fly64tasks.data.ownership import WRITER, refuse_foreign
from fly64tasks.data.readers import read_dataset
from fly64tasks.data.readers.objects import FoundObject, read_object
from fly64tasks.errors import DatasetError
from fly64tasks.physics.alignment import illuminated_region
from fly64tasks.recon.files import RECONSTRUCTION
from fly64tasks.score.compare import Overlay, overlay, why_set_has_no_truth
from fly64tasks.score.files import MARKS
from fly64tasks.score.folder import write_scored
from fly64tasks.score.placement import Placement, place
from fly64tasks.score.record import SCHEMA, SET_KEYS, Truth, alignment_of, region_of
from fly64tasks.score.scorecard import METRICS, scores_of
from fly64tasks.study.stages import ASSUMED, ScoreSpec

NO_DATA = "an object alone predicts no data: it has no probe"
_FEWEST_PX = 256


def score_object(
    obj: Path | NDArray[np.complexfloating],
    data: Path | PtychoDataset,
    spec: ScoreSpec,
    *,
    key: str | None = None,
    label: str | None = None,
    truth: Truth | None = None,
    output_dir: Path | None = None,
) -> dict[str, Any]:
    """Score an object; return what ``scores.json`` holds.

    Parameters
    ----------
    obj : Path or (h, w) complex
        What `fly64tasks.data.readers.objects.read_object` reads, or the array.
    data : Path or PtychoDataset
        The set whose truth and region it is held against.
    key : str, optional
        Of the object in its file.
    label : str, optional
        What it is called; its file's name unless given.
    truth : str, optional
        ``objectGuess``: the set's object is the truth, though the set does not say so.
    output_dir : Path, optional
        Where ``scores.json``, ``frc.csv`` and pictures are written; nowhere unless given.

    Raises
    ------
    DatasetError
        A file can not be read, the set has no truth, or the object can not be placed on it; or
        ``output_dir`` holds a reconstruction, or what is not ours.
    """
    if output_dir is not None:
        for name, mark in MARKS.items():
            refuse_foreign(output_dir / name, mark)
        if (output_dir / RECONSTRUCTION).exists():
            raise DatasetError(
                f"{output_dir}: holds {RECONSTRUCTION}, whose scores would be written over; "
                "expected another folder for those of an object alone"
            )
    found, sha256 = _read(obj, key)
    dataset, source = _set_of(data, truth)
    absent = why_set_has_no_truth(dataset, truth)
    if absent:
        raise DatasetError(f"{source}: {absent}; an object alone is scored against a truth")
    placement, laid, share = _laid_over(found, dataset, spec, source)
    scored = scores_of(laid, NO_DATA)
    called = label or found.path.name
    scores = {
        "writer": WRITER,
        "schema": SCHEMA,
        "case": None,
        "object": {
            "label": called,
            "path": str(found.path),
            "sha256": sha256,
            "key": found.key,
            "placement": placement.to_dict(),
            "share_of_region": share,
        },
        "truth": {"comparable": True, "reason": None, "seeded": False},
        "region": region_of(laid),
        "alignment": alignment_of(laid),
        "flat_object": {"complex_nrmse": laid.flat_error},
        "fit": None,
        **scored.said(METRICS),
        "settings": spec.to_dict(),
        "set": {
            "path": source,
            "n_frames_in_set": len(dataset.positions_px),
            "simulated": dataset.is_simulated,
            "geometry": laid.geometry.to_dict(),
            **{name: dataset.metadata[name] for name in SET_KEYS if name in dataset.metadata},
        },
    }
    if output_dir is not None:
        write_scored(output_dir, scores, laid, None, title=called, note=placement.words)
    return scores


def _read(obj: Path | NDArray[np.complexfloating], key: str | None) -> tuple[FoundObject, str]:
    if isinstance(obj, Path):
        with lineage.unchanged(obj):
            return read_object(obj, key), lineage.digest(obj)
    array = np.asarray(obj)
    if array.ndim != 2 or array.dtype.kind != "c" or not np.isfinite(array).all():
        raise DatasetError(
            f"the object has dtype {array.dtype}, shape {array.shape}, expected an image (H, W) of "
            "finite complex numbers"
        )
    return FoundObject(Path("the object"), "", array.astype(np.complex128)), ""


def _set_of(data: Path | PtychoDataset, truth: Truth | None) -> tuple[PtychoDataset, str]:
    if isinstance(data, PtychoDataset):
        return data, "the set"
    with lineage.unchanged(data):
        return read_dataset(data, obj=truth is not None, extras=False), str(data)


def _laid_over(
    found: FoundObject, dataset: PtychoDataset, spec: ScoreSpec, source: str
) -> tuple[Placement, Overlay, float]:
    """Return where an object lies, it laid over the truth, and the share of the region it has."""
    truth = np.asarray(dataset.object_guess, dtype=complex)
    geometry = geometry_of(dataset.metadata, ASSUMED, source)
    lit = illuminated_region(
        dataset.probe_guess, dataset.positions_px, truth.shape, spec.region_threshold
    )
    name = str(found.path)
    placement = place(found, truth, lit, dataset.positions_px, geometry, name)
    if geometry.assumed and found.pixel_size_m:
        geometry = msgspec.structs.replace(geometry, pixel_size_m=found.pixel_size_m)
    region = lit & placement.covered
    if region.sum() < _FEWEST_PX:
        raise DatasetError(
            f"{name}: shares {region.sum()} px with the scan, expected at least {_FEWEST_PX}"
        )
    wandered = np.array(placement.wandered_px)
    laid = overlay(placement.obj, truth, region, spec, geometry, wandered_px=wandered)
    return placement, laid, float(region.sum() / lit.sum())
