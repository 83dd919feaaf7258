"""pty-chi's task of a stage: arrays in, epochs, arrays out."""

from __future__ import annotations

import contextlib
import logging
import warnings
from collections.abc import Iterator
from functools import partial
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from ptychi.api import Devices
from ptychi.api.task import PtychographyTask
from torch import Tensor

from fly64tasks.errors import Fly64Error, ReconstructionError, failed_reconstruction
from fly64tasks.physics.relaxation import Relaxation
from fly64tasks.recon.ptychi import complex_data, memory, modulus
from fly64tasks.recon.ptychi import device as devices
from fly64tasks.recon.ptychi.map import MAPReconstructor
from fly64tasks.recon.ptychi.map_task import MAPOptions, MAPTask
from fly64tasks.recon.ptychi.options import LEAST_INTENSITY
from fly64tasks.recon.start import Start

logger = logging.getLogger(__name__)

_OF_ITS_OWN = "Converting a tensor with requires_grad=True to a scalar"


def new_task(
    options: Any,
    start: Start,
    obj: NDArray[np.complex64],
    probe: NDArray[np.complex64],
    positions_px: NDArray[np.float64] | None = None,
    relaxation: Relaxation | None = None,
) -> Any:
    """Return a `PtychographyTask` that has not run.

    Parameters
    ----------
    options
        As `options.ptychi_options` returns.
    obj : (H, W) or (layers, H, W) complex64
    probe : (modes, N, N) complex64
        In pty-chi's scale, as `Scale.to_ptychi` gives it.
    positions_px : (n, 2) float64, optional
        Those of the start unless given.
    relaxation : Relaxation, optional
        What the probe changes by from frame to frame, in pty-chi's scale.
    """
    positions_px = start.positions_px if positions_px is None else positions_px
    probes, weights = probe[None], None
    if relaxation is not None:
        nothing = np.zeros((len(relaxation.modes), len(probe) - 1, *probe.shape[1:]), probe.dtype)
        other = np.concatenate([relaxation.modes[:, None], nothing], axis=1)
        probes, weights = np.concatenate([probes, other]), relaxation.weights
    kind: Any = PtychographyTask
    if isinstance(options, MAPOptions):
        scale = start.scale
        pixel = start.obj[:1, :1]  # only the probe is asked for
        _, guess, _ = scale.to_known(pixel, scale.to_ptychi(start.probe))
        kind = partial(
            MAPTask,
            probe_guess=guess,
            positions_guess=start.positions_px,
            given_modes=start.given_modes,
        )
    intensity, valid = start.intensity, start.mask
    if valid is not None:
        valid = np.fft.ifftshift(valid, axes=(-2, -1))
        if valid.ndim == 3:  # pty-chi's is of all frames alike
            least = np.float32(LEAST_INTENSITY)
            intensity = np.where(valid & (intensity < least), least, intensity)
            valid = None
    with _named_failures("before epoch 1"), warnings.catch_warnings():
        warnings.filterwarnings("ignore", _OF_ITS_OWN)  # of a line inside pty-chi
        task = kind(
            options,
            diffraction_data=torch.from_numpy(intensity),  # arrays pty-chi would copy
            object_data=obj.reshape(-1, *obj.shape[-2:]),
            probe_data=probes,
            opr_mode_weights_data=weights,
            probe_position_y_px=positions_px[:, 0].astype(np.float32),
            probe_position_x_px=positions_px[:, 1].astype(np.float32),
            valid_pixel_mask=valid,
        )
    if options.reconstructor_options.default_device == Devices.CPU:
        devices.unset_default()  # pty-chi set what a tensor is made on anyway
    if start.mask is not None:
        _mask_losses(task.reconstructor)
    return task


def run_epoch(task: Any, epoch: int) -> float:
    """Run one epoch and return its loss; ``epoch`` is its number over all stages, for errors.

    Raises
    ------
    ReconstructionError
        pty-chi failed.
    """
    with (
        _named_failures(f"in epoch {epoch}"),
        complex_data.installed(),
        modulus.squares_installed(),
    ):
        task.run(1)
    reconstructor = task.reconstructor
    if isinstance(reconstructor, MAPReconstructor):
        return reconstructor.loss
    return float(reconstructor.loss_tracker.table["loss"].iloc[-1])


@contextlib.contextmanager
def _named_failures(when: str) -> Iterator[None]:
    """Make one line of whatever pty-chi raises; its traceback goes to the log."""
    try:
        yield
    except (Fly64Error, OSError, MemoryError):
        raise
    except Exception as error:
        if memory.is_short(error):
            raise
        logger.info("pty-chi failed %s", when, exc_info=True)
        said = (str(error).splitlines() or [""])[0]
        if isinstance(error, NotImplementedError):
            raise ReconstructionError(f"pty-chi refuses: {said}") from None
        raise failed_reconstruction(
            f"pty-chi failed {when}: {type(error).__name__}: {said}", algorithm="LSQML"
        ) from None


def _mask_losses(reconstructor: Any) -> None:
    """Have a reconstructor's loss count the pixels that count; AD's and MAP's do."""
    tracker = reconstructor.loss_tracker
    over_all = tracker.metric_function

    def over_valid(y_pred: Tensor, y_true: Tensor) -> Tensor:
        if y_true.ndim == 3:
            valid = reconstructor.get_constrained_pixel_mask(y_true)
            y_pred, y_true = y_pred[valid], y_true[valid]
        loss: Tensor = over_all(y_pred, y_true)
        return loss

    if over_all is not None:
        tracker.metric_function = over_valid


def arrays_of(task: Any) -> tuple[NDArray[np.complex64], NDArray[np.complex64]]:
    """Return object, (layers, H, W), and probe, (modes, N, N), as they are, in pty-chi's scale."""
    obj, probe = (task.get_data(name).cpu().numpy() for name in ("object", "probe"))
    return obj, probe[0]


def relaxation_of(task: Any) -> Relaxation | None:
    """Return what the probe changes by from frame to frame, in pty-chi's scale."""
    probe = task.get_data("probe").cpu().numpy()
    if len(probe) == 1:
        return None
    weights = task.get_data("opr_mode_weights").cpu().numpy()
    return Relaxation(probe[1:, 0].copy(), weights)


def positions_of(task: Any) -> NDArray[np.float64]:
    """Return the positions, (n, 2), in pixels of the object, y first, as they are."""
    positions: NDArray[np.float64] = task.get_data("probe_positions").cpu().numpy().astype(float)
    return positions


def doubts_of(task: Any) -> list[str]:
    """Return what a reconstructor says of how it ran."""
    doubts: list[str] = getattr(task.reconstructor, "doubts", [])
    return doubts


def has_converged(task: Any) -> bool | None:
    """Return whether another epoch would change nothing, None where a reconstructor can not say."""
    converged: bool | None = getattr(task.reconstructor, "converged", None)
    return converged
