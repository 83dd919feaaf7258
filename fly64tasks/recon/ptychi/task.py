"""pty-chi's task of a stage: arrays in, epochs, arrays out."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from ptychi.api.task import PtychographyTask

from fly64tasks.errors import failed_reconstruction
from fly64tasks.recon.ptychi.map import MAPOptions, MAPTask
from fly64tasks.recon.start import Start


def new_task(
    options: Any, start: Start, obj: NDArray[np.complex64], probe: NDArray[np.complex64]
) -> Any:
    """Return a `PtychographyTask` that has not run.

    Parameters
    ----------
    options
        As `options.ptychi_options` returns.
    obj : (H, W) complex64
    probe : (modes, N, N) complex64
        In pty-chi's scale, as `Scale.to_ptychi` gives it.
    """
    kind: Any = PtychographyTask
    if isinstance(options, MAPOptions):
        scale = start.scale
        _, guess, _ = scale.to_known(start.obj, scale.to_ptychi(start.probe))
        kind = partial(MAPTask, probe_guess=guess)
    return kind(
        options,
        # Corner-centred by us: pty-chi's own fft_shift is off by a pixel for odd N.
        diffraction_data=np.fft.ifftshift(start.intensity, axes=(-2, -1)),
        object_data=obj[None],
        probe_data=probe[None],
        probe_position_y_px=start.positions_px[:, 0].astype(np.float32),
        probe_position_x_px=start.positions_px[:, 1].astype(np.float32),
    )


def run_epoch(task: Any, epoch: int) -> float:
    """Run one epoch and return its loss; ``epoch`` is its number over all stages, for errors.

    Raises
    ------
    ReconstructionError
        pty-chi met a singular system.
    """
    try:
        task.run(1)
    except torch.linalg.LinAlgError as error:  # type: ignore[attr-defined]
        raise failed_reconstruction(
            f"pty-chi failed in epoch {epoch}: {error}", algorithm="LSQML"
        ) from None
    return float(task.reconstructor.loss_tracker.table["loss"].iloc[-1])


def arrays_of(task: Any) -> tuple[NDArray[np.complex64], NDArray[np.complex64]]:
    """Return object, (H, W), and probe, (modes, N, N), as they are, in pty-chi's scale."""
    obj, probe = (task.get_data(name)[0].cpu().numpy() for name in ("object", "probe"))
    return obj, probe


def has_converged(task: Any) -> bool | None:
    """Return whether another epoch would change nothing, None where a reconstructor can not say."""
    converged: bool | None = getattr(task.reconstructor, "converged", None)
    return converged
