"""The options that pty-chi is given for a stage."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import ptychi.api as api

from fly64tasks.recon.ptychi.map import MAPOptions
from fly64tasks.recon.start import Start
from fly64tasks.study.recon_settings import ReconSpec

_OPTIONS: dict[str, Any] = {
    "LSQML": api.LSQMLOptions,
    "PIE": api.PIEOptions,
    "EPIE": api.EPIEOptions,
    "RPIE": api.RPIEOptions,
    "DM": api.DMOptions,
    "BH": api.BHOptions,
    "AD": api.AutodiffPtychographyOptions,
    "MAP": MAPOptions,
}


LEAST_INTENSITY = 1e-12
"""What pixels that count hold at least where others do not: these hold 0, by which pty-chi tells
them apart, frame by frame."""


def ptychi_options(start: Start, spec: ReconSpec, device: str) -> Any:
    """Return pty-chi's options for a start and a resolved spec.

    With the position origin at -1/2 px for even N (0 for odd N), pixel ``N // 2`` of a frame's
    patch lies at its position in the object array, which is the frame that the set's coordinates
    are given in (docs/decisions/0004-one-pixel-frame.md).
    """
    options = _OPTIONS[spec.algorithm]()
    n = start.probe.shape[-1]
    frames = len(start.frames)
    # Even batches: a last one of a frame or two would be one noisy, maybe singular, update.
    batch_size = math.ceil(frames / math.ceil(frames / (spec.batch_size or 1)))

    reconstructor = options.reconstructor_options
    reconstructor.num_epochs = spec.most_epochs
    reconstructor.batch_size = batch_size
    reconstructor.batching_mode = api.BatchingModes[spec.batching or "RANDOM"]
    reconstructor.random_seed = spec.seed
    reconstructor.default_device = api.Devices.GPU if device.startswith("cuda") else api.Devices.CPU

    if start.mask is not None and start.mask.ndim == 3:
        reconstructor.exclude_measured_pixels_below = 0.0

    options.data_options.wavelength_m = start.geometry.wavelength_m
    options.data_options.fft_shift = False
    obj, probe = options.object_options, options.probe_options
    obj.pixel_size_m = start.geometry.pixel_size_m
    obj.determine_position_origin_coords_by = api.ObjectPosOriginCoordsMethods.SPECIFIED
    obj.position_origin_coords = [-0.5, -0.5] if n % 2 == 0 else [0.0, 0.0]
    # Scaled to the mean frame already; on a scan within one pixel it turns everything NaN.
    obj.remove_object_probe_ambiguity.enabled = False
    probe.optimizable = bool(spec.update_probe)

    if spec.algorithm == "LSQML":
        reconstructor.noise_model = api.NoiseModels[spec.noise_model]
        reconstructor.momentum_acceleration_gain = spec.momentum
        reconstructor.preconditioning_damping_factor = spec.damping
        reconstructor.rescale_probe_intensity_in_first_epoch = False
        reconstructor.solve_step_sizes_only_using_first_probe_mode = False
    elif spec.algorithm == "DM":
        reconstructor.chunk_length = batch_size
        obj.amplitude_clamp_limit = 2.0
    elif spec.algorithm == "BH":
        reconstructor.method = "CG" if batch_size == frames else "GD"
        probe.rho = 0.1
    elif spec.algorithm == "AD":
        obj.optimizer = probe.optimizer = api.Optimizers.ADAM
        obj.step_size = 0.01
        scaled = start.scale.to_ptychi(start.probe)
        probe.step_size = 0.1 * float(np.sqrt(np.mean(np.abs(scaled) ** 2)))
    elif spec.algorithm == "MAP":
        reconstructor.prior, reconstructor.edge = spec.prior, spec.edge
        reconstructor.probe_trust = spec.probe_trust
        reconstructor.low_frequency = spec.low_frequency
        reconstructor.tolerance_nats = spec.tolerance_nats
    return options
