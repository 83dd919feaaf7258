"""What is to be doubted of the probe and the object that a set comes with."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from fly64tasks.data.dataset import PtychoDataset
from fly64tasks.recon.doubts.centre import misplaced
from fly64tasks.recon.scale import MOST_ABSORBED, Scale


def of_probe(dataset: PtychoDataset, scale: Scale) -> Iterator[str]:
    """Yield what is to be doubted of the probe."""
    power = (np.abs(dataset.probe_guess.astype(complex)) ** 2).sum(axis=0)
    where = misplaced(power)
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
