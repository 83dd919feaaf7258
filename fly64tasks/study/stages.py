"""The settings of each stage but the reconstruction: base, simulation, views, scores.

Specs hold JSON-ready values only, and constructing one never touches the disk.
"""

from __future__ import annotations

import re
from typing import Annotated, ClassVar, Literal

import msgspec
from msgspec import Meta

from fly64tasks.study.cases import BASELINE
from fly64tasks.study.spec import Count, NotNegative, Positive, Seed, Spec

Overlap = Annotated[float, Meta(ge=0, lt=1)]
Fraction = Annotated[float, Meta(ge=0, lt=1)]
Share = Annotated[float, Meta(gt=0, lt=1)]
Step = Annotated[int, Meta(ge=2, le=10**9)]
Length = Annotated[float, Meta(ge=1e-15, le=1)]
Energy = Annotated[float, Meta(ge=1e-3, le=1e12)]
MOST_POSITIONS = 10**7


HC_EV_M = 1.239841984e-6
"""h c, in eV m (CODATA 2018)."""
SIZES = ("pixel_size_m", "energy_ev", "detector_pixel_size_m")
"""The fields of `Geometry` that are measured."""


class Geometry(Spec, frozen=True):
    """Physical sizes of the experiment; ``assumed`` when they are not known from a measurement."""

    pixel_size_m: Length = 10e-9
    energy_ev: Energy = 8800.0
    detector_pixel_size_m: Length = 75e-6
    assumed: bool = True

    @property
    def wavelength_m(self) -> float:
        """Return h c / E."""
        return HC_EV_M / self.energy_ev

    def detector_distance_m(self, frame_size_px: int) -> float:
        """Return N dx p / lambda: where detector pixels p sample the far field of pixels dx."""
        return self.pixel_size_m * frame_size_px * self.detector_pixel_size_m / self.wavelength_m


ASSUMED = Geometry()
"""What is taken for the physical sizes that nobody gives."""


class BaseSpec(Spec, frozen=True):
    """The built-in base: a zone-plate probe, an object and a jittered raster scan."""

    probe_size_px: Annotated[int, Meta(ge=16, le=4096)] = 64
    object_size_px: Annotated[int, Meta(ge=64, le=16384)] = 360
    scan_step_px: Positive = 10.0
    scan_jitter_px: NotNegative = 1.5
    outermost_zone_width_m: Positive = 25e-9
    central_stop_fraction: Fraction = 0.4
    defocus_m: NotNegative = 57e-6
    seed: Seed = 1

    def __post_init__(self) -> None:
        if (self.object_size_px / self.scan_step_px) ** 2 > MOST_POSITIONS:
            raise ValueError(
                f"scan_step_px is {self.scan_step_px:g}, expected a step that gives an object of "
                f"{self.object_size_px} px at most {MOST_POSITIONS} positions"
            )


class Orientation(Spec, frozen=True):
    """How a scan lies to its detector, where its file has it otherwise.

    ``detector_transpose`` transposes the frames and their mask; ``swap_xy`` swaps the axes of the
    positions, then ``flip_y`` and ``flip_x`` turn one round.
    """

    swap_xy: bool = False
    flip_y: bool = False
    flip_x: bool = False
    detector_transpose: bool = False

    @property
    def turns(self) -> tuple[str, ...]:
        """Return the names of those that are asked for.

        >>> Orientation(flip_y=True).turns
        ('flip_y',)
        """
        return tuple(name for name in TURNS if getattr(self, name))

    @property
    def moves_positions(self) -> bool:
        """Return whether positions change."""
        return self.swap_xy or self.flip_y or self.flip_x


TURNS = ("swap_xy", "flip_y", "flip_x", "detector_transpose")
AS_STORED = Orientation()


class DataSpec(Orientation, frozen=True):
    """Sets of your own: what their diffraction is, how they lie, whether their object is the truth.

    ``diffraction`` says whether they hold amplitudes or intensities (counts); auto finds out.
    ``truth = "objectGuess"`` has them scored against their object, as sets that were simulated and
    do not say so; no reconstruction sees it.
    """

    added_later: ClassVar = TURNS

    diffraction: Literal["auto", "amplitude", "intensity"] = "auto"
    truth: Literal["objectGuess"] | None = None


def said_of_reading(
    diffraction: str = "auto", orientation: Orientation = AS_STORED
) -> dict[str, str | bool]:
    """Return how a set is read as tasks and records say it: nothing, where its file decides.

    >>> said_of_reading("intensity", Orientation(flip_y=True))
    {'diffraction': 'intensity', 'flip_y': True}
    """
    said: dict[str, str | bool] = {} if diffraction == "auto" else {"diffraction": diffraction}
    return said | dict.fromkeys(orientation.turns, True)


class SimulationSpec(Spec, frozen=True):
    """Phase C: diffraction of every frame at one dose, split in train and test.

    ``patches`` adds the object's patch of each frame (``Y``), which makes the sets three times as
    large and is read by nothing here.
    """

    added_later: ClassVar = ("patches",)

    seed: Seed = 42
    noise: Literal["poisson", "none"] = "poisson"
    split_axis: Literal["y", "x"] = "y"
    patches: bool = False


class ViewsSpec(Spec, frozen=True):
    """Phase D: which views there are and when frames count as neighbours.

    ``overlap`` maps a view's name to its overlap fraction; frames of the view lie at least
    ``(1 - overlap) * patch_size_px`` apart. ``gridsizes`` are the group sizes (a side) of the
    baseline and of the thinned views.

    Dose and overlap can be told apart by views of other rules, by name: ``share`` keeps a random
    share of the frames, drawn with ``share_seed``, ``every`` each so-manieth in the order of the
    scan. ``probe_diameter_px`` is taken for the probe's diameter in place of its second moment.
    """

    added_later: ClassVar = ("share", "every", "share_seed", "probe_diameter_px")

    overlap: dict[str, Overlap] = msgspec.field(
        default_factory=lambda: {"dense": 0.7, "sparse": 0.2}
    )
    gridsizes: tuple[Count, Count] = (1, 2)
    neighbor_count: Count = 7
    min_positions: Annotated[int, Meta(ge=2)] = 2
    patch_size_px: Count | None = None
    grouping_seed: Seed = 123
    share: dict[str, Share] = msgspec.field(default_factory=dict)
    every: dict[str, Step] = msgspec.field(default_factory=dict)
    share_seed: Seed = 1
    probe_diameter_px: Annotated[float, Meta(gt=0, le=1e6)] | None = None

    def __post_init__(self) -> None:
        names = [*self.overlap, *self.share, *self.every]
        for view in names:
            if names.count(view) > 1:
                raise ValueError(
                    f"view {view!r} has several rules, expected one of overlap, share and every"
                )
            if view == BASELINE or not re.fullmatch(r"[a-z][a-z0-9]{,39}", view):
                raise ValueError(
                    f"view name {view[:60]!r} can not be used; expected up to 40 lower-case "
                    f"letters and digits, and not {BASELINE!r}, which is always there"
                )
        group = max(self.gridsizes) ** 2
        if self.neighbor_count < group:
            raise ValueError(
                f"neighbor_count is {self.neighbor_count}, expected at least gridsize^2 = {group}: "
                "raise neighbor_count or lower gridsizes"
            )


class ViewSpec(Spec, frozen=True):
    """One thinned view, as its task depends on it: by one of ``overlap``, ``share``, ``every``."""

    added_later: ClassVar = ("share", "every", "share_seed", "probe_diameter_px")

    view: str
    overlap: Overlap | None
    gridsize: Count
    neighbor_count: Count
    min_positions: Count
    patch_size_px: Count | None
    grouping_seed: Seed
    share: Share | None = None
    every: Step | None = None
    share_seed: Seed | None = None
    probe_diameter_px: float | None = None

    @property
    def rule(self) -> str:
        """Return by what its frames are chosen, in words.

        >>> from fly64tasks.study.study import Study
        >>> Study().view_spec("sparse").rule
        'overlap 0.2'
        """
        if self.share is not None:
            return f"a random {self.share:.3g} of the frames"
        return f"overlap {self.overlap:g}" if self.every is None else f"one frame of {self.every}"

    def spacing_px(self, frame_size_px: int) -> float | None:
        """Return the minimum centre spacing S = (1 - overlap) * N, in px; None by other rules.

        >>> from fly64tasks.study.study import Study
        >>> Study().view_spec("sparse").spacing_px(64)
        51.2
        """
        if self.overlap is None:
            return None
        return (1.0 - self.overlap) * (self.patch_size_px or frame_size_px)


class ScoreSpec(Spec, frozen=True):
    """How a reconstruction is compared with the truth, and where.

    The region is where the scan's summed probe intensity is above ``region_threshold`` of its
    maximum; the window of the Fourier ring correlation rises over ``frc_taper_px`` at its edge.
    """

    region_threshold: Annotated[float, Meta(gt=0, lt=1)] = 0.1
    ms_ssim_scales: Annotated[int, Meta(ge=1, le=5)] = 5
    frc_taper_px: NotNegative = 8.0
