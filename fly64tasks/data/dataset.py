"""A ptychographic set and a base, as arrays: what the readers give and the writers take."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class PtychoDataset:
    """One ptychographic set, as the contract has it.

    Attributes
    ----------
    diffraction_amplitude : (n, N, N) float32
        Square root of photon counts, zero frequency centred (key ``diffraction``); 0 where masked.
    object_guess : (H, W) complex64 or None
        Object; the ground truth in simulated sets (``objectGuess``). None where the file has none,
        or nobody asked for that of a measured set.
    probe_guess : (modes, N, N) complex64
        Illumination in sqrt(photons) per pixel (``probeGuess``, also (N, N)).
    positions_px : (n, 2) float64
        Patch centres in the object's frame, y first (``ycoords``, ``xcoords``).
    object_patches : (n, M, M) complex64 or None
        Object patch of each frame (``Y``).
    filenames : (n,) str or None
        Name of each frame.
    metadata : dict
        JSON of ``_metadata``; empty where the file has none.
    mask : (N, N) or (n, N, N) bool or None
        Pixels that count, of every frame or of each (``mask``, ``bad_pixels``); None where all do.
    diffraction_from : str or None
        What the amplitude was taken from, in words, where the file holds something else.
    warnings : tuple of str
        What reading the file left to be doubted, a line each.
    files : tuple of Path
        What else it was read from than the file that was named.
    """

    diffraction_amplitude: NDArray[np.float32]
    object_guess: NDArray[np.complex64] | None
    probe_guess: NDArray[np.complex64]
    positions_px: NDArray[np.float64]
    object_patches: NDArray[np.complex64] | None = None
    filenames: NDArray[np.str_] | None = None
    metadata: dict[str, Any] = field(default_factory=dict)
    mask: NDArray[np.bool_] | None = None
    diffraction_from: str | None = None
    warnings: tuple[str, ...] = ()
    files: tuple[Path, ...] = ()

    def __post_init__(self) -> None:
        """Have masked pixels hold nothing, whatever was given."""
        if self.mask is None:
            return
        held = self.diffraction_amplitude
        if held[np.broadcast_to(~self.mask, held.shape)].any():
            nothing = held.dtype.type(0)
            object.__setattr__(self, "diffraction_amplitude", np.where(self.mask, held, nothing))

    @property
    def frame_size_px(self) -> int:
        """Return N, the width of a diffraction frame."""
        return int(self.diffraction_amplitude.shape[-1])

    @property
    def is_simulated(self) -> bool:
        """Return whether the object is the truth that the diffraction was simulated from."""
        return bool(self.metadata.get("simulated", False))

    def select(self, frames: NDArray[np.integer]) -> PtychoDataset:
        """Return the set with these frames only, by index, in the order given."""
        return replace(
            self,
            diffraction_amplitude=self.diffraction_amplitude[frames],
            positions_px=self.positions_px[frames],
            object_patches=None if self.object_patches is None else self.object_patches[frames],
            filenames=None if self.filenames is None else self.filenames[frames],
            mask=self.mask_of(frames),
        )

    def mask_of(self, frames: NDArray[np.integer]) -> NDArray[np.bool_] | None:
        """Return the mask of these frames, as `mask`."""
        return self.mask if self.mask is None or self.mask.ndim == 2 else self.mask[frames]


@dataclass(frozen=True)
class Base:
    """What a study simulates from: object, probe and scan; no diffraction.

    Attributes
    ----------
    object_guess : (H, W) complex
    probe_guess : (modes, N, N) complex
        In any scale: each dose sets the power.
    positions_px : (n, 2) float64
        Patch centres in the object's frame, y first.
    metadata : dict
    warnings : tuple of str
        As a set's.
    """

    object_guess: NDArray[np.complexfloating]
    probe_guess: NDArray[np.complexfloating]
    positions_px: NDArray[np.float64]
    metadata: dict[str, Any] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()
