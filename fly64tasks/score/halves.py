"""Two halves of a scan, reconstructed apart, held against each other: what needs no truth."""

from __future__ import annotations

from dataclasses import dataclass

import msgspec
import numpy as np
from numpy.typing import NDArray

from fly64tasks.data.dataset import PtychoDataset
from fly64tasks.errors import DatasetError
from fly64tasks.physics import alignment
from fly64tasks.physics.frc import RingCorrelation, ring_correlation, soft_window
from fly64tasks.physics.image_quality import Undefined
from fly64tasks.recon.result import Reconstructed
from fly64tasks.score.compare import Fitted, refuse_another
from fly64tasks.score.metric import Metric
from fly64tasks.score.resolution import crossing, period_nm
from fly64tasks.study.stages import Geometry, ScoreSpec

_FEWEST_PX = 256
"""Fewer pixels have no ring with independent pixels enough."""


@dataclass(frozen=True)
class Halves(Fitted):
    """A reconstruction, and those of its even and of its odd frames laid over each other.

    Attributes
    ----------
    aligned : Alignment
        The odd half on the even one.
    region : (H, W) bool
        Where both halves were illuminated, by the probe that all frames gave.
    rings : RingCorrelation
    """

    aligned: alignment.Alignment
    region: NDArray[np.bool_]
    rings: RingCorrelation

    @property
    def geometry(self) -> Geometry:
        """Return the physical sizes of the reconstruction."""
        return self.found.geometry


def compare_halves(
    dataset: PtychoDataset,
    found: Reconstructed,
    even: Reconstructed,
    odd: Reconstructed,
    spec: ScoreSpec,
) -> Halves:
    """Return the halves of a reconstruction laid over each other.

    Raises
    ------
    DatasetError
        They are no halves of it: of another content, not made alike, not of every other frame.
    Undefined
        They have too little in common to be compared.
    """
    for half, name in ((even, "even"), (odd, "odd")):
        refuse_another(dataset, half)
        if half.spec.half != name or half.obj.shape != found.obj.shape:
            raise DatasetError(f"{half.name}: is not of the {name} frames; reconstruct again")
        if msgspec.structs.replace(half.spec, half=None) != found.spec:
            raise DatasetError(
                f"{half.name}: was made with other settings than {found.name}; reconstruct again"
            )
        if half.metadata["input"]["sha256"] != found.metadata["input"]["sha256"]:
            raise DatasetError(
                f"{half.name}: was made from another content than {found.name}; reconstruct again"
            )
    lit = [
        alignment.illuminated_region(
            found.probe, half.positions_px, half.obj.shape, spec.region_threshold
        )
        for half in (even, odd)
    ]
    region = lit[0] & lit[1]
    if region.sum() < _FEWEST_PX:
        raise Undefined(
            f"even and odd frames were illuminated alike on {region.sum()} px only, expected at "
            f"least {_FEWEST_PX}: they lie too far apart for halves"
        )
    aligned = alignment.align(odd.obj, even.obj, region)
    box = alignment.bounding_box(region)
    window = soft_window(region, spec.frc_taper_px)
    rings = ring_correlation(aligned.obj[box], even.obj[box], window)
    return Halves(dataset, found, spec, aligned, region, rings)


HALVES_METRICS = (
    Metric(
        "halves_frc_halfbit_period_nm",
        "Resolution, halves ½-bit",
        "nm",
        "lower",
        "Full period at the frequency where the Fourier ring correlation of two halves, the even "
        "and the odd frames reconstructed apart, falls below the ½-bit curve. All frames together "
        "resolve as much or more; what is wrong in both halves alike, as a wrong pixel size or "
        "orientation, it does not see.",
        lambda halves: period_nm(halves, halves.rings.bit_threshold(0.5)),
        decimals=1,
        needs_truth=False,
    ),
    Metric(
        "halves_frc_halfbit_cycles_per_px",
        "Halves, FRC ½-bit",
        "cycles/px",
        "higher",
        "Spatial frequency at which that correlation falls below the ½-bit curve.",
        lambda halves: crossing(halves, halves.rings.bit_threshold(0.5)),
        decimals=3,
        needs_truth=False,
    ),
    Metric(
        "halves_frc_0p5_cycles_per_px",
        "Halves, FRC 0.5",
        "cycles/px",
        "higher",
        "Spatial frequency at which that correlation falls below 0.5.",
        lambda halves: crossing(halves, 0.5),
        decimals=3,
        needs_truth=False,
    ),
)
"""What two halves say; none is a comparison with a truth."""
