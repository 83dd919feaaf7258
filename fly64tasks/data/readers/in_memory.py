"""A scan of another tool's format as a set of the contract, whole in memory."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from fly64tasks.data.dataset import PtychoDataset
from fly64tasks.data.frame_stack import FrameStack
from fly64tasks.data.frames import Kind, frames_of
from fly64tasks.data.measurement import Measurement
from fly64tasks.data.survey import guessed_probe, survey


def dataset_of(
    measurement: Measurement, *, diffraction: Kind = "auto", obj: bool = True
) -> PtychoDataset:
    """Return a scan as a set; the probe is guessed from its frames where it has none.

    Parameters
    ----------
    measurement : Measurement
        Open.
    diffraction : str
        What its frames hold; ``auto`` takes them for what their format holds, counts.
    obj : bool
        Take its object too.

    Raises
    ------
    DatasetError
        The frames can not be used.
    """
    values = measurement.frames.array()
    frames = frames_of(
        values,
        f"{measurement.path}: {measurement.kind}",
        kind="intensity" if diffraction == "auto" else diffraction,
        mask=measurement.mask,
    )
    warnings = (*measurement.notes, *frames.warnings)
    probe = measurement.probe
    if probe is None:
        stack = replace(measurement, frames=FrameStack.of(values))
        probe, said = guessed_probe(measurement, survey(stack).mean)
        warnings += (said,)
    return PtychoDataset(
        diffraction_amplitude=frames.amplitude,
        object_guess=None
        if measurement.obj is None or not obj
        else measurement.obj.astype(np.complex64),
        probe_guess=probe.astype(np.complex64),
        positions_px=measurement.positions_px,
        metadata=measurement.metadata(),
        mask=frames.mask,
        diffraction_from=f"{measurement.kind}: {frames.taken_from}" if frames.taken_from else None,
        warnings=warnings,
        files=measurement.files,
    )
