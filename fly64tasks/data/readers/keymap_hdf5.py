"""The scan that a key map finds in an HDF5 file."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fly64tasks.data.edits import less_dark, squared
from fly64tasks.data.frame_stack import FrameStack
from fly64tasks.data.measurement import Measurement, bad_pixels, centred_px, object_pixel_m
from fly64tasks.data.readers.hdf5 import Hdf5
from fly64tasks.data.readers.keymap import EV, METRES, KeyMap
from fly64tasks.errors import DatasetError
from fly64tasks.study.stages import HC_EV_M

KIND = "HDF5 by a key map"


def read(file: Hdf5, keymap: KeyMap, said_by: Path) -> Measurement:
    """Return the scan that a key map finds in a file, as it is stored there, before its edits.

    Raises
    ------
    DatasetError
        A key is missing (with the nearest that is there), or holds something else.
    """
    assert keymap.frames is not None
    frames = file.frames(keymap.frames)
    _, _, width = frames.shape
    sizes = _Sizes(file, keymap)
    pixel = sizes.length(keymap.pixel_size, keymap.pixel_size_unit)
    energy = sizes.energy_ev()
    detector = sizes.length(keymap.detector_pixel_size, keymap.detector_pixel_size_unit)
    distance = sizes.length(keymap.distance, keymap.distance_unit)
    pixel = pixel or object_pixel_m(energy, distance, detector, width)
    metric = keymap.positions_unit != "px"
    if metric and pixel is None:
        raise DatasetError(
            f"{said_by}: positions_unit is {keymap.positions_unit}, expected pixel_size, or "
            "energy (or wavelength), distance and detector_pixel_size, by which lengths are pixels"
        )
    positions = _positions(file, keymap)
    if keymap.positions_of == "sample":
        positions = -positions
    obj = None if keymap.object is None else _plane(file.complex_array(keymap.object))
    if metric:
        assert pixel is not None
        size_m = METRES[keymap.positions_unit]
        positions = centred_px(positions * size_m, pixel, None if obj is None else obj.shape, width)
    if keymap.good_frames is not None:
        good = file.array(keymap.good_frames).ravel() != 0
        if len(good) != len(frames):
            raise file.error(
                keymap.good_frames, f"has {len(good)} values, expected {len(frames)} as frames"
            )
    else:
        good = np.ones(len(frames), bool)
    if len(positions) != len(frames):
        raise file.refusal(
            f"has {len(frames)} frames ({keymap.frames}) and {len(positions)} positions, expected "
            "as many"
        )
    probe = None if keymap.probe is None else file.complex_array(keymap.probe)
    kept = np.flatnonzero(good)
    if len(kept) == 0:
        raise file.error(str(keymap.good_frames), "is zero everywhere, expected good frames")
    return Measurement(
        path=file.path,
        kind=KIND,
        frames=_counts(file, keymap, frames if len(kept) == len(frames) else frames.kept(kept)),
        positions_px=positions[kept],
        probe=None if probe is None else probe.reshape(-1, *probe.shape[-2:]),
        obj=obj,
        mask=_mask(file, keymap),
        pixel_size_m=pixel,
        energy_ev=energy,
        detector_pixel_size_m=detector,
    )


class _Sizes:
    def __init__(self, file: Hdf5, keymap: KeyMap) -> None:
        self._file, self._keymap = file, keymap

    def length(self, given: float | str | None, unit: str) -> float | None:
        """Return a length in m."""
        value = self._value(given)
        return None if value is None else abs(value) * METRES[unit]

    def energy_ev(self) -> float | None:
        wavelength = self.length(self._keymap.wavelength, self._keymap.wavelength_unit)
        if wavelength:
            return HC_EV_M / wavelength
        value = self._value(self._keymap.energy)
        return None if value is None else value * EV[self._keymap.energy_unit]

    def _value(self, given: float | str | None) -> float | None:
        return self._file.number(given) if isinstance(given, str) else given


def _positions(file: Hdf5, keymap: KeyMap) -> NDArray[np.float64]:
    """Return positions (n, 2), y first, in the unit of the file."""
    if keymap.positions_file is not None:
        file = file.beside(file.path.parent / keymap.positions_file)
    if keymap.positions is not None:
        both = file.array(keymap.positions).astype(float)
        if both.ndim == 2 and both.shape[0] == 2 and both.shape[1] != 2:
            both = both.T
        if both.ndim != 2 or both.shape[1] != 2:
            raise file.error(keymap.positions, f"has shape {both.shape}, expected (n, 2)")
        return both
    keys = (str(keymap.positions_y), str(keymap.positions_x))
    y, x = (file.array(key).astype(float) for key in keys)
    if y.size != x.size:  # slow and fast axes of a raster
        if y.ndim == 1 and x.ndim == 1:
            y, x = np.meshgrid(y, x, indexing="ij")
        else:
            raise file.error(keys[0], f"has shape {y.shape}, expected {x.shape} as {keys[1]}")
    return np.column_stack([y.ravel(), x.ravel()])


def _counts(file: Hdf5, keymap: KeyMap, frames: FrameStack) -> FrameStack:
    if keymap.zero_frequency == "corner":
        frames = frames.mapped(lambda block: np.fft.fftshift(block, axes=(-2, -1)))
    if keymap.frames_are == "amplitude":
        frames = frames.mapped(squared, dtype=np.float32)
    if keymap.dark is not None:
        frames = less_dark(frames, _averaged(file, keymap.dark))
    divisor: Any = keymap.counts_per_photon or 1.0
    if keymap.flat is not None:
        flat = _averaged(file, keymap.flat)
        if not (flat > 0).any():
            raise file.error(keymap.flat, "is not positive anywhere, expected a flat field")
        divisor = divisor * np.where(flat > 0, flat / flat[flat > 0].mean(), np.nan)
    return (
        frames
        if np.ndim(divisor) == 0 and divisor == 1.0
        else frames.mapped(_divided_by(divisor), dtype=np.float32)
    )


def _divided_by(divisor: Any) -> Callable[[NDArray[Any]], NDArray[Any]]:
    def quotient(block: NDArray[Any]) -> NDArray[Any]:
        return np.where(bad_pixels(block), np.nan, block / divisor).astype(np.float32)

    return quotient


def _averaged(file: Hdf5, key: str) -> NDArray[np.floating]:
    stack = file.array(key).astype(np.float64)
    if stack.ndim < 2:
        raise file.error(key, f"has shape {stack.shape}, expected (height, width)")
    return np.asarray(np.nanmean(stack.reshape(-1, *stack.shape[-2:]), axis=0))


def _mask(file: Hdf5, keymap: KeyMap) -> NDArray[np.bool_] | None:
    key = keymap.mask or keymap.bad_pixels
    if key is None:
        return None
    marked = np.asarray(file.array(key) != 0)
    if marked.ndim != 2:
        raise file.error(key, f"has shape {marked.shape}, expected (height, width)")
    return marked if keymap.mask else ~marked


def _plane(array: NDArray[np.complexfloating]) -> NDArray[np.complexfloating]:
    plane: NDArray[np.complexfloating] = array.reshape(-1, *array.shape[-2:])[0]
    return plane
