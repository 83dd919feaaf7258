"""An estimate of the inverse Hessian of what MAP minimises: L-BFGS learns the rest.

Of a pixel of the object, the Hessian is half its photons (a count fixes one of the two parts of a
far field) and 4 prior for its neighbours: the inverse root of that on both sides. Between them are
filters, for the Hessian depends on the frequency: the prior's part is
prior (4 sin^2 pi k_y + 4 sin^2 pi k_x), that of the counts falls for the phase as
k^2 / (k^2 + k0^2), since a phase that varies slowly is seen by its gradient alone. A probe pixel
sees an object of about 1 in every frame. A position's is its own curvature, and the mean one: what
a frame says of it while the object is rough is doubtful.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

LEAST_ILLUMINATION = 1e-3
"""What is taken for the least illumination, as a share of the largest: only maximum likelihood,
which has no prior to hold unlit pixels, comes near it."""


class Filter(NamedTuple):
    """A filter of real images (H, W), symmetric and positive.

    Attributes
    ----------
    gain : (H, W // 2 + 1) float
        Of each frequency of `torch.fft.rfft2`.
    weight : (H, W // 2 + 1) float
        By which the squares of an image's transform are summed to image . filtered [Parseval].
    """

    gain: Tensor
    weight: Tensor

    @classmethod
    def of(cls, gain: Tensor, width: int) -> Filter:
        """Return the filter that has a gain, for images so wide."""
        height = gain.shape[0]
        twice = 2 * torch.ones_like(gain)  # but for frequencies that are their own opposites
        twice[:, 0] = 1
        if width % 2 == 0:
            twice[:, -1] = 1
        return cls(gain, gain * twice / (height * width))

    def __call__(self, image: Tensor) -> Tensor:
        """Return the image filtered."""
        filtered: Tensor = torch.fft.irfft2(torch.fft.rfft2(image) * self.gain, s=image.shape)
        return filtered

    def squares(self, image: Tensor) -> Tensor:
        """Return image . filtered, (), without a transform back."""
        parts = torch.view_as_real(torch.fft.rfft2(image)).square()
        return ((parts[..., 0] + parts[..., 1]) * self.weight).sum()


class ObjectMetric:
    """The object's part of it, in the frame of each pixel's own phase.

    Parameters
    ----------
    illumination : (H, W) float
        Photons that fall on a pixel in all frames.
    lit : (H, W) bool
        Pixels that get many of them.
    prior : float
        In nats.
    low_frequency : float
        k0, in cycles per px.
    """

    def __init__(
        self, illumination: Tensor, lit: Tensor, *, prior: float, low_frequency: float
    ) -> None:
        height, width = illumination.shape
        least = max(4 * prior, LEAST_ILLUMINATION * float(illumination.max()))
        root = torch.rsqrt(0.5 * illumination + least)
        self._root = root.to(root.dtype.to_complex())  # or torch would make it at each product
        counts = 0.5 * illumination[lit].mean()
        k_y = torch.fft.fftfreq(height, dtype=root.dtype, device=root.device)[:, None]
        k_x = torch.fft.rfftfreq(width, dtype=root.dtype, device=root.device)
        squared = k_y**2 + k_x**2
        seen = squared / (squared + low_frequency**2)
        seen[0, 0] = 1  # the phase of the whole, which nothing says anything of
        tied = prior * 4 * (torch.sin(torch.pi * k_y) ** 2 + torch.sin(torch.pi * k_x) ** 2)
        self._amplitude = Filter.of((counts + 4 * prior) / (counts + tied), width)
        self._phase = Filter.of((counts + 4 * prior) / (counts * seen + tied), width)

    def unit_at(self, obj: Tensor) -> Tensor:
        """Return what turns an object's pixels (H, W) into that frame, and scales them."""
        return torch.sgn(obj).mul_(self._root)

    def __call__(self, gradient: Tensor, unit: Tensor) -> Tensor:
        """Return it applied to a gradient, (H, W) complex."""
        turned = gradient * unit.conj_physical()
        return torch.complex(self._amplitude(turned.real), self._phase(turned.imag)).mul_(unit)

    def squares(self, gradient: Tensor, unit: Tensor) -> Tensor:
        """Return gradient . applied, (), in half of the transforms."""
        turned = gradient * unit.conj_physical()
        return self._amplitude.squares(turned.real) + self._phase.squares(turned.imag)


class Metric(NamedTuple):
    """It all, at one point.

    Attributes
    ----------
    apply : callable
        To a gradient (k,): where to go.
    squares : callable
        Of a gradient: gradient . applied, ().
    """

    apply: Callable[[Tensor], Tensor]
    squares: Callable[[Tensor], Tensor]
