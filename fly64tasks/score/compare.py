"""From a reconstruction and its set to scores: laid over the truth, and held to the data."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from fly64tasks.data.dataset import PtychoDataset
from fly64tasks.errors import DatasetError
from fly64tasks.physics import alignment, image_quality, optics
from fly64tasks.physics.frc import (
    NYQUIST_CYCLES_PER_PX,
    RingCorrelation,
    ring_correlation,
    soft_window,
)
from fly64tasks.physics.scan import patches_inside
from fly64tasks.recon.result import Reconstructed
from fly64tasks.recon.start import choose_frames
from fly64tasks.score.scorecard import METRICS
from fly64tasks.study.stages import ScoreSpec


@dataclass(frozen=True)
class Comparison:
    """A reconstruction laid over the truth.

    Attributes
    ----------
    truth : (H, W) complex
    aligned : Alignment
    region : (H, W) bool
    rings : RingCorrelation
    """

    truth: NDArray[np.complexfloating]
    aligned: alignment.Alignment
    region: NDArray[np.bool_]
    rings: RingCorrelation


def refuse_another(dataset: PtychoDataset, found: Reconstructed) -> None:
    """Refuse a reconstruction that the runner can not have made from this set.

    Raises
    ------
    DatasetError
        Its frames, probe or object are not those of the set.
    """
    size, shape = dataset.frame_size_px, found.obj.shape
    n = len(choose_frames(len(dataset.positions_px), found.spec))
    problem = None
    if len(found.positions_px) != n:
        problem = f"positions_px holds {len(found.positions_px)} frames, expected {n}"
    elif found.probe.shape[-1] != size:
        problem = f"probe is {found.probe.shape[-1]} px wide, expected {size}"
    elif not patches_inside(found.positions_px, size, (shape[0], shape[1])).all():
        problem = "positions_px put patches off the object"
    elif why_no_truth(dataset, found) is None and shape != dataset.object_guess.shape:
        problem = f"object has shape {shape}, expected {dataset.object_guess.shape}"
    elif not found.obj.any() or not found.probe.any():
        problem = "object or probe is zero everywhere"
    if problem:
        raise DatasetError(f"{found.path}: {problem}; reconstruct again")


def why_no_truth(dataset: PtychoDataset, found: Reconstructed) -> str | None:
    """Return why a reconstruction can not be laid over a truth, None where it can."""
    if not dataset.is_simulated:
        return "no truth: the set does not say that it was simulated (_metadata.simulated)"
    if found.metadata["start"]["frame_of_reference"] != "object":
        return "no comparable truth: the positions are not in the frame of objectGuess"
    return None


def compare(dataset: PtychoDataset, found: Reconstructed, spec: ScoreSpec) -> Comparison:
    """Return a reconstruction laid over the truth of its set.

    The region is that of the set's own probe, so that every dose of a view is scored on the same
    pixels.
    """
    truth = dataset.object_guess.astype(complex)
    region = alignment.illuminated_region(
        dataset.probe_guess, found.positions_px, found.obj.shape, spec.region_threshold
    )
    aligned = alignment.align(found.obj, truth, region)
    box = alignment.bounding_box(region)
    window = soft_window(region, spec.frc_taper_px)
    rings = ring_correlation(aligned.obj[box], truth[box], window)
    return Comparison(truth, aligned, region, rings)


def score_values(
    dataset: PtychoDataset, found: Reconstructed, comparison: Comparison | None, spec: ScoreSpec
) -> tuple[dict[str, float], list[str], dict[str, str]]:
    """Return the scores by key, the keys of those that are a bound, and notes by key."""
    values = {"r_factor": data_r_factor(dataset, found)}
    if comparison is None:
        absent = why_no_truth(dataset, found) or ""
        return values, [], {metric.key: absent for metric in METRICS if metric.needs_truth}
    images, notes = image_scores(
        comparison.aligned.obj, comparison.truth, comparison.region, spec.ms_ssim_scales
    )
    values |= images
    bounds: list[str] = []
    pixel_nm = found.geometry.pixel_size_m * 1e9
    rings = comparison.rings
    for name, threshold in (
        ("0p5", 0.5),
        ("1bit", rings.bit_threshold(1.0)),
        ("halfbit", rings.bit_threshold(0.5)),
    ):
        crossing = rings.crossing(threshold)
        keys = (f"frc_{name}_cycles_per_px", f"frc_{name}_period_nm")
        if crossing is None:
            crossing = NYQUIST_CYCLES_PER_PX
            bounds += keys
            notes |= dict.fromkeys(keys, "the curve stays above the threshold up to Nyquist")
        values |= dict(zip(keys, (crossing, pixel_nm / crossing), strict=True))
    return values, bounds, notes


def data_r_factor(dataset: PtychoDataset, found: Reconstructed) -> float:
    """Return the R-factor of the diffraction amplitudes that the reconstruction predicts."""
    frames = choose_frames(len(dataset.positions_px), found.spec)
    measured = dataset.diffraction_amplitude[frames]
    # pty-chi's own model shifts the probe
    waves = optics.exit_waves(found.probe, found.obj, found.positions_px, shift_probe=True)
    predicted = np.empty_like(measured)
    for frame, wave in zip(predicted, waves, strict=True):
        frame[:] = np.sqrt(optics.diffraction_intensity(wave))
    return image_quality.r_factor(measured, predicted)


def image_scores(
    aligned: NDArray[np.complexfloating],
    truth: NDArray[np.complexfloating],
    region: NDArray[np.bool_],
    ms_ssim_scales: int,
) -> tuple[dict[str, float], dict[str, str]]:
    """Return the scores of aligned images by key, and why others do not exist."""
    amplitude, true_amplitude = np.abs(aligned), np.abs(truth)
    phase, true_phase = (image_quality.phase_near(obj, truth, region) for obj in (aligned, truth))
    values = {"complex_nrmse": image_quality.complex_nrmse(aligned, truth, region)}
    notes = {}
    for name, image, reference in (
        ("amplitude", amplitude, true_amplitude),
        ("phase", phase, true_phase),
    ):
        mae_key = f"{name}_mae" + ("_rad" if name == "phase" else "")
        values[mae_key] = image_quality.mean_absolute_error(image, reference, region)
        against = (image, reference, region)
        similarities: dict[str, Callable[[], float]] = {
            f"{name}_ssim": partial(image_quality.ssim, *against),
            f"{name}_ms_ssim": partial(image_quality.ms_ssim, *against, ms_ssim_scales),
            f"{name}_psnr_db": partial(image_quality.psnr_db, *against),
        }
        for key, similarity in similarities.items():
            try:
                values[key] = similarity()
            except image_quality.Undefined as reason:
                notes[key] = str(reason)
    return values, notes
