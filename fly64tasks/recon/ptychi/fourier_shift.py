"""pty-chi's sub-pixel shift with a separable phase ramp: the same to float32 rounding, and faster.

pty-chi shifts the probe to each frame's sub-pixel position, and its updates back, by

    ifft2(fft2(image) exp(-2 pi i (f_y s_y + f_x s_x))),

and takes the complex exponential of every frame's whole ramp: the largest single cost of an epoch
on a CPU. The ramp is the product of one vector per axis, so that N^2 exponentials a frame become
2 N. No option of pty-chi does this. What we replace is one function, for the length of a run, and
only in versions that it was held against (docs/decisions/0013-fourier-shift.md).
"""

from __future__ import annotations

import contextlib
import logging

import torch
from ptychi import image_proc, maths
from torch import Tensor

from fly64tasks.recon.ptychi import overrides

CHECKED_VERSIONS = ("2.1.0", "2.2.0")
"""pty-chi's versions whose own function this one was held against."""

_original = image_proc.fourier_shift
_log = logging.getLogger(__name__)


def fourier_shift(images: Tensor, shifts: Tensor, strictly_preserve_zeros: bool = False) -> Tensor:
    """Return images shifted by a circular Fourier shift, as ``ptychi.image_proc.fourier_shift``.

    Parameters
    ----------
    images : (n, h, w) real or complex
    shifts : (n, 2)
        In px, y first.
    strictly_preserve_zeros : bool
        Left to pty-chi's own function.
    """
    if strictly_preserve_zeros:
        shifted: Tensor = _original(images, shifts, strictly_preserve_zeros=True)
        return shifted
    spectrum: Tensor = maths.fft2_precise(images)  # type: ignore[no-untyped-call]
    device = spectrum.device
    ramp_y, ramp_x = (
        torch.exp(-2j * torch.pi * shift[:, None] * torch.fft.fftfreq(size, device=device))
        for shift, size in zip(shifts.to(device).unbind(1), images.shape[-2:], strict=True)
    )
    spectrum = spectrum * ramp_y[:, :, None] * ramp_x[:, None, :]
    shifted = maths.ifft2_precise(spectrum)  # type: ignore[no-untyped-call]
    return shifted if images.dtype.is_complex else shifted.real


def installed(device: str = "cpu") -> contextlib.AbstractContextManager[None]:
    """Have pty-chi use our function within the context, where its version was checked.

    On a GPU, where launches cost more than exponentials and ours gains nothing, it keeps its own.
    """
    if device != "cpu":
        return contextlib.nullcontext()
    if not overrides.is_checked(CHECKED_VERSIONS):
        _log.info(
            "pty-chi %s keeps its own fourier_shift: the faster one was checked against %s",
            overrides.version(),
            ", ".join(CHECKED_VERSIONS),
        )
        return contextlib.nullcontext()
    return overrides.replaced(image_proc, "fourier_shift", fourier_shift)
