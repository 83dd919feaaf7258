"""How well object and probe explain the counts: Poisson statistics, and their gradients.

Maximum likelihood in ptychography is P. Thibault and M. Guizar-Sicairos, New J. Phys. 14, 063004
(2012); ``[TG n]`` below are its equations. The transform is pty-chi's: not normalised, so that a
probe here is 1/N of the one whose |p|^2 are photons.
"""

from __future__ import annotations

import torch
from torch import Tensor

from fly64tasks.recon.ptychi.alike import Alike
from fly64tasks.recon.ptychi.windows import Windows

BACKGROUND_COUNTS = 1e-3
"""Counts per pixel that are always expected, at most: without any, a photon where none is expected
would be impossible, and its gradient without bound."""
BACKGROUND_SHARE = 1 / 200
"""The same as a share of the mean counts per pixel: what few photons get."""


class PoissonLikelihood:
    """Minus the logarithm of the likelihood of all frames, in nats, chunk by chunk.

    A frame's shifts, the probe's there and its gradient's back, are two of its four transforms.
    Frames whose shifts are alike, as on a raster of whole pixels, share them.

    Parameters
    ----------
    counts : (n, N, N) float
        Diffraction intensity in photons, zero frequency in the corner.
    windows : Windows
        Where the frames lie on the object.
    shifts_px : (n, 2) float
        What is left of the positions, y first: the probe is shifted by it.
    valid : (N, N) or (n, N, N) bool, optional
        Pixels that count; all unless given.
    chunk : int
        Frames at a time: what memory is needed beside the counts.
    moving : bool
        Whether `shift` will be called anew each time: nothing is shared then.

    Attributes
    ----------
    n_valid : int
        Pixels that count, over all frames.
    windows : Windows
        Those given; others may take their place, and `shift` has to follow.
    """

    def __init__(
        self,
        counts: Tensor,
        windows: Windows,
        shifts_px: Tensor,
        valid: Tensor | None,
        chunk: int,
        *,
        moving: bool = False,
    ) -> None:
        n, size = counts.shape[0], counts.shape[-1]
        self.n_frames, self.frame_size_px = n, size
        self._counts, self._valid = counts, valid
        self._slices = [slice(a, min(a + chunk, n)) for a in range(0, n, chunk)]
        self._frequency = torch.fft.fftfreq(size, dtype=shifts_px.dtype, device=shifts_px.device)
        self.windows = windows
        self._alike: Alike | None = None
        if not moving and len(alike := Alike(shifts_px)) <= min(chunk, n // 2):
            self._alike, shifts_px = alike, alike.shifts_px
        self.shift(shifts_px)
        self.n_valid = 0
        self._perfect = total = 0.0
        for frames in self._slices:
            n_k, valid_k = self._data(frames)
            self.n_valid += n_k.numel() if valid_k is None else int(valid_k.expand_as(n_k).sum())
            self._perfect += float(_sum(n_k - torch.xlogy(n_k, n_k), valid_k))
            total += float(_sum(n_k, valid_k))
        self.background = min(BACKGROUND_COUNTS, BACKGROUND_SHARE * total / max(self.n_valid, 1))

    def shift(self, shifts_px: Tensor) -> None:
        """Shift the probe of each frame by its (n, 2) ``shifts_px``, y first, from now on."""
        self._ramp_y, self._ramp_x = (
            torch.exp(-2j * torch.pi * shifts_px[:, axis, None] * self._frequency)
            for axis in (0, 1)
        )

    def __call__(
        self, obj: Tensor, probe: Tensor, shift_gradient: Tensor | None = None
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Return the nats above those of a perfect fit, and the gradients.

        The frames' far fields are psi_m = F[p_m o] of each mode m, their expected counts
        P = sum_m |psi_m|^2 [TG 1], and the nats sum(P - n log P) [TG 3] less those at P = n. The
        gradients are those with respect to the conjugates [TG 10, 11]:
        with chi_m = F^H[(1 - n / P) psi_m], of the object sum_m p_m* chi_m, of the probe
        sum_frames o* chi_m, shifted back. Of a shift s it is 2 Re sum chi_m* o dp_m/ds, which is a
        sum over what the probe's is made of, as dp/ds is -2 pi i k times the spectrum.

        Nothing here waits for the device, and all shapes are those of the call before.

        Parameters
        ----------
        obj : (H, W) complex
        probe : (modes, N, N) complex
        shift_gradient : (n, 2) float, optional
            Filled with the gradient with respect to the shifts, nats per px, y first.

        Returns
        -------
        nats : () float64
        obj_gradient : (H, W) complex
        probe_gradient : (modes, N, N) complex
        """
        spectrum = torch.fft.fft2(probe)
        # Of the gradients' conjugates, so that no factor has to be conjugated.
        obj_sum, back_sum = torch.zeros_like(obj), torch.zeros_like(probe)
        nats = torch.full((), -self._perfect, dtype=torch.float64, device=obj.device)
        alike = self._alike
        if alike is not None:
            ramps = self._ramps(slice(None))
            probes = torch.fft.ifft2(spectrum * ramps)
            updates = torch.zeros_like(probes)
        for frames in self._slices:
            if alike is None:
                ramps = self._ramps(frames)
                shifted = torch.fft.ifft2(spectrum * ramps)
            else:
                shifted = probes[alike.which[frames]]
            patches = self.windows.cut(obj, frames)[:, None]
            waves = shifted * patches
            chi = self._residual(waves, nats, frames)
            self.windows.add(obj_sum, _over_modes(torch.mul(shifted, chi, out=waves)), frames)
            update = torch.mul(patches, chi, out=waves)
            if alike is not None:
                alike.add(updates, update, frames)
                continue
            back = torch.fft.ifft2(update, norm="forward").mul_(ramps)
            back_sum += back.sum(0)
            if shift_gradient is not None:
                turned = _over_modes((back * spectrum).imag)
                along = torch.stack([turned.sum(2), turned.sum(1)], dim=1) @ self._frequency
                shift_gradient[frames] = 4 * torch.pi / self.frame_size_px**2 * along
        if alike is not None:
            back_sum = torch.fft.ifft2(updates, norm="forward").mul_(ramps).sum(0)
        probe_gradient = torch.fft.ifft2(back_sum.conj_physical_())
        return nats, obj_sum.conj_physical_(), probe_gradient

    def _ramps(self, frames: slice) -> Tensor:
        ramps: Tensor = self._ramp_y[frames, None, :, None] * self._ramp_x[frames, None, None, :]
        return ramps

    def _residual(self, waves: Tensor, nats: Tensor, frames: slice) -> Tensor:
        """Return chi* of exit waves (b, modes, N, N), and add what they cost to ``nats``.

        Their memory is used for what comes between, as a CPU's cache is soon full.
        """
        counts, valid = self._data(frames)
        far = torch.fft.fft2(waves)
        parts, squares = torch.view_as_real(far), torch.view_as_real(waves)
        torch.mul(parts, parts, out=squares)  # of the strided parts it would take twice as long
        expected = _over_modes(squares[..., 0] + squares[..., 1]).add_(self.background)
        cost = torch.log(expected)
        torch.addcmul(expected, counts, cost, value=-1, out=cost)
        nats += _sum(cost, valid)
        excess = torch.sub(expected, counts, out=cost).div_(expected)
        if valid is not None:
            excess = torch.where(valid, excess, 0)
        parts *= torch.view_as_real(torch.complex(excess, -excess))[:, None]
        chi: Tensor = torch.fft.fft2(far)
        return chi

    def illumination(self, probe: Tensor) -> Tensor:
        """Return the photons that fall on each pixel of the object over all frames, (H, W)."""
        canvas = torch.zeros(self.windows.shape, dtype=probe.real.dtype, device=probe.device)
        photons = self.frame_size_px**2 * (probe * probe.conj()).real.sum(0)
        for frames in self._slices:
            n = frames.stop - frames.start
            self.windows.add(canvas, photons.expand(n, -1, -1), frames)
        return canvas

    def curvature(self, obj: Tensor, probe: Tensor) -> Tensor:
        """Return about the second derivatives with respect to the shifts, (n, 2), nats per px^2.

        Half of 4 sum |p d o|^2 (a count fixes one of the two parts of a far field): only where
        the object changes does a frame tell where it lies.
        """
        photons = self.frame_size_px**2 * (probe * probe.conj()).real.sum(0)
        found = torch.empty(self.n_frames, 2, dtype=photons.dtype, device=probe.device)
        for axis in (0, 1):
            (slope,) = torch.gradient(obj, dim=axis)
            steepness = 2 * (slope * slope.conj()).real
            for frames in self._slices:
                seen = self.windows.cut(steepness, frames) * photons
                found[frames, axis] = seen.sum((1, 2))
        return found

    def _data(self, frames: slice) -> tuple[Tensor, Tensor | None]:
        valid = self._valid
        if valid is not None and valid.ndim == 3:
            valid = valid[frames]
        return self._counts[frames], valid


def _over_modes(values: Tensor) -> Tensor:
    """Return the sum over the second axis; over one mode alone it would take time all the same."""
    return values[:, 0] if values.shape[1] == 1 else values.sum(1)


def _sum(values: Tensor, valid: Tensor | None) -> Tensor:
    if valid is not None:
        values = torch.where(valid, values, 0)
    return values.sum(-1).sum(dtype=torch.float64)  # at once it would make a copy in float64
