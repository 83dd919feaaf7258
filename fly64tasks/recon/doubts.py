"""What is to be doubted of a set and of a result: checks in units of probe and noise.

What no reconstruction can come of is refused; of the rest each doubt is one line that names what
was found and what to do. The limits are such that the sets of the default study, of every dose and
view, and measured ones that reconstruct well raise none (docs/doubts.md).
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import percentile_filter

from fly64tasks.data.dataset import PtychoDataset
from fly64tasks.errors import DatasetError
from fly64tasks.physics import optics
from fly64tasks.physics.overlap import disc_overlap
from fly64tasks.physics.scan import ISOLATION_LIMIT, nearest_px
from fly64tasks.recon.fit import (
    CONVERGENCE_PHOTONS_PER_FRAME,
    SAYS_NOTHING_BELOW,
    TELLING_COUNTS_PER_PIXEL,
)
from fly64tasks.recon.scale import MOST_ABSORBED, Scale, holds_counts
from fly64tasks.study.stages import Geometry

SAME_PLACE_PX = 0.1
"""Positions within so much of each other see one place, from which nothing can be told."""
LEAST_SPAN_DIAMETERS = 0.25
EMPTY_SHARE = 0.01
"""Share of the median frame's photons below which a frame is empty."""
TELLING_PHOTONS = 20
"""Photons of the median frame from which on an empty frame is none by chance."""
BRIGHT_RATIO = 10
WELL_BELOW = 1.07
"""The chi2 of right answers of MAP from `TELLING_COUNTS_PER_PIXEL` on: 0.6 to 1.04 were seen."""
LEAST_GOOD_SHARE = 0.5
_UNITS_M = {"metres": 1.0, "millimetres": 1e-3, "micrometres": 1e-6, "nanometres": 1e-9}
_SENSIBLE_STEP_DIAMETERS = (0.02, 1.0)
_WINDOW_PX = 7
_TELLING_COUNTS = 50
_HOT_RATIO = 10
_SATURATED_FROM_COUNTS = 200
_SATURATED_TIMES = 10
_STUCK_FRAMES = 10
_MOVED_PX = 0.5
_CHUNK_PIXELS = 2**20


def refuse_scan(dataset: PtychoDataset, geometry: Geometry, name: str) -> None:
    """Refuse positions of which nothing can come: all at one place, or frames apart.

    Raises
    ------
    DatasetError
        It names the unit that would make sense of them.
    """
    positions = dataset.positions_px
    n, size = len(positions), dataset.frame_size_px
    if n < 2:
        return
    span = float(np.ptp(positions, axis=0).max())
    if span == 0:
        raise DatasetError(
            f"{name}: all {n} positions are equal, expected a scan: frames of one place fix "
            "neither object nor probe"
        )
    unit = _unit_that_fits(dataset, geometry)
    hint = f" ({unit})" if unit else ""
    if span < SAME_PLACE_PX:
        raise DatasetError(
            f"{name}: all {n} positions lie within {span:.2g} px of each other; xcoords and "
            f"ycoords are in pixels of the object{hint}"
        )
    apart = float(np.median(nearest_px(positions)))
    if apart > ISOLATION_LIMIT * size:
        raise DatasetError(
            f"{name}: neighbouring positions lie {apart:.3g} px apart, frames are {size} px wide; "
            f"xcoords and ycoords are in pixels of the object{hint}"
        )


def of_scan(dataset: PtychoDataset, geometry: Geometry) -> Iterator[str]:
    """Yield what is to be doubted of the positions."""
    positions = dataset.positions_px
    diameter = optics.probe_diameter_px(dataset.probe_guess)
    span = float(np.ptp(positions, axis=0).max())
    apart = float(np.median(nearest_px(positions)))
    unit = _unit_that_fits(dataset, geometry)
    hint = f"{unit}; " if unit else ""
    if span < LEAST_SPAN_DIAMETERS * diameter:
        yield (
            f"the scan spans {span:.2g} px, the probe is {diameter:.3g} px wide: {hint}xcoords and "
            "ycoords are in pixels of the object"
        )
    elif apart > diameter and "overlap_view" not in dataset.metadata:  # else it is meant so
        overlap = float(disc_overlap(np.array(apart), diameter))
        yield (
            f"neighbouring frames overlap by {overlap:.0%} of the probe: they lie {apart:.3g} px "
            f"apart, the probe is {diameter:.3g} px wide; {hint}without overlap any object fits"
        )


def _unit_that_fits(dataset: PtychoDataset, geometry: Geometry) -> str | None:
    """Return the unit of length in which the scan's step suits the probe, and its factor."""
    distance = nearest_px(dataset.positions_px)
    distance = distance[distance > 0]
    if not len(distance):
        return None
    step = float(np.median(distance)) / optics.probe_diameter_px(dataset.probe_guess)
    low, high = _SENSIBLE_STEP_DIAMETERS
    if low <= step <= high:
        return None
    for unit, metres in _UNITS_M.items():
        factor = metres / geometry.pixel_size_m
        if low <= step * factor <= high:
            assumed = ", which is assumed" if geometry.assumed else ""
            return (
                f"{unit}? multiply by {factor:.3g}, for a pixel size of "
                f"{geometry.pixel_size_m * 1e9:.3g} nm{assumed}"
            )
    return None


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
    if not _misplaced(photons):  # a beam stop: where the probe alone would be bright
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
        yield from _of_saturation(dataset, found, found.good & ~bad)
    seen = np.where(bad, 0, photons)
    where = _misplaced(seen)
    if where:
        yield (
            f"the brightest part of the mean frame lies {where}; expected zero frequency in the "
            "centre: numpy.fft.fftshift(diffraction, axes=(1, 2))"
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


def of_probe(dataset: PtychoDataset, scale: Scale) -> Iterator[str]:
    """Yield what is to be doubted of the probe."""
    power = (np.abs(dataset.probe_guess.astype(complex)) ** 2).sum(axis=0)
    where = _misplaced(power)
    if where:
        yield (
            f"probeGuess has its energy {where}; expected it in the centre: "
            "numpy.fft.fftshift(probeGuess, axes=(-2, -1))"
        )
    held, mean = float(power.sum()), scale.mean_photons
    unitless = (1.0, power.size, held / power.max())  # sum, mean and maximum of 1
    in_ptychi = mean <= held * power.size <= MOST_ABSORBED * mean
    normalised = any(abs(held / one - 1) < 0.01 for one in unitless) or in_ptychi
    if scale.counts and not normalised and not 0.9 * mean <= held <= MOST_ABSORBED * mean:
        yield (
            f"probeGuess holds {held:.3g} photons, the mean frame {mean:.3g}: it is scaled to the "
            "frames, so that the object's transmission is known up to a factor"
        )


def of_truth(dataset: PtychoDataset) -> Iterator[str]:
    """Yield what is to be doubted of the truth of a simulated set."""
    if dataset.is_simulated and is_constant(dataset.object_guess):
        yield "objectGuess is the same everywhere, it can not be the truth of a simulated set"


def is_constant(obj: NDArray[np.complexfloating] | None) -> bool:
    """Return whether an object has one value alone."""
    return obj is not None and bool((obj == obj.flat[0]).all())


def of_result(
    fit: dict[str, Any], scale: Scale, converged: bool | None, epochs: int, *, thinned: bool
) -> Iterator[str]:
    """Yield what is to be doubted of a result.

    Parameters
    ----------
    fit : dict
        As `fly64tasks.recon.fit.said_of_fit` returns it.
    scale : Scale
    converged : bool or None
        Of MAP; None where another algorithm ended the run.
    epochs : int
        That it had.
    thinned : bool
        Whether the set was thinned on purpose: then frames may share little.
    """
    chi2, words = fit["chi2"], fit["words"]
    least = TELLING_COUNTS_PER_PIXEL * scale.frame_size_px**2
    telling = least <= scale.mean_photons <= CONVERGENCE_PHOTONS_PER_FRAME
    if fit["fits"] is False:
        yield (
            f"{words}: chi2 is {chi2:.3g}, photon noise makes 1: look at the scan's orientation "
            "(fly64tasks inspect --orientations tries all) and positions, at probeGuess (its size, "
            "the sign of its defocus), at the centre of the frames, at hot pixels, and whether the "
            "beam has several modes or moved within a frame, or the detector a background"
        )
    elif chi2 is not None and chi2 < SAYS_NOTHING_BELOW and not thinned:
        yield f"the fit {words}: chi2 is {chi2:.2g}, photon noise makes 1; any object fits them"
    elif "stands out" in words:
        yield f"the fit {words}"
    elif converged and telling and chi2 is not None and chi2 > WELL_BELOW:
        yield (
            f"fits less well than it should: chi2 is {chi2:.3g}, right answers have 1 or less: the "
            "beam may have moved within a frame (a fly scan) or have several modes, positions be "
            "off by a fraction of a pixel, or the frames off their centre"
        )
    if converged is False:
        yield (
            f"MAP had not converged after {epochs} epochs, its bound: raise num_epochs, or "
            "tolerance_nats to be content with less"
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


def _misplaced(power: NDArray[np.float64]) -> str | None:
    """Return where the most of it lies, in words, where that is not the centre."""
    half = np.array(power.shape) // 2
    inner = tuple(slice(h // 2, h // 2 + h) for h in half)
    centre = power[inner].sum()
    places = {"in the corners": (1, 1), "at the upper and lower edge": (1, 0)}
    places["at the left and right edge"] = (0, 1)
    for words, halves in places.items():
        if np.roll(power, half * halves, axis=(0, 1))[inner].sum() > 2 * centre:
            return words
    return None


def _pixels(where: NDArray[np.bool_]) -> str:
    """Return how many pixels of the detector, and which is the first, with the verb."""
    (y, x), *others = np.argwhere(where)
    if not others:
        return f"the detector's pixel y {y}, x {x} is"
    return f"{len(others) + 1} pixels of the detector (first: y {y}, x {x}) are"
