"""A probe that changes from frame to frame: orthogonal probe relaxation (OPR).

Its first mode is a sum with weights of the frame's own (Odstrcil et al., *Opt. Express* 24, 8360
(2016)); further, incoherent modes are the same in every frame, as pty-chi has it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Relaxation:
    """What the first mode of a probe is made of in each frame.

    In frame i it is ``weights[i, 0]`` times itself and ``weights[i, k]`` times ``modes[k - 1]``.

    Attributes
    ----------
    modes : (K, N, N) complex
        In the unit of the probe.
    weights : (n, 1 + K) float
        Of each frame; the first one is that of the probe's own first mode.
    """

    modes: NDArray[np.complexfloating]
    weights: NDArray[np.floating]

    def probes(
        self, probe: NDArray[np.complexfloating], frames: slice = slice(None)
    ) -> NDArray[np.complexfloating]:
        """Return the probe, (modes, N, N), of each of the frames: (frames, modes, N, N)."""
        weights = self.weights[frames]
        found = np.repeat(probe[None], len(weights), axis=0)
        found[:, 0] = np.tensordot(weights, np.concatenate([probe[:1], self.modes]), axes=1)
        return found

    def mean_power(self, probe: NDArray[np.complexfloating]) -> float:
        """Return the sum of |p|^2 of a probe, (modes, N, N), in the mean over all frames."""
        varying = float(_mean_products(self._parts(probe[0]), self.weights).sum())
        return varying + float((np.abs(probe[1:].astype(np.complex128)) ** 2).sum())

    def shares(self, probe: NDArray[np.complexfloating]) -> NDArray[np.float64]:
        """Return the share of the first mode's power that each of the K modes holds, over all."""
        held = np.diagonal(_mean_products(self._parts(probe[0]), self.weights))
        found: NDArray[np.float64] = held[1:] / held.sum()
        return found

    def scaled(self, factor: float) -> Relaxation:
        """Return that of a probe which is so many times this one."""
        return Relaxation(self.modes * self.modes.real.dtype.type(factor), self.weights)

    def relative_to(self, probe: NDArray[np.complexfloating]) -> Relaxation:
        """Return the same with each mode as strong as the probe's first: a weight is its share."""
        first, *others = np.sqrt((np.abs(self._parts(probe[0])) ** 2).sum(axis=1))
        factors = np.array([first / other if other > 0 else 1.0 for other in others])
        weights = np.column_stack([self.weights[:, 0], self.weights[:, 1:] / factors])
        modes = self.modes * factors[:, None, None]
        return Relaxation(modes.astype(self.modes.dtype), weights.astype(self.weights.dtype))

    def _parts(self, first: NDArray[np.complexfloating]) -> NDArray[np.complex128]:
        """Return first and other modes, flat, in double precision."""
        parts = np.concatenate([first[None], self.modes]).astype(np.complex128)
        return parts.reshape(len(parts), -1)


def first_relaxation(
    n_modes: int, n_frames: int, size_px: int, rng: np.random.Generator
) -> Relaxation:
    """Return what a probe starts with that is the same in every frame but for a millionth.

    Modes of noise and weights of next to nothing, as pty-chi's
    ``add_additional_opr_probe_modes_to_probe`` and ``generate_initial_opr_mode_weights`` have them:
    each mode has a mean |p|^2 of 1, and from weights of nothing LSQML could not begin.
    """
    real, imaginary = rng.standard_normal((2, n_modes, size_px, size_px))
    modes = real + 1j * imaginary
    modes /= np.sqrt((np.abs(modes) ** 2).mean(axis=(1, 2), keepdims=True))
    weights = np.ones((n_frames, 1 + n_modes))
    weights[:, 1:] = 1e-6 * rng.standard_normal((n_frames, n_modes))
    return Relaxation(modes.astype(np.complex64), weights.astype(np.float32))


def _mean_products(
    parts: NDArray[np.complex128], weights: NDArray[np.floating]
) -> NDArray[np.float64]:
    """Return <w_k w_l> <p_k, p_l>, (1 + K, 1 + K): their sum is the mean power."""
    of_weights = weights.T.astype(np.float64) @ weights.astype(np.float64) / len(weights)
    found: NDArray[np.float64] = of_weights * (parts.conj() @ parts.T).real
    return found
