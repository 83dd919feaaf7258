"""What a reconstruction found, by pty-chi or a program of others, before it is in a file."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fly64tasks.physics.relaxation import Relaxation


@dataclass(frozen=True)
class Reconstruction:
    """What was found: object, probe, positions, and how it came to them.

    Attributes
    ----------
    obj : (H, W) complex64
        On the start's canvas: the product of its layers.
    probe : (modes, N, N) complex64
        In sqrt(photons) per pixel, in the scale of the set; it holds what is known (`scale`).
    positions_px : (n, 2) float64
        In pixels of the object, y first: the start's, or corrected.
    factor : float
        What the object was divided by, and the probe multiplied, to get there.
    loss : tuple of float
        Of each epoch: pty-chi's displayed loss, or MAP's objective in nats per valid pixel, less
        that of a perfect fit.
    comparable_from : int
        How many losses before the last ones are of another algorithm, and in another unit.
    converged : bool or None
        Whether MAP stopped by itself, before its bound of epochs; None where MAP did not end it.
    options : tuple of dict
        Every option that pty-chi ran with, in each stage.
    relaxation : Relaxation or None
        What the probe changes by from frame to frame; None where it is the same in all.
    slices : (layers, H, W) complex64 or None
        Of an object of several.
    doubts : tuple of str
        What is to be said of how it was found.
    """

    obj: NDArray[np.complex64]
    probe: NDArray[np.complex64]
    positions_px: NDArray[np.float64]
    factor: float = 1.0
    loss: tuple[float, ...] = ()
    comparable_from: int = 0
    converged: bool | None = None
    options: tuple[dict[str, Any], ...] = ()
    relaxation: Relaxation | None = None
    slices: NDArray[np.complex64] | None = None
    doubts: tuple[str, ...] = ()
