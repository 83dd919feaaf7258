"""The file of a study of measured scans: names, files, what a scan changes, what is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from fly64tasks.errors import StudyError
from fly64tasks.study.measured import (
    MeasuredLayout,
    MeasuredStudy,
    Part,
    read_either,
    read_measured_study,
)
from fly64tasks.study.spec import parse_spec
from fly64tasks.study.stages import DataSpec
from fly64tasks.study.study import Study, read_study


def study_of(**table: Any) -> MeasuredStudy:
    return parse_spec(MeasuredStudy, {"scans": {"a": "a.h5"}, **table}, "study.toml")


def test_scans_come_in_the_order_of_the_file_each_with_its_halves():
    study = study_of(scans={"b": "b.npz", "a": "a.npz"}, halves=True)
    names = [part.name for part in study.parts()]
    assert names == ["b", "b@even", "b@odd", "a", "a@even", "a@odd"]
    assert [part.name for part in study_of().parts()] == ["a"]


def test_scan_changes_what_it_says_and_nothing_else():
    scan = {"file": "b.h5", "recon": {"num_epochs": 3}, "geometry": {"energy_ev": 7100.0}}
    study = study_of(
        scans={"a": "a.h5", "b": scan},
        recon={"prior": 30.0},
        geometry={"pixel_size_m": 5e-9, "assumed": False},
    )
    assert (study.recon_of("a").num_epochs, study.recon_of("a").prior) == (None, 30.0)
    assert (study.recon_of("b").num_epochs, study.recon_of("b").prior) == (3, 30.0)
    assert study.recon_of("b", "odd").half == "odd"
    assert study.geometry_of("b").energy_ev == 7100.0
    assert study.geometry_of("b").pixel_size_m == 5e-9
    assert not study.geometry_of("b").assumed


def test_scan_lies_as_it_says_else_as_the_study_does():
    scans = {"a": "a.h5", "b": {"file": "b.h5", "flip_y": False, "swap_xy": True}}
    study = study_of(scans=scans, data={"diffraction": "intensity", "flip_y": True})
    assert study.data_of("a") == DataSpec(diffraction="intensity", flip_y=True)
    assert study.data_of("b") == DataSpec(diffraction="intensity", swap_xy=True)


def test_files_lie_beside_the_study_and_results_below_one_root():
    study = study_of(scans={"pair": ["../x_dp.h5", "/data/x_para.h5"]})
    layout = MeasuredLayout(Path("studies"), Path("reports"))
    assert layout.files(study, "pair") == [Path("x_dp.h5"), Path("/data/x_para.h5")]
    assert layout.recon_dir(Part("pair")) == Path("reports/pair")
    assert layout.recon_dir(Part("pair", "even")) == Path("reports/pair/even")


BROKEN = {
    "no scans": ("name = 'x'", "missing required field `scans`"),
    "scans without one": ("[scans]", "expected `object` of length >= 1"),
    "a key of a scan": (
        "[scans.a]\nfil = 'a.h5'",
        r"unknown key 'scans.a.fil'; did you mean 'scans.a.file'\?",
    ),
    "a setting of a scan": (
        "[scans.a]\nfile = 'a.h5'\nrecon = { num_epoch = 3 }",
        r"scans.a.recon: unknown key 'num_epoch'; did you mean 'num_epochs'\?",
    ),
    "a value of a scan": (
        "[scans.a]\nfile = 'a.h5'\nrecon = { num_epochs = 0 }",
        "scans.a.recon: num_epochs is 0, expected `int` >= 1",
    ),
    "a size of a scan": (
        "[scans.a]\nfile = 'a.h5'\ngeometry = { energy = 1.0 }",
        r"scans.a.geometry: unknown key 'energy'; did you mean 'energy_ev'\?",
    ),
    "a folder as a name": ("[scans]\n'../a' = 'a.h5'", "scans: '../a' can not be a scan's name"),
    "a name of the report's": ("[scans]\nfigures = 'a.h5'", "'figures' can not be a scan's name"),
    "a half as a name": ("[scans]\n'a@odd' = 'a.h5'", "'a@odd' can not be a scan's name"),
    "an empty path": ("[scans]\na = ''", "scans.a: '' is no path"),
    "a path that clears": ('[scans]\na = "\\u001b[2J"', r"scans.a: '\\x1b\[2J' is no path"),
    "halves of a half": (
        "halves = true\n[scans]\na = 'a.h5'\n[recon]\nhalf = 'odd'",
        "scans.a: recon.half is 'odd' where halves is true",
    ),
    "a root elsewhere": (
        "[scans]\na = 'a.h5'\n[paths]\nartifact_root = '/home/you'",
        "paths.artifact_root is '/home/you', expected a folder below the project's",
    ),
    "a key of another study": ("doses = [1e3]\n[scans]\na = 'a.h5'", "unknown key 'doses'; known"),
}


@pytest.mark.parametrize(("text", "said"), BROKEN.values(), ids=BROKEN.keys())
def test_broken_study_of_scans_is_refused_in_one_line(tmp_path: Path, text: str, said: str):
    path = tmp_path / "study.toml"
    path.write_text(text)
    with pytest.raises(StudyError, match=said) as caught:
        read_measured_study(path)
    assert str(caught.value).startswith(f"{path}: ")
    assert "\n" not in str(caught.value)


def test_study_of_the_other_kind_is_named_and_what_runs_it(tmp_path: Path):
    doses, scans = tmp_path / "doses.toml", tmp_path / "scans.toml"
    doses.write_text("name = 'd'\ndoses = [1e3]\n")
    scans.write_text("halves = true\n[scans.a]\nfile = 'a.npz'\n")
    with pytest.raises(StudyError, match=r"has 'scans': it is .* `fly64tasks new --template meas"):
        read_study(scans)
    with pytest.raises(StudyError, match=r"has 'doses': it is a dose/overlap study, expected one"):
        read_measured_study(doses)
    assert (type(read_either(doses)), type(read_either(scans))) == (Study, MeasuredStudy)
    scans.write_text("halfs = true\n[scans.a]\nfile = 'a.npz'\n")
    with pytest.raises(StudyError, match="unknown key 'halfs'; did you mean 'halves'"):
        read_either(scans)
