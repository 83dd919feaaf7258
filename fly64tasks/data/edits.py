"""What is done to a scan before it is used: frames cut out, rebinned, turned, less a dark one."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fly64tasks.data.dataset import PtychoDataset
from fly64tasks.data.frame_stack import FrameStack
from fly64tasks.data.measurement import Measurement, bad_pixels
from fly64tasks.study.stages import Orientation

_LEFT_OUT = "the object is left out: the positions were turned out of its frame"


def cropped(
    measurement: Measurement, size: int, centre_px: tuple[float, float] | None = None
) -> Measurement:
    """Return the scan with frames of ``size`` px about a pixel, which becomes pixel ``size // 2``.

    Pixels beyond the detector are masked. The object's pixel grows as the frame shrinks; the probe
    is what the smaller detector sees of it, and an object is left out.
    """
    _, height, width = measurement.frames.shape
    middle = centre_px or (height // 2, width // 2)
    top, left = (round(where) - size // 2 for where in middle)
    rows, columns = slice(max(top, 0), top + size), slice(max(left, 0), left + size)
    if top + size <= 0 or left + size <= 0 or top >= height or left >= width:
        raise measurement.error(
            f"has frames of {height} x {width} px, expected centre_px {list(middle)} inside"
        )
    padding = [
        (max(-start, 0), max(start + size - extent, 0))
        for start, extent in ((top, height), (left, width))
    ]
    beyond = any(map(any, padding))

    def cut(block: NDArray[Any]) -> NDArray[Any]:
        inside = block[..., rows, columns]
        return np.pad(inside, [(0, 0), *padding]) if beyond else inside

    mask = measurement.mask
    if beyond and mask is None:
        mask = np.ones((height, width), bool)
    factor = width / size
    probe = measurement.probe
    if probe is not None and height == width:
        probe = _of_detector(probe, size)
    notes = () if measurement.obj is None else ("the object is left out: its pixel is another",)
    return replace(
        measurement,
        frames=measurement.frames.mapped(cut, (size, size)),
        positions_px=measurement.positions_px / factor,
        probe=probe,
        obj=measurement.obj if size == width == height else None,
        mask=None if mask is None else cut(mask[None])[0],
        pixel_size_m=measurement.pixel_size_m and measurement.pixel_size_m * factor,
        notes=measurement.notes + (() if size == width else notes),
    )


def _of_detector(probe: NDArray[np.complexfloating], size: int) -> NDArray[np.complexfloating]:
    """Return what a detector of ``size`` px sees of a probe (modes, N, N), in pixels of its own."""
    n = probe.shape[-1]
    if size == n:
        return probe
    axes = (-2, -1)
    far = np.fft.fftshift(np.fft.fft2(np.fft.ifftshift(probe, axes)), axes)
    start = n // 2 - size // 2
    if start >= 0:
        far = far[:, start : start + size, start : start + size]
    else:
        far = np.pad(far, [(0, 0), *2 * [(-start, size - n + start)]])
    near = np.fft.fftshift(np.fft.ifft2(np.fft.ifftshift(far, axes)), axes)
    return np.asarray(near * (size / n))  # the photons that stay: ifft2 has 1 / size^2


def rebinned(measurement: Measurement, factor: int) -> Measurement:
    """Return the scan with ``factor`` x ``factor`` detector pixels summed into one.

    A sum with a bad pixel in it is bad. The window at the object shrinks, its pixel stays.
    """
    _, height, width = measurement.frames.shape
    if height % factor or width % factor:
        raise measurement.error(
            f"has frames of {height} x {width} px, expected a multiple of rebin = {factor}: cut "
            "them out first with crop_px"
        )
    size = (height // factor, width // factor)
    whole = measurement.frames.is_whole
    narrow = measurement.frames.dtype.itemsize <= 2
    dtype = (np.int32 if narrow else np.int64) if whole else np.float32

    def binned(block: NDArray[Any]) -> NDArray[Any]:
        bad = bad_pixels(block)
        parts = np.where(bad, 0, block).astype(np.int64 if whole else np.float32)
        parts = parts.reshape(len(block), size[0], factor, size[1], factor)
        hit = bad.reshape(parts.shape).any(axis=(2, 4))
        return np.where(hit, -1, parts.sum(axis=(2, 4))).astype(dtype)

    mask = measurement.mask
    if mask is not None:
        parts = mask.reshape(size[0], factor, size[1], factor)
        mask = np.asarray(parts.all(axis=(1, 3)))
    probe = measurement.probe
    if probe is not None:
        start, m = probe.shape[-1] // 2 - size[-1] // 2, size[-1]
        probe = probe[:, start : start + m, start : start + m]
    detector = measurement.detector_pixel_size_m
    return replace(
        measurement,
        frames=measurement.frames.mapped(binned, size, dtype),
        probe=probe,
        mask=mask,
        detector_pixel_size_m=detector and detector * factor,
    )


def oriented(
    measurement: Measurement, *, transpose: bool, flip_y: bool, flip_x: bool
) -> Measurement:
    """Return the scan with its frames (and mask) transposed, then flipped, as they are stored."""

    def turned(block: NDArray[Any]) -> NDArray[Any]:
        block = block.swapaxes(-1, -2) if transpose else block
        return block[..., :: -1 if flip_y else 1, :: -1 if flip_x else 1]

    _, height, width = measurement.frames.shape
    size = (width, height) if transpose else (height, width)
    return replace(
        measurement,
        frames=measurement.frames.mapped(turned, size),
        mask=None if measurement.mask is None else turned(measurement.mask),
    )


def turned(measurement: Measurement, orientation: Orientation) -> Measurement:
    """Return the scan turned as asked; its object is left out where positions move."""
    if orientation.detector_transpose:
        measurement = oriented(measurement, transpose=True, flip_y=False, flip_x=False)
    if not orientation.moves_positions:
        return measurement
    notes = () if measurement.obj is None else (_LEFT_OUT,)
    return replace(
        measurement,
        positions_px=_turned_px(measurement.positions_px, orientation),
        obj=None,
        notes=measurement.notes + notes,
    )


def turned_set(dataset: PtychoDataset, orientation: Orientation) -> PtychoDataset:
    """Return a set turned as asked; its object, and that it is the truth, are left out with it."""
    if orientation.detector_transpose:
        mask = dataset.mask
        dataset = replace(
            dataset,
            diffraction_amplitude=np.ascontiguousarray(
                dataset.diffraction_amplitude.swapaxes(1, 2)
            ),
            mask=None if mask is None else mask.swapaxes(-1, -2),
        )
    if not orientation.moves_positions:
        return dataset
    known = dataset.object_guess is not None
    metadata = {key: said for key, said in dataset.metadata.items() if key != "simulated"}
    return replace(
        dataset,
        positions_px=_turned_px(dataset.positions_px, orientation),
        object_guess=None,
        object_patches=None,
        metadata=metadata,
        warnings=dataset.warnings + ((_LEFT_OUT,) if known else ()),
    )


def _turned_px(positions_px: NDArray[np.float64], orientation: Orientation) -> NDArray[np.float64]:
    """Return positions, (n, 2), about an origin of their own."""
    if orientation.swap_xy:
        positions_px = positions_px[:, ::-1]
    signs = [-1.0 if flip else 1.0 for flip in (orientation.flip_y, orientation.flip_x)]
    return np.asarray(positions_px * signs)


def less_dark(frames: FrameStack, dark: NDArray[np.floating]) -> FrameStack:
    """Return frames less a dark one (height, width), 0 where the noise would be below."""

    def difference(block: NDArray[Any]) -> NDArray[Any]:
        less: NDArray[Any] = np.maximum(block - dark, 0).astype(np.float32)
        less[bad_pixels(block)] = np.nan
        return less

    return frames.mapped(difference, dtype=np.float32)


def squared(block: NDArray[Any]) -> NDArray[Any]:
    """Return the intensity of amplitudes; whole where rounding in single precision says so."""
    intensity = block.astype(np.float64) ** 2
    nearest = np.round(intensity)
    off = np.abs(intensity - nearest) <= 1e-6 * np.maximum(nearest, 1)
    return np.where(off, nearest, intensity).astype(np.float32)
