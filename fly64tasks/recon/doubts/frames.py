"""What is to be doubted of the frames, and of the detector's pixels."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import percentile_filter, rank_filter

from fly64tasks.data.dataset import PtychoDataset
from fly64tasks.physics import optics
from fly64tasks.recon.doubts.centre import misplaced
from fly64tasks.recon.scale import Scale, holds_counts

EMPTY_SHARE = 0.01
"""Share of the median frame's photons below which a frame is empty."""
TELLING_PHOTONS = 20
"""Photons of the median frame from which on an empty frame is none by chance."""
BRIGHT_RATIO = 10
LEAST_GOOD_SHARE = 0.5
_WINDOW_PX = 7
_TELLING_COUNTS = 50
_HOT_RATIO = 10
_SATURATED_FROM_COUNTS = 200
_SATURATED_TIMES = 10
_STUCK_FRAMES = 10
_MOVED_PX = 0.5
_CHUNK_PIXELS = 2**20


@dataclass(frozen=True)
class Statistics:
    """What the checks take of the frames; masked pixels count as 0.

    Attributes
    ----------
    photons : (n,) float
        Of each frame.
    total, least, most : (N, N) float
        Of each pixel over the frames that hold photons: intensity.
    good : (N, N) bool
        Pixels that count in any frame.
    n_lit : int
        Frames that hold photons.
    counts : bool
        Whether the intensities are whole photon counts.
    repeats : (n,) bool
        Frames that hold what the one before them holds, though the scan went on.
    """

    photons: NDArray[np.float64]
    total: NDArray[np.float64]
    least: NDArray[np.float64]
    most: NDArray[np.float64]
    good: NDArray[np.bool_]
    n_lit: int
    counts: bool
    repeats: NDArray[np.bool_]

    @classmethod
    def of(cls, dataset: PtychoDataset) -> Statistics:
        """Return those of a set, a chunk of its frames at a time."""
        amplitude, mask = dataset.diffraction_amplitude, dataset.mask
        shape = amplitude.shape[1:]
        photons = np.zeros(len(amplitude))
        total, most = np.zeros(shape), np.zeros(shape)
        least = np.full(shape, np.inf)
        n_lit, counts = 0, True
        moved = np.hypot(*np.diff(dataset.positions_px, axis=0, prepend=np.nan).T) > _MOVED_PX
        repeats = np.zeros(len(amplitude), bool)
        chunk = max(_CHUNK_PIXELS // amplitude[0].size, 1)
        for start in range(0, len(amplitude), chunk):
            intensity = amplitude[start : start + chunk].astype(float) ** 2
            of_frames = intensity.sum(axis=(1, 2))
            photons[start : start + chunk] = of_frames
            lit = intensity[of_frames > 0]
            counts = counts and (not len(lit) or holds_counts([lit]))
            n_lit += len(lit)
            for frame in range(max(start, 1), start + len(intensity)):
                if moved[frame] and photons[frame] == photons[frame - 1] > 0:
                    repeats[frame] = np.array_equal(amplitude[frame], amplitude[frame - 1])
            total += lit.sum(axis=0)
            most = np.maximum(most, lit.max(axis=0, initial=0))
            least = np.minimum(least, lit.min(axis=0, initial=np.inf))
        good = np.ones(shape, bool)
        if mask is not None:
            good = np.asarray(mask if mask.ndim == 2 else mask.any(axis=0))
        return cls(photons, total, least, most, good, n_lit, counts, repeats)

    @property
    def empty(self) -> NDArray[np.bool_]:
        """Return the frames, (n,), that hold no photons though others do, and not by chance."""
        median = float(np.median(self.photons[self.photons > 0]))
        if self.counts and median < TELLING_PHOTONS:
            return np.zeros(len(self.photons), bool)
        empty: NDArray[np.bool_] = self.photons < EMPTY_SHARE * median
        return empty


def of_frames(dataset: PtychoDataset, found: Statistics, scale: Scale) -> Iterator[str]:
    """Yield what is to be doubted of the frames and of the detector's pixels."""
    empty = found.empty
    n = len(empty)
    if empty.any():
        what = "photon" if scale.counts else "light"
        yield (
            f"{empty.sum()} of {n} frames hold no {what} (first: frame {empty.argmax()}): a "
            "shutter or a missed trigger; they are left out"
        )
    bright = found.photons > BRIGHT_RATIO * max(float(np.median(found.photons[~empty])), 1e-30)
    if bright.any() and (not scale.counts or np.median(found.photons[~empty]) >= 1):
        yield (
            f"{bright.sum()} of {n} frames hold more than {BRIGHT_RATIO} times the photons of the "
            f"median frame (first: frame {bright.argmax()}): look at them, and leave them out"
        )
    repeats = found.repeats & (found.photons * scale.intensity >= TELLING_PHOTONS)
    if repeats.any():
        yield (
            f"{repeats.sum()} of {n} frames repeat the one before them, though the scan went on "
            f"(first: frame {repeats.argmax()}): the detector missed a trigger; leave them out"
        )
    share = float(found.good.mean())
    if share < LEAST_GOOD_SHARE:
        yield (
            f"the mask leaves {share:.0%} of the pixels: in mask nonzero is good, in bad_pixels "
            "nonzero is bad"
        )
    yield from _of_pixels(dataset, found, scale)


def _of_pixels(dataset: PtychoDataset, found: Statistics, scale: Scale) -> Iterator[str]:
    photons = found.total * scale.intensity  # as the record says them
    pattern = optics.diffraction_intensity(dataset.probe_guess.astype(complex))
    expected = pattern * (photons.sum() / pattern.sum())
    dead = found.good & (photons == 0) & (_near(photons, 30) >= _TELLING_COUNTS)
    dead |= found.good & _gaps(photons, found.good)
    if not misplaced(photons):  # a beam stop: where the probe alone would be bright
        dead |= found.good & (photons == 0) & (expected >= 2 * _TELLING_COUNTS)
    least, around = found.least * found.n_lit * scale.intensity, _near(photons, 70)
    hot = (least > _HOT_RATIO * np.maximum(around, 1)) & (photons > _HOT_RATIO * expected)
    hot &= found.good & (photons >= _TELLING_COUNTS)
    stuck = found.good & (found.total > 0) & (found.most == found.least)
    if found.n_lit < _STUCK_FRAMES or stuck.mean() > 0.1:  # equal frames
        stuck[:] = False
    mend = "give them to the set as mask (0) or bad_pixels (1)"
    if dead.any():
        yield f"{_pixels(dead)} dead: nothing in any frame, amid counts; {mend}"
    if hot.any() or stuck.any():
        yield (
            f"{_pixels(hot | stuck)} hot or stuck: far above what surrounds them, or the same, in "
            f"every frame; {mend}"
        )
    bad = dead | hot | stuck
    if scale.counts:
        yield from _of_strikes(dataset, found, found.good & ~bad)
        yield from _of_saturation(dataset, found, found.good & ~bad)
    seen = np.where(bad, 0, photons)
    where = misplaced(seen)
    if where:
        yield (
            f"the brightest part of the mean frame lies {where}; expected zero frequency in the "
            "centre: numpy.fft.fftshift(diffraction, axes=(1, 2))"
        )


def _of_strikes(
    dataset: PtychoDataset, found: Statistics, pixels: NDArray[np.bool_]
) -> Iterator[str]:
    """Yield which pixels hold in one frame what neither their neighbours nor other frames do.

    Of a strike two pixels may be lit. What is diffracted is wider where frames are sampled well.
    """
    most, n = found.most, found.n_lit
    if n < _STUCK_FRAMES:
        return
    beside = rank_filter(most, -3, size=3, mode="nearest")
    otherwise = (found.total - most) / (n - 1)
    struck = pixels & (most >= _TELLING_COUNTS)
    struck &= most > _HOT_RATIO * np.maximum(np.maximum(beside, otherwise), 1)
    if struck.any():
        y, x = np.argwhere(struck)[0]
        frame = int(dataset.diffraction_amplitude[:, y, x].argmax())
        yield (
            f"{_pixels(struck)} struck: {most[y, x]:.0f} counts in frame {frame}, "
            f"{otherwise[y, x]:.3g} in the mean of the others (a cosmic ray, or an error of "
            "readout); store NaN or -1 there, or leave the frame out"
        )


def _of_saturation(
    dataset: PtychoDataset, found: Statistics, pixels: NDArray[np.bool_]
) -> Iterator[str]:
    most = float(found.most[pixels].max(initial=0))
    if most < _SATURATED_FROM_COUNTS:
        return
    top = np.float32(np.sqrt(most))
    times = int(np.count_nonzero((dataset.diffraction_amplitude == top) & pixels))
    if times >= _SATURATED_TIMES:
        yield (
            f"{times} pixels hold {most:.0f} counts and none holds more: the detector is "
            "saturated; mask these pixels"
        )


def _near(values: NDArray[np.float64], percent: float) -> NDArray[np.float64]:
    near: NDArray[np.float64] = percentile_filter(values, percent, size=_WINDOW_PX, mode="nearest")
    return near


def _gaps(total: NDArray[np.float64], good: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Return the pixels, (N, N), of rows and columns without a count between such with many."""
    gaps = np.zeros(total.shape, bool)
    for axis, across in ((1, gaps), (0, gaps.T)):
        lines = total.sum(axis=axis)
        lit = np.flatnonzero((lines > 0) | ~good.any(axis=axis))
        for before, after in itertools.pairwise(lit):
            if after > before + 1 and min(lines[before], lines[after]) >= 2 * _TELLING_COUNTS:
                across[before + 1 : after] = True
    return gaps


def _pixels(where: NDArray[np.bool_]) -> str:
    """Return how many pixels of the detector, and which is the first, with the verb."""
    (y, x), *others = np.argwhere(where)
    if not others:
        return f"the detector's pixel y {y}, x {x} is"
    return f"{len(others) + 1} pixels of the detector (first: y {y}, x {x}) are"
