"""`fly64tasks convert`, and the runner on files of every format: real processes."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import h5py
import numpy as np
import pytest
import written
from measured import Known, known_of

from fly64tasks import cli, runner
from fly64tasks.convert import TARGETS
from fly64tasks.data.readers.npz import read_dataset
from fly64tasks.score import command as score


@pytest.fixture(scope="module")
def known(small_sets: dict[str, Path]) -> Known:
    return known_of(read_dataset(small_sets["train"]))


@pytest.mark.parametrize("name", written.FILES)
def test_a_file_of_each_format_reconstructs_in_one_command(tmp_path: Path, known: Known, name: str):
    path = written.FILES[name](tmp_path, known)
    output = tmp_path / "out"
    assert (
        runner.main(["--input", str(path), "--output-dir", str(output), "--num-epochs", "2"]) == 0
    )
    record = json.loads((output / "run.json").read_text())
    assert record["start"]["n_frames"] == len(known.counts)
    assert record["start"]["holds_counts"]
    assert not record["set"]["simulated"]


def test_what_is_read_reconstructs_as_the_set_that_it_came_from(
    tmp_path: Path, known: Known, small_sets: dict[str, Path]
):
    chi2 = []
    for path in (small_sets["train"], written.pair(tmp_path, known), written.tike(tmp_path, known)):
        output = tmp_path / f"out_{path.stem}"
        arguments = ["--input", str(path), "--output-dir", str(output), "--num-epochs", "40"]
        assert runner.main(arguments) == 0
        chi2.append(json.loads((output / "run.json").read_text())["fit"]["chi2"])
    assert chi2[1] == pytest.approx(chi2[0], rel=0.05)
    assert chi2[2] == pytest.approx(chi2[0], rel=0.05)


def test_run_goes_on_only_with_the_same_files(tmp_path: Path, known: Known):
    """Of a pair one file is named; the other is as much of the input."""
    path = written.pair(tmp_path, known)
    output = tmp_path / "out"
    run = ["--input", str(path), "--output-dir", str(output)]
    assert runner.main([*run, "--max-seconds", "0"]) == 75
    with h5py.File(tmp_path / "scan_para.hdf5", "r+") as file:
        file["probe_position_y_m"][0] += 1e-9
    assert runner.main(run) == 4
    assert runner.main([*run, "--fresh", "--num-epochs", "2"]) == 0
    record = json.loads((output / "run.json").read_text())
    assert list(record["input"]["with"]) == [str(tmp_path / "scan_para.hdf5")]


def test_result_is_scored_with_the_same_files_only(
    tmp_path: Path, known: Known, capsys: pytest.CaptureFixture[str]
):
    """The file that is named stays as it is; frames, positions or probe lie in the other one."""
    written.pair(tmp_path, known)
    named, output = tmp_path / "scan_para.hdf5", tmp_path / "out"
    run = ["--input", str(named), "--output-dir", str(output), "--num-epochs", "1"]
    assert runner.main(run) == 0
    assert score.main(["--input-npz", str(named), "--output-dir", str(output)]) == 0
    with h5py.File(tmp_path / "scan_dp.hdf5", "r+") as file:
        file["dp"][...] = 1 + file["dp"][...][::-1]
    assert score.main(["--input-npz", str(named), "--output-dir", str(output)]) == 3
    assert "was made from another content of" in capsys.readouterr().err


def test_the_old_name_of_the_option_stays(tmp_path: Path, small_sets: dict[str, Path]):
    where = ["--input-npz", str(small_sets["train"]), "--output-dir", str(tmp_path / "out")]
    assert runner.main([*where, "--num-epochs", "1"]) == 0


def test_command_says_what_it_wrote_and_what_to_run_next(tmp_path: Path, known: Known):
    written.cxi(tmp_path, known)
    done = subprocess.run(
        [sys.executable, "-m", "fly64tasks", "convert", "scan.cxi", "my scan.npz"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )
    n = len(known.counts)
    assert done.stdout == (
        f"my scan.npz: {n} frames of 32 x 32 px from CXI, pixel 10 nm, 8800 eV\n"
        "next: python -m fly64tasks recon --input 'my scan.npz' --output-dir out\n"
    )
    assert done.stderr.startswith("warning: CXI holds no probe: one is guessed")
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["absent.cxi", "a.npz"], 3, "absent.cxi: no such file or directory"),
        (["scan.cxi", "a.xyz"], 2, "a.xyz: its name asks for no format, expected NAME.npz"),
        (["scan.cxi", "scan.cxi"], 2, "scan.cxi: is the source, expected another name"),
        (["scan.cxi", "a.tif"], 3, "scan.cxi: is no reconstruction, expected a product.h5"),
        (["text.h5", "a.npz"], 3, "text.h5: not an NPZ (zip) file"),
        (["empty.h5", "a.npz"], 3, "empty.h5: is HDF5 of no known layout (empty)"),
        (["folder", "a.npz"], 3, "folder: is a directory"),
        (["absent.toml", "a.npz"], 3, "absent.toml: no such file or directory"),
        (["none.toml", "a.npz"], 3, "none.toml: file is 'gone.h5', expected a file at gone.h5"),
    ],
)
def test_failures_are_one_line(
    tmp_path: Path,
    known: Known,
    arguments: list[str],
    code: int,
    said: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
):
    monkeypatch.chdir(tmp_path)
    written.cxi(tmp_path, known)
    Path("text.h5").write_text("no HDF5")
    Path("folder").mkdir()
    Path("none.toml").write_text('file = "gone.h5"\nframes = "a"\npositions = "b"\n')
    with h5py.File("empty.h5", "w"):
        pass
    assert cli.main(["convert", *arguments]) == code
    error = capsys.readouterr().err
    assert error.startswith(f"error: {said}")
    assert error.count("\n") == 1
    assert not Path("a.npz").exists()


def test_dark_scans_are_refused(tmp_path: Path, known: Known, capsys: pytest.CaptureFixture[str]):
    path = written.cxi(tmp_path, known)
    with h5py.File(path, "r+") as file:
        file["entry_1/instrument_1/detector_1/data"][...] = 0
    assert cli.main(["convert", str(path), str(tmp_path / "a.npz")]) == 3
    assert "has no photons in any frame" in capsys.readouterr().err


def test_help_names_every_format(capsys: pytest.CaptureFixture[str]):
    with pytest.raises(SystemExit):
        cli.main(["convert", "--help"])
    shown = capsys.readouterr().out
    for name in TARGETS:
        assert f"  {name} " in shown


MEASURED = """
import resource, runpy, sys
sys.argv = ["convert", *sys.argv[1:]]
try:
    runpy.run_module("fly64tasks.convert", run_name="__main__")
finally:
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024)
"""


@pytest.mark.slow
def test_two_gigabytes_convert_within_half_of_one(tmp_path: Path):
    """Frames are read in blocks, there and back: what is held does not grow with the file."""
    n, size = 8192, 256
    with h5py.File(tmp_path / "big.cxi", "w") as file:
        detector = file.create_group("entry_1/instrument_1/detector_1")
        frames = detector.create_dataset(
            "data", (n, size, size), np.uint32, chunks=(16, size, size), compression="gzip"
        )
        assert frames.nbytes > 2e9
        frames[7, 128, 128] = 40  # all other chunks are never written
        frames[n - 1, 127, 128] = 2
        detector["distance"], detector["x_pixel_size"] = 2.0, 75e-6
        file["entry_1/instrument_1/source_1/wavelength"] = 1e-10
        places = np.column_stack([np.arange(n) % 90, np.arange(n) // 90]) * 50e-9
        file["entry_1/data_1/translation"] = places
    for source, target in (("big.cxi", "there.npz"), ("there.npz", "back.cxi")):
        done = subprocess.run(
            [sys.executable, "-c", MEASURED, str(tmp_path / source), str(tmp_path / target)],
            capture_output=True,
            text=True,
            check=True,
        )
        assert int(done.stdout.splitlines()[-1]) < 5e8
        (tmp_path / source).unlink()
    (tmp_path / "back.cxi").unlink()
