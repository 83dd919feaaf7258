"""A run that is cut off goes on from its checkpoint, to the bytes of one that was not."""

from __future__ import annotations

import json
import os
import pickle
import random
import signal
import subprocess
import sys
import time
import weakref
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import warm
from small_study import SMALL_STUDY, begin_doit, doit

from fly64tasks import runner
from fly64tasks.data.dataset import PtychoDataset
from fly64tasks.data.writers.npz import write_dataset
from fly64tasks.errors import CheckpointError, DatasetError, ReconstructionError, StoppedEarly
from fly64tasks.recon import command as recon
from fly64tasks.recon.checkpoint import Checkpoints, Progress
from fly64tasks.recon.files import CHECKPOINT, LOSSES, PRODUCT, RECONSTRUCTION, RUN_RECORD
from fly64tasks.recon.result import read_reconstruction
from fly64tasks.study.recon_settings import ReconSpec
from fly64tasks.study.run_settings import CheckpointSpec
from fly64tasks.study.stages import Geometry

EVERY_EPOCH = CheckpointSpec(epochs=1)


def stop_after(epochs: int) -> Callable[[], str | None]:
    """Return what ends a run after so many epochs."""
    left = iter(range(epochs - 1, -1, -1))
    return lambda: None if next(left) else "stopped"


def result(folder: Path) -> dict[str, bytes]:
    return {name: (folder / name).read_bytes() for name in (RECONSTRUCTION, PRODUCT, LOSSES)}


def record(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / RUN_RECORD).read_text("utf-8"))
    return found


LSQML = {"algorithm": "LSQML", "warmup_epochs": 3, "num_epochs": 7}


@pytest.mark.parametrize(
    ("table", "stops"),
    [
        ({**LSQML}, [1, 1, 1, 2]),  # in the warm-up, at its end, right after it, later
        ({**LSQML, "batching": "UNIFORM", "warmup_epochs": 0}, [3]),
        ({**LSQML, "batching": "RANDOM", "warmup_epochs": 0}, [3]),
        ({**LSQML, "noise_model": "POISSON"}, [5]),
        ({**LSQML, "num_epochs": 16, "warmup_epochs": 0}, [13]),  # between preconditioners
        ({**LSQML, "plateau_epochs": 1, "plateau_tolerance": 0.05}, [4]),
        ({**LSQML, "n_images": 40}, [4]),
        ({"algorithm": "PIE", "num_epochs": 4}, [2]),
        ({"algorithm": "EPIE", "num_epochs": 4}, [2]),
        ({"algorithm": "RPIE", "num_epochs": 4}, [2]),
        ({"algorithm": "DM", "num_epochs": 4}, [2]),
        ({"algorithm": "BH", "num_epochs": 4}, [2]),
        ({"algorithm": "AD", "num_epochs": 4}, [2]),
        ({"algorithm": "MAP", "num_epochs": 16}, [1, 3, 9]),
        ({"algorithm": "MAP", "num_epochs": 4, "update_probe": False}, [2]),
        ({"algorithm": "MAP", "num_epochs": 16, "correct_positions": True}, [1, 3, 9]),
        ({**LSQML, "refine": "MAP"}, [2, 1, 1]),
        ({**LSQML, "probe_modes": 3}, [1, 4]),
        ({**LSQML, "refine": "MAP", "probe_modes": 2, "correct_positions": True}, [1, 4]),
        ({**LSQML, "correct_positions": True}, [1, 1, 1, 2]),
        ({"algorithm": "EPIE", "num_epochs": 4, "correct_positions": True}, [2]),
        ({"algorithm": "AD", "num_epochs": 4, "correct_positions": True}, [2]),
        ({**LSQML, "opr_modes": 2}, [1, 1, 1, 2]),
        ({"algorithm": "EPIE", "num_epochs": 4, "opr_modes": 1, "probe_modes": 2}, [2]),
        ({"algorithm": "RPIE", "num_epochs": 4, "opr_modes": 1}, [2]),
        ({"algorithm": "AD", "num_epochs": 4, "opr_modes": 2}, [1, 2]),
    ],
    ids=lambda value: "-".join(map(str, value.values() if isinstance(value, dict) else value)),
)
def test_run_in_parts_ends_in_the_same_bytes(
    small_sets: dict[str, Path], tmp_path: Path, table: dict[str, Any], stops: list[int]
):
    spec = ReconSpec(**table)
    recon.run(small_sets["train"], tmp_path / "whole", spec)
    parts = tmp_path / "parts"
    for n in stops:
        with pytest.raises(StoppedEarly, match="stopped after epoch"):
            recon.run(small_sets["train"], parts, spec, why_stop=stop_after(n))
        assert not (parts / RECONSTRUCTION).exists()
        assert record(parts)["state"] == "interrupted"
        torch.manual_seed(random.randrange(1000))
    recon.run(small_sets["train"], parts, spec)
    assert result(parts) == result(tmp_path / "whole")
    assert record(parts)["resumed_after_epoch"] == sum(stops)
    assert not (parts / CHECKPOINT).exists()


@pytest.mark.parametrize("of_frames", [False, True], ids=["of all frames", "of each frame"])
@pytest.mark.parametrize("algorithm", ["LSQML", "MAP", "EPIE"])
def test_run_with_a_mask_in_parts_ends_in_the_same_bytes(
    small_set: PtychoDataset, tmp_path: Path, algorithm: str, of_frames: bool
):
    n = len(small_set.positions_px)
    mask = np.ones((n, 32, 32) if of_frames else (32, 32), bool)
    mask[..., 15:17, :] = False
    mask[..., 3, 4] = np.arange(n) % 2 if of_frames else False
    write_dataset(tmp_path / "set.npz", replace(small_set, mask=mask))
    spec = ReconSpec(algorithm=algorithm, num_epochs=5, warmup_epochs=2)
    recon.run(tmp_path / "set.npz", tmp_path / "whole", spec)
    with pytest.raises(StoppedEarly):
        recon.run(tmp_path / "set.npz", tmp_path / "parts", spec, why_stop=stop_after(3))
    recon.run(tmp_path / "set.npz", tmp_path / "parts", spec)
    assert result(tmp_path / "parts") == result(tmp_path / "whole")


@pytest.mark.parametrize("algorithm", ["LSQML", "MAP"])
def test_masked_set_with_modes_and_positions_goes_on_to_the_same_bytes(
    algorithm: str, small_set: PtychoDataset, tmp_path: Path
):
    mask = np.ones((32, 32), bool)
    mask[3:6, 20:24] = False
    off = np.random.default_rng(0).normal(size=small_set.positions_px.shape, scale=1.5)
    path = tmp_path / "set.npz"
    room = np.array(small_set.object_guess.shape) - 16
    moved = np.clip(small_set.positions_px + off, 16, room)
    write_dataset(path, replace(small_set, mask=mask, positions_px=moved))
    shared: dict[str, Any] = {"probe_modes": 2, "correct_positions": True}
    table = LSQML if algorithm == "LSQML" else {"num_epochs": 15}
    spec = ReconSpec(**table, **shared)
    recon.run(path, tmp_path / "whole", spec)
    for n in (1, 2, 1, 2) if algorithm == "LSQML" else (4, 1, 1, 1, 1, 3):
        with pytest.raises(StoppedEarly):
            recon.run(path, tmp_path / "parts", spec, why_stop=stop_after(n))
    recon.run(path, tmp_path / "parts", spec)
    assert result(tmp_path / "parts") == result(tmp_path / "whole")


LAYERS = {"slices": 2, "slice_spacing_m": 5e-6}


@pytest.mark.parametrize(
    "table",
    [
        {**LSQML, "opr_modes": 2, "probe_modes": 2, "correct_positions": True},
        {"algorithm": "EPIE", "num_epochs": 6},
        {"algorithm": "PIE", "num_epochs": 6},
        {"algorithm": "AD", "num_epochs": 6, "opr_modes": 1},
    ],
    ids=lambda table: table["algorithm"],
)
def test_object_of_several_layers_goes_on_to_the_same_bytes(
    small_sets: dict[str, Path], tmp_path: Path, table: dict[str, Any]
):
    spec, sizes = ReconSpec(**table, **LAYERS), Geometry(assumed=False)
    source = small_sets["train"]
    recon.run(source, tmp_path / "whole", spec, geometry=sizes)
    for n in (2, 1, 2):
        with pytest.raises(StoppedEarly):
            recon.run(source, tmp_path / "parts", spec, geometry=sizes, why_stop=stop_after(n))
    other = Geometry(assumed=False, energy_ev=9000)
    with pytest.raises(CheckpointError, match=r"of another run \(geometry\.energy_ev 8800"):
        recon.run(source, tmp_path / "parts", spec, geometry=other)
    recon.run(source, tmp_path / "parts", spec, geometry=sizes)
    assert result(tmp_path / "parts") == result(tmp_path / "whole")


def begun(small_sets: dict[str, Path], folder: Path, **table: Any) -> ReconSpec:
    """Leave a checkpoint after two epochs; return the spec."""
    spec = ReconSpec(num_epochs=4, **table)
    with pytest.raises(StoppedEarly):
        recon.run(small_sets["train"], folder, spec, why_stop=stop_after(2))
    return spec


def test_checkpoint_of_other_settings_is_refused_and_named(
    small_sets: dict[str, Path], tmp_path: Path
):
    begun(small_sets, tmp_path)
    before = (tmp_path / CHECKPOINT).read_bytes()
    with pytest.raises(
        CheckpointError,
        match=r"checkpoint\.pt: .*of another run \(spec\.num_epochs 4 -> 5\); --fre",
    ):
        recon.run(small_sets["train"], tmp_path, ReconSpec(num_epochs=5))
    assert (tmp_path / CHECKPOINT).read_bytes() == before


def test_checkpoint_of_another_input_is_refused(small_sets: dict[str, Path], tmp_path: Path):
    spec = begun(small_sets, tmp_path)
    with pytest.raises(CheckpointError, match=r"of another run \(input_sha256 .* -> .*\)"):
        recon.run(small_sets["test"], tmp_path, spec)


def test_checkpoint_of_another_version_is_refused(small_sets: dict[str, Path], tmp_path: Path):
    spec = begun(small_sets, tmp_path)
    path = tmp_path / CHECKPOINT
    content = torch.load(path, weights_only=True)
    content["run"]["versions"]["ptychi"] = "1.0"
    torch.save(content, path)
    with pytest.raises(CheckpointError, match=r"versions\.ptychi 1\.0 -> 2"):
        recon.run(small_sets["train"], tmp_path, spec)


@pytest.mark.parametrize("damage", [b"", b"PK\x03\x04 losses_before_stage", b"losses_before_stage"])
def test_damaged_checkpoint_is_refused(small_sets: dict[str, Path], tmp_path: Path, damage: bytes):
    (tmp_path / CHECKPOINT).write_bytes(damage)
    with pytest.raises(CheckpointError, match=r"is damaged \(.*\); --fresh starts anew"):
        recon.run(small_sets["train"], tmp_path, ReconSpec(num_epochs=1))


def test_truncated_checkpoint_is_refused(small_sets: dict[str, Path], tmp_path: Path):
    spec = begun(small_sets, tmp_path)
    path = tmp_path / CHECKPOINT
    path.write_bytes(path.read_bytes()[:-1000])
    with pytest.raises(CheckpointError, match="is damaged"):
        recon.run(small_sets["train"], tmp_path, spec)


def test_checkpoint_from_a_stranger_executes_nothing(small_sets: dict[str, Path], tmp_path: Path):
    class Trap:
        def __reduce__(self) -> tuple[Any, ...]:
            return (os.mkdir, (str(tmp_path / "sprung"),))

    path = tmp_path / CHECKPOINT
    mark = b"losses_before_stage"
    for write in (lambda: path.write_bytes(pickle.dumps(Trap())), lambda: torch.save(Trap(), path)):
        write()
        with pytest.raises(DatasetError, match="was not written by fly64tasks"):
            recon.run(small_sets["train"], tmp_path, ReconSpec(num_epochs=1))
        path.write_bytes(mark + path.read_bytes())  # a zip's offsets are counted from its end
        with pytest.raises(CheckpointError, match="is damaged"):
            recon.run(small_sets["train"], tmp_path, ReconSpec(num_epochs=1))
    assert not (tmp_path / "sprung").exists()


@pytest.mark.parametrize("how", [{}, {"fresh": True}, {"other_checkpoint": "discard"}], ids=str)
@pytest.mark.parametrize("name", ["checkpoint.pt", "ptychi.log", "ptychi.log.1"])
def test_checkpoint_and_log_of_another_are_refused_and_left_alone(
    small_sets: dict[str, Path], tmp_path: Path, name: str, how: dict[str, Any]
):
    (tmp_path / name).write_bytes(b"precious")
    with pytest.raises(DatasetError, match=rf"{name}: exists and was not written by fly64tasks"):
        recon.run(small_sets["train"], tmp_path, ReconSpec(num_epochs=1), **how)
    assert [path.name for path in tmp_path.iterdir()] == [name]
    assert (tmp_path / name).read_bytes() == b"precious"


def test_log_of_an_earlier_version_is_written_on_and_one_of_ours_begun_anew(
    small_sets: dict[str, Path], tmp_path: Path
):
    log = tmp_path / "ptychi.log"
    former = "2026-01-31 12:00:00,123 INFO ptychi.api.task: former\n"
    log.write_text(former)
    spec = ReconSpec(num_epochs=1)
    recon.run(small_sets["train"], tmp_path, spec)
    assert log.read_text().startswith(former)
    log.unlink()
    for _ in range(2):
        recon.run(small_sets["train"], tmp_path, spec)
        assert log.read_text().count("INFO fly64tasks: log of a reconstruction\n") == 1


def test_fresh_and_discard_start_anew(small_sets: dict[str, Path], tmp_path: Path):
    begun(small_sets, tmp_path)
    other = ReconSpec(num_epochs=3)
    recon.run(small_sets["train"], tmp_path, other, other_checkpoint="discard")
    assert record(tmp_path)["resumed_after_epoch"] is None
    assert not (tmp_path / CHECKPOINT).exists()
    spec = begun(small_sets, tmp_path)
    recon.run(small_sets["train"], tmp_path, spec, fresh=True)
    assert record(tmp_path)["resumed_after_epoch"] is None


def test_failed_run_leaves_no_checkpoint(small_sets: dict[str, Path], tmp_path: Path):
    diverging = ReconSpec(algorithm="RPIE", batch_size=96, num_epochs=8)
    with pytest.raises(ReconstructionError, match="diverged"):
        recon.run(small_sets["train"], tmp_path, diverging, checkpoint=EVERY_EPOCH)
    assert not (tmp_path / CHECKPOINT).exists()


# ---- as processes

EPOCHS = 60
SIGNALS = (signal.SIGKILL, signal.SIGTERM, signal.SIGKILL, signal.SIGHUP)


ALGORITHMS = {
    "LSQML": ["--algorithm", "LSQML"],
    "MAP": ["--algorithm", "MAP", "--tolerance-nats", "0"],  # so that it does not end before
}


ALL_AT_ONCE = ["--probe-modes", "2", "--opr-modes", "2", "--correct-positions", "true"]


def command(input_npz: Path, folder: Path, *more: str, algorithm: str = "LSQML") -> list[str]:
    paths = ["--input-npz", str(input_npz), "--output-dir", str(folder)]
    settings = {**ALGORITHMS, "all at once": [*ALGORITHMS["LSQML"], *ALL_AT_ONCE]}
    epochs = ["--num-epochs", str(EPOCHS), "--device", "cpu", *settings[algorithm]]
    return [*paths, *epochs, *more]


def wait_for_epoch(running: warm.Called, events: Path, epoch: int) -> None:
    """Return once the run has told of an epoch, or has ended."""
    while running.poll() is None:
        lines = events.read_text("utf-8").splitlines() if events.exists() else []
        if any(json.loads(line).get("epoch", 0) >= epoch for line in lines if line.endswith("}")):
            return
        time.sleep(0.01)


def test_max_seconds_ends_with_75_and_the_next_run_goes_on(
    small_sets: dict[str, Path], tmp_path: Path
):
    arguments = command(small_sets["train"], tmp_path, "--max-seconds", "0.5")
    command_line = [sys.executable, "-m", "fly64tasks.runner", *arguments]
    done = subprocess.run(command_line, capture_output=True, text=True, check=False)
    assert done.returncode == 75, done.stderr
    assert "stopped: 0.5 s are over (--max-seconds) after epoch 1; run again" in done.stderr
    assert "Traceback" not in done.stderr
    assert (tmp_path / CHECKPOINT).exists()


def kill_and_resume(
    input_npz: Path,
    folder: Path,
    undisturbed: dict[str, bytes],
    kills: int,
    seed: int,
    algorithm: str,
) -> list[str]:
    """Kill a run so many times, each at a random later epoch; return what each kill met."""
    rng = random.Random(seed)
    told, epoch = [], 0
    for kill in range(kills):
        number = SIGNALS[kill % len(SIGNALS)]
        events = folder / f"events_{kill}.jsonl"
        epoch = rng.randint(1, EPOCHS - 2)
        more = ("--checkpoint-epochs", "1", "--events", str(events))
        arguments = command(input_npz, folder, *more, algorithm=algorithm)
        running = warm.Called(warm.recon, arguments)
        wait_for_epoch(running, events, epoch)
        time.sleep(rng.uniform(0, 0.05))
        running.send_signal(number)
        _, err = running.communicate(timeout=120)
        assert "Traceback" not in err
        if running.returncode == 0:  # it was faster, or went on from near its end
            assert result(folder) == undisturbed
            told.append("ended")
        else:
            assert running.returncode == (-number if number is signal.SIGKILL else 75), err
            if not (folder / CHECKPOINT).exists():  # killed between the run's end and its process's
                assert (record(folder)["state"], result(folder)) == ("done", undisturbed)
            for name in (RECONSTRUCTION, PRODUCT):  # none, or killed after it was written: whole
                if (folder / name).exists():
                    assert (folder / name).read_bytes() == undisturbed[name]
            told.append(number.name)
    assert runner.main(command(input_npz, folder, algorithm=algorithm)) == 0
    assert result(folder) == undisturbed
    return told


def test_study_that_was_killed_goes_on_within_the_reconstruction(project: Path):
    study = SMALL_STUDY.replace("num_epochs = 3", 'algorithm = "LSQML"\nnum_epochs = 60')
    (project / "study.toml").write_text(f"{study}\n[checkpoint]\nepochs = 1\n", "utf-8")
    folder = project / "reports/dose_1000/baseline/train"
    running = begin_doit(project, "recon:dose_1000_baseline_train")
    while not (folder / CHECKPOINT).exists():
        assert running.poll() is None
        time.sleep(0.01)
    running.send_signal(signal.SIGKILL)
    running.communicate(timeout=60)
    doit(project, "recon:dose_1000_baseline_train")
    assert record(folder)["resumed_after_epoch"] >= 1
    assert record(folder)["loss"]["epochs"] == 60
    assert not (folder / CHECKPOINT).exists()


def undisturbed(input_npz: Path, folder: Path, algorithm: str) -> dict[str, bytes]:
    """Return the results of a run that nothing cuts off."""
    assert runner.main(command(input_npz, folder, algorithm=algorithm)) == 0
    return result(folder)


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_killed_run_goes_on_to_the_bytes_of_the_undisturbed_one(
    small_sets: dict[str, Path], tmp_path: Path, algorithm: str
):
    source = small_sets["train"]
    expected = undisturbed(source, tmp_path / "undisturbed", algorithm)
    told = kill_and_resume(source, tmp_path / "killed", expected, 2, 1, algorithm)
    assert len(told) == 2


def test_killed_run_with_modes_relaxation_positions_and_a_mask_goes_on_to_the_same_bytes(
    small_set: PtychoDataset, tmp_path: Path
):
    mask = np.ones((32, 32), bool)
    mask[3:6, 20:24] = False
    off = np.random.default_rng(0).normal(size=small_set.positions_px.shape)
    source = tmp_path / "set.npz"
    moved = small_set.positions_px + off
    write_dataset(source, replace(small_set, mask=mask, positions_px=moved))
    expected = undisturbed(source, tmp_path / "undisturbed", "all at once")
    told = kill_and_resume(source, tmp_path / "killed", expected, 2, 2, "all at once")
    assert "ended" not in told
    found = read_reconstruction(tmp_path / "killed" / RECONSTRUCTION)
    assert found.relaxation is not None
    assert len(found.probe) == 2
    assert (found.positions_px != found.given_positions_px).any()


WRITING = """
import sys
from pathlib import Path
import torch
from fly64tasks.recon.checkpoint import Checkpoints
from fly64tasks.recon.ptychi.memory import peak_process_bytes
from fly64tasks.study.run_settings import CheckpointSpec
held = {"held": torch.ones(50_000_000)}
checkpoints = Checkpoints(Path(sys.argv[1]), {}, CheckpointSpec(epochs=1))
checkpoints.after_epoch(0, [], 0, lambda: {})
before = peak_process_bytes()
checkpoints.after_epoch(0, [1.0], 0, lambda: held)
print(peak_process_bytes() - before)
"""


def test_checkpoint_is_written_without_a_copy_of_it(tmp_path: Path):
    path = tmp_path / CHECKPOINT
    command = [sys.executable, "-c", WRITING, str(path)]
    took = subprocess.run(command, check=True, capture_output=True, text=True, timeout=300).stdout
    assert path.stat().st_size > 200e6
    assert int(took) < 20e6


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_run_that_goes_on_does_not_hold_its_checkpoint(
    small_sets: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, algorithm: str
):
    """Else it takes more memory than the one that was cut off, perhaps for want of it."""
    spec = ReconSpec(algorithm=algorithm, num_epochs=8)
    with pytest.raises(StoppedEarly):
        recon.run(small_sets["train"], tmp_path, spec, why_stop=stop_after(3))
    held: list[weakref.ref[Progress]] = []
    load = Checkpoints.load

    def remembering(checkpoints: Checkpoints) -> None:
        load(checkpoints)
        assert checkpoints.reached is not None
        held.append(weakref.ref(checkpoints.reached))

    monkeypatch.setattr(Checkpoints, "load", remembering)
    after: list[bool] = []
    recon.run(
        small_sets["train"], tmp_path, spec, on_epoch=lambda *_: after.append(held[0]() is None)
    )
    assert len(held) == 1
    assert after == [True] * 5


@pytest.mark.slow
@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_hundred_kills_end_in_the_bytes_of_the_undisturbed_run(
    small_sets: dict[str, Path], tmp_path: Path, algorithm: str
):
    source, told = small_sets["train"], []
    expected = undisturbed(source, tmp_path / "undisturbed", algorithm)
    while len([name for name in told if name != "ended"]) < 100:
        folder = tmp_path / f"killed_{len(told)}"
        told += kill_and_resume(source, folder, expected, 10, len(told), algorithm)
    print(algorithm, {name: told.count(name) for name in sorted(set(told))})
