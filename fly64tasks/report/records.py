"""What the report takes of a job's files: a struct for each."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, Literal

from msgspec import Meta, Struct

Number = Annotated[float, Meta(ge=-1e12, le=1e12)]
"""Within what can be drawn; NaN is not."""


class Truth(Struct, frozen=True):
    """Whether there is a truth to compare with, why not, and whether the start was the truth."""

    comparable: bool
    reason: str | None = None
    seeded: bool = False


class Region(Struct, frozen=True):
    """Where the scores were taken: pixels, share of the object, box (y0, y1, x0, x1) in px."""

    threshold: Number
    pixels: int
    share_of_object: Number
    box_px: tuple[int, int, int, int]


class FlatObject(Struct, frozen=True):
    """The errors of an object of ones."""

    complex_nrmse: Number


class WorstFrame(Struct, frozen=True):
    """The frame that fits worst, by its index in the set."""

    index: int
    chi2: Number


class WorstPixel(Struct, frozen=True):
    """The pixel of the detector that fits worst, y first."""

    yx: tuple[int, int]
    chi2: Number


class Alignment(Struct, frozen=True):
    """What was removed before comparing; pairs are y first."""

    scale: Number
    phase_rad: Number
    ramp_rad_per_px: tuple[Number, Number]
    shift_px: tuple[Number, Number]
    residual_shift_px: tuple[Number, Number] | None = None


class HalvesAligned(Struct, frozen=True):
    """What was removed before two halves were compared, and where; pairs are y first."""

    pixels: int
    scale: Number
    phase_rad: Number
    ramp_rad_per_px: tuple[Number, Number]
    shift_px: tuple[Number, Number]


class Fit(Struct, frozen=True):
    """How well a reconstruction fits its counts; ``fits`` is None where it can not be said."""

    words: str
    chi2: Number | None = None
    fits: bool | None = None
    worst_frame: WorstFrame | None = None
    worst_pixel: WorstPixel | None = None


class Picture(Struct, frozen=True):
    """What a thumbnail's colours mean, and the size of what it shows, in pixels of the object."""

    quantity: Literal["phase_rad"]
    low: Number
    high: Number
    colour_map: Literal["viridis", "twilight"]
    height_px: Annotated[int, Meta(ge=1, le=2**31)]
    width_px: Annotated[int, Meta(ge=1, le=2**31)]


ColourMap = Literal["viridis", "twilight", "cividis", "magma"]


class Scale(Struct, frozen=True):
    """What the colours of a panel mean: its ends, in rad for a phase."""

    low: Number
    high: Number
    colour_map: ColourMap


class Panels(Struct, frozen=True):
    """The sheet of small pictures: of each row and column what its colours mean."""

    columns: Literal[2, 3]
    rows: Literal[1, 2]
    scales: tuple[tuple[Scale, ...], ...]

    def __post_init__(self) -> None:
        if [len(row) for row in self.scales] != [self.columns] * self.rows:
            raise ValueError("panels: expected a scale for each row and column")

    @property
    def has_truth(self) -> bool:
        """Return whether truth and difference are beside it, amplitude over phase."""
        return self.rows == 2


class Scores(Struct, frozen=True):
    """``scores.json``, schema 1."""

    schema: Literal[1]
    metrics: dict[str, Number | None]
    truth: Truth = Truth(comparable=False)
    region: Region | None = None
    alignment: Alignment | None = None
    flat_object: FlatObject | None = None
    fit: Fit | None = None
    picture: Picture | None = None
    panels: Panels | None = None
    halves: HalvesAligned | None = None
    bounds: tuple[str, ...] = ()
    unresolved: tuple[str, ...] = ()
    notes: dict[str, str] = {}
    settings: dict[str, Any] = {}
    set: dict[str, Any] = {}
    reconstruction: dict[str, Any] = {}


class Moved(Struct, frozen=True):
    """How far corrected positions lie from the given ones, in px."""

    rms: Number
    most: Number


class Found(Struct, frozen=True):
    """What a reconstruction found besides an object and one mode of a probe."""

    probe_mode_shares: tuple[Number, ...] = ()
    opr_mode_shares: tuple[Number, ...] = ()
    slices: int = 1
    positions_moved_px: Moved | None = None


class Run(Struct, frozen=True):
    """``run.json``, as far as the report shows it."""

    state: str
    exit_code: int | None = None
    reason: str | None = None
    started: str | None = None
    host: str | None = None
    commit: str | None = None
    seconds: Number | None = None
    spec: dict[str, Any] = {}
    versions: dict[str, str] = {}
    input: dict[str, Any] = {}
    start: dict[str, Any] = {}
    set: dict[str, Any] = {}
    device: dict[str, str | None] = {}
    fit: Fit | None = None
    found: Found = Found()
    peak_memory_bytes: dict[str, Number | None] = {}
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True)
class Frc:
    """``frc.csv``: spatial frequencies in cycles/px, the correlation and its two thresholds.

    Of the rings with pixels enough to count.
    """

    frequency: tuple[float, ...]
    frc: tuple[float, ...]
    one_bit: tuple[float, ...]
    half_bit: tuple[float, ...]
