"""A scan as other tools' files hold it, its frames unread.

Every reader of another tool's format gives a `Measurement`, every writer takes one.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fly64tasks.data.frame_stack import FrameStack
from fly64tasks.errors import DatasetError
from fly64tasks.study.stages import HC_EV_M, SIZES, Geometry

EV_J = 1.602176634e-19
SQUARE = 1e-3
"""Most by which the sides of a pixel may differ, of their length."""


@dataclass(frozen=True)
class Measurement:
    """A far-field scan of any origin.

    Attributes
    ----------
    path : Path
        The file, which names it in errors.
    kind : str
        Its format, in words.
    frames : FrameStack
        (n, N, N) counts, zero frequency at pixel ``N // 2``; NaN or a negative number where a pixel
        of one frame is bad.
    positions_px : (n, 2) float64
        Pixel ``N // 2`` of a frame's patch lies there, y first; in the frame of ``obj`` where there
        is one, else of an origin of its own.
    probe : (modes, N, N) complex or None
    obj : (H, W) complex or None
    mask : (N, N) bool or None
        True where a pixel is good in every frame.
    pixel_size_m : float or None
        Pixel of object and probe.
    energy_ev, detector_pixel_size_m : float or None
    sizes_assumed : bool
        Whether the file itself calls the sizes that it says assumed.
    defocus_m : float
        How far from its focus a probe is that has to be guessed.
    files : tuple of Path
        What else it was read from than the file that was named.
    notes : tuple of str
        What the file says that was left out or changed, a line each.
    """

    path: Path
    kind: str
    frames: FrameStack
    positions_px: NDArray[np.float64]
    probe: NDArray[np.complexfloating] | None = None
    obj: NDArray[np.complexfloating] | None = None
    mask: NDArray[np.bool_] | None = None
    pixel_size_m: float | None = None
    energy_ev: float | None = None
    detector_pixel_size_m: float | None = None
    sizes_assumed: bool = False
    defocus_m: float = 0.0
    files: tuple[Path, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def geometry(self) -> Geometry:
        """Return its sizes; ``assumed`` where one of them is."""
        known = self._known_sizes()
        return Geometry(**known, assumed=self.sizes_assumed or len(known) < len(SIZES))

    def _known_sizes(self) -> dict[str, float]:
        return {name: size for name in SIZES if (size := getattr(self, name)) is not None}

    def metadata(self) -> dict[str, Any]:
        """Return what a set of it says of itself."""
        said: dict[str, Any] = {"diffraction_order": "NHW", "simulated": False}
        said["taken_from"] = {"format": self.kind, "file": self.path.name}
        sizes = self._known_sizes()
        if sizes:
            assumed = self.sizes_assumed or (False if len(sizes) == len(SIZES) else None)
            said["geometry"] = sizes if assumed is None else {**sizes, "assumed": assumed}
        return said

    def error(self, problem: str) -> DatasetError:
        return DatasetError(f"{self.path}: {problem}")

    def checked(self) -> Measurement:
        """Return it once its arrays agree.

        Raises
        ------
        DatasetError
            Frames, positions, mask and probe do not go together.
        """
        n, height, width = self.frames.shape
        if height != width:
            raise self.error(
                f"has frames of {height} x {width} px, expected square ones: cut them out with a "
                "key map (crop_px, centre_px)"
            )
        if self.positions_px.shape != (n, 2):
            raise self.error(f"has {n} frames and {len(self.positions_px)} positions, expected one")
        bad = int((~np.isfinite(self.positions_px)).any(axis=1).sum())
        if bad:
            raise self.error(
                f"has {bad} positions that are no numbers, expected none: leave those frames out "
                "with a key map (good_frames)"
            )
        if self.mask is not None and self.mask.shape != (height, width):
            raise self.error(
                f"has a mask of {self.mask.shape}, expected {(height, width)} as its frames"
            )
        if self.probe is not None and self.probe.shape[-2:] != (height, width):
            raise self.error(
                f"has a probe of {self.probe.shape[-2:]}, expected {(height, width)} as its frames"
            )
        if self.probe is not None and not (self.probe.any() and np.isfinite(self.probe).all()):
            raise self.error(
                "has a probe that is zero everywhere or not finite, expected an illumination"
            )
        return self


def bad_pixels(block: NDArray[Any]) -> NDArray[np.bool_]:
    """Return where counts are none: NaN, negative, or a detector's marker (65535, 2**32 - 1).

    >>> bad_pixels(np.array([0, 65535], np.uint16)).tolist()
    [False, True]
    """
    if block.dtype.kind == "f":
        return ~(block >= 0)
    bad: NDArray[np.bool_] = block < 0
    marker = np.iinfo(block.dtype).max
    if marker > np.iinfo(np.int16).max:
        bad |= block == marker
    return bad


def object_pixel_m(
    energy_ev: float | None, distance_m: float | None, detector_pixel_m: float | None, size: int
) -> float | None:
    """Return the pixel lambda z / (N p) that N detector pixels p at a distance z give, or None.

    >>> f"{object_pixel_m(12398.41984, 2.0, 75e-6, 128):.4g}"
    '2.083e-08'
    """
    if not energy_ev or not distance_m or not detector_pixel_m:
        return None
    return HC_EV_M / energy_ev * abs(distance_m) / (size * detector_pixel_m)


def centred_px(
    positions_m: NDArray[np.float64],
    pixel_size_m: float,
    object_shape: tuple[int, ...] | None,
    frame_size_px: int,
) -> NDArray[np.float64]:
    """Return positions that are counted from the middle of the object, in px of it.

    Ptychodus and pty-chi measure from the middle of the object, (H - 1) / 2, to that of a patch,
    (N - 1) / 2; here pixel ``N // 2`` of a patch is meant. Where there is no object the
    middle is 0, so that both differ by their pixel of reference only.

    Parameters
    ----------
    positions_m : (n, 2) float
        y first.
    object_shape : tuple or None
    """
    middle = 0.0 if object_shape is None else (np.array(object_shape[-2:]) - 1) / 2
    n = frame_size_px
    return np.asarray(positions_m / pixel_size_m + middle + n // 2 - (n - 1) / 2)


def centred_m(
    positions_px: NDArray[np.float64],
    pixel_size_m: float,
    object_shape: tuple[int, ...],
    frame_size_px: int,
) -> NDArray[np.float64]:
    """Return positions counted from the middle of the object: `centred_px`, the other way."""
    n = frame_size_px
    patch = positions_px - n // 2 + (n - 1) / 2
    return np.asarray((patch - (np.array(object_shape[-2:]) - 1) / 2) * pixel_size_m)
