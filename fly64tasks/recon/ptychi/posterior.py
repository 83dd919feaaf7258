"""What MAP minimises: the counts' likelihood, a smooth object, a probe near its guess; in nats.

    f(o, p) = sum(P - n log P) + prior sum h(|grad o|) + sum |p - p0|^2 / (trust^2 mean |p0|^2)
    + sum |x - x0|^2 / (2 sigma^2), where the positions x may change
    h(m) = 2 edge^2 (sqrt(1 + m^2 / edge^2) - 1)

The smoothness term is that of P. Thibault and M. Guizar-Sicairos, New J. Phys. 14, 063004 (2012),
section 3.3, with a weight in nats rather than one tuned to each set: nats of the counts grow with
dose and overlap, so that data that say much outweigh the prior. Where they take m^2, h is m^2 below
``edge`` and 2 edge m above, so that an edge of the object costs no more than a slope of its height
(P. Charbonnier, L. Blanc-Feraud, G. Aubert and M. Barlaud, IEEE Trans. Image Process. 6, 298,
1997). The probe's term is a normal distribution of the probe about its guess, in each pixel of
``trust`` times its root mean square; that of a position has a deviation of `scan.TRUST_PX` on each
axis. All frames together may move with the object, so that their mean stays.
"""

from __future__ import annotations

import torch
from torch import Tensor

from fly64tasks.recon.ptychi.likelihood import PoissonLikelihood
from fly64tasks.recon.ptychi.metric import Metric, ObjectMetric
from fly64tasks.recon.ptychi.scan import TRUST_PX, Scan, without_mean

LIT_SHARE = 0.1
"""Pixels count as lit above this share of the largest illumination."""
OWN_MODES_TRUST = 10.0
"""Times ``probe_trust``: how far modes may be off that nobody gave, being ours."""


class Posterior:
    """Minus the logarithm of the posterior of what is unknown, as a function of one real vector.

    The vector is made of object, probe and positions, but for what is held.

    Parameters
    ----------
    likelihood : PoissonLikelihood
    probe : (modes, N, N) complex
        The guess p0, in pty-chi's scale.
    prior : float
        Weight of the squared differences of neighbouring pixels; 0 is maximum likelihood.
    edge : float
        Difference of neighbouring pixels, of an object of about 1, above which it is an edge.
    probe_trust : float or None
        How far the probe may be off, as a share of its root mean square; None holds it.
    given_modes : int, optional
        How many of the guess's modes, the first, are the set's: the others are held less.
    low_frequency : float
        In cycles per px: below it the metric makes up for how little slow phase is determined.
    scan : Scan, optional
        Of the positions x0, where they may change.

    Attributes
    ----------
    n_lit : int
        Pixels of the object that are lit.
    """

    def __init__(
        self,
        likelihood: PoissonLikelihood,
        probe: Tensor,
        *,
        prior: float,
        edge: float,
        probe_trust: float | None,
        low_frequency: float,
        given_modes: int | None = None,
        scan: Scan | None = None,
    ) -> None:
        self._likelihood, self._probe, self._scan = likelihood, probe, scan
        self._prior, self._edge = prior, edge
        self._shape = likelihood.windows.shape
        illumination = likelihood.illumination(probe)
        lit = illumination > LIT_SHARE * float(illumination.max())
        self.n_lit = int(lit.sum())
        self._metric = ObjectMetric(illumination, lit, prior=prior, low_frequency=low_frequency)
        self._holds_probe = probe_trust is None
        if probe_trust is not None:
            held = float(1 / (probe_trust**2 * (probe * probe.conj()).real.mean()))
            self._stiffness: float | Tensor = held
            if given_modes is not None and given_modes < len(probe):
                each = torch.full((len(probe), 1, 1), held, device=probe.device)
                each[given_modes:] /= OWN_MODES_TRUST**2
                self._stiffness = each

    def join(self, obj: Tensor, probe: Tensor, positions_px: Tensor | None) -> Tensor:
        """Return the vector of object (H, W), probe (modes, N, N) and positions (n, 2)."""
        waves = (obj,) if self._holds_probe else (obj, probe)
        parts = [torch.view_as_real(wave).reshape(-1) for wave in waves]
        if self._scan is not None and positions_px is not None:
            parts.append(positions_px.reshape(-1))
        return torch.cat(parts)

    def split(self, vector: Tensor) -> tuple[Tensor, Tensor, Tensor | None]:
        """Return object, probe and positions of a vector.

        The guess of a probe that is held; None for positions that are.
        """
        size = 2 * self._shape[0] * self._shape[1]
        obj = torch.view_as_complex(vector[:size].view(*self._shape, 2))
        probe, positions = self._probe, None
        if self._scan is not None:
            positions = vector[-self._scan.given_px.numel() :].view(-1, 2)
        if not self._holds_probe:
            end = size + 2 * probe.numel()
            probe = torch.view_as_complex(vector[size:end].view(*probe.shape, 2))
        return obj, probe, positions

    def __call__(self, vector: Tensor) -> tuple[Tensor, Tensor]:
        """Return f, () float64, in nats above a perfect fit of the counts, and its gradient.

        Both are left on the device: nothing waits for it.
        """
        obj, probe, positions = self.split(vector)
        pull = None
        if self._scan is not None and positions is not None:
            self._likelihood.shift(positions - self._scan.nearest_px)
            pull = torch.empty_like(positions)
        nats, obj_gradient, probe_gradient = self._likelihood(obj, probe, pull)
        if self._prior:
            cost, rough = roughness(obj, self._edge)
            nats += self._prior * cost
            obj_gradient += rough.mul_(self._prior)
        if not self._holds_probe:
            off = probe - self._probe
            if isinstance(self._stiffness, Tensor):
                nats += _squares(off * self._stiffness.sqrt())
            else:
                nats += self._stiffness * _squares(off)
            probe_gradient += self._stiffness * off
        if self._scan is not None and positions is not None and pull is not None:
            cost, held = self._scan.prior(positions)
            nats += cost
            pull = without_mean(pull + held) / 2
        # A real function's gradient is twice that with respect to the conjugate.
        return nats, self.join(obj_gradient, probe_gradient, pull).mul_(2)

    def metric_at(self, vector: Tensor) -> Metric:
        """Return the metric at ``vector``: symmetric and positive."""
        obj, probe, positions = self.split(vector)
        frame, metric = self._metric.frame_at(obj), self._metric
        curvature: Tensor | None = None
        if positions is not None:
            curvature = self._likelihood.curvature(obj, probe)
            curvature += curvature.mean() + 1 / TRUST_PX**2
        sees = self._likelihood.n_frames * self._likelihood.frame_size_px**2

        def others(probe_gradient: Tensor, pull: Tensor | None) -> tuple[Tensor, Tensor | None]:
            if pull is not None and curvature is not None:
                pull = without_mean(without_mean(pull) / curvature)
            if not self._holds_probe:
                probe_gradient = probe_gradient / (sees + self._stiffness)
            return probe_gradient, pull

        def apply(gradient: Tensor) -> Tensor:
            obj_gradient, probe_gradient, pull = self.split(gradient)
            return self.join(metric(obj_gradient, frame), *others(probe_gradient, pull))

        def squares(gradient: Tensor) -> Tensor:
            obj_gradient, probe_gradient, pull = self.split(gradient)
            probe_step, move = others(probe_gradient, pull)
            found = metric.squares(obj_gradient, frame)
            if pull is not None and move is not None:
                found += (pull * move).sum()
            if not self._holds_probe:
                found += torch.vdot(probe_gradient.reshape(-1), probe_step.reshape(-1)).real
            return found

        return Metric(apply, squares)


def roughness(obj: Tensor, edge: float) -> tuple[Tensor, Tensor]:
    """Return sum h(|grad o|) by forward differences, and its gradient with respect to o*.

    The borders are free: what lies outside of the object pulls at nothing.
    """
    down, right = torch.zeros_like(obj), torch.zeros_like(obj)
    torch.sub(obj[1:], obj[:-1], out=down[:-1])
    torch.sub(obj[:, 1:], obj[:, :-1], out=right[:, :-1])
    squares = squared(down).add_(squared(right))
    root = (squares / edge**2).add_(1).sqrt_()
    cost = 2 * squares.div_(root + 1).sum(dtype=torch.float64)  # h, where root - 1 would cancel
    weight = root.reciprocal_().to(obj.dtype)
    del squares, root  # objects may be large beside their frames
    down, right = down.mul_(weight), right.mul_(weight)
    del weight
    gradient = torch.neg(down).sub_(right)
    gradient[1:] += down[:-1]
    gradient[:, 1:] += right[:, :-1]
    return cost, gradient


def squared(values: Tensor) -> Tensor:
    """Return |values|^2: the modulus would cost more than a transform."""
    parts = torch.view_as_real(values).square()
    return parts[..., 0] + parts[..., 1]


def _squares(values: Tensor) -> Tensor:
    return torch.view_as_real(values).square().sum(dtype=torch.float64)
