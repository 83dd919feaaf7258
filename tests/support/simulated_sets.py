"""Sets simulated in memory, and how far from their truth a reconstruction of one is."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from fly64tasks import make_set
from fly64tasks.data.dataset import PtychoDataset
from fly64tasks.physics import alignment, image_quality
from fly64tasks.physics.optics import synthetic_object, zone_plate_probe
from fly64tasks.physics.scan import raster_positions
from fly64tasks.recon.found import Reconstruction
from fly64tasks.recon.start import Start
from fly64tasks.simulation.simulate import simulate_amplitude
from fly64tasks.study.stages import BaseSpec, Geometry


def simulated(size: int = 32, dose: float = 1e4, seed: int | None = None) -> PtychoDataset:
    """Return a set of ``size`` px frames, without noise unless there is a seed."""
    spec = BaseSpec(
        probe_size_px=size,
        object_size_px=96,
        scan_step_px=5.0,
        scan_jitter_px=0.8,
        defocus_m=18e-6,
    )
    probe = zone_plate_probe(spec, Geometry())[None] * np.sqrt(dose)
    return simulated_of(probe, synthetic_object(spec), raster_positions(spec), seed)


def simulated_of(
    probe: NDArray[np.complexfloating],
    obj: NDArray[np.complexfloating],
    positions_px: NDArray[np.float64],
    seed: int | None = None,
) -> PtychoDataset:
    """Return the set of a probe (modes, N, N), an object (H, W) and positions (n, 2), y first."""
    rng = None if seed is None else np.random.default_rng(seed)
    return make_set(
        diffraction_amplitude=simulate_amplitude(probe, obj, positions_px, rng),
        obj=obj,
        probe=probe,
        positions_px=positions_px,
        simulated=True,
    )


def error_of(
    dataset: PtychoDataset, start: Start, result: Reconstruction, within_px: float = math.inf
) -> float:
    """Return the complex NRMSE of a result; fail where it lies further off the truth."""
    truth = dataset.object_guess.astype(complex)
    region = alignment.illuminated_region(start.probe, start.positions_px, truth.shape)
    aligned = alignment.align(result.obj.astype(complex), truth, region)
    assert max(np.abs(aligned.shift_px)) < within_px
    return image_quality.complex_nrmse(aligned.obj, truth, region)
