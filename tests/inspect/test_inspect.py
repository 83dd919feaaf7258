"""`fly64tasks inspect`: what it says of files of every format, of damaged ones, and what next."""

from __future__ import annotations

import json
import random
import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import written
from broken_sets import save
from doubtful_sets import annular_probe, counts_of, expected_counts, good_set, scan
from measured import Known, known_of

from fly64tasks import cli, runner
from fly64tasks.data.readers.npz import read_dataset
from fly64tasks.recon.start import read_start
from fly64tasks.study.recon_settings import ReconSpec


@pytest.fixture(scope="module")
def known(tmp_path_factory: pytest.TempPathFactory) -> Known:
    return known_of(read_dataset(save(tmp_path_factory.mktemp("known") / "a.npz", good_set())))


def as_json(
    capsys: pytest.CaptureFixture[str], path: Path, *options: str, code: int = 0
) -> dict[str, Any]:
    assert cli.main(["inspect", str(path), "--json", *options]) == code
    found: dict[str, Any] = json.loads(capsys.readouterr().out)
    return found


@pytest.mark.parametrize("name", written.FILES)
def test_each_format_is_said_in_numbers_and_its_command_runs(
    tmp_path: Path, known: Known, name: str, capsys: pytest.CaptureFixture[str]
):
    path = written.FILES[name](tmp_path, known)
    found = as_json(capsys, path)
    assert found["refusal"] is None
    assert found["frames"]["count"] == 100
    assert found["frames"]["size_px"] == 32
    assert found["frames"]["unit"] == "photons"
    photons = known.counts.sum(axis=(1, 2))
    assert found["photons_per_frame"]["median"] == pytest.approx(np.median(photons), rel=1e-4)
    assert found["scan"]["span_px"] == pytest.approx(np.ptp(known.positions_px, axis=0), abs=1e-5)
    assert found["scan"]["span_m"][0] == pytest.approx(found["scan"]["span_px"][0] * 1e-8)
    unsaid = {
        "pair": ["energy_ev", "detector_pixel_size_m"],
        "fold_slice": ["detector_pixel_size_m"],
        "tike": ["pixel_size_m", "energy_ev", "detector_pixel_size_m"],
    }.get(name, [])
    assert (found["assumed_sizes"], found["geometry"]["assumed"]) == (unsaid, bool(unsaid))
    assert found["truth"] is None
    shapes = [tuple(array["shape"]) for file in found["files"] for array in file["arrays"]]
    assert any(len(shape) == 3 and shape[1:] == (32, 32) for shape in shapes)
    command = shlex.split(found["next"])
    assert command[:2] == ["fly64tasks", "recon"]
    command[command.index("out")] = str(tmp_path / "out")
    assert runner.main([*command[2:], "--num-epochs", "1"]) == 0


def test_doubts_are_those_of_a_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    arrays = good_set()
    arrays["diffraction"][:, 5, 7] = 0
    arrays["diffraction"][::10] = 0
    arrays["diffraction"] = np.fft.fftshift(arrays["diffraction"], axes=(1, 2))
    path = save(tmp_path / "a.npz", arrays)
    expected = read_start(path, ReconSpec()).warnings
    assert len(expected) > 1
    found = as_json(capsys, path)
    assert found["doubts"] == list(expected)
    assert found["truth"] == "objectGuess"
    assert cli.main(["inspect", str(path)]) == 0
    shown = " ".join(capsys.readouterr().out.split())
    for doubt in expected:
        assert " ".join(doubt.split()) in shown


def test_overlap_is_that_of_the_probes_disc(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    """A disc of 10 px and a step of 5 px: half a diameter, and 39% of the area."""
    y, x = np.mgrid[:32, :32] - 16
    disc = (np.hypot(y, x) <= 5).astype(complex)
    positions = np.stack(np.mgrid[:6, :6], axis=-1).reshape(-1, 2) * 5.0 + 20
    frames = np.sqrt(counts_of(expected_counts(1e3 * disc[None] / 9, positions)))
    found = as_json(
        capsys,
        save(
            tmp_path / "a.npz",
            {
                "diffraction": frames.astype(np.float32),
                "probeGuess": disc,
                "ycoords": positions[:, 0],
                "xcoords": positions[:, 1],
            },
        ),
    )
    assert found["probe"]["diameter_px"] == pytest.approx(10, rel=0.03)
    assert found["scan"]["nearest_spacing_px"] == 5
    assert found["scan"]["nearest_spacing_diameters"] == pytest.approx(0.5, rel=0.03)
    assert found["scan"]["nearest_disc_overlap"] == pytest.approx(0.391, abs=0.02)


def test_a_set_that_a_run_refuses_is_described_and_ends_with_3(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    arrays = good_set()
    arrays["ycoords"], arrays["xcoords"] = arrays["ycoords"] * 1e-8, arrays["xcoords"] * 1e-8
    path = save(tmp_path / "a.npz", arrays)
    assert cli.main(["inspect", str(path)]) == 3
    shown = capsys.readouterr()
    assert "100 x 32 x 32  float32" in shown.out
    assert "next:" not in shown.out
    assert shown.err.startswith(f"error: {path}: all 100 positions lie within")
    assert shown.err.count("\n") == 1
    assert as_json(capsys, path, code=3)["refusal"] in shown.err


def test_probe_of_one_pixel_is_one_wide_and_no_crash(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    probe = np.zeros((32, 32), complex)
    probe[16, 16] = 300
    path = save(tmp_path / "a.npz", {**good_set(simulated=False), "probeGuess": probe})
    found = as_json(capsys, path)
    assert found["probe"]["diameter_px"] == 1
    assert any("overlap by 0% of the probe" in doubt for doubt in found["doubts"])
    arguments = ["--input", str(path), "--output-dir", str(tmp_path / "out"), "--num-epochs", "2"]
    assert runner.main(arguments) == 0


def test_command_to_run_next_repeats_how_the_file_was_read(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.chdir(tmp_path)
    arrays = good_set(simulated=False)
    counts = np.rint(arrays["diffraction"].astype(float) ** 2).astype(np.uint32)
    save(Path("-a set.npz"), {**arrays, "diff3d": counts})
    assert cli.main(["inspect", "--", "-a set.npz"]) == 3
    assert "say which with --diffraction" in capsys.readouterr().err
    options = ["--diffraction", "intensity", "--pixel-size-m", "7e-9", "--energy-ev", "8000"]
    assert cli.main(["inspect", *options, "--flip-y", "--", "-a set.npz"]) == 0
    shown = capsys.readouterr().out
    assert "pixel 7 nm, 8000 eV" in shown
    expected = (
        "next: fly64tasks recon --input './-a set.npz' --output-dir out --diffraction intensity "
        "--flip-y --pixel-size-m 7e-9 --energy-ev 8000"
    )
    assert shown.splitlines()[-1] == expected
    command = shlex.split(expected.removeprefix("next: fly64tasks recon "))
    assert runner.main([*command, "--num-epochs", "1"]) == 0


def test_scan_in_characters_shows_where_frames_lie(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    """Two fields, far apart: there is nothing between them."""
    left = scan()
    positions = np.concatenate([left, left + np.array([0, 90])])
    counts = counts_of(expected_counts(1e2 * annular_probe()[None], left))
    arrays = {
        **good_set(simulated=False),
        "diffraction": np.sqrt(np.concatenate([counts, counts])).astype(np.float32),
        "ycoords": positions[:, 0],
        "xcoords": positions[:, 1],
    }
    arrays.pop("objectGuess")
    assert cli.main(["inspect", str(save(tmp_path / "a.npz", arrays))]) == 0
    lines = capsys.readouterr().out.splitlines()
    drawn = [line for line in lines if line and re.fullmatch(r"[ .:\-=+*#@]+", line)]
    assert len(drawn) > 5
    middle = drawn[len(drawn) // 2]
    assert re.fullmatch(r" +\S+ {4,}\S+", middle)
    assert max(map(len, drawn)) <= 60


@pytest.mark.parametrize("suffix", [".png", ".svg", ".pdf"])
def test_picture_is_drawn_the_same_twice_and_over_ours_alone(
    tmp_path: Path, suffix: str, capsys: pytest.CaptureFixture[str]
):
    path, picture = save(tmp_path / "a.npz", good_set()), tmp_path / f"scan{suffix}"
    drawn = []
    for _ in range(2):
        assert as_json(capsys, path, "--picture", str(picture))["picture"] == str(picture)
        drawn.append(picture.read_bytes())
    assert drawn[0] == drawn[1]
    picture.write_bytes(b"of somebody else")
    assert cli.main(["inspect", str(path), "--picture", str(picture)]) == 3
    assert "was not written by fly64tasks" in capsys.readouterr().err
    assert picture.read_bytes() == b"of somebody else"


def test_wrong_options_are_one_line_and_2(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    path = str(save(tmp_path / "a.npz", good_set()))
    for options, said in (
        (["--picture", str(tmp_path / "a.xyz")], "expected a name that ends in .png"),
        (["--orientations", "--flip-y"], "tries --swap-xy, --flip-y and --flip-x"),
        (["--orientations", "--device", "gpu"], "device 'gpu' is unknown"),
        (["--energy-ev", "-1"], "energy_ev is '-1'"),
    ):
        assert cli.main(["inspect", path, *options]) == 2
        shown = capsys.readouterr()
        assert said in shown.err
        assert shown.err.count("\n") == 1


@pytest.mark.parametrize("name", ["absent.npz", "text.h5", "folder", "empty.h5", "absent.toml"])
def test_what_can_not_be_read_is_one_line_and_3(
    tmp_path: Path, name: str, capsys: pytest.CaptureFixture[str]
):
    (tmp_path / "text.h5").write_text("no HDF5")
    (tmp_path / "folder").mkdir()
    h5py.File(tmp_path / "empty.h5", "w").close()
    assert cli.main(["inspect", str(tmp_path / name)]) == 3
    shown = capsys.readouterr()
    assert shown.out == ""
    assert shown.err.startswith(f"error: {tmp_path / name}: ")
    assert shown.err.count("\n") == 1


@pytest.mark.filterwarnings("ignore::RuntimeWarning")  # of numbers that damage made large
@pytest.mark.parametrize("name", ["cxi", "pair", "tike"])
def test_damaged_files_end_in_one_line_or_are_read(
    tmp_path: Path, known: Known, name: str, capsys: pytest.CaptureFixture[str]
):
    path = written.FILES[name](tmp_path, known)
    whole = path.read_bytes()
    chance = random.Random(name)
    codes = []
    for _ in range(25):
        damaged = bytearray(whole)
        for _ in range(chance.choice([1, 3, 20])):
            where = chance.randrange(min(len(damaged), chance.choice([2000, 6000, len(damaged)])))
            damaged[where] ^= 1 << chance.randrange(8)
        if chance.random() < 0.2:
            del damaged[chance.randrange(len(damaged)) :]
        path.write_bytes(damaged)
        codes.append(cli.main(["inspect", str(path), "--picture", str(tmp_path / "a.png")]))
        shown = capsys.readouterr()
        assert shown.err.count("\n") == (codes[-1] != 0)
        assert shown.out.replace("\n", "").isprintable()
    assert set(codes) <= {0, 3}
    assert 3 in codes


def test_names_in_a_file_do_not_steer_a_terminal(
    tmp_path: Path, known: Known, capsys: pytest.CaptureFixture[str]
):
    path = written.cxi(tmp_path, known)
    with h5py.File(path, "r+") as file:
        file["a\x1b[2Jb\nc"] = np.zeros(3)
        file["gone"] = h5py.ExternalLink("/etc/passwd", "/x")
    assert cli.main(["inspect", str(path)]) == 0
    shown = capsys.readouterr().out
    assert "\x1b" not in shown
    assert "a\\x1b[2Jb\\nc" in shown


def test_members_of_an_npz_that_are_no_arrays_are_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    arrays = {**good_set(simulated=False), "extra": np.array([{"a": 1}], object)}
    found = as_json(capsys, save(tmp_path / "a.npz", arrays))
    (extra,) = [array for array in found["files"][0]["arrays"] if array["name"] == "extra"]
    assert extra["shape"] is None
    assert extra["dtype"].startswith("is a pickled object array")


def test_it_is_a_command_of_its_own_and_imports_no_torch(tmp_path: Path):
    path = save(tmp_path / "a.npz", good_set())
    code = (
        "import sys\nfrom fly64tasks.cli import main\n"
        f"main(['inspect', {str(path)!r}], prog='x')\nprint('torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-2:] == [
        f"next: x recon --input {path} --output-dir out",
        "False",
    ]
