"""How well a reconstruction fits its counts: what ``run.json`` and ``scores.json`` say of it.

The limits are measured on right and on wrong answers by ``benchmarks/fit.py``: docs/scores.md.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from fly64tasks.physics import multislice, optics
from fly64tasks.physics.fit import fit_to_counts
from fly64tasks.physics.relaxation import Relaxation
from fly64tasks.study.recon_settings import ReconSpec
from fly64tasks.study.stages import Geometry

FITS_BELOW = 1.25
DOES_NOT_FIT_ABOVE = 1.5

FOLLOWS_NOISE_BELOW = 0.7
SAYS_NOTHING_BELOW = 0.1
"""The unknowns are as many as the counts: the frames share nothing."""

TELLING_COUNTS_PER_PIXEL = 10.0
"""Mean counts of a pixel below which wrong answers fit as right ones do."""

CONVERGENCE_PHOTONS_PER_FRAME = 1e7
"""Above, what a right answer lacks to convergence is more than the noise."""

UNCONVERGED_UP_TO = 10.0
"""Times the photons over `CONVERGENCE_PHOTONS_PER_FRAME`: an error of the same share of the counts
has a chi2 that grows with them, and those of wrong answers lie ten times higher."""

BAD_FRAME_ABOVE = 5.0
"""Times the median frame: right answers were seen up to 1.5 times (4.5 at 1e7 photons, from where
on the limit grows with the photons, as convergence does: 11 at 1e8), flips 3."""

BAD_PIXEL_ABOVE = 20.0
"""Times the median pixel: right answers were seen up to 10 times, flips up to 7."""

NO_COUNTS = "not photon counts, so that there is no noise to hold the fit against"


class Predicts(Protocol):
    """What predicts frames: a reconstruction, in memory or from a file."""

    @property
    def obj(self) -> NDArray[np.complexfloating]: ...
    @property
    def probe(self) -> NDArray[np.complexfloating]: ...
    @property
    def positions_px(self) -> NDArray[np.float64]: ...
    @property
    def relaxation(self) -> Relaxation | None: ...
    @property
    def slices(self) -> NDArray[np.complexfloating] | None: ...


def predicted_by(
    found: Predicts, spec: ReconSpec, geometry: Geometry
) -> Iterator[NDArray[np.float64]]:
    """Yield the diffraction amplitude, (N, N), that a reconstruction predicts of each frame.

    With all that it found: a probe that changes from frame to frame, an object of several layers.
    """
    probe = found.probe.astype(complex)
    if found.relaxation is None and found.slices is None:
        yield from predicted_amplitude(probe, found.obj, found.positions_px)
        return
    slices = found.obj[None] if found.slices is None else found.slices
    transfer = None
    if spec.slice_spacing_m is not None:
        transfer = multislice.transfer_function(probe.shape[-1], spec.slice_spacing_m, geometry)
    waves = multislice.exit_waves(
        probe,
        slices.astype(complex),
        found.positions_px,
        relaxation=found.relaxation,
        transfer=transfer,
    )
    for block in waves:
        yield from np.sqrt(optics.diffraction_intensity(block))


def predicted_amplitude(
    probe: NDArray[np.complexfloating],
    obj: NDArray[np.complexfloating],
    positions_px: NDArray[np.float64],
) -> Iterator[NDArray[np.float64]]:
    """Yield the diffraction amplitude, (N, N), that pty-chi's own model predicts of each frame.

    Parameters
    ----------
    probe : (modes, N, N) complex
        In sqrt(photons) per pixel.
    obj : (H, W) complex
    positions_px : (n, 2) float
        In pixels of ``obj``, y first.
    """
    waves = optics.exit_waves(
        probe.astype(complex), obj.astype(complex), positions_px, shift_probe=True
    )
    for block in waves:
        yield from np.sqrt(optics.diffraction_intensity(block))


def said_of_fit(
    diffraction_amplitude: Iterable[NDArray[np.floating]],
    predicted: Iterable[NDArray[np.floating]],
    frames: NDArray[np.integer],
    *,
    counts: bool,
    mask: NDArray[np.bool_] | None = None,
) -> dict[str, Any]:
    """Return what is said of a fit, JSON-ready.

    Parameters
    ----------
    diffraction_amplitude : iterable of (N, N) float
        Square root of the measured counts of each frame.
    predicted : iterable of (N, N) float
        The predicted diffraction amplitude of each frame.
    frames : (n,) int
        What each frame's index is in its set.
    counts : bool
        Whether these are counts: where they are not, there is no chi2.
    mask : (N, N) or (n, N, N) bool, optional
        Pixels that count; all unless given.

    Returns
    -------
    dict
        ``chi2``, ``fits`` (None where it can not be said), ``words``, and ``worst_frame`` and
        ``worst_pixel`` with the chi2 of each.
    """
    if not counts:
        nothing = dict.fromkeys(("worst_frame", "worst_pixel"))
        return {"chi2": None, "fits": None, "words": NO_COUNTS, **nothing}
    fit = fit_to_counts(diffraction_amplitude, predicted, mask)
    share = 1.0 if mask is None else float(mask.mean())
    pixels = fit.found_by_pixel.size
    counts_per_pixel = float(fit.counts_by_frame.mean()) / pixels / share
    fits, words = verdict(fit.chi2, counts_per_pixel, pixels)
    frame, pixel = fit.worst_frame, fit.worst_pixel
    of_frame, of_pixel = float(fit.of_frames[frame]), float(fit.of_pixels[pixel])
    least = max(1.0, _brightness(counts_per_pixel, pixels))
    frame_above, pixel_above = BAD_FRAME_ABOVE * least, BAD_PIXEL_ABOVE * least
    if _is_odd_one_out(fit.found_by_frame, fit.expected_by_frame, fit.of_frames, frame_above):
        words += f"; frame {frames[frame]} stands out"
    if _is_odd_one_out(fit.found_by_pixel, fit.expected_by_pixel, fit.of_pixels, pixel_above):
        words += f"; detector pixel y {pixel[0]}, x {pixel[1]} stands out"
    return {
        "chi2": fit.chi2,
        "fits": fits,
        "words": words,
        "worst_frame": {"index": int(frames[frame]), "chi2": of_frame},
        "worst_pixel": {"yx": list(pixel), "chi2": of_pixel},
    }


def _brightness(counts_per_pixel: float, pixels: int) -> float:
    """Return the photons of a mean frame over those from where on convergence decides."""
    return counts_per_pixel * pixels / CONVERGENCE_PHOTONS_PER_FRAME


def _is_odd_one_out(
    found: NDArray[np.float64],
    expected: NDArray[np.float64],
    chi2: NDArray[np.float64],
    above: float,
) -> bool:
    """Return whether the worst are far from the median, and the rest fits without them."""
    bad = chi2 > above * max(float(np.median(chi2)), 1.0)
    rest = found[~bad].sum() <= FITS_BELOW * expected[~bad].sum()
    return bool(bad.any() and rest)


def verdict(chi2: float, counts_per_pixel: float, pixels: int) -> tuple[bool | None, str]:
    """Return whether a chi2 is that of a fit, None where it can not be said, and words for it.

    Parameters
    ----------
    counts_per_pixel : float
        Mean of the measured counts.
    pixels : int
        Of a frame.

    Examples
    --------
    >>> verdict(1.02, 100, 32**2), verdict(5.0, 100, 32**2), verdict(0.02, 100, 32**2)[1]
    ((True, 'fits to the noise'), (False, 'does not fit'), 'says nothing: frames share too little')
    >>> verdict(1.02, 0.2, 64**2)[1]
    'fits to the noise; at 0.2 counts a pixel a wrong answer may too'
    """
    if chi2 < SAYS_NOTHING_BELOW:
        return None, "says nothing: frames share too little"
    brightness = _brightness(counts_per_pixel, pixels)
    if brightness > 1 and FITS_BELOW < chi2 <= UNCONVERGED_UP_TO * brightness:
        photons = f"{CONVERGENCE_PHOTONS_PER_FRAME:g} photons a frame"
        return None, f"above {photons} convergence decides, not noise"
    if chi2 > DOES_NOT_FIT_ABOVE:
        return False, "does not fit"
    if chi2 > FITS_BELOW:
        return None, "nearly fits"
    words = "fits the noise too" if chi2 < FOLLOWS_NOISE_BELOW else "fits to the noise"
    if counts_per_pixel < TELLING_COUNTS_PER_PIXEL:
        words += f"; at {counts_per_pixel:.2g} counts a pixel a wrong answer may too"
    return True, words


def in_short(said: dict[str, Any]) -> str:
    """Return a fit on one line.

    >>> in_short({"chi2": 1.0153, "words": "fits to the noise"})
    'chi2 1.02 (fits to the noise)'
    >>> in_short({"chi2": None, "words": "not photon counts"})
    'no chi2 (not photon counts)'
    """
    chi2, words = said["chi2"], said["words"]
    return f"no chi2 ({words})" if chi2 is None else f"chi2 {chi2:.3g} ({words})"
