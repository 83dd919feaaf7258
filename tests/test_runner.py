"""The command line for real: what it writes, says and returns."""

from __future__ import annotations

import contextlib
import csv
import json
import os
import pty
import re
import shlex
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import warm

from fly64tasks import runner
from fly64tasks.convert import convert
from fly64tasks.errors import ReconstructionError
from fly64tasks.recon import command as recon
from fly64tasks.score import command as score
from fly64tasks.study.recon_settings import ReconSpec

DIVERGING = ReconSpec(algorithm="RPIE", batch_size=96, num_epochs=8)


def command(*arguments: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "fly64tasks.runner", *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
    )


def test_run_writes_everything_and_says_what_it_did(small_sets: dict[str, Path], tmp_path: Path):
    output = tmp_path / "Ergebnis äöü"
    done = command(
        "--input-npz", small_sets["train"], "--output-dir", output, "--num-epochs", 12,
        "--algorithm", "LSQML", "--warmup-epochs", 8,
        "--device", "cpu", "--events", tmp_path / "events.jsonl",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "128 frames, 12 epochs of LSQML" in done.stdout
    assert re.search(r"loss \d\.\d+, chi2 \d\.\d+ \([a-z].*\)\n$", done.stdout)
    assert "epoch 10/12 loss " in done.stderr
    assert sorted(path.name for path in output.iterdir()) == [
        "losses.csv",
        "product.h5",
        "ptychi.log",
        "reconstruction.npz",
        "run.json",
    ]

    with np.load(output / "reconstruction.npz", allow_pickle=False) as result:
        assert result["object"].shape == (112, 112)
        assert result["object"].dtype == np.complex64
        assert result["probe"].shape == (1, 32, 32)
        assert result["positions_px"].shape == (128, 2)
        assert result["loss"].shape == (12,)
        assert np.isfinite(result["object"]).all()
        metadata = json.loads(str(result["_metadata"]))
    assert metadata["spec"]["num_epochs"] == 12
    assert metadata["start"]["frame_of_reference"] == "object"
    assert metadata["set"]["geometry"]["assumed"] is True

    record = json.loads((output / "run.json").read_text("utf-8"))
    assert record["state"] == "done"
    assert record["exit_code"] == 0
    assert record["device"]["name"] == "cpu"
    assert record["seconds"] > 0
    assert record["peak_memory_bytes"]["process"] > 10**8
    assert record["scale"]["known_from"] == "probe"
    assert record["scale"]["probe_photons_per_frame"] == pytest.approx(1e4, rel=1e-4)
    assert record["scale"]["object_multiplied_by"] == 1 / record["scale"]["probe_multiplied_by"]
    assert record["start"]["truth_seeded"] is False
    assert record["set"]["dose_photons_per_frame"] == 1e4
    assert set(record["versions"]) == {"python", "fly64tasks", "ptychi", "torch", "numpy"}
    assert len(record["input"]["sha256"]) == 64
    assert [
        stage["reconstructor_options"]["batching_mode"] for stage in record["ptychi_options"]
    ] == ["random", "compact"]

    with (output / "losses.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["epoch"] for row in rows] == [str(i) for i in range(1, 13)]
    events = [json.loads(line) for line in (tmp_path / "events.jsonl").read_text().splitlines()]
    assert [event["epoch"] for event in events] == list(range(1, 13))
    assert events[-1]["loss"] == float(rows[-1]["loss"])
    assert "ptychi" in (output / "ptychi.log").read_text()


def test_payload_that_gave_nan_gives_finite_arrays(payload: Path, tmp_path: Path):
    assert runner.main(["--input-npz", str(payload), "--output-dir", str(tmp_path / "out")]) == 0
    with np.load(tmp_path / "out" / "reconstruction.npz") as result:
        assert np.isfinite(result["object"]).all()
        assert np.isfinite(result["probe"]).all()
    record = json.loads((tmp_path / "out" / "run.json").read_text())
    assert record["start"]["comparable_truth"] is False
    assert record["start"]["frame_of_reference"] == "scan"
    assert record["loss"]["epochs"] <= 200


def test_truth_for_a_start_is_marked(small_sets: dict[str, Path], tmp_path: Path):
    spec = ReconSpec(num_epochs=1, object_init="guess")
    record = recon.run(small_sets["train"], tmp_path, spec, device="cpu")
    assert record["start"]["truth_seeded"] is True


def test_same_seed_gives_the_same_file(small_sets: dict[str, Path], tmp_path: Path):
    for name in ("a", "b"):
        recon.run(small_sets["train"], tmp_path / name, ReconSpec(num_epochs=2), device="cpu")
    first, again = ((tmp_path / name / "reconstruction.npz").read_bytes() for name in "ab")
    assert first == again


def test_diverged_run_fails_and_leaves_no_reconstruction(
    small_sets: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    recon.run(small_sets["train"], tmp_path, ReconSpec(num_epochs=1), device="cpu")
    assert (tmp_path / "reconstruction.npz").exists()
    code = runner.main(
        [
            "--input-npz", str(small_sets["train"]), "--output-dir", str(tmp_path),
            "--algorithm", "RPIE", "--batch-size", "96", "--num-epochs", "8",
        ]
    )  # fmt: skip
    error = capsys.readouterr().err
    assert code == 1
    assert "diverged" in error
    assert str(tmp_path / "ptychi.log") in error
    assert not (tmp_path / "reconstruction.npz").exists()
    record = json.loads((tmp_path / "run.json").read_text())
    assert record["state"] == "failed"
    assert "diverged" in record["reason"]
    assert len((tmp_path / "losses.csv").read_text().splitlines()) == 9
    last = (tmp_path / "ptychi.log").read_text().splitlines()[-1]
    assert last.endswith(f"failed after epoch 8, exit code 1: {record['reason']}")


def test_log_says_what_was_asked_for_and_how_it_ended(small_sets: dict[str, Path], tmp_path: Path):
    spec = ReconSpec(num_epochs=2, algorithm="EPIE", update_probe=False)
    record = recon.run(small_sets["train"], tmp_path, spec, device="cpu")
    lines = (tmp_path / "ptychi.log").read_text().splitlines()
    said = [line.partition(" fly64tasks: ")[2].partition(": ")[::2] for line in lines]
    words = [word for word, _ in said[1:6]]  # after the line by which a log is known for ours
    assert words == ["command", "settings", "versions", "input", "device"]
    found = dict(said)
    assert json.loads(found["settings"]) == record["spec"]
    assert f"torch {record['versions']['torch']}" in found["versions"]
    again = shlex.split(found["command"])
    assert again[:3] == ["python", "-m", "fly64tasks.runner"]
    assert runner.main([*again[3:], "--fresh"]) == 0
    repeated = json.loads((tmp_path / "run.json").read_text())
    assert repeated["spec"] == record["spec"]
    assert lines[-1].endswith(f"done after epoch 2, exit code 0: loss {record['loss']['last']:.4g}")


def test_unexpected_error_is_told_by_its_first_line(small_sets: dict[str, Path], tmp_path: Path):
    def fail(*_: object) -> None:
        raise RuntimeError("CUDA error: out of resources\nCompile with `TORCH_USE_CUDA_DSA`.\n")

    with pytest.raises(RuntimeError):
        recon.run(small_sets["train"], tmp_path, ReconSpec(), device="cpu", on_epoch=fail)
    reason = "RuntimeError: CUDA error: out of resources"
    assert json.loads((tmp_path / "run.json").read_text())["reason"] == reason
    last = (tmp_path / "ptychi.log").read_text().splitlines()[-1]
    assert last.endswith(f"failed after epoch 1, exit code 1: {reason}")


def test_failure_is_an_error_that_names_the_input(small_sets: dict[str, Path], tmp_path: Path):
    with pytest.raises(ReconstructionError, match=r"patched_train.npz: diverged"):
        recon.run(small_sets["train"], tmp_path, DIVERGING, device="cpu")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--num-epochs", "0"], "command line: num_epochs is '0', expected `int` >= 1"),
        (["--n-images", "1"], "command line: n_images is '1', expected `int` >= 2"),
        (["--algorithm", "MAGIC"], "algorithm is 'MAGIC', expected one of AD, BH, DM, EPIE, LSQML"),
        (["--device", "tpu"], "device 'tpu' is unknown, expected auto, cpu, cuda or cuda:0"),
        (["--correct-positions", "maybe"], "is 'maybe', expected true or false"),
        (["--update-probe", "2"], "update_probe is '2', expected true or false"),
        (["--slice-spacing-m", "thin"], "slice_spacing_m is 'thin', expected a number"),
        (["--num-epochs", "many"], "num_epochs is 'many', expected a whole number"),
        (["--nonsense"], "unrecognized arguments: --nonsense"),
    ],
)
def test_usage_error_exits_with_2_and_leaves_nothing(
    small_sets: dict[str, Path],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    message: str,
):
    required = ["--input-npz", str(small_sets["train"]), "--output-dir", str(tmp_path / "out")]
    try:
        code = runner.main([*required, *arguments])
    except SystemExit as stop:
        code = int(stop.code or 0)
    assert code == 2
    assert re.search(message, capsys.readouterr().err)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_every_signal_leaves_a_checkpoint_and_says_so_in_the_same_words(
    small_sets: dict[str, Path], tmp_path: Path, signum: signal.Signals
):
    events, output = tmp_path / "events.jsonl", tmp_path / "out"
    process = warm.Called(
        warm.recon,
        [
            "--input-npz", str(small_sets["train"]), "--output-dir", str(output),
            "--algorithm", "LSQML", "--num-epochs", "100000", "--events", str(events),
        ],
    )  # fmt: skip
    deadline = time.monotonic() + 120
    while not (events.exists() and events.read_text()) and time.monotonic() < deadline:
        time.sleep(0.1)
    process.send_signal(signum)
    _, error = process.communicate(timeout=60)
    assert process.returncode == 75
    assert "Traceback" not in error
    record = json.loads((output / "run.json").read_text())
    assert (record["state"], record["exit_code"]) == ("interrupted", 75)
    words = rf"stopped by {signum.name} after epoch \d+; run again to go on from there"
    assert re.fullmatch(words, record["reason"])
    assert error.endswith(f"error: {record['reason']}\n")
    assert (output / "checkpoint.pt").exists()
    assert not (output / "reconstruction.npz").exists()


def test_help_names_every_option_without_importing_torch():
    code = "import sys, fly64tasks.runner as r\ntry: r.main(['--help'])\nexcept SystemExit: pass\n"
    done = subprocess.run(
        [sys.executable, "-c", code + "assert 'torch' not in sys.modules"],
        capture_output=True,
        text=True,
        check=True,
    )
    for option in (
        "--algorithm",
        "--num-epochs",
        "--n-images",
        "--batch-size",
        "--device",
        "--seed",
    ):
        assert option in done.stdout


@pytest.mark.parametrize("name", ["reconstruction.npz", "run.json", "product.h5", "losses.csv"])
def test_results_of_another_are_not_overwritten(
    small_sets: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str
):
    theirs = tmp_path / name
    theirs.write_text("precious")
    code = runner.main(["--input-npz", str(small_sets["train"]), "--output-dir", str(tmp_path)])
    assert code == 3
    assert f"{name}: exists and was not written by fly64tasks" in capsys.readouterr().err
    assert theirs.read_text() == "precious"
    assert [path.name for path in tmp_path.iterdir()] == [name]


@pytest.mark.parametrize("name", ["reconstruction.npz", "product.h5", "diffraction.h5"])
def test_a_run_does_not_write_over_what_it_reads(
    small_sets: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str
):
    """Frames and positions would be gone, ours as they are."""
    if name == "reconstruction.npz":
        shutil.copy(small_sets["train"], tmp_path / name)
    else:
        convert(small_sets["train"], tmp_path / "diffraction.h5")
    before = {path: path.read_bytes() for path in tmp_path.iterdir()}
    for fresh in ([], ["--fresh"]):
        run = ["--input", str(tmp_path / name), "--output-dir", str(tmp_path), *fresh]
        assert runner.main([*run, "--num-epochs", "1"]) == 3
        assert "is read from, and would be written over" in capsys.readouterr().err
    assert {path: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_losses_of_another_training_are_not_ours(small_sets: dict[str, Path], tmp_path: Path):
    (tmp_path / "losses.csv").write_text("epoch,loss,val_loss\n1,0.5,0.6\n")
    run = ["--input", str(small_sets["train"]), "--output-dir", str(tmp_path)]
    assert runner.main([*run, "--num-epochs", "1"]) == 3
    assert [path.name for path in tmp_path.iterdir()] == ["losses.csv"]


def test_file_in_the_place_of_the_folder_is_named(
    small_sets: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    file = tmp_path / "file"
    file.write_text("precious")
    for folder, said in ((file, "file exists"), (file / "out", "not a directory")):
        code = runner.main(["--input-npz", str(small_sets["train"]), "--output-dir", str(folder)])
        assert code == 74
        assert capsys.readouterr().err == f"error: {folder}: {said}; choose another folder\n"
    assert file.read_text() == "precious"


def test_terminal_gets_a_bar_with_loss_and_remaining_time(
    small_sets: dict[str, Path], tmp_path: Path
):
    ours, theirs = pty.openpty()
    with os.fdopen(ours, "rb", buffering=0) as screen:
        process = subprocess.Popen(
            [
                sys.executable, "-m", "fly64tasks.runner", "--input-npz", str(small_sets["train"]),
                "--output-dir", str(tmp_path / "out"), "--num-epochs", "30",
            ],
            stderr=theirs,
            stdout=subprocess.DEVNULL,
            env={**os.environ, "TERM": "xterm", "COLUMNS": "100"},
        )  # fmt: skip
        os.close(theirs)
        shown = b""
        with contextlib.suppress(OSError):  # how Linux says that the other side is closed
            while chunk := screen.read(4096):
                shown += chunk
        assert process.wait(timeout=60) == 0
    text = shown.decode()
    assert re.search(r"\d+/30", text)
    assert re.search(r"loss .*0\.\d+", text)
    assert re.search(r"0:00:0\d", text)
    assert "epoch 10/30 loss" not in text


def test_warnings_are_on_stderr_in_the_record_and_in_the_log(
    small_sets: dict[str, Path], tmp_path: Path
):
    with np.load(small_sets["train"]) as arrays:
        changed = dict(arrays)
    changed["diffraction"][::10] = 0
    path, output = tmp_path / "set.npz", tmp_path / "out"
    np.savez(path, **changed)
    where = ["--input-npz", str(path), "--output-dir", str(output)]
    exit_code, _, error = warm.call(warm.recon, [*where, "--num-epochs", "3"])
    assert exit_code == 0, error
    record = json.loads((output / "run.json").read_text("utf-8"))
    empty, bound = record["warnings"]
    assert empty.startswith("13 of 128 frames hold no photon (first: frame 0)")
    assert bound.startswith("MAP had not converged after 3 epochs")
    assert record["start"]["n_frames"] == 115
    for said in record["warnings"]:
        assert f"warning: {path}: {said}\n" in error
        assert f"{path}: {said}\n" in (output / "ptychi.log").read_text("utf-8")
    assert score.main(where) == 0


def test_counts_and_the_named_one_of_two_diffractions_are_reconstructed_alike(
    small_sets: dict[str, Path], tmp_path: Path
):
    with np.load(small_sets["train"]) as arrays:
        amplitudes = dict(arrays)
    counts = np.round(amplitudes["diffraction"].astype(float) ** 2).astype(np.uint16)
    objects = []
    for name, keys, options in (
        ("amplitudes", {}, ()),
        ("counts", {"diffraction": counts}, ()),
        ("both", {"diff3d": counts}, ("--diffraction", "intensity")),
    ):
        path = tmp_path / f"{name}.npz"
        np.savez(path, **{**amplitudes, **keys})
        arguments = ["--input-npz", str(path), "--output-dir", str(tmp_path / name)]
        assert runner.main([*arguments, "--num-epochs", "3", *options]) == 0
        with np.load(tmp_path / name / "reconstruction.npz") as result:
            objects.append(result["object"])
            metadata = json.loads(str(result["_metadata"]))
    assert np.array_equal(objects[0], objects[1])
    assert np.array_equal(objects[0], objects[2])
    assert metadata["set"]["diffraction_from"] == "diff3d: uint16 counts, square root taken"
    assert metadata["data"] == {"diffraction": "intensity"}
    log = (tmp_path / "both" / "ptychi.log").read_text("utf-8")
    assert "both.npz: diff3d: uint16 counts, square root taken" in log


@pytest.mark.parametrize("words", [["--correct-positions"], ["--correct-positions", "true"]])
def test_switch_without_a_value_is_true(words: list[str]):
    base = ["--input-npz", "set.npz", "--output-dir", "out"]
    parser = runner.make_parser()
    assert runner.spec_of(parser.parse_args([*base, *words, "--seed", "3"])).correct_positions
    off = parser.parse_args([*base, "--correct-positions", "false"])
    assert not runner.spec_of(off).correct_positions
    assert not runner.spec_of(parser.parse_args(base)).correct_positions
