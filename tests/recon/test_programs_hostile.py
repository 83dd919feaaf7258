"""Programs that peek, lie, break what they stand on, or leave something behind."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pytest
from programs import APPLY, ONES, reconstruct, record_of

from fly64tasks.doitext.atomic import alive
from fly64tasks.errors import ReconstructionError
from fly64tasks.recon.programs import command as program
from fly64tasks.study.methods import ProgramSpec

WRITES = f"np.savez(sys.argv[2], object={ONES})\n"


def test_no_way_that_a_program_is_given_leads_to_the_study(
    source: Path, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """Not its folder, what is above, its files, open descriptors, environment, nor its parent."""
    study = tmp_path / "study"
    study.mkdir()
    monkeypatch.chdir(study)
    monkeypatch.setenv("OLDPWD", str(study))
    monkeypatch.setenv("PWD", str(study))
    held = os.open(source, os.O_RDONLY)
    os.set_inheritable(held, True)
    looks = """
import json
own, parent = f"/proc/{os.getpid()}", f"/proc/{os.getppid()}"
said = [os.path.realpath(f"{of}/{name}") for of in (own, parent) for name in ("cwd", "cwd/..")]
said += [os.path.realpath(f"{own}/fd/{fd}") for fd in os.listdir(f"{own}/fd")]
said += [os.path.realpath(name) for name in (*os.listdir("."), *os.listdir(".."))]
said += open(f"{parent}/cmdline").read().split(chr(0)) + sys.argv + [os.environ["PWD"]]
said += [value for key, value in os.environ.items() if key.endswith("PWD")]
said += [entry for _, folders, files in os.walk("..") for entry in files]
print(json.dumps(said))
"""
    try:
        of_run = reconstruct(source, folder, looks + WRITES)
    finally:
        os.close(held)
    said = json.loads(of_run["program"]["tail"][0])
    assert len(said) > 10
    told = [word for word in said if str(study) in word or source.name in word]
    assert not told
    assert not [word for word in said if str(source.parent) in word]


def test_link_to_the_truth_is_no_output(source: Path, folder: Path):
    """Were the path known, as one is that was written into the program."""
    for made in (f"os.symlink({str(source)!r}, sys.argv[2])", "os.mkfifo(sys.argv[2])"):
        spec = ProgramSpec(command=APPLY, key="objectGuess")
        with pytest.raises(ReconstructionError, match=r"output\.npz is no file of its own"):
            reconstruct(source, folder, made, spec)


def test_link_to_what_it_wrote_itself_is_taken(source: Path, folder: Path):
    last = f"np.savez('epoch_10', object={ONES})\nos.symlink('epoch_10.npz', sys.argv[2])\n"
    reconstruct(source, folder, last)
    assert (folder / "reconstruction.npz").exists()


def test_model_that_is_a_link_is_kept_whole(small_sets: dict[str, Path], tmp_path: Path):
    script = tmp_path / "net.py"
    spec = ProgramSpec(
        train=("python", "net.py", "{train_npz}", "{model}"),
        command=("python", "net.py", "{input_npz}", "{model}", "{output}"),
    )
    begin = "import os, sys\nopen('epoch_10', 'w').write('weights')\n"
    script.write_text(f"{begin}os.symlink('epoch_10', sys.argv[2])")
    arguments = (small_sets["train"], tmp_path / "model@net", "net", spec)
    program.train(*arguments, program_files={"net.py": script})
    model = tmp_path / "model@net/model"
    assert not model.is_symlink()
    assert model.read_text() == "weights"
    script.write_text(f"{begin}os.symlink({str(small_sets['train'])!r}, sys.argv[2])")
    with pytest.raises(ReconstructionError, match="train: model is no file of its own"):
        program.train(*arguments, program_files={"net.py": script})
    assert not model.exists()


@pytest.mark.parametrize(
    ("positions", "said"),
    [
        ("[given['xcoords'], given['ycoords']]", "in another frame"),
        ("[given['ycoords'][::-1], given['xcoords'][::-1]]", "are not those of the set"),
        ("[given['ycoords'] * np.nan, given['xcoords']]", "NaN"),
    ],
    ids=["x first", "frames the other way round", "not finite"],
)
def test_positions_in_another_order_are_refused(
    positions: str, said: str, source: Path, folder: Path
):
    """Their mean is that of the set's: they lie in the same frame."""
    writes = f"np.savez(sys.argv[2], object={ONES}, positions_px=np.column_stack({positions}))"
    with pytest.raises(ReconstructionError, match=said):
        reconstruct(source, folder, writes)


def test_positions_that_were_corrected_are_taken(source: Path, folder: Path):
    moved = "np.column_stack([given['ycoords'], given['xcoords']])"
    moved += " + np.random.default_rng(0).normal(0, 0.5, (len(given['xcoords']), 2)).clip(-1, 1)"
    reconstruct(source, folder, f"np.savez(sys.argv[2], object={ONES}, positions_px={moved})")
    with np.load(folder / "reconstruction.npz") as file, np.load(source) as given:
        away = file["positions_px"][:, 0] - given["ycoords"]
    assert 0.3 < np.std(away) < 0.7


@pytest.mark.parametrize(
    ("script", "said"),
    [
        (f"np.savez(sys.argv[2], object={ONES} / 0)", "object holds 12544 NaN or infinite"),
        (f"np.savez(sys.argv[2], object={ONES}.astype('c16') * 1e300)", "object"),
        ("np.savez(sys.argv[2], object=np.ones((2, *shape), complex))", "object has shape"),
        ("os.mkdir(sys.argv[2])", "output.npz"),
        ("import shutil; shutil.rmtree(os.getcwd())", "wrote no output.npz"),
        ("import shutil; shutil.rmtree(os.getcwd()); sys.exit(3)", "ended with exit code 3"),
        ("os.mkfifo('pipe'); sys.exit(3)", "ended with exit code 3"),
        ("os.chmod('.', 0); sys.exit(3)", "ended with exit code 3"),
        ("print('\\rstep 7\\x1b[2J' + 'x' * 9000); sys.exit(3)", "exit code 3: step 7"),
        ("sys.stdout.buffer.write(bytes(range(256))); os.abort()", "was ended by signal 6"),
    ],
)
def test_what_breaks_fails_in_one_short_line(script: str, said: str, source: Path, folder: Path):
    with pytest.raises(ReconstructionError) as failed:
        reconstruct(source, folder, script)
    message = str(failed.value)
    assert said in message
    assert message.isprintable()
    assert len(message) < 800 + 4 * len(str(folder))
    assert record_of(folder)["state"] == "failed"
    assert not (folder / "reconstruction.npz").exists()
    reconstruct(source, folder, WRITES)


def test_nothing_outlives_a_program_that_succeeds(source: Path, folder: Path):
    """A daemon: forked twice, in a session of its own, deaf to SIGTERM, holding the log open."""
    leaves = """
import signal
read, write = os.pipe()
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        os.write(write, str(os.getpid()).encode())
        time.sleep(600)
    os._exit(0)
print(os.read(read, 20).decode(), flush=True)
"""
    of_run = reconstruct(source, folder, leaves + WRITES)
    assert of_run["program"]["exit_code"] == 0
    assert not alive(int(of_run["program"]["tail"][0]))
    assert (folder / "reconstruction.npz").exists()


def test_gigabyte_of_output_is_cut_and_its_end_is_kept(source: Path, folder: Path):
    writes = "line = b'x' * 1023 + b'\\n'\nfor _ in range(2**10): os.write(1, line * 2**10)\n"
    of_run = reconstruct(source, folder, writes + "print('the end')\n" + WRITES)
    assert of_run["program"]["tail"][-1] == "the end"
    assert (folder / "program.log").stat().st_size < 5 * 2**20
