"""The public Python API: real sets, real pty-chi, real doit; strings and paths alike."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from small_study import SMALL_STUDY, new_project

import fly64tasks
from fly64tasks import (
    DatasetError,
    Geometry,
    Orientation,
    PtychoDataset,
    ReconSpec,
    StudyError,
    load_study,
    make_set,
    read_reconstruction,
    read_set,
    reconstruct,
    score_reconstruction,
    write_set,
)

SPEC = ReconSpec(num_epochs=3)


def arrays_of(dataset: PtychoDataset) -> dict[str, object]:
    return {
        "positions_px": dataset.positions_px,
        "probe": dataset.probe_guess,
        "diffraction_amplitude": dataset.diffraction_amplitude,
    }


def test_looking_at_it_imports_no_torch():
    code = (
        "import sys, fly64tasks\n"
        "for name in dir(fly64tasks): getattr(fly64tasks, name).__doc__\n"
        "print(*sorted({'torch', 'ptychi', 'matplotlib'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""


def test_importing_it_imports_nothing_heavy():
    code = "import sys, fly64tasks; print('numpy' in sys.modules, 'msgspec' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False False"


@pytest.mark.parametrize("name", fly64tasks.__all__)
def test_every_public_name_is_there_and_described(name: str):
    assert getattr(fly64tasks, name).__doc__
    assert name in dir(fly64tasks)


def test_what_is_public_is_said_once():
    from fly64tasks import api

    assert sorted(api.__all__) == fly64tasks.__all__


def test_name_that_is_not_there_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no attribute 'recontruct'"):
        fly64tasks.recontruct  # noqa: B018


@pytest.mark.parametrize("kind", [str, Path])
def test_set_is_read_and_written_by_strings_and_paths(
    small_sets: dict[str, Path], tmp_path: Path, kind: type
):
    found = read_set(kind(small_sets["train"]))
    assert write_set(kind(tmp_path / "again.npz"), found) == tmp_path / "again.npz"
    assert (tmp_path / "again.npz").read_bytes() == small_sets["train"].read_bytes()


def test_file_and_set_in_memory_give_the_same_object_as_the_command_line(
    small_sets: dict[str, Path], tmp_path: Path
):
    from fly64tasks import runner

    source, out = small_sets["train"], tmp_path / "out"
    arguments = ["--input-npz", str(source), "--output-dir", str(out), "--num-epochs", "3"]
    assert runner.main(arguments) == 0
    expected = read_reconstruction(str(out))
    for data in (source, str(source), read_set(source)):
        found = reconstruct(data, SPEC, device="cpu")
        assert np.array_equal(found.obj, expected.obj)
        assert found.path is None


def test_what_a_run_leaves_is_kept_where_asked(small_set: PtychoDataset, tmp_path: Path):
    epochs = []
    found = reconstruct(
        small_set, SPEC, output_dir=str(tmp_path / "out"), on_epoch=lambda *e: epochs.append(e[0])
    )
    assert epochs == [1, 2, 3]
    assert found.path == tmp_path / "out/reconstruction.npz"
    names = {path.name for path in (tmp_path / "out").iterdir()}
    assert {"set.npz", "product.h5", "run.json", "losses.csv"} < names


def test_set_of_somebody_beside_a_result_is_not_written_over(
    small_set: PtychoDataset, tmp_path: Path
):
    write_set(tmp_path / "set.npz", small_set)
    before = (tmp_path / "set.npz").read_bytes()
    other = replace(small_set, positions_px=small_set.positions_px + 1)
    with pytest.raises(DatasetError, match=r"set\.npz: exists and was not kept there by a run"):
        reconstruct(other, SPEC, output_dir=tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["set.npz"]
    assert (tmp_path / "set.npz").read_bytes() == before
    for again in (other, small_set):  # what a run kept is replaced by the next
        reconstruct(again, SPEC, output_dir=tmp_path / "out")
    assert (tmp_path / "out/set.npz").read_bytes() == before


def test_scan_that_is_stored_otherwise_is_turned(small_set: PtychoDataset, tmp_path: Path):
    arrays = arrays_of(small_set)
    stored = arrays | {"positions_px": arrays["positions_px"] * [-1, 1]}
    write_set(tmp_path / "stored.npz", make_set(**stored))
    as_stored = Orientation(flip_y=True)
    read = read_set(tmp_path / "stored.npz", orientation=as_stored).positions_px
    assert np.allclose(np.diff(read, axis=0), np.diff(arrays["positions_px"], axis=0))
    found = reconstruct(tmp_path / "stored.npz", SPEC, orientation=as_stored)
    expected = reconstruct(make_set(**arrays), SPEC)
    assert np.allclose(found.obj, expected.obj, atol=1e-4)


def test_arrays_of_a_measurement_need_no_object(small_set: PtychoDataset):
    measured = make_set(**arrays_of(small_set))
    found = reconstruct(measured, SPEC, device="cpu")
    assert found.metadata["start"]["frame_of_reference"] == "scan"
    scores = score_reconstruction(found, measured)
    assert scores["truth"]["reason"].startswith("no truth")
    assert 0 < scores["metrics"]["r_factor"] < 1


def test_counts_are_taken_as_counts(small_set: PtychoDataset):
    arrays = arrays_of(small_set)
    amplitude = np.asarray(arrays.pop("diffraction_amplitude"))
    counts = make_set(**arrays, diffraction_intensity=np.round(amplitude**2).astype(int))
    assert np.allclose(counts.diffraction_amplitude, amplitude, atol=1e-3)


def test_both_amplitude_and_intensity_are_refused(small_set: PtychoDataset):
    arrays = arrays_of(small_set)
    with pytest.raises(DatasetError, match="expected one"):
        make_set(**arrays, diffraction_intensity=np.ones((3, 4, 4)))
    arrays.pop("diffraction_amplitude")
    with pytest.raises(DatasetError, match="expected one"):
        make_set(**arrays)


def test_nan_in_an_array_is_refused_by_name(small_set: PtychoDataset):
    arrays = arrays_of(small_set)
    arrays["probe"] = small_set.probe_guess * np.nan
    with pytest.raises(DatasetError, match=r"probeGuess holds .* NaN"):
        reconstruct(make_set(**arrays), SPEC)


@pytest.mark.parametrize(
    ("change", "found"),
    [
        ({"positions_px": np.zeros((2, 9))}, r"positions_px has shape \(2, 9\), expected \(9, 2\)"),
        ({"probe": None}, r"probe has shape \(\), expected \(8, 8\) or \(modes, 8, 8\)"),
        ({"probe": np.ones((6, 6))}, r"probe has shape \(6, 6\), expected \(8, 8\)"),
        (
            {"mask": np.ones((3, 8, 8))},
            r"mask has shape \(3, 8, 8\), expected \(8, 8\) or \(9, 8, 8\)",
        ),
        ({"obj": np.ones(4)}, r"obj has shape \(4,\), expected \(H, W\)"),
        (
            {"diffraction_amplitude": np.ones((9, 8))},
            r"diffraction has shape \(9, 8\), expected \(n, N, N\)",
        ),
    ],
)
def test_array_of_a_wrong_shape_is_refused_where_the_set_is_made(
    change: dict[str, object], found: str
):
    right = {
        "positions_px": np.zeros((9, 2)),
        "probe": np.ones((8, 8)),
        "diffraction_amplitude": np.ones((9, 8, 8)),
    }
    with pytest.raises(DatasetError, match=f"^make_set: {found}"):
        make_set(**right | change)


@pytest.mark.parametrize(
    ("spec", "found"),
    [
        ({"algorithm": "LSQLM"}, "algorithm is 'LSQLM', expected one of .*; did you mean LSQML?"),
        ({"num_epochs": -3}, "num_epochs is -3, expected `int` >= 1"),
        ({"num_epochs": 2.5}, "num_epochs is 2.5, expected a whole number"),
        ({"prior": "strong"}, "prior is 'strong', expected a number"),
        ({"prior": 1j}, "found 1j, expected numbers, words, true or false"),
    ],
)
def test_setting_that_can_not_be_is_refused_as_on_the_command_line(
    spec: dict[str, object], found: str, small_set: PtychoDataset
):
    with pytest.raises(StudyError, match=f"^spec: {found}"):
        reconstruct(small_set, ReconSpec(**spec))


def test_settings_and_sizes_may_be_numbers_of_numpy(small_set: PtychoDataset):
    sizes = Geometry(pixel_size_m=np.float32(7e-9), assumed=False)
    spec = ReconSpec(num_epochs=np.int64(2), prior=np.float32(70))
    found = reconstruct(small_set, spec, geometry=sizes)
    assert np.array_equal(found.obj, reconstruct(small_set, ReconSpec(num_epochs=2)).obj)


def test_what_is_no_kind_of_diffraction_turn_or_size_is_refused(small_set: PtychoDataset):
    with pytest.raises(StudyError, match="diffraction is 'counts', expected one of auto, "):
        reconstruct(small_set, SPEC, diffraction="counts")
    with pytest.raises(StudyError, match="diffraction is 'counts', expected one of auto, "):
        read_set("any.npz", diffraction="counts")
    with pytest.raises(StudyError, match="orientation: flip_y is 'no', expected true or false"):
        reconstruct(small_set, SPEC, orientation=Orientation(flip_y="no"))
    with pytest.raises(StudyError, match="geometry: pixel_size_m is -1"):
        reconstruct(small_set, SPEC, geometry=Geometry(pixel_size_m=-1))


def test_scores_are_those_of_the_command_line(small_sets: dict[str, Path], tmp_path: Path):
    from fly64tasks.score import command

    source, out = small_sets["train"], tmp_path / "out"
    found = reconstruct(source, SPEC, output_dir=out)
    expected = command.score(source, out, fly64tasks.ScoreSpec())
    for reconstruction in (found, str(out), out / "reconstruction.npz"):
        assert score_reconstruction(reconstruction, source)["metrics"] == expected["metrics"]


def test_reconstruction_of_another_set_is_refused(small_sets: dict[str, Path], tmp_path: Path):
    found = reconstruct(small_sets["train"], ReconSpec(num_epochs=1, n_images=20))
    with pytest.raises(
        DatasetError, match="positions_px are not those of the set; reconstruct again"
    ):
        score_reconstruction(found, read_set(small_sets["test"]))


def test_plan_says_what_would_run_and_why_and_writes_nothing(tmp_path: Path):
    project = new_project(tmp_path / "Süß study", SMALL_STUDY)
    before = sorted(project.rglob("*"))
    study = load_study(str(project))
    planned = study.plan("recon:dose_1000_dense_train")
    assert [task for task, _, _ in planned] == [
        "base",
        "simulate:dose_1000",
        "views:dose_1000_dense",
        "recon:dose_1000_dense_train",
    ]
    assert {verdict for _, verdict, _ in planned} == {"run"}
    assert planned[-1].reasons == ("never run",)
    assert sorted(project.rglob("*")) == before


def test_plan_of_a_study_file_alone_is_that_of_our_dodo(tmp_path: Path):
    (tmp_path / "mine.toml").write_text(SMALL_STUDY, "utf-8")
    assert len(load_study(tmp_path / "mine.toml").plan()) == 32
    assert [path.name for path in tmp_path.iterdir()] == ["mine.toml"]


def test_plan_with_an_unknown_task_says_so(project: Path):
    with pytest.raises(StudyError, match="nosuch"):
        load_study(project).plan("nosuch")


def test_wrong_study_names_the_key(tmp_path: Path):
    (tmp_path / "study.toml").write_text("dosses = [1e3]", "utf-8")
    with pytest.raises(StudyError, match="did you mean 'doses'"):
        load_study(tmp_path)


def test_results_are_a_record_a_job(done_project: Path):
    records = load_study(done_project).results()
    assert [record["case"] for record in records][:2] == [
        "dose_1000_baseline_train",
        "dose_1000_baseline_test",
    ]
    assert {record["state"] for record in records} == {"scored"}
    assert all(0 < record["complex_nrmse"] < 1 for record in records)
    assert all(record["loss"] > 0 and record["seconds"] > 0 for record in records)


def test_results_of_a_study_that_has_not_run_say_why(project: Path):
    records = load_study(project).results()
    assert {record["complex_nrmse"] for record in records} == {None}
    assert all(record["why"] for record in records)
