"""The scores of a reconstruction: what each is, in what unit, which way is better, and its value.

One table for ``scores.json``, ``summary.csv``, the report and the command line: a new score is one
row. Formulas are in `fly64tasks.physics.image_quality`, `fly64tasks.physics.frc` and
`fly64tasks.score.fit`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, cast

from fly64tasks.physics.image_quality import (
    Undefined,
    complex_nrmse,
    mean_absolute_error,
    ms_ssim,
    psnr_db,
    ssim,
)
from fly64tasks.score.compare import Comparison, Fitted, Overlay
from fly64tasks.score.metric import Bound, Metric, Noted
from fly64tasks.score.resolution import crossing, period_nm

_ROUNDING = 1e-6
"""Of an error, in single precision: equal objects are not told apart by less."""


@dataclass(frozen=True)
class Values:
    """The scores by key, the keys of those that are a bound, and notes by key.

    ``unresolved`` has those of ``bounds`` whose true score is worse.
    """

    values: dict[str, float]
    bounds: list[str]
    unresolved: list[str]
    notes: dict[str, str]

    def said(self, metrics: Sequence[Metric] = ()) -> dict[str, Any]:
        """Return them as ``scores.json`` has them; those of ``metrics`` that have none are None."""
        return {
            "metrics": {**dict.fromkeys(metric.key for metric in metrics), **self.values},
            "bounds": self.bounds,
            "unresolved": self.unresolved,
            "notes": self.notes,
        }


def scores_of(
    scored: Fitted | Overlay, absent: str | None = None, metrics: Sequence[Metric] | None = None
) -> Values:
    """Return the scores of a reconstruction: `METRICS`, unless others are given.

    Parameters
    ----------
    scored : Fitted or Overlay
        A `Comparison`, which is both, where there are its data and a truth.
    absent : str, optional
        Why one of both is not there.
    """
    found = Values({}, [], [], {})
    for metric in METRICS if metrics is None else metrics:
        if not isinstance(scored, Overlay if metric.needs_truth else Fitted):
            found.notes[metric.key] = absent or ""
            continue
        try:
            value = metric.of(cast(Comparison, scored))  # of which it uses its half
        except Undefined as reason:
            found.notes[metric.key] = str(reason)
            continue
        if isinstance(value, Bound):
            found.bounds.append(metric.key)
            if value.side == "worse":
                found.unresolved.append(metric.key)
        if isinstance(value, Noted):
            found.notes[metric.key] = value.note
            value = value.value
        found.values[metric.key] = value
    return found


def metric(key: str) -> Metric:
    """Return the metric of a key, of `METRICS`.

    >>> metric("phase_mae_rad").label
    'Phase MAE'
    """
    return next(metric for metric in METRICS if metric.key == key)


def is_worse(error: float, flat: float) -> bool:
    """Return whether an error is larger than that of a flat object, by more than rounding.

    >>> is_worse(0.2, 0.2 - 1e-16), is_worse(0.2001, 0.2)
    (False, True)
    """
    return error > flat * (1 + _ROUNDING)


def _complex_nrmse(c: Overlay) -> Noted:
    """Return the error, and how it compares with that of an object of ones."""
    error, flat = complex_nrmse(c.aligned.obj, c.truth, c.region), c.flat_error
    worse = "worse than a flat object, which" if is_worse(error, flat) else "a flat object"
    return Noted(error, f"{worse} has {flat:.4f}")


def _chi2(fitted: Fitted) -> Noted:
    """Return the fit, and the words for it."""
    said = fitted.data_fit.said
    if said["chi2"] is None:
        raise Undefined(said["words"])
    return Noted(said["chi2"], said["words"])


METRICS = (
    Metric(
        "complex_nrmse",
        "Complex NRMSE",
        "",
        "lower",
        "Norm of the difference from the truth over the norm of the truth, within the region.",
        _complex_nrmse,
    ),
    Metric(
        "amplitude_ssim",
        "Amplitude SSIM",
        "",
        "higher",
        "Structural similarity of the amplitudes, 1 for equal images.",
        lambda c: ssim(*c.amplitudes),
    ),
    Metric(
        "phase_ssim",
        "Phase SSIM",
        "",
        "higher",
        "Structural similarity of the phases, 1 for equal images.",
        lambda c: ssim(*c.phases),
    ),
    Metric(
        "amplitude_ms_ssim",
        "Amplitude MS-SSIM",
        "",
        "higher",
        "Multi-scale structural similarity of the amplitudes, 1 for equal images.",
        lambda c: ms_ssim(*c.amplitudes, c.spec.ms_ssim_scales),
    ),
    Metric(
        "phase_ms_ssim",
        "Phase MS-SSIM",
        "",
        "higher",
        "Multi-scale structural similarity of the phases, 1 for equal images.",
        lambda c: ms_ssim(*c.phases, c.spec.ms_ssim_scales),
    ),
    Metric(
        "amplitude_psnr_db",
        "Amplitude PSNR",
        "dB",
        "higher",
        "Range of the true amplitude over the root mean square error.",
        lambda c: psnr_db(*c.amplitudes),
        decimals=1,
    ),
    Metric(
        "phase_psnr_db",
        "Phase PSNR",
        "dB",
        "higher",
        "Range of the true phase over the root mean square error.",
        lambda c: psnr_db(*c.phases),
        decimals=1,
    ),
    Metric(
        "amplitude_mae",
        "Amplitude MAE",
        "",
        "lower",
        "Mean absolute error of the amplitude.",
        lambda c: mean_absolute_error(*c.amplitudes),
    ),
    Metric(
        "phase_mae_rad",
        "Phase MAE",
        "rad",
        "lower",
        "Mean absolute error of the phase.",
        lambda c: mean_absolute_error(*c.phases),
    ),
    Metric(
        "frc_0p5_cycles_per_px",
        "FRC 0.5",
        "cycles/px",
        "higher",
        "Spatial frequency at which the Fourier ring correlation with the truth falls below 0.5.",
        lambda c: crossing(c, 0.5),
        decimals=3,
    ),
    Metric(
        "frc_1bit_cycles_per_px",
        "FRC 1-bit",
        "cycles/px",
        "higher",
        "Spatial frequency at which the Fourier ring correlation falls below the 1-bit curve.",
        lambda c: crossing(c, c.rings.bit_threshold(1.0)),
        decimals=3,
    ),
    Metric(
        "frc_halfbit_cycles_per_px",
        "FRC ½-bit",
        "cycles/px",
        "higher",
        "Spatial frequency at which the Fourier ring correlation falls below the ½-bit curve.",
        lambda c: crossing(c, c.rings.bit_threshold(0.5)),
        decimals=3,
    ),
    Metric(
        "frc_0p5_period_nm",
        "Resolution, FRC 0.5",
        "nm",
        "lower",
        "Full period at the frequency where the Fourier ring correlation falls below 0.5.",
        lambda c: period_nm(c, 0.5),
        decimals=1,
    ),
    Metric(
        "frc_1bit_period_nm",
        "Resolution, FRC 1-bit",
        "nm",
        "lower",
        "Full period at the frequency where the Fourier ring correlation falls below 1 bit.",
        lambda c: period_nm(c, c.rings.bit_threshold(1.0)),
        decimals=1,
    ),
    Metric(
        "frc_halfbit_period_nm",
        "Resolution, FRC ½-bit",
        "nm",
        "lower",
        "Full period at the frequency where the Fourier ring correlation falls below ½ bit.",
        lambda c: period_nm(c, c.rings.bit_threshold(0.5)),
        decimals=1,
    ),
    Metric(
        "chi2",
        "Fit χ²",
        "",
        "near 1",
        "Squared difference of measured and predicted diffraction amplitudes over what photon "
        "noise alone makes of it: 1 fits to the noise, less fits the noise too, more does not fit.",
        _chi2,
        decimals=2,
        needs_truth=False,
        ranks=False,
    ),
    Metric(
        "r_factor",
        "R-factor",
        "",
        "lower",
        "Sum of the differences of measured and predicted diffraction amplitudes over that of the "
        "measured ones, on the frames that were fitted: with few frames noise is fitted too, and "
        "it is low whatever the object.",
        lambda fitted: fitted.data_fit.r_factor,
        needs_truth=False,
        ranks=False,
    ),
)
"""In the order of tables; the first is the main score."""
