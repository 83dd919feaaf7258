"""The scores of a reconstruction: which there are, in what unit, and which way is better.

One table for `scores.json`, the report and the documentation; formulas are in
`fly64tasks.physics.image_quality` and `fly64tasks.physics.frc`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Metric:
    """One score.

    Attributes
    ----------
    key : str
        Its name in ``scores.json`` and ``summary.csv``; units end it.
    label : str
        Its name in tables and on axes.
    unit : str
        Empty for a pure number.
    better : str
        ``lower`` or ``higher``.
    meaning : str
        One sentence, for a reader of the report.
    needs_truth : bool
        Whether it compares with the truth; the others are of the data alone.
    """

    key: str
    label: str
    unit: str
    better: Literal["lower", "higher"]
    meaning: str
    needs_truth: bool = True


METRICS = (
    Metric(
        "complex_nrmse",
        "Complex NRMSE",
        "",
        "lower",
        "Norm of the difference from the truth over the norm of the truth, within the region.",
    ),
    Metric(
        "amplitude_ssim",
        "Amplitude SSIM",
        "",
        "higher",
        "Structural similarity of the amplitudes, 1 for equal images.",
    ),
    Metric(
        "phase_ssim",
        "Phase SSIM",
        "",
        "higher",
        "Structural similarity of the phases, 1 for equal images.",
    ),
    Metric(
        "amplitude_ms_ssim",
        "Amplitude MS-SSIM",
        "",
        "higher",
        "Multi-scale structural similarity of the amplitudes, 1 for equal images.",
    ),
    Metric(
        "phase_ms_ssim",
        "Phase MS-SSIM",
        "",
        "higher",
        "Multi-scale structural similarity of the phases, 1 for equal images.",
    ),
    Metric(
        "amplitude_psnr_db",
        "Amplitude PSNR",
        "dB",
        "higher",
        "Range of the true amplitude over the root mean square error.",
    ),
    Metric(
        "phase_psnr_db",
        "Phase PSNR",
        "dB",
        "higher",
        "Range of the true phase over the root mean square error.",
    ),
    Metric("amplitude_mae", "Amplitude MAE", "", "lower", "Mean absolute error of the amplitude."),
    Metric("phase_mae_rad", "Phase MAE", "rad", "lower", "Mean absolute error of the phase."),
    Metric(
        "frc_0p5_cycles_per_px",
        "FRC 0.5",
        "cycles/px",
        "higher",
        "Spatial frequency at which the Fourier ring correlation with the truth falls below 0.5.",
    ),
    Metric(
        "frc_1bit_cycles_per_px",
        "FRC 1-bit",
        "cycles/px",
        "higher",
        "Spatial frequency at which the Fourier ring correlation falls below the 1-bit curve.",
    ),
    Metric(
        "frc_halfbit_cycles_per_px",
        "FRC ½-bit",
        "cycles/px",
        "higher",
        "Spatial frequency at which the Fourier ring correlation falls below the ½-bit curve.",
    ),
    Metric(
        "frc_0p5_period_nm",
        "Resolution, FRC 0.5",
        "nm",
        "lower",
        "Full period at the frequency where the Fourier ring correlation falls below 0.5.",
    ),
    Metric(
        "frc_1bit_period_nm",
        "Resolution, FRC 1-bit",
        "nm",
        "lower",
        "Full period at the frequency where the Fourier ring correlation falls below 1 bit.",
    ),
    Metric(
        "frc_halfbit_period_nm",
        "Resolution, FRC ½-bit",
        "nm",
        "lower",
        "Full period at the frequency where the Fourier ring correlation falls below ½ bit.",
    ),
    Metric(
        "r_factor",
        "R-factor",
        "",
        "lower",
        "Sum of the differences of measured and predicted diffraction amplitudes over that of the "
        "measured ones, on the frames that were fitted: with few frames noise is fitted too, and "
        "it is low whatever the object.",
        needs_truth=False,
    ),
)
"""In the order of tables; the first is the main score."""
