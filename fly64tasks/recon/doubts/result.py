"""What is to be doubted of a result: how well it fits, and whether it had converged."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from fly64tasks.recon.fit import (
    CONVERGENCE_PHOTONS_PER_FRAME,
    SAYS_NOTHING_BELOW,
    TELLING_COUNTS_PER_PIXEL,
)
from fly64tasks.recon.scale import Scale

WELL_BELOW = 1.07
"""The chi2 of right answers of MAP from `TELLING_COUNTS_PER_PIXEL` on: 0.6 to 1.04 were seen."""


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
            "(fly64tasks inspect --orientations tries all) and positions (correct_positions finds "
            "those that are off by a few pixels), at probeGuess (its size, the sign of its "
            "defocus), at the centre of the frames, at hot pixels, and whether the beam has "
            "several modes (probe_modes) or moved within a frame, or the detector a background"
        )
    elif chi2 is not None and chi2 < SAYS_NOTHING_BELOW and not thinned:
        yield f"the fit {words}: chi2 is {chi2:.2g}, photon noise makes 1; any object fits them"
    elif "stands out" in words:
        yield f"the fit {words}"
    elif converged and telling and chi2 is not None and chi2 > WELL_BELOW:
        yield (
            f"fits less well than it should: chi2 is {chi2:.3g}, right answers have 1 or less: the "
            "beam may have moved within a frame (a fly scan) or have several modes (probe_modes), "
            "positions be off by a fraction of a pixel (correct_positions), or the frames off "
            "their centre"
        )
    if converged is False:
        yield (
            f"MAP had not converged after {epochs} epochs, its bound: raise num_epochs, or "
            "tolerance_nats to be content with less"
        )
