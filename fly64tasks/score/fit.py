"""How well a reconstruction predicts the data that it was made from."""

from __future__ import annotations

import numpy as np

from fly64tasks.data.dataset import PtychoDataset
from fly64tasks.physics import image_quality, optics
from fly64tasks.recon.result import Reconstructed
from fly64tasks.recon.start import choose_frames


def data_r_factor(dataset: PtychoDataset, found: Reconstructed) -> float:
    """Return the R-factor of the diffraction amplitudes that the reconstruction predicts."""
    frames = choose_frames(len(dataset.positions_px), found.spec)
    measured = dataset.diffraction_amplitude[frames]
    # pty-chi's own model shifts the probe
    waves = optics.exit_waves(found.probe, found.obj, found.positions_px, shift_probe=True)
    predicted = np.empty_like(measured)
    for frame, wave in zip(predicted, waves, strict=True):
        frame[:] = np.sqrt(optics.diffraction_intensity(wave))
    return image_quality.r_factor(measured, predicted)
