"""Faults of the machine, real ones: what is said, what it exits with, and what is kept.

doit's own part of the table is in `tests/doitext/test_faults.py`, lost workers in
`tests/engine/test_engine_killed.py`.
"""

from __future__ import annotations

import json
import logging
import os
import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
import warm
from engine_project import start, wait_for
from faults import NetworkFolder, fill, network_folder, read_only, run_with_limit, small_disk
from small_study import ONE_DOSE, doit

from fly64tasks import runner
from fly64tasks.errors import MachineError
from fly64tasks.recon import command as recon
from fly64tasks.recon.files import (
    CHECKPOINT,
    LOG,
    LOSSES,
    OLDER_LOG,
    PRODUCT,
    RECONSTRUCTION,
    RUN_RECORD,
)
from fly64tasks.recon.runlog import logging_to
from fly64tasks.score.files import SCORES
from fly64tasks.study.recon_settings import ReconSpec
from fly64tasks.study.run_settings import CheckpointSpec

SPEC = ReconSpec(algorithm="LSQML", num_epochs=6, warmup_epochs=2)
EVERY_EPOCH = CheckpointSpec(epochs=1)
RESULTS = (RECONSTRUCTION, PRODUCT, LOSSES)


def at(epoch: int, act: Callable[[], object]) -> Callable[[int, int, float], None]:
    """Return what does something at the end of an epoch."""

    def on_epoch(now: int, num_epochs: int, loss: float) -> None:
        if now == epoch:
            act()

    return on_epoch


def assert_goes_on(source: Path, folder: Path, after_epoch: int | None, whole: Path) -> None:
    """Fail unless the next run goes on after an epoch, to the bytes of an undisturbed one."""
    record = recon.run(source, folder, SPEC, checkpoint=EVERY_EPOCH)
    assert record["resumed_after_epoch"] == after_epoch
    assert record["state"] == "done"
    for name in RESULTS:
        assert (folder / name).read_bytes() == (whole / name).read_bytes()
    assert not (folder / CHECKPOINT).exists()


@pytest.fixture(scope="module")
def source(small_sets: dict[str, Path]) -> Path:
    return small_sets["train"]


@pytest.fixture(scope="module")
def whole(source: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The results of an undisturbed run."""
    folder = tmp_path_factory.mktemp("whole")
    recon.run(source, folder, SPEC)
    return folder


# ---- disks


def test_disk_that_fills_up_costs_what_came_after_the_last_checkpoint(
    source: Path, whole: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
):
    with small_disk(tmp_path / "disk", "8m") as disk:
        folder = disk / "out"
        with pytest.raises(
            MachineError,
            match=r"out/reconstruction\.npz: no space left on device; free some space there, and",
        ):
            recon.run(
                source, folder, SPEC, checkpoint=EVERY_EPOCH, on_epoch=at(4, lambda: fill(disk))
            )
        assert re.search(r"checkpoint\.pt: no space left .* no checkpoint of epoch 4", caplog.text)
        left = {path.name for path in folder.iterdir()}
        assert CHECKPOINT in left
        assert left <= {CHECKPOINT, LOG, LOSSES}  # no half and no old result
        (disk / "filler").unlink()
        assert_goes_on(source, folder, 3, whole)


def test_run_that_is_to_stop_and_can_write_no_checkpoint_says_so(
    source: Path, whole: Path, tmp_path: Path
):
    with small_disk(tmp_path / "disk", "8m") as disk:
        folder = disk / "out"
        stops = iter([None, None, "stopped"])
        with pytest.raises(MachineError, match=r"out/checkpoint\.pt: no space left on device; f"):
            recon.run(
                source,
                folder,
                SPEC,
                checkpoint=EVERY_EPOCH,
                on_epoch=at(3, lambda: fill(disk)),
                why_stop=lambda: next(stops),
            )
        (disk / "filler").unlink()
        assert_goes_on(source, folder, 2, whole)


def test_folder_that_may_only_be_read_is_refused_before_the_first_epoch(
    source: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    arguments = ["--input-npz", str(source), "--output-dir"]
    with small_disk(tmp_path / "disk", "1m") as disk:
        (disk / "old").mkdir()
        with read_only(disk):
            for folder in (disk / "new", disk / "old"):
                assert runner.main([*arguments, str(folder)]) == 74
                error = capsys.readouterr().err
                assert re.fullmatch(
                    rf"error: {folder}.*: read-only file system; make it writable, .*\n", error
                )
        assert list(disk.rglob("*")) == [disk / "old"]


def test_folder_that_is_gone_is_made_again(source: Path, whole: Path, tmp_path: Path):
    folder = tmp_path / "out"
    recon.run(source, folder, SPEC, on_epoch=at(4, lambda: shutil.rmtree(folder)))
    for name in RESULTS:
        assert (folder / name).read_bytes() == (whole / name).read_bytes()


@pytest.fixture
def network(tmp_path: Path) -> Iterator[NetworkFolder]:
    with network_folder(tmp_path) as network:
        yield network


def test_file_server_that_is_lost_costs_what_came_after_the_last_checkpoint(
    source: Path, whole: Path, network: NetworkFolder
):
    folder = network.folder / "out"
    with pytest.raises(MachineError, match=r"not connected; see that its disk is there, and run"):
        recon.run(source, folder, SPEC, checkpoint=EVERY_EPOCH, on_epoch=at(4, network.lose))
    network.disconnect()
    network.connect()
    assert_goes_on(source, folder, 3, whole)


def test_input_on_a_lost_file_server_is_no_damaged_input(
    source: Path, tmp_path: Path, network: NetworkFolder, capsys: pytest.CaptureFixture[str]
):
    theirs = Path(shutil.copy(source, network.folder))
    network.lose()
    code = runner.main(["--input-npz", str(theirs), "--output-dir", str(tmp_path / "out")])
    assert code == 74
    error = capsys.readouterr().err
    assert error.startswith(f"error: {theirs}: transport endpoint is not connected; see that its")
    assert not (tmp_path / "out").exists()


def test_events_and_log_that_can_not_be_written_end_no_run(
    source: Path, whole: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    with small_disk(tmp_path / "disk", "64k") as disk:
        fill(disk)
        events = disk / "events.jsonl"
        folder = tmp_path / "out"
        code = runner.main(
            [
                "--input-npz", str(source), "--output-dir", str(folder), "--events", str(events),
                "--algorithm", "LSQML", "--num-epochs", "6", "--warmup-epochs", "2",
            ]
        )  # fmt: skip
        assert code == 0, capsys.readouterr().err
    for name in RESULTS:
        assert (folder / name).read_bytes() == (whole / name).read_bytes()
    assert "events.jsonl: no space left on device" in (folder / LOG).read_text("utf-8")


def test_log_is_bounded(tmp_path: Path):
    path = tmp_path / LOG
    with logging_to(path, append=False, limit_bytes=10_000):
        for number in range(1000):
            logging.getLogger("ptychi").info("line %d of a talkative run", number)
    files = sorted(tmp_path.iterdir())
    assert [file.name for file in files] == [LOG, OLDER_LOG]
    assert all(file.stat().st_size <= 10_000 for file in files)
    assert "line 999 of" in path.read_text("utf-8")


# ---- memory


@pytest.fixture(scope="module")
def large_set(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """120 frames of 128 px: a batch of all of them takes some hundred MiB."""
    rng = np.random.default_rng(0)
    n, size, extent = 120, 128, 256
    positions = rng.uniform(size // 2, extent - size // 2, (n, 2))
    y, x = np.indices((size, size)) - size / 2
    probe = 10 * np.exp(-(y**2 + x**2) / 288)
    obj = np.exp(0.3j * rng.standard_normal((extent, extent)))
    half = size // 2
    exit_waves = [
        probe * obj[y - half : y + half, x - half : x + half]
        for y, x in positions.round().astype(int)
    ]
    intensity = np.abs(np.fft.fftshift(np.fft.fft2(exit_waves, norm="ortho"), axes=(1, 2))) ** 2
    path = tmp_path_factory.mktemp("large") / "large.npz"
    np.savez(
        path,
        diffraction=np.sqrt(rng.poisson(intensity)).astype(np.float32),
        objectGuess=obj.astype(np.complex64),
        probeGuess=probe.astype(np.complex64),
        ycoords=positions[:, 0],
        xcoords=positions[:, 1],
    )
    return path


def limited(headroom_mib: int, source: Path, folder: Path, *more: str) -> tuple[int, str]:
    """Run the runner with so much memory to take; return its exit code and what it said."""
    arguments = ["--input-npz", str(source), "--output-dir", str(folder), "--device", "cpu", *more]
    exit_code, _, error = warm.call(run_with_limit, headroom_mib, arguments)
    assert "Traceback" not in error, error
    return exit_code, error


RANDOM = (
    "--algorithm",
    "LSQML",
    "--warmup-epochs",
    "0",
    "--batching",
    "RANDOM",
    "--num-epochs",
    "6",
)


def test_batch_that_does_not_fit_fails_with_the_one_that_does(large_set: Path, tmp_path: Path):
    code, error = limited(200, large_set, tmp_path, *RANDOM, "--batch-size", "120")
    assert code == 74, error
    found = re.search(
        r"cpu ran out of memory in epoch \d with batch_size 120; (\d+) fits: set batch_size", error
    )
    assert found, error
    record = json.loads((tmp_path / RUN_RECORD).read_text("utf-8"))
    assert (record["state"], record["exit_code"]) == ("failed", 74)
    assert not (tmp_path / RECONSTRUCTION).exists()
    code, error = limited(200, large_set, tmp_path, *RANDOM, "--batch-size", found[1])
    assert code == 0, error


def test_difference_map_goes_on_with_smaller_batches_to_the_same_result(
    large_set: Path, tmp_path: Path
):
    spec = ReconSpec(algorithm="DM", num_epochs=3, batch_size=120)
    recon.run(large_set, tmp_path / "whole", spec, device="cpu")
    arguments = ("--algorithm", "DM", "--num-epochs", "3", "--batch-size", "120")
    for headroom_mib in range(400, 150, -25):
        code, error = limited(headroom_mib, large_set, tmp_path / "limited", *arguments)
        assert code == 0, error
        if "batch_size 120; going on with half of it, which changes no result" in error:
            break
    else:
        pytest.fail("it always had the memory it wanted")
    found, expected = (
        np.load(tmp_path / name / RECONSTRUCTION)["object"] for name in ("limited", "whole")
    )
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_set_that_does_not_fit_is_no_damaged_set(large_set: Path, tmp_path: Path):
    code, error = limited(4, large_set, tmp_path / "out")
    assert code == 74, error
    assert re.search(r"large\.npz: diffraction does not fit into memory \(Unable to al", error)
    assert not (tmp_path / "out").exists()


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_batch_that_does_not_fit_on_a_gpu_fails_with_the_one_that_does(
    large_set: Path, tmp_path: Path
):
    spec = ReconSpec(
        algorithm="LSQML", warmup_epochs=0, batching="RANDOM", num_epochs=6, batch_size=120
    )
    total = torch.cuda.get_device_properties(0).total_memory
    torch.cuda.set_per_process_memory_fraction(200 * 2**20 / total)
    try:
        with pytest.raises(MachineError, match=r"cuda:0 ran out of memory .* (\d+) fits"):
            recon.run(large_set, tmp_path, spec, device="cuda")
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0)


# ---- in a study


def test_input_of_yours_that_is_damaged_while_the_study_runs_fails_its_job_alone(project: Path):
    (project / "study.toml").write_text(ONE_DOSE, "utf-8")
    doit(project, "views")
    (project / "data").rename(project / "yours")
    yours = ("phase_c_root=yours/phase_c", "phase_d_root=yours/phase_d", "recon")
    victim = project / "yours/phase_d/dose_1000/sparse/sparse_test.npz"
    whole = victim.read_bytes()
    running = start(project, "-c", *yours)
    log = project / "reports/dose_1000/baseline/train" / LOG
    wait_for(lambda: log.exists() or running.poll() is not None, 60, log.exists)
    os.truncate(victim, 5000)  # it was whole when doit looked at all inputs, before the first task
    printed, _ = running.communicate(timeout=100)
    assert running.returncode == 1, printed
    assert re.search(r"sparse_test .* FAILED .*sparse_test\.npz: damaged or truncated NPZ", printed)
    assert "Traceback" not in printed
    assert "5 done, 1 failed" in printed
    assert victim.stat().st_size == 5000, "yours is never written to"
    victim.write_bytes(whole)
    executed = re.findall(r"^\[ *\d+/\d+\] (\S+)", doit(project, *yours), re.MULTILINE)
    assert executed == ["recon:dose_1000_sparse_test"]


def test_study_goes_on_around_the_jobs_that_the_machine_fails(done_project: Path):
    project = done_project
    jobs = project / "reports/dose_1000"
    for folder in (jobs / "dense", jobs / "sparse/train"):
        shutil.rmtree(folder)
    (jobs / "dense").mkdir()
    with small_disk(project / "full", "1m") as full, small_disk(project / "locked", "1m") as locked:
        for disk, split in ((full, "train"), (locked, "test")):
            (jobs / "dense" / split).symlink_to(disk)
        filler = fill(full)
        with read_only(locked):
            printed = doit(project, "-c", code=1)
            assert re.search(r"dense_train .* FAILED  .*: no space left on device; free", printed)
            assert re.search(r"dense_test .* FAILED  .*: read-only file system; make it", printed)
            assert "Traceback" not in printed
            report = (project / "reports/index.html").read_text("utf-8")
            assert "no space left on device" in report
            assert "read-only file system" in report
            for view, split in (("baseline", "train"), ("baseline", "test"), ("sparse", "train")):
                assert (jobs / view / split / SCORES).exists()
        filler.unlink()
        printed = doit(project)
        executed = re.findall(r"^\[ *\d+/\d+\] (\S+)", printed, re.MULTILINE)
        assert sorted(executed) == [
            "recon:dose_1000_dense_test",
            "recon:dose_1000_dense_train",
            "report",
            "score:dose_1000_dense_test",
            "score:dose_1000_dense_train",
        ]
        assert re.search(r"(\d+) of \1 artifacts whole", doit(project, "verify"))
