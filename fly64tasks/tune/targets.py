"""What a search is for: jobs of a study, their sets, and the settings that they have now."""

from __future__ import annotations

import fnmatch
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from fly64tasks.data.lineage import AskedSet
from fly64tasks.doitext.errors import nearest
from fly64tasks.errors import StudyError, shortened
from fly64tasks.study.cases import BASELINE, MAIN, Case, dose_name, variant_name
from fly64tasks.study.measured import MeasuredLayout, MeasuredStudy, read_either
from fly64tasks.study.methods import ProgramSpec
from fly64tasks.study.paths import Layout
from fly64tasks.study.recon_settings import ReconSpec
from fly64tasks.study.stages import DataSpec, Geometry, ScoreSpec
from fly64tasks.study.study import Study
from fly64tasks.tasks import of_case

T = TypeVar("T")


@dataclass(frozen=True)
class Target:
    """A job whose settings are searched.

    Attributes
    ----------
    name : str
    path : Path
        Its set.
    made_by : str or None
        The doit task that makes the set; None where it is the user's.
    recon : ReconSpec
        The settings that it has now, no choice made.
    geometry, data
        What the set is read with.
    score : ScoreSpec
        How a result is compared with the truth.
    asked : AskedSet or None
        What the set is to be made from.
    """

    name: str
    path: Path
    made_by: str | None
    recon: ReconSpec
    geometry: Geometry
    data: DataSpec
    score: ScoreSpec
    asked: AskedSet | None


@dataclass(frozen=True)
class Project:
    """A study file and what it says: of simulated doses and views, or of measured scans."""

    study: Study | MeasuredStudy
    layout: Layout | MeasuredLayout

    @classmethod
    def read(
        cls, path: Path, data_root: Path | None = None, artifact_root: Path | None = None
    ) -> Project:
        """Read a study file; what it writes lies below the current folder unless said otherwise.

        Raises
        ------
        StudyError
            The file can not be used.
        """
        study = read_either(path)
        if isinstance(study, MeasuredStudy):
            root = artifact_root or Path(study.paths.artifact_root)
            return cls(study, MeasuredLayout(path.parent, root, path))
        layout = Layout.of(
            study,
            study_folder=path.parent,
            project=Path(),
            study_file=path,
            data_root=data_root,
            artifact_root=artifact_root,
        )
        return cls(study, layout)

    def targets(self, names: Sequence[str], keys: Iterable[str]) -> tuple[str, list[Target]]:
        """Return the table that the settings stand in, and the jobs by name or pattern.

        Parameters
        ----------
        names : sequence of str
        keys : iterable of str
            The settings that are searched.

        Raises
        ------
        StudyError
            There is no such job, or their settings stand in several tables, or in none.
        """
        if isinstance(self.study, Study):
            assert isinstance(self.layout, Layout)
            cases = _named({case.name: case for case in self.study.cases()}, names)
            table = _table_of_cases(self.study, cases)
            return table, [_of_case(self.study, self.layout, case) for case in cases]
        assert isinstance(self.layout, MeasuredLayout)
        scans = _named({scan: scan for scan in self.study.scans}, names)
        table = _table_of_scans(self.study, scans, {key.partition(".")[0] for key in keys})
        return table, [_of_scan(self.study, self.layout, scan) for scan in scans]


def _named(jobs: Mapping[str, T], names: Sequence[str]) -> list[T]:
    """Return the jobs of these names or patterns, in the order of the study."""
    found: set[str] = set()
    for name in names:
        matching = {name} & jobs.keys() or set(fnmatch.filter(jobs, name))
        if not matching:
            near = nearest(name, jobs)
            few = ", ".join(list(jobs)[:3])
            hint = f"did you mean {near}?" if near else f"it has {few} ..."
            raise StudyError(f"the study has no case {shortened(name)!r}; {hint}")
        found |= matching
    return [job for name, job in jobs.items() if name in found]


def _table_of_cases(study: Study, cases: Sequence[Case]) -> str:
    methods = sorted({case.method for case in cases})
    if len(methods) > 1:
        raise StudyError(
            f"the cases are of the methods {', '.join(methods)}, expected one: each has settings "
            "of its own"
        )
    [method] = methods
    if isinstance(study.all_methods[method], ProgramSpec):
        raise StudyError(f"method {method} is a program of others: it has no settings of [recon]")
    if method != MAIN and method not in study.methods:
        raise StudyError(
            f"method {method} is one of a list, expected one with a table of its own: name "
            "cases of another, or write out the list"
        )
    return "[recon]" if method == MAIN else f"[methods.{method}]"


def _table_of_scans(study: MeasuredStudy, scans: Sequence[str], keys: set[str]) -> str:
    own = {scan: keys & study.spec_of(scan).recon.keys() for scan in scans}
    if not any(own.values()):
        return "[recon]"
    if len(scans) == 1:
        return f"[scans.{scans[0]}.recon]"
    scan, said = next((scan, said) for scan, said in own.items() if said)
    raise StudyError(
        f"scans.{scan}.recon says {', '.join(sorted(said))} for itself, expected what all have in "
        "common: search for this scan alone"
    )


def _of_case(study: Study, layout: Layout, case: Case) -> Target:
    method = study.all_methods[case.method]
    assert isinstance(method, ReconSpec)
    seed = study.method_of(case).seed
    geometry, data = of_case.read_with(study, layout, case)
    return Target(
        name=case.name,
        path=layout.dataset(case),
        made_by=_maker(case) if of_case.is_ours(layout, case.view) else None,
        recon=msgspec.structs.replace(method, seed=seed),
        geometry=geometry,
        data=data,
        score=study.score,
        asked=of_case.asked_of(study, layout, case.dose, case.view, case.repeat),
    )


def _maker(case: Case) -> str:
    step, view = ("simulate", "") if case.view == BASELINE else ("views", f"_{case.view}")
    return f"{step}:{dose_name(case.dose)}{view}{variant_name(repeat=case.repeat)}"


def _of_scan(study: MeasuredStudy, layout: MeasuredLayout, scan: str) -> Target:
    return Target(
        name=scan,
        path=layout.files(study, scan)[0],
        made_by=None,
        recon=study.recon_of(scan),
        geometry=study.geometry_of(scan),
        data=study.data_of(scan),
        score=study.score,
        asked=None,
    )


def said_of(target: Target) -> dict[str, Any]:
    """Return what a score depends on besides the set and what is searched, JSON-ready."""
    said: dict[str, Any] = {"recon": target.recon.to_dict(), "geometry": target.geometry.to_dict()}
    return {**said, "data": target.data.to_dict(), "score": target.score.to_dict()}
