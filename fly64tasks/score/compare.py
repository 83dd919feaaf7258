"""A reconstruction beside its set, and laid over the truth where there is one."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fly64tasks.data.dataset import PtychoDataset
from fly64tasks.errors import DatasetError
from fly64tasks.physics import alignment
from fly64tasks.physics.alignment import BoolArray, FloatArray
from fly64tasks.physics.frc import RingCorrelation, ring_correlation, soft_window
from fly64tasks.physics.image_quality import complex_nrmse, phase_near
from fly64tasks.physics.scan import patches_inside
from fly64tasks.recon.doubts.guesses import is_constant
from fly64tasks.recon.result import Reconstructed
from fly64tasks.recon.start import choose_frames
from fly64tasks.score.fit import DataFit, data_fit
from fly64tasks.study.stages import Geometry, ScoreSpec

_SAME_PLACE_PX = 1e-3

ImagePair = tuple[FloatArray, FloatArray, BoolArray]


@dataclass(frozen=True)
class Fitted:
    """A reconstruction beside the set that it was made from."""

    dataset: PtychoDataset
    found: Reconstructed
    spec: ScoreSpec

    @cached_property
    def data_fit(self) -> DataFit:
        """Return how well it predicts the set's diffraction."""
        return data_fit(self.dataset, self.found)


@dataclass(frozen=True)
class Overlay:
    """An object laid over the truth.

    Attributes
    ----------
    spec : ScoreSpec
    geometry : Geometry
    truth : (H, W) complex
    aligned : Alignment
    region : (H, W) bool
    rings : RingCorrelation
    """

    spec: ScoreSpec
    geometry: Geometry
    truth: NDArray[np.complexfloating]
    aligned: alignment.Alignment
    region: NDArray[np.bool_]
    rings: RingCorrelation

    @cached_property
    def amplitudes(self) -> ImagePair:
        """Return the amplitude, (H, W), that of the truth, and the region."""
        return np.abs(self.aligned.obj), np.abs(self.truth), self.region

    @cached_property
    def phases(self) -> ImagePair:
        """Return the phase in rad, (H, W), that of the truth, and the region."""
        phase, true_phase = (
            phase_near(obj, self.truth, self.region) for obj in (self.aligned.obj, self.truth)
        )
        return phase, true_phase, self.region

    @cached_property
    def flat_error(self) -> float:
        """Return the complex NRMSE of an object of ones, which no data were needed for.

        Aligned as the reconstruction is: that may have a phase ramp, which no diffraction tells
        from a shift of the detector, and so may this. Its scale alone would leave it worse where
        the truth's phase has a slope, and flatter the reconstruction.
        """
        flat = alignment.align(np.ones_like(self.truth), self.truth, self.region)
        return complex_nrmse(flat.obj, self.truth, self.region)


@dataclass(frozen=True)
class Comparison(Overlay, Fitted):
    """A reconstruction beside its set and laid over the truth."""


def refuse_another(dataset: PtychoDataset, found: Reconstructed) -> None:
    """Refuse a reconstruction that the runner can not have made from this set.

    Raises
    ------
    DatasetError
        Its frames, probe or object are not those of the set.
    """
    size, shape = dataset.frame_size_px, found.obj.shape
    frames = choose_frames(len(dataset.positions_px), found.spec, found.left_out_frames)
    chosen = dataset.positions_px[frames]
    problem = None
    if len(found.positions_px) != len(chosen):
        problem = f"positions_px holds {len(found.positions_px)} frames, expected {len(chosen)}"
    elif np.ptp(found.given_positions_px - chosen, axis=0).max() > _SAME_PLACE_PX:
        problem = "positions_px are not those of the set"
    elif found.probe.shape[-1] != size:
        problem = f"probe is {found.probe.shape[-1]} px wide, expected {size}"
    elif not patches_inside(found.positions_px, size, (shape[0], shape[1])).all():
        problem = "positions_px put patches off the object"
    elif (
        found.metadata["start"]["frame_of_reference"] == "object"
        and dataset.object_guess is not None
        and shape != dataset.object_guess.shape
    ):
        problem = f"object has shape {shape}, expected {dataset.object_guess.shape}"
    elif not found.obj.any() or not found.probe.any():
        problem = "object or probe is zero everywhere"
    if problem:
        raise DatasetError(f"{found.name}: {problem}; reconstruct again")


def why_no_truth(
    dataset: PtychoDataset, found: Reconstructed, declared: str | None = None
) -> str | None:
    """Return why a reconstruction can not be laid over a truth, None where it can.

    Parameters
    ----------
    declared : str, optional
        ``objectGuess``: it is the truth, though the set does not say so.
    """
    absent = why_set_has_no_truth(dataset, declared)
    if absent:
        return absent
    assert dataset.object_guess is not None
    if in_frame_of_truth(found, dataset.object_guess.shape) is None:
        return "no comparable truth: the positions are not in the frame of objectGuess"
    return None


def why_set_has_no_truth(dataset: PtychoDataset, declared: str | None = None) -> str | None:
    """Return why a set has no truth, None where it has one; ``declared`` as `why_no_truth` has."""
    if not dataset.is_simulated and declared is None:
        return "no truth: the set does not say that it was simulated (_metadata.simulated)"
    if dataset.object_guess is None:
        return "no truth: the set holds no objectGuess"
    if is_constant(dataset.object_guess):
        return "no truth: objectGuess is the same everywhere, it can not be the truth"
    return None


def in_frame_of_truth(found: Reconstructed, shape: tuple[int, ...]) -> Reconstructed | None:
    """Return a reconstruction laid on an array of the truth's shape, None where it lies off it.

    One whose canvas was sized from the scan is moved by whole pixels, to where the set's own
    positions put it.
    """
    start = found.metadata["start"]
    if start["frame_of_reference"] == "object":
        return found
    origin = np.round(start.get("canvas_origin_px", (np.nan, np.nan)))
    positions = found.positions_px - origin
    inside = (shape[0], shape[1])
    if not patches_inside(positions, found.probe.shape[-1], inside).all():
        return None
    oy, ox = (int(extent) for extent in origin)
    return replace(
        found,
        obj=laid_on(found.obj, (oy, ox), inside),
        slices=None if found.slices is None else laid_on(found.slices, (oy, ox), inside),
        positions_px=positions,
        given_positions_px=found.given_positions_px - origin,
    )


def laid_on(obj: NDArray[Any], origin_px: tuple[int, int], shape: tuple[int, int]) -> NDArray[Any]:
    """Return an object on an array of another shape, ones where it has no pixels.

    Parameters
    ----------
    obj : (..., h, w)
    origin_px : (int, int)
        Its pixel that comes to lie on the array's first, y first.
    shape : (int, int)
    """
    laid = np.ones((*obj.shape[:-2], *shape), obj.dtype)
    oy, ox = origin_px
    y0, x0 = max(-oy, 0), max(-ox, 0)
    y1, x1 = np.maximum(np.minimum(shape, np.array(obj.shape[-2:]) - (oy, ox)), (y0, x0))
    laid[..., y0:y1, x0:x1] = obj[..., y0 + oy : y1 + oy, x0 + ox : x1 + ox]
    return laid


def compare(dataset: PtychoDataset, found: Reconstructed, spec: ScoreSpec) -> Comparison:
    """Return a reconstruction laid over the truth of its set.

    The region is that of the set's own probe and positions, so that every dose of a view is scored
    on the same pixels.
    """
    truth = np.asarray(dataset.object_guess, dtype=complex)
    found = in_frame_of_truth(found, truth.shape) or found
    region = alignment.illuminated_region(
        dataset.probe_guess, found.given_positions_px, found.obj.shape, spec.region_threshold
    )
    # Where corrected positions have wandered together, the object has with them.
    wandered = (found.positions_px - found.given_positions_px).mean(axis=0)
    laid = overlay(found.obj, truth, region, spec, found.geometry, wandered_px=wandered)
    return Comparison(dataset, found, **vars(laid))


def overlay(
    obj: NDArray[np.complexfloating],
    truth: NDArray[np.complexfloating],
    region: NDArray[np.bool_],
    spec: ScoreSpec,
    geometry: Geometry,
    *,
    wandered_px: FloatArray | None = None,
) -> Overlay:
    """Return an object laid over the truth, both (H, W); ``wandered_px`` as `align` has it."""
    aligned = alignment.align(obj, truth, region, wandered_px=wandered_px)
    box = alignment.bounding_box(region)
    window = soft_window(region, spec.frc_taper_px)
    rings = ring_correlation(aligned.obj[box], truth[box], window)
    return Overlay(spec, geometry, truth, aligned, region, rings)
