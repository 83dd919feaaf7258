"""Maximum a posteriori reconstruction: a reconstructor for pty-chi's task.

An epoch is one iteration of L-BFGS over all frames; data, probe, positions, object and device are
pty-chi's. Its constraints between epochs are not applied, for each would leave the minimum. The
host waits for the device once for each step that is tried, to read the objective there.
"""

from __future__ import annotations

from typing import Any

import ptychi.api.options.base as base
import torch
from ptychi.data_structures.parameter_group import PlanarPtychographyParameterGroup
from ptychi.io_handles import PtychographyDataset
from ptychi.reconstructors.base import IterativePtychographyReconstructor
from pydantic import Field
from pydantic.dataclasses import dataclass
from torch import Tensor

from fly64tasks.recon.ptychi import lbfgs
from fly64tasks.recon.ptychi.capture import Captured, cuda_graph
from fly64tasks.recon.ptychi.likelihood import PoissonLikelihood
from fly64tasks.recon.ptychi.posterior import Posterior, squared
from fly64tasks.recon.ptychi.scan import Scan, followed

STOP_EPOCHS = 5
"""Epochs over which the fall of the objective is judged: single ones vary."""
LONGEST_STEP = 0.5
"""Of any pixel of an object of about 1, in an epoch: a longer one leaps into wrapped phase."""
_CHUNK_PIXELS = {"cpu": 2**17, "cuda": 2**25}
"""Pixels of frames at a time: on a CPU what its cache holds, elsewhere what keeps it busy."""


@dataclass(config=base.OPTIONS_CONFIG)
class MAPReconstructorOptions(base.ReconstructorOptions):
    """Options of `MAPReconstructor`; see `Posterior`. ``batch_size`` bounds the frames at a time.

    Attributes
    ----------
    tolerance_nats : float
        Converged once `STOP_EPOCHS` together bring less than this per lit pixel of the object.
    cuda_graph : bool
        On a GPU, an epoch is launched as two graphs rather than call by call.
    """

    prior: float = Field(default=70.0, ge=0)
    edge: float = Field(default=0.05, gt=0)
    probe_trust: float = Field(default=0.1, gt=0)
    low_frequency: float = Field(default=0.04, ge=0)
    tolerance_nats: float = Field(default=5e-3, ge=0)
    cuda_graph: bool = True


class MAPReconstructor(IterativePtychographyReconstructor):
    """L-BFGS on a `Posterior`.

    Attributes
    ----------
    loss : float
        Of the latest epoch: the objective at its end in nats per valid pixel, less what a perfect
        fit of the counts would have. It never rises but where windows follow positions. pty-chi's
        table of losses, in which a row takes a millisecond, stays empty.
    chunk : int
        Frames at a time.
    converged : bool
        Whether another epoch would bring nothing that counts.
    evaluate, descend : Captured
        The objective at a point, and the way to go from it: nearly all that an epoch launches.
    """

    dataset: PtychographyDataset
    options: MAPReconstructorOptions

    def __init__(
        self,
        parameter_group: PlanarPtychographyParameterGroup,
        dataset: PtychographyDataset,
        options: MAPReconstructorOptions,
        probe_guess: Tensor,
        positions_guess: Tensor,
        given_modes: int | None = None,
    ) -> None:
        super().__init__(parameter_group=parameter_group, dataset=dataset, options=options)
        self._probe_guess = probe_guess.to(parameter_group.probe.data)
        self._positions_guess = positions_guess.to(parameter_group.probe_positions.data)
        self._given_modes = given_modes
        # Where the windows are, and the state of L-BFGS: a checkpoint finds it here.
        self.nearest = parameter_group.probe_positions.data.detach().round()
        self.nats: list[float] = []
        self.gradient: Tensor | None = None
        self.pairs: lbfgs.Pairs
        self.is_stuck = False

    def check_inputs(self) -> None:
        """Refuse what the posterior has no term for."""
        group = self.parameter_group
        if group.object.is_multislice:
            raise NotImplementedError("MAP reconstructs objects of one slice")
        if group.probe.has_multiple_opr_modes:
            raise NotImplementedError("MAP reconstructs probes of one OPR mode")

    def build_dataloader(self, batch_sampler: Any = None) -> None:
        """Make no batches: an epoch is over all frames at once."""
        self.dataset.move_attributes_to_device(torch.get_default_device())  # type: ignore[no-untyped-call]

    def build(self) -> None:
        """Prepare all that an epoch needs."""
        super().build()
        device = torch.get_default_device()
        size = self.dataset.patterns.shape[-1]
        options, group = self.options, self.parameter_group
        self._scan = Scan(
            self._positions_guess,
            self.nearest,
            group.object.get_buffer("pos_origin_coords"),
            size,
            (group.object.shape[-2], group.object.shape[-1]),
        )
        valid = self.dataset.valid_pixel_mask
        if options.exclude_measured_pixels_below is not None:
            valid = valid & (self.dataset.patterns > options.exclude_measured_pixels_below)
        pixels = _CHUNK_PIXELS.get(device.type, _CHUNK_PIXELS["cuda"])
        self.chunk = min(options.batch_size, max(pixels // size**2, 1))
        with torch.no_grad():
            likelihood = PoissonLikelihood(
                self.dataset.patterns.to(device),
                self._scan.windows(),
                group.probe_positions.data.detach() - self.nearest,
                None if valid.all() else valid,
                chunk=self.chunk,
                moving=group.probe_positions.optimizable,
            )
            self.posterior = Posterior(
                likelihood,
                self._probe_guess,
                prior=options.prior,
                edge=options.edge,
                probe_trust=options.probe_trust if group.probe.optimizable else None,
                low_frequency=options.low_frequency,
                given_modes=self._given_modes,
                scan=self._scan if group.probe_positions.optimizable else None,
            )
            self.pairs = lbfgs.no_pairs(self._point())
        self._likelihood, self._n_valid = likelihood, likelihood.n_valid
        record = cuda_graph if device.type == "cuda" and options.cuda_graph else None
        self.evaluate = Captured(self.posterior, record)
        self.descend = Captured(self._descent, record)

    @property
    def doubts(self) -> list[str]:
        """Return what is to be said of how it ran."""
        refusals = {each.refusal for each in (self.evaluate, self.descend) if each.refusal}
        return [
            f"no CUDA graph of the epochs, which take longer so, to the same end: {refusal}"
            for refusal in sorted(refusals)
        ]

    @property
    def loss(self) -> float:
        return self.nats[-1] / self._n_valid

    @property
    def converged(self) -> bool:
        if self.is_stuck:
            return True
        if len(self.nats) <= STOP_EPOCHS:
            return False
        fall = self.nats[-1 - STOP_EPOCHS] - self.nats[-1]
        return bool(fall < self.options.tolerance_nats * self.posterior.n_lit)

    def run(self, n_epochs: int | None = None) -> None:
        """Run ``n_epochs`` iterations, all of the options' unless given."""
        for _ in range(self.n_epochs if n_epochs is None else n_epochs):
            with torch.no_grad():
                self._iterate()
            self.current_epoch += 1
            self.pbar.update(1)

    def _iterate(self) -> None:
        self._follow()
        point = self._point()
        if self.gradient is None:
            nats, self.gradient = self.evaluate(point)
            self.nats.append(float(nats))
        (direction,) = self.descend(point, self.gradient, lbfgs.latest(self.pairs))
        found = lbfgs.step(
            self.evaluate, point, self.nats[-1], self.gradient, direction, self.pairs
        )
        if found is None:
            self.is_stuck = not self.pairs["seen"]
            self.pairs["seen"] = 0  # the next epoch tries the metric's own direction
            self.nats.append(self.nats[-1])
            return
        new, lower, self.gradient = found
        self.nats.append(lower)
        self._move_to(new)

    def _descent(self, point: Tensor, gradient: Tensor, rows: Tensor) -> tuple[Tensor]:
        """Return the (k,) step to try from a point, of which no part is too long, in a tuple.

        ``rows`` are the pairs' `lbfgs.latest`: all else that changes is an input.
        """
        metric = self.posterior.metric_at(point)
        direction = lbfgs.descent(gradient, self.pairs, *metric, rows)
        obj, _, moves = self.posterior.split(direction)
        direction *= (LONGEST_STEP * squared(obj).max().rsqrt()).clamp(max=1)
        _, _, positions = self.posterior.split(point)
        if moves is not None and positions is not None:
            moves.copy_(self._scan.bounded(moves, positions))
        return (direction,)

    def _follow(self) -> None:
        """Have the windows follow positions that change, from where a checkpoint has them."""
        group = self.parameter_group
        if not group.probe_positions.optimizable:
            return
        nearest = followed(self.nearest, group.probe_positions.data.detach())
        unlike = [(nearest != other).any() for other in (self.nearest, self._scan.nearest_px)]
        moved, elsewhere = torch.stack(unlike).tolist()
        self.nearest = nearest
        if elsewhere:
            self._scan.nearest_px = nearest.clone()
            self._likelihood.windows = self._scan.windows()
            self.evaluate.forget()
            self.descend.forget()
        if moved and self.gradient is not None:
            nats, self.gradient = self.evaluate(self._point())
            self.nats[-1] = float(nats)

    def _point(self) -> Tensor:
        group = self.parameter_group
        positions = group.probe_positions.data.detach()
        return self.posterior.join(group.object.data[0], group.probe.data[0], positions)

    def _move_to(self, point: Tensor) -> None:
        obj, probe, positions = self.posterior.split(point)
        self.parameter_group.object.set_data(obj[None])
        if self.parameter_group.probe.optimizable:
            self.parameter_group.probe.set_data(probe[None])
        if positions is not None:
            self.parameter_group.probe_positions.set_data(positions)
