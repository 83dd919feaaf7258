"""Where everything lies: the folders of a study, and the sets in them.

What lies in a job's folder is named by what writes it: `fly64tasks.recon.files` and
`fly64tasks.score.files`; what the report writes, by `fly64tasks.report.files`.
"""

from __future__ import annotations

import functools
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from fly64tasks.errors import StudyError, shortened
from fly64tasks.study.cases import BASELINE, Case, dose_name
from fly64tasks.study.methods import ProgramSpec
from fly64tasks.study.patterns import PHASE_C, PHASE_D, filled
from fly64tasks.study.study import Study


@dataclass(frozen=True, eq=False)  # known by itself: what it answers is kept, ten thousand times
class Layout:
    """The paths of one study.

    ``makes_base``, ``makes_phase_c`` and ``makes_phase_d`` say whether a stage's files are ours to
    write; where one is False the files are the user's, and nothing ever writes to them.
    ``data_root`` and ``artifact_root`` are written by one study alone, known by its ``study_file``.
    """

    base: Path
    phase_c_root: Path
    phase_d_root: Path
    artifact_root: Path
    data_root: Path
    makes_base: bool = True
    makes_phase_c: bool = True
    makes_phase_d: bool = True
    study_file: Path | None = None
    phase_c_pattern: str = PHASE_C
    phase_d_pattern: str = PHASE_D

    @classmethod
    def of(
        cls,
        study: Study,
        *,
        study_folder: Path,
        project: Path,
        study_file: Path | None = None,
        base_npz: Path | None = None,
        phase_c_root: Path | None = None,
        phase_d_root: Path | None = None,
        data_root: Path | None = None,
        artifact_root: Path | None = None,
    ) -> Layout:
        """Return the layout of a study; paths given here win over those of the study file.

        The user's inputs that the study file names are looked for beside it, in ``study_folder``;
        what we write goes under ``project``.

        Raises
        ------
        StudyError
            A pattern gives two cases one file, the noise is to be drawn again of sets that are
            the user's, or a program is given a set with its own files.
        """

        def beside_study(path: str | None) -> Path | None:
            return Path(os.path.normpath(study_folder / path)) if path else None

        paths = study.paths
        own_c = phase_c_root or beside_study(paths.phase_c_root)
        own_d = phase_d_root or beside_study(paths.phase_d_root)
        if study.repeats > 1 and (own_c or own_d):
            raise StudyError(
                f"repeats is {study.repeats}, expected 1 where sets are your own "
                f"({'phase_c_root' if own_c else 'phase_d_root'}): their noise is drawn already"
            )
        data = data_root or project / paths.data_root
        layout = cls(
            base=base_npz or beside_study(study.base_npz) or data / "base.npz",
            phase_c_root=own_c or data / "phase_c",
            phase_d_root=own_d or data / "phase_d",
            artifact_root=artifact_root or project / paths.artifact_root,
            data_root=data,
            study_file=study_file,
            makes_base=not (base_npz or study.base_npz or own_c),
            makes_phase_c=own_c is None,
            makes_phase_d=own_d is None,
            phase_c_pattern=paths.phase_c_pattern,
            phase_d_pattern=paths.phase_d_pattern,
        )
        if (paths.phase_c_pattern, paths.phase_d_pattern) != (PHASE_C, PHASE_D):
            layout.refuse_shared_files(study)
        layout.refuse_sets_as_files(study, study_folder)
        return layout

    def refuse_shared_files(self, study: Study) -> None:
        """Refuse patterns that give two cases of a study one file.

        Raises
        ------
        StudyError
            With the two cases and the file.
        """
        taken: dict[Path, Case] = {}
        for case in (case for repeat in study.draws for case in study.cases_of(repeat=repeat)):
            path = self.dataset(case)
            other = taken.setdefault(path, case)
            if other is not case:
                phase = "c" if case.view == BASELINE else "d"
                differ = [
                    f
                    for f in ("dose", "view", "split", "repeat")
                    if getattr(case, f) != getattr(other, f)
                ]
                raise StudyError(
                    f"paths.phase_{phase}_pattern is {getattr(self, f'phase_{phase}_pattern')!r}: "
                    f"{other.name} and {case.name} would both be {path}; expected a file for each: "
                    f"have it tell {' and '.join(f'{{{field}}}' for field in differ)} apart"
                )

    def refuse_sets_as_files(self, study: Study, study_folder: Path) -> None:
        """Refuse a set or the base among the files of a program that is not to see the truth.

        Raises
        ------
        StudyError
            With the method and the file.
        """
        for name, method in study.all_methods.items():
            if not isinstance(method, ProgramSpec) or method.sees_truth:
                continue
            hold_truth = {_plain(path) for path in (self.base, *self._datasets(study))}
            for file in method.files_used:
                if _plain(study_folder / file) in hold_truth:
                    raise StudyError(
                        f"methods.{name}: {shortened(file)} is among the study's sets, which hold "
                        "the truth; expected files of the program, or sees_truth = true"
                    )

    def _datasets(self, study: Study) -> Iterator[Path]:
        for repeat in study.draws:
            yield from map(self.dataset, study.cases_of(repeat=repeat))

    @property
    def state(self) -> Path:
        """Return doit's record of what was done, kept with the artifacts that it speaks of."""
        return self.artifact_root / ".doit.db"

    @functools.lru_cache(maxsize=2**16)  # noqa: B019 - a process has few layouts
    def phase_c(self, dose: float, split: str, repeat: int = 1) -> Path:
        """Return the simulated set of a dose and split."""
        name = filled(self.phase_c_pattern, dose=dose, split=split)
        return self.phase_c_root.joinpath(_of_draw(repeat), name)

    @functools.lru_cache(maxsize=2**16)  # noqa: B019
    def phase_d(self, dose: float, view: str, split: str, repeat: int = 1) -> Path:
        """Return the thinned set of a dose, view and split."""
        name = filled(self.phase_d_pattern, dose=dose, view=view, split=split)
        return self.phase_d_root.joinpath(_of_draw(repeat), name)

    def dataset(self, case: Case) -> Path:
        """Return the set that a case reconstructs: Phase C for the baseline, else Phase D."""
        if case.view == BASELINE:
            return self.phase_c(case.dose, case.split, case.repeat)
        return self.phase_d(case.dose, case.view, case.split, case.repeat)

    @functools.lru_cache(maxsize=2**16)  # noqa: B019
    def recon_dir(self, case: Case) -> Path:
        """Return the folder of a case's results: beside the plain one's, of a name with an @."""
        folder = f"{dose_name(case.dose)}/{case.view}/{case.split}{case.variant}"
        return self.artifact_root / folder

    def model_dir(self, case: Case) -> Path:
        """Return the folder of the model that a case's method was trained to."""
        return self.artifact_root / f"{dose_name(case.dose)}/{case.view}/model{case.variant}"


def _plain(path: Path) -> str:
    """Return a path as it is compared: absolute, and nothing looked up on the disk."""
    return os.path.normpath(path.absolute())


def _of_draw(repeat: int) -> str:
    """Return the folder of a draw's sets below their root: none for the first."""
    return "" if repeat == 1 else f"draw_{repeat}"
