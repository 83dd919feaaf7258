"""pty-chi's task of a stage: its options, and the arrays as pty-chi takes them."""

from __future__ import annotations

import math
from functools import partial
from typing import Any

import numpy as np
import ptychi.api as api
from numpy.typing import NDArray
from ptychi.api.task import PtychographyTask

from fly64tasks.recon.ptychi.map import MAPOptions, MAPTask
from fly64tasks.recon.scale import factor_to
from fly64tasks.recon.start import Start
from fly64tasks.study.study import Geometry, ReconSpec

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


def ptychi_options(start: Start, spec: ReconSpec, geometry: Geometry, device: str) -> Any:
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
    reconstructor.num_epochs = spec.num_epochs
    reconstructor.batch_size = batch_size
    reconstructor.batching_mode = api.BatchingModes[spec.batching or "RANDOM"]
    reconstructor.random_seed = spec.seed
    reconstructor.default_device = api.Devices.GPU if device.startswith("cuda") else api.Devices.CPU

    options.data_options.wavelength_m = geometry.wavelength_m
    options.data_options.fft_shift = False
    obj, probe = options.object_options, options.probe_options
    obj.pixel_size_m = geometry.pixel_size_m
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
        probe.step_size = 0.1 * float(np.sqrt(np.mean(np.abs(start.probe) ** 2))) / n
    elif spec.algorithm == "MAP":
        reconstructor.prior = spec.prior
        reconstructor.probe_trust = spec.probe_trust
        reconstructor.low_frequency = spec.low_frequency
        reconstructor.tolerance_nats = spec.tolerance_nats
    return options


def new_task(
    options: Any, start: Start, obj: NDArray[np.complex64], probe: NDArray[np.complex64]
) -> Any:
    """Return a `PtychographyTask` that has not run.

    Parameters
    ----------
    options
        As `ptychi_options` returns.
    obj : (H, W) complex64
    probe : (modes, N, N) complex64
        In pty-chi's scale: its transform is not normalised, its probe 1/N of the unitary one.
    """
    kind: Any = PtychographyTask
    if isinstance(options, MAPOptions):
        kind = partial(MAPTask, probe_guess=known_probe(start) / start.probe.shape[-1])
    return kind(
        options,
        # Corner-centred by us: pty-chi's own fft_shift is off by a pixel for odd N.
        diffraction_data=np.fft.ifftshift(start.intensity, axes=(-2, -1)),
        object_data=obj[None],
        probe_data=probe[None],
        probe_position_y_px=start.positions_px[:, 0].astype(np.float32),
        probe_position_x_px=start.positions_px[:, 1].astype(np.float32),
    )


def known_probe(start: Start) -> NDArray[np.complex64]:
    """Return the probe of a start, (modes, N, N), in the scale that is known."""
    return start.probe * np.float32(factor_to(start.scale.photons, start.probe))


def has_converged(task: Any) -> bool:
    """Return whether a task's reconstructor says that another epoch would change nothing."""
    return bool(getattr(task.reconstructor, "converged", False))
