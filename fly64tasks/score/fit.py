"""How well a reconstruction predicts the data that it was made from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fly64tasks.data.dataset import PtychoDataset
from fly64tasks.physics import image_quality
from fly64tasks.recon.fit import predicted_by, said_of_fit
from fly64tasks.recon.result import Reconstructed
from fly64tasks.recon.scale import holds_counts
from fly64tasks.recon.start import choose_frames


@dataclass(frozen=True)
class DataFit:
    """The fit to the data: the R-factor, and what ``run.json`` says of the fit too."""

    r_factor: float
    said: dict[str, Any]


def data_fit(dataset: PtychoDataset, found: Reconstructed) -> DataFit:
    """Return the fit of the diffraction that the reconstruction predicts, by one forward pass."""
    frames = choose_frames(len(dataset.positions_px), found.spec, found.left_out_frames)
    chosen = dataset if len(frames) == len(dataset.positions_px) else dataset.select(frames)
    measured: NDArray[Any] = chosen.diffraction_amplitude
    predicted = np.empty_like(measured)
    waves = predicted_by(found, found.spec, found.geometry)
    for frame, amplitude in zip(predicted, waves, strict=True):
        frame[:] = amplitude
    if chosen.mask is not None:  # where nothing was measured, nothing differs
        np.multiply(predicted, chosen.mask, out=predicted)
    counts = holds_counts(np.square(frame, dtype=float) for frame in measured)
    said = said_of_fit(measured, predicted, frames, counts=counts, mask=chosen.mask)
    return DataFit(image_quality.r_factor(measured, predicted), said)
