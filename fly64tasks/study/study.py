"""The study: one frozen spec per stage, read from a TOML file, and the cases it spans."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property
from pathlib import Path, PurePath
from typing import Annotated, Any, ClassVar

import msgspec
from msgspec import Meta

from fly64tasks.errors import StudyError
from fly64tasks.study.cases import BASELINE, MAIN, SPLITS, Case, seed_of
from fly64tasks.study.methods import Method, ProgramSpec, methods_of
from fly64tasks.study.patterns import PHASE_C, PHASE_D, refuse_pattern
from fly64tasks.study.recon_settings import ReconSpec
from fly64tasks.study.run_settings import CheckpointSpec
from fly64tasks.study.spec import Positive, Spec, parse_spec, read_table
from fly64tasks.study.stages import (
    BaseSpec,
    DataSpec,
    Geometry,
    ScoreSpec,
    SimulationSpec,
    ViewSpec,
    ViewsSpec,
)
from fly64tasks.study.tuning import tuning_of


def refuse_control_characters(key: str, text: str | None) -> None:
    """Refuse text that a terminal or a log would not show as it is; raises ValueError."""
    if text is not None and not text.isprintable():
        raise ValueError(f"{key} is {text[:60]!r}, expected text without control characters")


def refuse_root_elsewhere(key: str, root: str) -> None:
    """Refuse a folder to write to that is not below the project's; raises ValueError."""
    if PurePath(root).is_absolute() or ".." in PurePath(root).parts or root[:1] == "~":
        raise ValueError(
            f"paths.{key} is {root!r}, expected a folder below the project's; another one "
            f"can be said on the command line: doit {key}=..."
        )
    refuse_control_characters(f"paths.{key}", root)


PLACES = ("data_root", "artifact_root")
"""Of ``[paths]``: where what is written lies. What a study is does not depend on it."""


class Paths(Spec, frozen=True):
    """Where a study's files lie. What you bring (``phase_c_root``, ``phase_d_root``) is looked for
    beside the study file; what we write (``data_root``, ``artifact_root``) goes under the project
    folder, and nowhere else: a study may come from anyone. The command line may say any folder.

    The patterns name the sets below their root: ``{dose}`` is ``dose_1000``, ``{dose:d}`` and the
    like the number itself.
    """

    added_later: ClassVar = ("phase_c_pattern", "phase_d_pattern")

    data_root: str = "data"
    artifact_root: str = "reports"
    phase_c_root: str | None = None
    phase_d_root: str | None = None
    phase_c_pattern: str = PHASE_C
    phase_d_pattern: str = PHASE_D

    def __post_init__(self) -> None:
        for key in ("data_root", "artifact_root"):
            refuse_root_elsewhere(key, getattr(self, key))
        for key in ("phase_c_root", "phase_d_root"):
            refuse_control_characters(f"paths.{key}", getattr(self, key))
        for key, fields in _FIELDS.items():
            refuse_control_characters(f"paths.{key}", getattr(self, key))
            refuse_pattern(f"paths.{key}", getattr(self, key), fields)


_FIELDS = {
    "phase_c_pattern": ("dose", "split"),
    "phase_d_pattern": ("dose", "view", "split"),
}
"""What a pattern may name."""


class Study(Spec, frozen=True, dict=True):
    """A dose/overlap study: what it spans and how each stage is done.

    ``repeats`` is how often the noise is drawn. ``methods`` has, by name, what differs from
    ``recon``, or the program that reconstructs in its place (`all_methods`). ``tune`` says how
    better settings are searched (`fly64tasks.study.tuning`); no result depends on it.
    """

    added_later: ClassVar = ("data", "repeats", "methods")
    of_no_result: ClassVar = ("tune",)

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
    data: DataSpec = DataSpec()
    repeats: Annotated[int, Meta(ge=1, le=1000)] = 1
    methods: dict[str, dict[str, Any]] = msgspec.field(default_factory=dict)
    tune: dict[str, Any] = msgspec.field(default_factory=dict)

    def __post_init__(self) -> None:
        refuse_control_characters("name", self.name)
        refuse_control_characters("base_npz", self.base_npz)
        for dose in self.doses:
            if not (1 <= dose <= 1e15 and dose == int(dose)):
                raise ValueError(
                    f"doses holds {dose:g}, expected whole numbers of photons per frame, 1 to 1e15"
                )
        if len(set(self.doses)) < len(self.doses):
            raise ValueError(f"doses holds a value twice: {list(self.doses)}; expected each once")
        try:
            methods = self.all_methods
            tuning_of(self.tune, "tune")
        except StudyError as error:
            raise ValueError(str(error)) from None
        if self.repeats > 1 and self.simulation.noise == "none":
            raise ValueError(
                f"repeats is {self.repeats}, expected 1 where simulation.noise is 'none': every "
                "draw would be the same"
            )
        if len(methods) > 1000:
            raise ValueError(f"methods are {len(methods)}, expected at most 1000")

    @cached_property
    def all_methods(self) -> dict[str, Method]:
        """Return every method by its name, main first; those of lists are expanded."""
        return methods_of(self.recon, self.methods)

    @property
    def is_plain(self) -> bool:
        """Return whether there are no methods but main, and one draw.

        >>> Study().is_plain, Study(repeats=2).is_plain
        (True, False)
        """
        return self.repeats == 1 and not self.methods

    @property
    def draws(self) -> range:
        """Return the numbers of the draws of the noise, from 1."""
        return range(1, self.repeats + 1)

    @property
    def trained(self) -> dict[str, ProgramSpec]:
        """Return the methods that are trained, by name."""
        return {
            name: method
            for name, method in self.all_methods.items()
            if isinstance(method, ProgramSpec) and method.train
        }

    @property
    def sorted_doses(self) -> tuple[float, ...]:
        """Return the doses, ascending."""
        return tuple(sorted(self.doses))

    @property
    def thinned_views(self) -> tuple[str, ...]:
        """Return the views but the baseline, from much overlap to little.

        Then those by a share of the frames, from large to small, then those by every so-manieth.

        >>> Study().thinned_views
        ('dense', 'sparse')
        """
        views = self.views
        falling = (views.overlap, views.share, {name: 1 / n for name, n in views.every.items()})
        return tuple(
            view for rule in falling for view in sorted(rule, key=lambda name: (-rule[name], name))
        )

    def cases(self) -> Iterator[Case]:
        """Yield every job: dose ascending, baseline then the thinned views, train then test.

        The first draw by main comes first, then by every other method, then the next draw.

        >>> [case.name for case in Study().cases()][:3]
        ['dose_1000_baseline_train', 'dose_1000_baseline_test', 'dose_1000_dense_train']
        """
        for repeat in self.draws:
            for method in self.all_methods:
                yield from self.cases_of(method, repeat)

    def cases_of(self, method: str = MAIN, repeat: int = 1) -> Iterator[Case]:
        """Yield the jobs of one method and draw, in their order."""
        for dose in self.sorted_doses:
            for view in (BASELINE, *self.thinned_views):
                gridsize = self.views.gridsizes[0 if view == BASELINE else 1]
                for split in SPLITS:
                    yield Case(float(dose), view, split, gridsize, method, repeat)

    def trainings(self) -> Iterator[Case]:
        """Yield what methods are trained on: the train split of each dose and view, per draw."""
        for repeat in self.draws:
            for method in self.trained:
                for case in self.cases_of(method, repeat):
                    if case.split == SPLITS[0]:
                        yield case

    def method_of(self, case: Case) -> Method:
        """Return how a case is reconstructed, every choice made, with the seed of its draw."""
        method = self._resolved[case.method]
        if case.repeat == 1:
            return method
        return msgspec.structs.replace(method, seed=seed_of(method.seed, case.repeat))

    @cached_property
    def _resolved(self) -> dict[str, Method]:
        return {name: method.resolved() for name, method in self.all_methods.items()}

    def simulation_of(self, repeat: int) -> SimulationSpec:
        """Return how a draw is simulated: with noise of its own."""
        if repeat == 1:
            return self.simulation
        seed = seed_of(self.simulation.seed, repeat)
        return msgspec.structs.replace(self.simulation, seed=seed)

    def view_spec(self, view: str) -> ViewSpec:
        """Return the spec of one thinned view."""
        return self._view_specs[view]

    @cached_property
    def _view_specs(self) -> dict[str, ViewSpec]:
        return {view: self._view_spec(view) for view in self.thinned_views}

    def _view_spec(self, view: str) -> ViewSpec:
        views = self.views
        return ViewSpec(
            view=view,
            overlap=views.overlap.get(view),
            gridsize=views.gridsizes[1],
            neighbor_count=views.neighbor_count,
            min_positions=views.min_positions,
            patch_size_px=views.patch_size_px,
            grouping_seed=views.grouping_seed,
            share=views.share.get(view),
            every=views.every.get(view),
            share_seed=views.share_seed if view in views.share else None,
            probe_diameter_px=views.probe_diameter_px,
        )


KIND_OF_FILE = "a study file (TOML), such as study.toml"
SCANS = "scans"
"""The table that a study of measured scans has, and no other."""


def read_study(path: Path) -> Study:
    """Read and check a study file.

    Raises
    ------
    StudyError
        The file can not be read, is not TOML, holds an unknown key or a value out of range.
    """
    table = read_table(path, KIND_OF_FILE)
    if SCANS in table:
        raise StudyError(
            f"{path}: has {SCANS!r}: it is a study of measured scans, expected a dose/overlap "
            "study; `fly64tasks new --template measured` writes the dodo.py that runs it"
        )
    return parse_spec(Study, table, str(path))
