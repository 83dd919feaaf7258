"""Sets: from a file, to a file, and from arrays."""

from __future__ import annotations

from os import PathLike
from pathlib import Path
from typing import Any, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fly64tasks.data.dataset import PtychoDataset
from fly64tasks.data.frames import Kind
from fly64tasks.data.readers import read_dataset
from fly64tasks.data.writers.npz import write_dataset
from fly64tasks.errors import DatasetError, StudyError
from fly64tasks.study.stages import AS_STORED, Geometry, Orientation

AnyPath = str | PathLike[str]


def read_set(
    path: AnyPath, *, diffraction: Kind = "auto", orientation: Orientation = AS_STORED
) -> PtychoDataset:
    """Read a set: an NPZ of the contract DATA-001, or a scan in another tool's file or a key map.

    Parameters
    ----------
    diffraction : str
        Whether its diffraction is ``amplitude`` or ``intensity``; ``auto`` finds out.
    orientation : Orientation
        How it is turned once it is read.

    Raises
    ------
    DatasetError
        It breaks the contract, or lacks what its format has; the message names the file and the
        key.
    StudyError
        ``diffraction`` is none of these.
    """
    refuse_unknown_kind(diffraction)
    return read_dataset(Path(path), diffraction=diffraction, orientation=orientation)


def refuse_unknown_kind(diffraction: str) -> None:
    """Raise StudyError where that is no word for what a set's diffraction is."""
    if diffraction not in get_args(Kind):
        raise StudyError(
            f"diffraction is {diffraction!r}, expected one of {', '.join(get_args(Kind))}"
        )


def write_set(path: AnyPath, dataset: PtychoDataset) -> Path:
    """Write a set, whole or not at all; return its path.

    Raises
    ------
    DatasetError
        ``path`` exists and was not written by this project.
    """
    write_dataset(Path(path), dataset)
    return Path(path)


def make_set(
    *,
    positions_px: ArrayLike,
    probe: ArrayLike,
    diffraction_amplitude: ArrayLike | None = None,
    diffraction_intensity: ArrayLike | None = None,
    obj: ArrayLike | None = None,
    mask: ArrayLike | None = None,
    simulated: bool = False,
    geometry: Geometry | None = None,
) -> PtychoDataset:
    """Return arrays as a set.

    Parameters
    ----------
    positions_px : (n, 2) float
        Patch centres in pixels, y first; in the frame of ``obj`` where that is given.
    probe : (N, N) or (modes, N, N) complex
        Illumination at the sample, in any scale.
    diffraction_amplitude : (n, N, N) float
        Square root of photon counts, zero frequency centred.
    diffraction_intensity : (n, N, N) float or int
        Photon counts, in place of the amplitude.
    obj : (H, W) complex, optional
        A first object, for ``object_init = "guess"``, or with ``simulated`` the truth. Where it is
        used it sets the frame of the result; else that is sized from the scan.
    mask : (N, N) or (n, N, N) bool, optional
        Pixels that count, of every frame or of each; all unless given.
    simulated : bool
        Whether ``obj`` is the truth that the diffraction was simulated from.
    geometry : Geometry, optional
        Physical sizes; assumed ones unless given.

    Raises
    ------
    DatasetError
        Not exactly one of amplitude and intensity is given, ``simulated`` without an object, or an
        array of another shape.

    Examples
    --------
    >>> import numpy as np
    >>> frames = make_set(
    ...     diffraction_intensity=np.ones((3, 8, 8), int),
    ...     positions_px=[[10, 10], [10, 14], [14, 10]],
    ...     probe=np.ones((8, 8)),
    ... )
    >>> frames.diffraction_amplitude.dtype, frames.probe_guess.shape
    (dtype('float32'), (1, 8, 8))
    """
    if (diffraction_amplitude is None) == (diffraction_intensity is None):
        raise DatasetError(
            "make_set: found both or neither of diffraction_amplitude and diffraction_intensity, "
            "expected one"
        )
    if simulated and obj is None:
        raise DatasetError("make_set: simulated without obj, expected the truth as obj")
    if diffraction_intensity is not None:
        diffraction_amplitude = np.sqrt(np.asarray(diffraction_intensity, dtype=float))
    frames = np.asarray(diffraction_amplitude, dtype=np.float32)
    if frames.ndim != 3 or frames.shape[1] != frames.shape[2]:
        raise DatasetError(f"make_set: diffraction has shape {frames.shape}, expected (n, N, N)")
    n, size = frames.shape[:2]
    modes = np.asarray(probe, dtype=np.complex64)
    _refuse_shape("probe", modes, (size, size), ("modes", size, size))
    positions = np.asarray(positions_px, dtype=float)
    _refuse_shape("positions_px", positions, (n, 2))
    first = None if obj is None else np.asarray(obj, dtype=np.complex64)
    _refuse_shape("obj", first, ("H", "W"))
    good = None if mask is None else np.asarray(mask, dtype=bool)
    _refuse_shape("mask", good, (size, size), (n, size, size))
    metadata: dict[str, Any] = {"diffraction_order": "NHW", "simulated": simulated}
    if geometry is not None:
        metadata["geometry"] = geometry.to_dict()
    return PtychoDataset(
        diffraction_amplitude=frames,
        object_guess=first,
        probe_guess=modes[None] if modes.ndim == 2 else modes,
        positions_px=positions,
        metadata=metadata,
        mask=good,
    )


def _refuse_shape(name: str, array: NDArray[Any] | None, *shapes: tuple[int | str, ...]) -> None:
    """Raise DatasetError where an array has none of these shapes; any length fits a word."""
    if array is None or any(
        len(shape) == array.ndim
        and all(
            isinstance(one, str) or one == had for one, had in zip(shape, array.shape, strict=True)
        )
        for shape in shapes
    ):
        return
    expected = " or ".join(f"({', '.join(map(str, shape))})" for shape in shapes)
    raise DatasetError(f"make_set: {name} has shape {array.shape}, expected {expected}")
