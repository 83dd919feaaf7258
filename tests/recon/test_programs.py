"""Programs of others: what they get, what is taken of them, and how they fail."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import h5py
import numpy as np
import pytest
from pids import pid_in
from programs import APPLY, ONES, reconstruct, record_of

from fly64tasks.data.readers import read_dataset
from fly64tasks.data.writers.product import write_product
from fly64tasks.doitext.atomic import alive
from fly64tasks.errors import DatasetError, ReconstructionError, StoppedEarly
from fly64tasks.recon.programs import command as program
from fly64tasks.recon.result import read_reconstruction
from fly64tasks.score import command as score_command
from fly64tasks.study.methods import ProgramSpec
from fly64tasks.study.stages import Geometry, ScoreSpec


def test_program_that_looks_for_the_truth_finds_none(source: Path, folder: Path):
    """It looks at all that it is given: the set, its folder, its words, its environment."""
    looks = """
found = {key: given[key] for key in given.files}
np.savez(sys.argv[2], object=np.ones(shape, complex))
import json
print(json.dumps({
    "keys": given.files,
    "varies": float(np.ptp(np.abs(found["objectGuess"])) + np.ptp(np.angle(found["objectGuess"]))),
    "said": str(found["_metadata"]),
    "words": sys.argv, "here": os.getcwd(), "beside": os.listdir(), "above": os.listdir(".."),
    "environment": list(os.environ.values()), "script": __file__,
}))
"""
    of_run = reconstruct(source, folder, looks)
    truth = read_dataset(source).object_guess
    assert truth is not None
    seen = json.loads(next(line for line in _log(folder) if line.startswith("{")))
    assert sorted(seen["keys"]) == sorted(
        ["_metadata", "diffraction", "objectGuess", "probeGuess", "xcoords", "ycoords"]
    )
    assert seen["varies"] == 0
    for word in ("base", "lineage", "seed", "sha256", "simulated", str(source.parent)):
        assert word not in seen["said"]
    told = [*seen["words"], seen["here"], seen["script"], *seen["beside"], *seen["above"]]
    told += [value for value in seen["environment"] if value != os.environ.get("PYTEST_VERSION")]
    assert not [word for word in told if str(source) in word or "patched_train" in word]
    assert not Path(seen["here"]).exists()
    assert of_run["start"]["truth_seeded"] is False
    assert of_run["start"]["comparable_truth"] is True


def _log(folder: Path) -> list[str]:
    return (folder / "program.log").read_text("utf-8").splitlines()


def test_program_that_asks_for_the_truth_gets_it_and_is_marked(source: Path, folder: Path):
    spec = ProgramSpec(command=APPLY, sees_truth=True)
    copies = "np.savez(sys.argv[2], object=given['objectGuess'])"
    assert reconstruct(source, folder, copies, spec)["start"]["truth_seeded"] is True
    scores = score_command.score(source, folder, ScoreSpec())
    assert scores["truth"]["seeded"] is True
    assert scores["metrics"]["complex_nrmse"] < 1e-5
    assert scores["metrics"]["chi2"] == pytest.approx(1, abs=0.1)  # with the set's probe, in scale


FORMS = {
    "npz.npz": "np.savez(sys.argv[2], object=obj)",
    "other_key.npz": "np.savez(sys.argv[2], mine=obj)",
    "with_axes.npz": "np.savez_compressed(sys.argv[2], object=obj[None, None])",
    "array.npy": "np.save(sys.argv[2], obj)",
    "ours.npz": """
probe = given["probeGuess"][None] * 3
np.savez(sys.argv[2], object=obj / 3, probe=probe, loss=np.array([2.0, 1.0]),
         positions_px=np.column_stack([given["ycoords"], given["xcoords"]]))
""",
    "dataset.h5": """
import h5py
with h5py.File(sys.argv[2], "w") as file:
    file["mine"] = obj
""",
    "product.h5": """
from pathlib import Path
from fly64tasks.data.writers.product import write_product
from fly64tasks.study.stages import Geometry
write_product(Path(sys.argv[2]), name="", comments="", obj=obj, probe=given["probeGuess"][None],
              positions_px=np.column_stack([given["ycoords"], given["xcoords"]]), loss=[],
              geometry=Geometry())
""",
}


@pytest.mark.parametrize("form", FORMS)
def test_object_is_taken_in_each_form_and_scored_alike(form: str, source: Path, folder: Path):
    """In any unit: what is written is the truth, twice as high and turned."""
    key = "mine" if "mine" in FORMS[form] else "object"
    spec = ProgramSpec(command=APPLY, output=form, key=key, sees_truth=True)
    obj = "obj = 2j * given['objectGuess']\n"
    of_run = reconstruct(source, folder, obj + FORMS[form], spec)
    found = read_reconstruction(folder / "reconstruction.npz")
    truth = read_dataset(source).object_guess
    assert np.allclose(found.obj, 1j * truth, atol=2e-2)
    assert of_run["fit"]["chi2"] == pytest.approx(1, abs=0.1)
    assert list(found.loss) == ([2.0, 1.0] if form == "ours.npz" else [])
    scores = score_command.score(source, folder, ScoreSpec())
    assert scores["metrics"]["complex_nrmse"] < 1e-5
    assert scores["metrics"]["r_factor"] > 0
    with h5py.File(folder / "product.h5") as product:
        assert "it.py" in product.attrs["comments"]


def test_record_says_what_the_program_took(source: Path, folder: Path):
    held = "held = np.ones(2**24); print('said'); print('too', file=sys.stderr)\n"
    writes = "np.savez(sys.argv[2], object=np.ones(shape, complex))"
    ended = reconstruct(source, folder, held + writes)["program"]
    assert record_of(folder)["program"] == ended
    assert ended["exit_code"] == 0
    assert ended["seconds"] > 0.05
    assert ended["cpu_seconds"] > 0.02
    assert 2**27 < ended["peak_memory_bytes"] < 2**30
    assert sorted(ended["tail"]) == ["said", "too"]
    assert ended["command"][1:] == ["it.py", "input.npz", "output.npz"]


WRONG = {
    "sys.exit(3)": "command ended with exit code 3",
    "raise ValueError('no such layer')": "exit code 1: ValueError: no such layer",
    "os.kill(os.getpid(), 9)": "command was ended by signal 9",
    "pass": "wrote no output.npz, expected it at {output}; found input.npz, it.py",
    "np.savez('mine', object=1)": "found input.npz, it.py, mine.npz",
    "open(sys.argv[2], 'w').write('text')": "output.npz: not an NPZ (zip) file",
    f"np.savez(sys.argv[2], result={ONES})": "has no object, found result",
    f"np.savez(sys.argv[2], object={ONES}.real)": "object has dtype float64, expected complex",
    f"np.savez(sys.argv[2], object={ONES}[1:])": "object has shape (111, 112), expected (112, 112)",
    f"np.savez(sys.argv[2], object={ONES} * np.nan)": "object holds 12544 NaN or infinite values",
    f"np.savez(sys.argv[2], object={ONES} * 0)": "object is zero everywhere",
    f"np.savez(sys.argv[2], object={ONES}, probe=given['probeGuess'][1:])": "probe has shape",
    f"np.savez(sys.argv[2], object={ONES}, positions_px=np.zeros((2, 2)))": "positions have shape",
    f"np.savez(sys.argv[2], object={ONES}, positions_px="
    "np.column_stack([given['ycoords'] + 4, given['xcoords']]))": "another frame",
    "np.savez(sys.argv[2], object=np.array([{}], dtype=object))": "pickled",
}


@pytest.mark.parametrize("script", WRONG, ids=lambda script: script[:50])
def test_what_can_not_be_taken_fails_in_one_line_and_leaves_no_result(
    script: str, source: Path, folder: Path
):
    reconstruct(source, folder, f"np.savez(sys.argv[2], object={ONES})")  # which is removed
    with pytest.raises(ReconstructionError) as failed:
        reconstruct(source, folder, script)
    said = str(failed.value)
    assert "method it: " in said
    assert WRONG[script] in said
    assert "\n" not in said
    assert f"its folder is kept: {folder}/scratch (log: {folder}/program.log)" in said
    assert sorted(path.name for path in folder.iterdir()) == [
        *("losses.csv", "program.log", "run.json", "scratch")
    ]
    assert (folder / "scratch/run/input.npz").exists()
    record = record_of(folder)
    assert (record["state"], record["exit_code"]) == ("failed", 1)
    assert record["reason"] == said
    assert record["program"]["command"][1] == "it.py"

    reconstruct(source, folder, f"np.savez(sys.argv[2], object={ONES})")
    assert not (folder / "scratch").exists()


def test_program_that_takes_too_long_is_ended_with_all_it_started(source: Path, folder: Path):
    spec = ProgramSpec(command=APPLY, timeout_s=2)
    starts = """
import subprocess
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
print("child", child.pid, flush=True)
time.sleep(600)
"""
    began = time.monotonic()
    with pytest.raises(ReconstructionError, match=r"command ran into its time limit of 2 s"):
        reconstruct(source, folder, starts, spec)
    assert time.monotonic() - began < 30
    program = record_of(folder)["program"]
    assert program["exit_code"] is None
    assert not alive(int(program["tail"][0].split()[1]))


def test_what_writes_without_end_leaves_a_log_of_bounded_size(source: Path, folder: Path):
    with pytest.raises(ReconstructionError, match="exit code 1: the last line"):
        reconstruct(source, folder, "print('x' * 2**24)\nsys.exit('the last line')")
    assert 2**21 < (folder / "program.log").stat().st_size < 5 * 2**20


def test_run_that_is_to_stop_ends_its_program_and_keeps_nothing_of_it(source: Path, folder: Path):
    asked = iter([None, None, "stopped by SIGTERM"])
    with pytest.raises(StoppedEarly, match="stopped by SIGTERM; it begins anew next time"):
        reconstruct(source, folder, "time.sleep(600)", why_stop=lambda: next(asked, None))
    assert sorted(path.name for path in folder.iterdir()) == [
        *("losses.csv", "program.log", "run.json")
    ]
    assert record_of(folder)["state"] == "interrupted"


def test_nothing_outlives_a_run_that_is_killed(source: Path, tmp_path: Path):
    script = tmp_path / "it.py"
    says = f"open({str(tmp_path / 'pid')!r}, 'w').write(str(os.getpid()))"
    script.write_text(f"import os, time\n{says}\ntime.sleep(600)")
    run = f"""
from pathlib import Path
from fly64tasks.recon.programs import command as program
from fly64tasks.study.methods import ProgramSpec
spec = ProgramSpec(command={APPLY!r})
program.reconstruct(Path({str(source)!r}), Path({str(tmp_path / "out")!r}), "it", spec,
                     program_files={{"it.py": Path({str(script)!r})}})
"""
    process = subprocess.Popen([sys.executable, "-c", run])
    pid = pid_in(tmp_path / "pid")
    process.send_signal(signal.SIGKILL)
    process.wait()
    deadline = time.monotonic() + 30
    while alive(pid) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not alive(pid)
    assert not (tmp_path / "out/reconstruction.npz").exists()


def test_no_shell_reads_the_words(source: Path, folder: Path):
    spec = ProgramSpec(command=(*APPLY, "$HOME; touch owned", "*", "{seed}"), seed=7)
    prints = f"print(sys.argv[3:])\nnp.savez(sys.argv[2], object={ONES})"
    assert reconstruct(source, folder, prints, spec)["program"]["tail"] == [
        "['$HOME; touch owned', '*', '7']"
    ]


def test_program_that_is_not_there_is_named(source: Path, folder: Path):
    spec = ProgramSpec(command=("no-such-program", "{input_npz}", "{output}"))
    with pytest.raises(ReconstructionError, match="there is no program no-such-program"):
        reconstruct(source, folder, "", spec)


def test_training_sees_its_set_alone_and_leaves_a_model(
    small_sets: dict[str, Path], tmp_path: Path
):
    script = tmp_path / "net.py"
    script.write_text(
        "import os, sys, numpy as np\n"
        "given = np.load(sys.argv[1])\n"
        "print(sorted(os.listdir()), 'test' in str(given['_metadata']))\n"
        "open(sys.argv[2], 'w').write(str(len(given['diffraction'])))\n"
    )
    spec = ProgramSpec(
        train=("python", "net.py", "{train_npz}", "{model}"),
        command=("python", "net.py", "{input_npz}", "{model}", "{output}"),
    )
    folder = tmp_path / "model@net"
    for _ in range(2):  # written over by the next one
        of_run = program.train(
            small_sets["train"], folder, "net", spec, program_files={"net.py": script}
        )
    n = len(read_dataset(small_sets["train"]).positions_px)
    assert (folder / "model").read_text() == str(n)
    assert of_run["program"]["tail"] == ["['net.py', 'train.npz'] False"]
    assert json.loads((folder / "train.json").read_text())["stage"] == "train"

    script.write_text("print('trained')")
    with pytest.raises(ReconstructionError, match="train: wrote no model, expected it at"):
        program.train(small_sets["train"], folder, "net", spec, program_files={"net.py": script})
    assert not (folder / "model").exists()


def test_files_of_somebody_else_are_left_alone(source: Path, folder: Path):
    (folder / "scratch").mkdir(parents=True)
    (folder / "scratch/precious").touch()
    (folder / "scratch/README").write_text("Trials with fly64tasks.\n")
    with pytest.raises(DatasetError, match="scratch: exists and is not ours"):
        reconstruct(source, folder, "")
    assert [path.name for path in folder.iterdir()] == ["scratch"]


def test_measured_set_is_given_the_canvas_of_its_scan(source: Path, folder: Path, tmp_path: Path):
    with np.load(source) as file:
        arrays = {key: file[key] for key in file.files if key not in ("objectGuess", "_metadata")}
    np.savez(tmp_path / "measured.npz", **arrays)
    writes = f"print(shape, given['ycoords'].min())\nnp.savez(sys.argv[2], object={ONES})"
    of_run = reconstruct(tmp_path / "measured.npz", folder, writes)
    assert of_run["start"]["frame_of_reference"] != "object"
    found = read_reconstruction(folder / "reconstruction.npz")
    assert of_run["program"]["tail"][0].startswith(str(found.obj.shape))
    scores = score_command.score(tmp_path / "measured.npz", folder, ScoreSpec())
    assert scores["metrics"]["r_factor"] > 0


def test_forms_are_those_of_our_own_writers():
    assert write_product.__module__ in FORMS["product.h5"]
    assert Geometry.__module__ in FORMS["product.h5"]
