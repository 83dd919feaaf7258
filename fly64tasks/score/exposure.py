"""The light that a set got and how its frames overlap, in numbers that views can be compared by.

Equal photons per frame are no equal doses: a view of 450 frames got 25 times the light of one of
18, on an object of the same size.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from fly64tasks.physics.alignment import illuminated_region
from fly64tasks.physics.optics import probe_diameter_px
from fly64tasks.physics.overlap import nearest_overlap
from fly64tasks.recon.start import choose_frames
from fly64tasks.score.compare import Comparison, Fitted


def exposure_of(fitted: Fitted) -> dict[str, Any]:
    """Return the light on the object and the overlap of the frames that were fitted.

    Returns
    -------
    dict
        ``photons_total``, of all frames, and ``photons_are``: ``incident`` where the dose is known,
        else ``detected`` where the diffraction is in whole photons, else both None;
        ``illuminated_px``, the pixels of the region; ``photons_per_px`` and ``photons_per_nm2``,
        all of them over the region; and what `nearest_overlap` returns.
    """
    dataset, found = fitted.dataset, fitted.found
    total, kind = _photons(fitted)
    region = (
        fitted.region
        if isinstance(fitted, Comparison)
        else illuminated_region(
            dataset.probe_guess, found.positions_px, found.obj.shape, fitted.spec.region_threshold
        )
    )
    pixels = int(region.sum())
    pixel_nm = found.geometry.pixel_size_m * 1e9
    return {
        "photons_total": total,
        "photons_are": kind,
        "illuminated_px": pixels,
        "photons_per_px": None if total is None else total / pixels,
        "photons_per_nm2": None if total is None else total / (pixels * pixel_nm**2),
        **nearest_overlap(found.positions_px, _diameter_px(fitted)),
    }


def _diameter_px(fitted: Fitted) -> float:
    """Return the probe's diameter: that which the set's view was made with, where it says one."""
    said = fitted.dataset.metadata.get("probe_diameter_px")
    if isinstance(said, int | float) and 0 < said < np.inf:
        return float(said)
    return probe_diameter_px(fitted.dataset.probe_guess)


def _photons(fitted: Fitted) -> tuple[float | None, str | None]:
    """Return the photons of all frames and what they are, None for both where it is not known."""
    dose = fitted.dataset.metadata.get("dose_photons_per_frame")
    if isinstance(dose, int | float) and 0 < dose < np.inf:
        return float(dose) * len(fitted.found.positions_px), "incident"
    frames = choose_frames(len(fitted.dataset.positions_px), fitted.found.spec)
    total = 0.0
    for amplitude in fitted.dataset.diffraction_amplitude[frames]:
        intensity = np.square(amplitude, dtype=float)
        counts = np.round(intensity)
        if not np.allclose(intensity, counts, rtol=1e-6, atol=1e-3):  # of single precision
            return None, None
        total += float(counts.sum())
    return (total, "detected") if total else (None, None)
