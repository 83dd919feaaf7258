"""The reader of the NPZ contract DATA-001: a file as a set, as a base or as a scan."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from fly64tasks.data.archive import Archive
from fly64tasks.data.dataset import Base, PtychoDataset
from fly64tasks.data.edits import squared
from fly64tasks.data.frame_stack import FrameStack
from fly64tasks.data.frames import Kind
from fly64tasks.data.measurement import Measurement
from fly64tasks.data.metadata import geometry_of
from fly64tasks.data.readers import contract
from fly64tasks.data.survey import survey
from fly64tasks.study.stages import SIZES, Geometry


def read_dataset(
    path: Path, *, diffraction: Kind = "auto", obj: bool = True, extras: bool = True
) -> PtychoDataset:
    """Read a Phase C or Phase D set and check it against the contract.

    Parameters
    ----------
    diffraction, obj, extras
        As `fly64tasks.data.readers.read_dataset` has them.

    Raises
    ------
    DatasetError
        One line: the file, what was found, what the contract expects.
    """
    with Archive(path) as arrays:
        metadata, warnings = contract.metadata(arrays)
        contract.refuse_lacking(arrays, "xcoords", "ycoords", "probeGuess")
        positions = contract.positions(arrays)
        n = len(positions)
        key, values = contract.diffraction(arrays, n, metadata, diffraction)
        frames = contract.frames(arrays, key, values, diffraction)
        del values
        probe = contract.probe(arrays)
        size = frames.amplitude.shape[-1]
        if probe.shape[-1] != size:
            found = " x ".join(map(str, probe.shape))
            raise arrays.error(
                "probeGuess", f"is {found}, expected N = {size} to match diffraction"
            )
        guess = None
        if metadata.get("simulated") or (obj and "objectGuess" in arrays):
            guess = contract.single(arrays, "objectGuess", contract.obj(arrays))
        return PtychoDataset(
            diffraction_amplitude=frames.amplitude,
            object_guess=guess,
            probe_guess=contract.single(arrays, "probeGuess", probe),
            positions_px=positions,
            object_patches=contract.patches(arrays, n) if extras else None,
            filenames=contract.filenames(arrays, n) if extras else None,
            metadata=metadata,
            mask=frames.mask,
            diffraction_from=f"{key}: {frames.taken_from}" if frames.taken_from else None,
            warnings=(*warnings, *contract.unusable(arrays, n), *frames.warnings),
        )


def read_base(path: Path) -> Base:
    """Read object, probe and scan to simulate from; any diffraction in the file is ignored.

    Raises
    ------
    DatasetError
        As `read_dataset`.
    """
    with Archive(path) as arrays:
        metadata, warnings = contract.metadata(arrays)
        obj, probe = contract.obj(arrays), contract.probe(arrays)
        positions = contract.positions(arrays)
        unusable = contract.unusable(arrays, len(positions))
        return Base(obj, probe, positions, metadata, (*warnings, *unusable))


def read_measurement(path: Path) -> Measurement:
    """Return a set as a scan, with the counts of the file: where they are stored, unread.

    Raises
    ------
    DatasetError
        As `read_dataset`.
    """
    with Archive(path) as arrays:
        metadata, warnings = contract.metadata(arrays)
        contract.refuse_lacking(arrays, "xcoords", "ycoords")
        positions = contract.positions(arrays)
        frames = contract.unread(arrays, len(positions), metadata)
        mask = contract.mask(arrays, frames.shape)
        probe = contract.probe(arrays) if "probeGuess" in arrays else None
        obj = contract.obj(arrays) if "objectGuess" in arrays else None
    sizes = geometry_of(metadata, Geometry(), str(path)).to_dict()
    table = metadata.get("geometry") or {}
    said = {key: sizes[key] for key in SIZES if key in table}
    said["sizes_assumed"] = bool(table.get("assumed"))
    found = Measurement(
        path, "NPZ", frames, positions, probe, obj, mask=None, notes=warnings, **said
    )
    if not frames.is_whole and not survey(found).whole:
        frames = frames.mapped(squared, dtype=np.float32)
    if mask is not None and mask.ndim == 3:
        of_frames = FrameStack.of(mask)
        frames = frames.zipped(
            of_frames, lambda counts, good: np.where(good, counts, np.nan), float
        )
        mask = np.asarray(mask.any(axis=0))
    return replace(found, frames=frames, mask=mask)
