"""The study: one frozen spec per stage, read from a TOML file, and the cases it spans.

Specs hold JSON-ready values only, and constructing one never touches the disk.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path, PurePath
from typing import Annotated, Any, Literal, get_args

import msgspec
from msgspec import Meta, Struct

from fly64tasks.study.spec import Spec, read_spec

BASELINE = "baseline"
SPLITS = ("train", "test")

Count = Annotated[int, Meta(ge=1, le=10**9)]
Seed = Annotated[int, Meta(ge=0, lt=2**32)]
Positive = Annotated[float, Meta(gt=0, le=1e300)]
NotNegative = Annotated[float, Meta(ge=0, le=1e300)]
Overlap = Annotated[float, Meta(ge=0, lt=1)]
Fraction = Annotated[float, Meta(ge=0, lt=1)]
MOST_POSITIONS = 10**7
Algorithm = Literal["LSQML", "PIE", "EPIE", "RPIE", "DM", "BH", "AD", "MAP"]
Batching = Literal["COMPACT", "RANDOM", "UNIFORM"]


def _refuse_control_characters(key: str, text: str | None) -> None:
    if text is not None and not text.isprintable():
        raise ValueError(f"{key} is {text[:60]!r}, expected text without control characters")


class Geometry(Spec, frozen=True):
    """Physical sizes of the experiment; ``assumed`` when they are not known from a measurement."""

    pixel_size_m: Positive = 10e-9
    energy_ev: Positive = 8800.0
    detector_pixel_size_m: Positive = 75e-6
    assumed: bool = True

    @property
    def wavelength_m(self) -> float:
        """Return h c / E, with h c = 1.239841984e-6 eV m (CODATA 2018)."""
        return 1.239841984e-6 / self.energy_ev

    def detector_distance_m(self, frame_size_px: int) -> float:
        """Return N dx p / lambda: where detector pixels p sample the far field of pixels dx."""
        return self.pixel_size_m * frame_size_px * self.detector_pixel_size_m / self.wavelength_m


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


class SimulationSpec(Spec, frozen=True):
    """Phase C: diffraction of every frame at one dose, split in train and test."""

    seed: Seed = 42
    noise: Literal["poisson", "none"] = "poisson"
    split_axis: Literal["y", "x"] = "y"


class ViewsSpec(Spec, frozen=True):
    """Phase D: which views there are and when frames count as neighbours.

    ``overlap`` maps a view's name to its overlap fraction; frames of the view lie at least
    ``(1 - overlap) * patch_size_px`` apart. ``gridsizes`` are the group sizes (a side) of the
    baseline and of the thinned views.
    """

    overlap: dict[str, Overlap] = msgspec.field(
        default_factory=lambda: {"dense": 0.7, "sparse": 0.2}
    )
    gridsizes: tuple[Count, Count] = (1, 2)
    neighbor_count: Count = 7
    min_positions: Annotated[int, Meta(ge=2)] = 2
    patch_size_px: Count | None = None
    grouping_seed: Seed = 123

    def __post_init__(self) -> None:
        for view in self.overlap:
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
    """One thinned view, as its task depends on it."""

    view: str
    overlap: Overlap
    gridsize: Count
    neighbor_count: Count
    min_positions: Count
    patch_size_px: Count | None
    grouping_seed: Seed

    def spacing_px(self, frame_size_px: int) -> float:
        """Return the minimum centre spacing S = (1 - overlap) * N, in px.

        >>> views = ViewsSpec()
        >>> Study(views=views).view_spec("sparse").spacing_px(64)
        51.2
        """
        return (1.0 - self.overlap) * (self.patch_size_px or frame_size_px)


class ReconSpec(Spec, frozen=True):
    """One pty-chi reconstruction; the defaults are those that measured best (docs/settings.md).

    ``num_epochs``, ``batch_size``, ``batching`` and ``update_probe`` are what suits the algorithm
    where they are None (`resolved`). LSQML starts with ``warmup_epochs`` of small batches
    (`stages`), which count among ``num_epochs``; ``refine`` says what follows them. MAP, in either
    place, ends before ``num_epochs`` once it has converged.

    MAP's ``prior`` is the weight of the squared differences of neighbouring pixels of the object,
    in nats, 0 for maximum likelihood; ``probe_trust`` how far the probe may be off, as a share of
    its root mean square; below ``low_frequency``, in cycles per px, convergence of the phase is
    helped; ``tolerance_nats`` per lit pixel of the object is what five epochs must bring.
    """

    algorithm: Algorithm = "LSQML"
    num_epochs: Count | None = None
    batch_size: Count | None = None
    batching: Batching | None = None
    noise_model: Literal["GAUSSIAN", "POISSON"] = "GAUSSIAN"
    momentum: NotNegative = 2.0
    damping: NotNegative = 0.5
    warmup_epochs: Annotated[int, Meta(ge=0)] = 24
    warmup_batch_size: Count = 24
    plateau_epochs: Count | None = None
    plateau_tolerance: NotNegative = 1e-3
    fast_fourier_shift: bool = True
    object_init: Literal["ones", "noise", "guess"] = "ones"
    update_probe: bool | None = None
    n_images: Annotated[int, Meta(ge=2)] | None = None
    subsampling_seed: Seed = 456
    seed: Seed = 0
    refine: Literal["LSQML", "MAP"] = "LSQML"
    prior: NotNegative = 25.0
    probe_trust: Positive = 0.1
    low_frequency: NotNegative = 0.04
    tolerance_nats: NotNegative = 5e-3

    def __post_init__(self) -> None:
        if self.algorithm == "PIE" and self.update_probe and self.batch_size != 1:
            raise ValueError(
                "update_probe is true, expected false for PIE with batch_size other than 1, where "
                "pty-chi 2.2 fails: set batch_size to 1 or use EPIE"
            )

    def resolved(self) -> ReconSpec:
        """Return the spec with every choice made.

        >>> ReconSpec(algorithm="PIE").resolved().update_probe
        False
        """
        suited = {"num_epochs": _MAP_EPOCHS if self.ends_in_map else 50, **_SUITED[self.algorithm]}
        chosen = {key: value for key, value in suited.items() if getattr(self, key) is None}
        return msgspec.structs.replace(self, **chosen)

    @property
    def ends_in_map(self) -> bool:
        """Return whether the last stage is MAP, which stops by itself."""
        return self.algorithm == "MAP" or (self.algorithm == "LSQML" and self.refine == "MAP")

    @property
    def most_epochs(self) -> int:
        """Return the epochs that a run has at most."""
        return self.resolved().num_epochs or 0

    def stages(self) -> tuple[ReconSpec, ...]:
        """Return the spec of each pty-chi run, in order: LSQML's warm-up, then what refines it.

        A run of few epochs is the beginning of a longer one.

        >>> [(stage.batching, stage.num_epochs) for stage in ReconSpec().resolved().stages()]
        [('RANDOM', 24), ('COMPACT', 26)]
        >>> [stage.num_epochs for stage in ReconSpec(num_epochs=3).stages()]
        [3]
        >>> [stage.algorithm for stage in ReconSpec(refine="MAP").stages()]
        ['LSQML', 'MAP']
        """
        most = self.most_epochs
        warmup = min(self.warmup_epochs, most) if self.algorithm == "LSQML" else 0
        refining = _REFINING if self.algorithm != "MAP" and self.ends_in_map else {}
        changes: list[dict[str, Any]] = [
            {"num_epochs": warmup, "batch_size": self.warmup_batch_size, **_WARMUP},
            {"num_epochs": most - warmup, **refining},
        ]
        return tuple(
            msgspec.structs.replace(self, **change) for change in changes if change["num_epochs"]
        )


_WARMUP: dict[str, Any] = {
    "batching": "RANDOM",
    "noise_model": "GAUSSIAN",  # pty-chi's POISSON can diverge with random batches
    "momentum": 0.0,
    "damping": 0.1,
    "plateau_epochs": None,
}
_REFINING: dict[str, Any] = {"algorithm": "MAP", "batch_size": 100_000, "batching": "RANDOM"}
_MAP_EPOCHS = 200  # a bound: it has converged before
_SUITED: dict[str, dict[str, Any]] = {
    "LSQML": {"batch_size": 96, "batching": "COMPACT", "update_probe": True},
    "PIE": {"batch_size": 16, "batching": "RANDOM", "update_probe": False},
    "EPIE": {"batch_size": 16, "batching": "RANDOM", "update_probe": True},
    "RPIE": {"batch_size": 16, "batching": "RANDOM", "update_probe": True},
    "DM": {"batch_size": 96, "batching": "RANDOM", "update_probe": True},
    "BH": {"batch_size": 100_000, "batching": "RANDOM", "update_probe": True},
    "AD": {"batch_size": 96, "batching": "RANDOM", "update_probe": True},
    "MAP": {"batch_size": 100_000, "batching": "RANDOM", "update_probe": True},
}


class ScoreSpec(Spec, frozen=True):
    """How a reconstruction is compared with the truth, and where.

    The region is where the scan's summed probe intensity is above ``region_threshold`` of its
    maximum; the window of the Fourier ring correlation rises over ``frc_taper_px`` at its edge.
    """

    region_threshold: Annotated[float, Meta(gt=0, lt=1)] = 0.1
    ms_ssim_scales: Annotated[int, Meta(ge=1, le=5)] = 5
    frc_taper_px: NotNegative = 8.0


class CheckpointSpec(Spec, frozen=True):
    """How often a reconstruction is put on disk while it runs; no result depends on it.

    After ``seconds``, at the end of the epoch, and after every so many ``epochs``.
    """

    seconds: Positive = 60.0
    epochs: Count | None = None


class Paths(Spec, frozen=True):
    """Where a study's files lie. What you bring (``phase_c_root``, ``phase_d_root``) is looked for
    beside the study file; what we write (``data_root``, ``artifact_root``) goes under the project
    folder, and nowhere else: a study may come from anyone. The command line may say any folder.
    """

    data_root: str = "data"
    artifact_root: str = "reports"
    phase_c_root: str | None = None
    phase_d_root: str | None = None

    def __post_init__(self) -> None:
        for key in ("data_root", "artifact_root"):
            root = getattr(self, key)
            if PurePath(root).is_absolute() or ".." in PurePath(root).parts or root[:1] == "~":
                raise ValueError(
                    f"paths.{key} is {root!r}, expected a folder below the project's; another one "
                    f"can be said on the command line: doit {key}=..."
                )
        for key in ("data_root", "artifact_root", "phase_c_root", "phase_d_root"):
            _refuse_control_characters(f"paths.{key}", getattr(self, key))


class Case(Struct, frozen=True):
    """One job of the study: a dose (photons per frame), a view and a split."""

    dose: float
    view: str
    split: str
    gridsize: int

    @property
    def name(self) -> str:
        """Return the case's name.

        >>> Case(dose=1e3, view="dense", split="train", gridsize=2).name
        'dose_1000_dense_train'
        """
        return f"{dose_name(self.dose)}_{self.view}_{self.split}"


class Study(Spec, frozen=True):
    """A dose/overlap study: what it spans and how each stage is done."""

    name: str = "synthetic-fly64"
    doses: Annotated[tuple[Positive, ...], Meta(min_length=1, max_length=1000)] = (1e3, 1e4, 1e5)
    base_npz: str | None = None
    geometry: Geometry = Geometry()
    base: BaseSpec = BaseSpec()
    simulation: SimulationSpec = SimulationSpec()
    views: ViewsSpec = ViewsSpec()
    recon: ReconSpec = ReconSpec()
    score: ScoreSpec = ScoreSpec()
    checkpoint: CheckpointSpec = CheckpointSpec()
    paths: Paths = Paths()

    def __post_init__(self) -> None:
        _refuse_control_characters("name", self.name)
        _refuse_control_characters("base_npz", self.base_npz)
        for dose in self.doses:
            if not (1 <= dose <= 1e15 and dose == int(dose)):
                raise ValueError(
                    f"doses holds {dose:g}, expected whole numbers of photons per frame, 1 to 1e15"
                )
        if len(set(self.doses)) < len(self.doses):
            raise ValueError(f"doses holds a value twice: {list(self.doses)}; expected each once")

    @property
    def sorted_doses(self) -> tuple[float, ...]:
        """Return the doses, ascending."""
        return tuple(sorted(self.doses))

    @property
    def thinned_views(self) -> tuple[str, ...]:
        """Return the views but the baseline, from much overlap to little.

        >>> Study().thinned_views
        ('dense', 'sparse')
        """
        overlap = self.views.overlap
        return tuple(sorted(overlap, key=lambda view: (-overlap[view], view)))

    def cases(self) -> Iterator[Case]:
        """Yield every job: dose ascending, baseline then the thinned views, train then test.

        >>> [case.name for case in Study().cases()][:3]
        ['dose_1000_baseline_train', 'dose_1000_baseline_test', 'dose_1000_dense_train']
        """
        for dose in self.sorted_doses:
            for view in (BASELINE, *self.thinned_views):
                gridsize = self.views.gridsizes[0 if view == BASELINE else 1]
                for split in SPLITS:
                    yield Case(dose=float(dose), view=view, split=split, gridsize=gridsize)

    def view_spec(self, view: str) -> ViewSpec:
        """Return the spec of one thinned view."""
        views = self.views
        return ViewSpec(
            view=view,
            overlap=views.overlap[view],
            gridsize=views.gridsizes[1],
            neighbor_count=views.neighbor_count,
            min_positions=views.min_positions,
            patch_size_px=views.patch_size_px,
            grouping_seed=views.grouping_seed,
        )


def dose_name(dose: float) -> str:
    """Return the name of a dose in paths and tasks.

    >>> dose_name(1e5)
    'dose_100000'
    """
    return f"dose_{int(dose)}"


def read_study(path: Path) -> Study:
    """Read and check a study file.

    Raises
    ------
    StudyError
        The file can not be read, is not TOML, holds an unknown key or a value out of range.
    """
    return read_spec(Study, path, "a study file (TOML), such as study.toml")


def algorithms() -> tuple[str, ...]:
    """Return the names of the pty-chi reconstructors that the runner offers."""
    return get_args(Algorithm)
