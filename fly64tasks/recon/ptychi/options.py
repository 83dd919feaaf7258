"""The options that pty-chi is given for a stage."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import ptychi.api as api
from ptychi.api.options.base import Options

from fly64tasks.errors import StudyError
from fly64tasks.recon.ptychi.map_task import MAPOptions
from fly64tasks.recon.start import Start
from fly64tasks.study.ptychi_options import UNSET
from fly64tasks.study.recon_settings import ReconSpec

OPTIONS: dict[str, Any] = {
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

    Raises
    ------
    StudyError
        pty-chi refuses one of its own options that the spec sets.
    """
    options = OPTIONS[spec.algorithm]()
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

    if spec.correct_positions:
        positions = options.probe_position_options
        positions.optimizable = True
        if spec.algorithm == "AD":
            positions.optimizer, positions.step_size = api.Optimizers.ADAM, 0.02
        elif spec.algorithm == "LSQML":  # with pty-chi's 0.3 these epochs end on the way
            positions.step_size = 1.0

    if spec.opr_modes:
        weights = options.opr_mode_weight_options
        weights.optimizable = True
        if spec.algorithm == "AD":
            weights.optimizer = api.Optimizers.ADAM
            weights.step_size = 0.1 * _root_mean_square(start)  # modes of pty-chi's hold 1
    if start.slices > 1:
        obj.slice_spacings_m = np.full(start.slices - 1, spec.slice_spacing_m)

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
        probe.step_size = 0.1 * _root_mean_square(start)
    elif spec.algorithm == "MAP":
        reconstructor.prior, reconstructor.edge = spec.prior, spec.edge
        reconstructor.probe_trust = spec.probe_trust
        reconstructor.low_frequency = spec.low_frequency
        reconstructor.tolerance_nats = spec.tolerance_nats
        reconstructor.cuda_graph = spec.cuda_graph
    if spec.ptychi:
        _load(options, spec.ptychi, "ptychi")
        _refused_as("ptychi", options.check, options)
    return options


def _root_mean_square(start: Start) -> float:
    """Return that of the first probe, in pty-chi's scale."""
    return float(np.sqrt(np.mean(np.abs(start.scale.to_ptychi(start.probe)) ** 2)))


def _load(options: Options, table: dict[str, Any], where: str) -> None:
    """Hand a table to pty-chi, option by option: of a nested table it would make new options, with
    its own defaults in place of what is set here.

    What is turned on goes first: pty-chi asks some to be on before others are turned off.
    """
    for name, value in sorted(table.items(), key=lambda item: item[1] is not True):
        there = getattr(options, name)
        if isinstance(there, Options):
            _load(there, value, f"{where}.{name}")
            continue
        unset = value == UNSET and UNSET not in _choices(options, name)
        given = {name: None if unset else value}
        _refused_as(f"{where}.{name}", options.load_from_dict, given, strict=True)


def _choices(options: Options, name: str) -> list[str]:
    kind = options.resolve_type(options.get_field_type(name))
    members: dict[str, Any] = getattr(kind, "__members__", {})  # of an enumeration
    return [str(each) for each in members.values()]


def _refused_as(where: str, call: Callable[..., Any], *arguments: Any, **named: Any) -> None:
    try:
        call(*arguments, **named)
    except ValueError as error:
        said = " ".join(line.strip() for line in str(error).splitlines()[:3])
        raise StudyError(f"{where}: pty-chi refuses: {said}") from None
