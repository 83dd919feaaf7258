"""What the command line says of a study: `doit study=other.toml device=cuda:1 ...`."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import msgspec
from doit import doit_cmd, get_initial_workdir, get_var
from doit.exceptions import InvalidDodoFile

from fly64tasks.doitext.errors import nearest
from fly64tasks.errors import StudyError
from fly64tasks.study.device import refuse_unknown_device
from fly64tasks.study.measured import MeasuredLayout, MeasuredStudy, read_measured_study
from fly64tasks.study.paths import Layout
from fly64tasks.study.study import Study, read_study

VARIABLES = (
    "study",
    "base_npz",
    "phase_c_root",
    "phase_d_root",
    "data_root",
    "artifact_root",
    "device",
)


MEASURED_VARIABLES = ("study", "artifact_root", "device")


def load_study() -> tuple[Study, Layout]:
    """Return the study and layout that the command line asks for (`doit study=other.toml ...`).

    Paths given there are relative to the folder that doit was called in. Below the project they
    are kept relative to it, as those of a study file are: the same folder has the same name however
    it is said, and where the project is moved to.

    Raises
    ------
    InvalidDodoFile
        The study can not be used, or there is no such variable; doit prints it and exits with 3.
    """
    _use_one_thread()
    try:
        _refuse_wrong_variables(VARIABLES)
        study_path = _path_variable("study") or Path("study.toml")
        study = read_study(study_path)
        base = _path_variable("base_npz")
        if base is not None:
            study = msgspec.structs.replace(study, base_npz=str(base))
        layout = Layout.of(
            study,
            study_folder=study_path.parent,
            project=Path(),
            study_file=study_path,
            base_npz=base,
            phase_c_root=_path_variable("phase_c_root"),
            phase_d_root=_path_variable("phase_d_root"),
            data_root=_path_variable("data_root"),
            artifact_root=_path_variable("artifact_root"),
        )
        if layout.makes_base and (lacking := study.recon.lacks_sizes(study.geometry)):
            raise StudyError(f"{study_path}: recon: {lacking}")
    except StudyError as error:
        raise InvalidDodoFile(str(error)) from None
    return study, layout


def load_scans() -> tuple[MeasuredStudy, MeasuredLayout]:
    """Return the measured scans and layout that the command line asks for; as `load_study`."""
    _use_one_thread()
    try:
        _refuse_wrong_variables(MEASURED_VARIABLES)
        study_path = _path_variable("study") or Path("study.toml")
        study = read_measured_study(study_path)
        root = _path_variable("artifact_root") or Path(study.paths.artifact_root)
    except StudyError as error:
        raise InvalidDodoFile(str(error)) from None
    return study, MeasuredLayout(study_path.parent, root, study_path)


def _use_one_thread() -> None:
    """Have the numerical libraries use one thread, which they read when an action imports them.

    The arrays are small: more threads gain little on an idle machine and lose much on a busy one.
    """
    os.environ.setdefault("OMP_NUM_THREADS", "1")


def _refuse_wrong_variables(variables: Sequence[str]) -> None:
    given = getattr(doit_cmd, "_CMDLINE_VARS", None) or {}
    for name in given:
        if name not in variables:
            near = nearest(name, variables)
            hint = f"did you mean {near}=?" if near else f"known: {', '.join(variables)}"
            raise StudyError(f"unknown variable {name}={given[name]}; {hint}")
    refuse_unknown_device(get_var("device", "auto"))


def _path_variable(name: str) -> Path | None:
    value = get_var(name)
    if value is None:
        return None
    if not value:
        raise StudyError(f"{name}= is empty, expected a path")
    path = Path(get_initial_workdir(), Path(value).expanduser())
    if not str(path).isprintable():  # nor are bytes that are no UTF-8, as Python has them
        raise StudyError(
            f"{name} is {path}, expected a path in UTF-8 without control characters; rename it"
        )
    return _in_project(path)


def _in_project(path: Path) -> Path:
    """Return a path relative to the project, which doit made the current folder, if it is below."""
    plain = Path(os.path.normpath(path))
    if os.path.realpath(plain) != os.path.realpath(
        path
    ):  # past a symbolic link `..` leads elsewhere
        plain = path
    for parent in (plain, *plain.parents):
        if os.path.exists(parent) and parent.samefile(Path()):  # noqa: PTH110
            return plain.relative_to(parent)
    return plain
