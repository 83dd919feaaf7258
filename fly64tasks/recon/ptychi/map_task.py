"""MAP as a task of pty-chi: its options, and what makes our reconstructor where pty-chi makes its.

pty-chi's registry of reconstructors knows only its own.
"""

from __future__ import annotations

from dataclasses import field
from typing import Any

import numpy as np
import ptychi.api.options.base as base
import torch
from numpy.typing import NDArray
from ptychi.api.options.task import PtychographyTaskOptions
from ptychi.api.task import PtychographyTask
from ptychi.data_structures.base import ReconstructParameter
from ptychi.data_structures.parameter_group import PlanarPtychographyParameterGroup
from pydantic.dataclasses import dataclass

from fly64tasks.recon.ptychi import overrides
from fly64tasks.recon.ptychi.map import MAPReconstructor, MAPReconstructorOptions


@dataclass(config=base.OPTIONS_CONFIG)
class MAPOptions(PtychographyTaskOptions):
    """Options of a `MAPTask`."""

    reconstructor_options: MAPReconstructorOptions = field(default_factory=MAPReconstructorOptions)


class MAPTask(PtychographyTask):
    """pty-chi's task with our reconstructor.

    Parameters
    ----------
    options : MAPOptions
    probe_guess : (modes, N, N) complex64
        What the probe is held near, in pty-chi's scale; it need not start there.
    positions_guess : (n, 2) float
        The same of the positions, where they may change.
    given_modes : int, optional
        How many of its modes are the set's; all unless given.
    **arrays
        As `PtychographyTask` takes them.
    """

    def __init__(
        self,
        options: MAPOptions,
        *,
        probe_guess: NDArray[np.complex64],
        positions_guess: NDArray[np.float64],
        given_modes: int | None = None,
        **arrays: Any,
    ) -> None:
        self._guesses = probe_guess, positions_guess
        self._given_modes = given_modes
        # MAP has no use for torch's optimizers, of which the first takes a second to make.
        with overrides.replaced(ReconstructParameter, "build_optimizer", lambda parameter: None):
            super().__init__(options, **arrays)

    def build_reconstructor(self) -> None:
        """Build a `MAPReconstructor`."""
        built: Any = self
        group = PlanarPtychographyParameterGroup(
            object=built.object,
            probe=built.probe,
            probe_positions=built.probe_positions,
            opr_mode_weights=built.opr_mode_weights,
        )
        self.reconstructor = MAPReconstructor(
            group,
            built.dataset,
            built.reconstructor_options,
            probe_guess=torch.as_tensor(self._guesses[0]),
            positions_guess=torch.as_tensor(self._guesses[1]),
            given_modes=self._given_modes,
        )
        self.reconstructor.build()
