"""Files from strangers: nothing of them is executed, written elsewhere, or believed unseen."""

from __future__ import annotations

import ast
import io
import json
import os
import pickle
import re
import struct
import threading
import tracemalloc
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from broken_sets import expect_refusal, save, valid_arrays
from scored_study import layout_in, run_of, scores_of, write_run, write_scores
from small_study import PROJECT, doit

from fly64tasks import runner, tasks
from fly64tasks.data import lineage
from fly64tasks.data.archive import INFLATED_LIMIT_VARIABLE, Archive, write_npz
from fly64tasks.data.metadata import parse_metadata
from fly64tasks.data.readers.npz import read_dataset
from fly64tasks.doitext.errors import printable
from fly64tasks.errors import DatasetError, Fly64Error, StudyError
from fly64tasks.recon import command as recon
from fly64tasks.recon.files import LOG, LOSSES, RECONSTRUCTION, RUN_RECORD
from fly64tasks.report.command import write_report
from fly64tasks.report.files import REPORT, SUMMARY_CSV, SUMMARY_MD
from fly64tasks.report.results import read_jobs
from fly64tasks.report.wording import HARD_SPACE
from fly64tasks.score import command as score
from fly64tasks.score.files import FRC, SCORES
from fly64tasks.study.paths import Layout
from fly64tasks.study.recon_settings import ReconSpec
from fly64tasks.study.study import Study, read_study


class Bomb:
    """Makes a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.path,)


def npy(header: str, content: bytes = b"", version: bytes = b"\x01\x00") -> bytes:
    """Return an array file with any header."""
    raw = header.encode("latin1")
    return b"\x93NUMPY" + version + struct.pack("<H", len(raw)) + raw + content


def plain(dtype: str, shape: str) -> str:
    return f"{{'descr': {dtype!r}, 'fortran_order': False, 'shape': {shape}, }}"


def with_members(path: Path, **members: bytes) -> Path:
    """Write a set that keeps the contract but for these members."""
    arrays = {key: value for key, value in valid_arrays().items() if key not in members}
    save(path, arrays)
    with zipfile.ZipFile(path, "a") as archive:
        for key, content in members.items():
            archive.writestr(f"{key}.npy", content)
    return path


DEEP = "[" * 400 + "]" * 400
HEADERS = {
    "code for a header": ("__import__('os').system('true')", "damaged"),
    "a call in a header": (plain("<f4", "tuple([12, 16, 16])"), "damaged"),
    "a long header": (plain("<f4", "(1,)") + " " * 2000, "has a header of 20.. bytes, expected at"),
    "deep brackets": (plain("<f4", f"({DEEP},)"), "damaged"),
    "deep signs": (plain("<f4", f"({'-' * 900}1,)"), "damaged|declares"),
    "a huge shape": (plain("<f4", "(100000, 100000, 100000)"), "declares 4,000,000,000,000,000 b"),
    "a shape past every machine": (plain("<f4", f"({10**100},)"), "a shape that no array has"),
    "a negative shape": (plain("<f4", "(-12, -16, 16)"), "a shape that no array has"),
    "too many axes": (plain("<f4", f"({'1, ' * 40})"), "a shape that no array has"),
    "wide text": (plain("<U200000000", "()"), "declares 800,000,000 bytes"),
    "records": ("{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (1,), }", "dtype V"),
    "objects": (plain("|O", "(1,)"), "pickled object array"),
    "an unknown type": (plain("nonsense", "(1,)"), "damaged"),
    "no header": ("", "damaged"),
    "an open bracket": (plain("<f4", "(1,)")[:-1], "damaged"),
    "a list for a key": ("{[]: 1}", "damaged"),
    "keys that have no order": ("{1: 1, 'a': 2}", "damaged"),
}


@pytest.mark.parametrize(("header", "message"), HEADERS.values(), ids=HEADERS.keys())
def test_hostile_array_header_is_refused_in_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], header: str, message: str
):
    path = with_members(tmp_path / "set.npz", diffraction=npy(header, b"\0" * 64))
    expect_refusal(path, f"diffraction .*({message})", capsys)


@pytest.mark.parametrize("key", ["diffraction", "probeGuess", "filenames", "_metadata", "mask"])
def test_pickled_array_is_never_unpickled(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], key: str
):
    proof = tmp_path / "executed"
    assert pickle.loads(pickle.dumps(Bomb(proof))) is None
    assert proof.exists()  # the bomb works
    proof.unlink()
    array = np.empty((), object)
    array[()] = Bomb(proof)
    pickled = save(tmp_path / "set.npz", {**valid_arrays(), key: array})
    raw = with_members(tmp_path / "raw.npz", **{key: pickle.dumps(Bomb(proof))})
    for path, problem in ((pickled, "is a pickled object array"), (raw, "is not an array")):
        if key in ("filenames", "_metadata"):
            assert read_dataset(path).warnings[0].startswith(f"{key} {problem}")
        else:
            expect_refusal(path, f"{key} {problem}", capsys)
    assert not proof.exists()


@pytest.mark.parametrize("name", ["../escaped.npy", "/tmp/escaped.npy", "a/../../escaped.npy"])
def test_member_names_are_keys_and_never_paths(tmp_path: Path, name: str):
    folder = tmp_path / "deep" / "down"
    folder.mkdir(parents=True)
    path = save(folder / "set.npz", valid_arrays())
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr(name, npy(plain("<f4", "(1,)"), b"\0" * 4))
    before = sorted(tmp_path.rglob("*"))
    read_dataset(path)
    assert sorted(tmp_path.rglob("*")) == before
    assert not Path("/tmp/escaped.npy").exists()


@contextmanager
def address_space(more_bytes: int) -> Iterator[None]:
    """Let this process have so much more memory, and no more."""
    import resource

    held = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    former = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (held + more_bytes, former[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, former)


def test_small_file_that_inflates_past_the_limit_is_refused_before_it_does(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    arrays = valid_arrays()
    arrays["diffraction"] = np.zeros((12, 1500, 1500), np.float32)
    path = tmp_path / "set.npz"
    np.savez_compressed(path, **arrays)
    assert path.stat().st_size < 500_000
    monkeypatch.setenv(INFLATED_LIMIT_VARIABLE, "0.05")
    with address_space(100_000_000):
        expect_refusal(
            path,
            r"diffraction inflates to 0.108 GB from [\d,]+ bytes; the file would take 0.108 GB of "
            "memory, expected at most 0.05 GB; if you trust the file, set "
            "FLY64TASKS_MAX_INFLATED_GB",
            capsys,
        )
    monkeypatch.setenv(INFLATED_LIMIT_VARIABLE, "1")
    expect_refusal(path, "diffraction is zero everywhere", capsys)
    monkeypatch.setenv(INFLATED_LIMIT_VARIABLE, "much")
    expect_refusal_of_setting(path, capsys)


def test_arrays_of_a_file_share_the_limit(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    arrays = {**valid_arrays(), "_metadata": np.array('{"simulated": true}')}
    arrays["objectGuess"] = np.ones((1500, 1500), np.complex128)  # 36 MB, and 18 in single
    arrays["probeGuess"] = np.ones((8, 16, 16), np.complex128)
    path = tmp_path / "set.npz"
    np.savez_compressed(path, **arrays)
    monkeypatch.setenv(INFLATED_LIMIT_VARIABLE, "0.06")
    read_dataset(path)
    monkeypatch.setenv(INFLATED_LIMIT_VARIABLE, "0.05")
    expect_refusal(path, r"objectGuess inflates to 0.036 GB .* would take 0.054\d* GB", capsys)


def test_reading_takes_the_memory_that_the_limit_says(tmp_path: Path):
    """No more than the arrays themselves: 144 MB inflate from some 150 kB."""
    arrays = valid_arrays()
    arrays["diffraction"] = np.full((12, 1731, 1731), 0.5, np.float32)
    arrays["probeGuess"] = np.ones((1731, 1731), np.complex64)
    path = tmp_path / "set.npz"
    np.savez_compressed(path, **arrays)
    held = sum(array.nbytes for array in map(np.asarray, arrays.values()))
    del arrays
    tracemalloc.start()
    try:
        read_dataset(path)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < held + 2**24


def expect_refusal_of_setting(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code = runner.main(["--input-npz", str(path), "--output-dir", str(path.parent / "output")])
    assert code == 3
    said = capsys.readouterr().err
    assert said == ("error: FLY64TASKS_MAX_INFLATED_GB is 'much', expected a number of GB, as 64\n")


def test_archive_that_declares_a_hundred_gigabytes_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    """100 MB of zip would do for real: here the directory alone says so."""
    path = tmp_path / "set.npz"
    header = npy(plain("<f4", "(12, 45644, 45644)"))
    content = header + bytes(2**20)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for key, value in valid_arrays().items():
            if key != "diffraction":
                buffer = io.BytesIO()
                np.save(buffer, value)
                archive.writestr(f"{key}.npy", buffer.getvalue())
        archive.writestr("diffraction.npy", content)
        member = archive.getinfo("diffraction.npy")
        member.file_size = len(header) + 12 * 45644 * 45644 * 4
    with address_space(100_000_000):
        expect_refusal(path, "diffraction inflates to 100 GB", capsys)


def test_length_of_a_header_is_not_believed(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    bomb = b"\x93NUMPY\x02\x00" + struct.pack("<I", 2**31) + bytes(64)
    path = with_members(tmp_path / "set.npz", diffraction=bomb)
    expect_refusal(path, "diffraction has a header of 2147483648 bytes", capsys)


@pytest.mark.parametrize("way", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
@pytest.mark.parametrize("key", ["diffraction", "Y"])
def test_other_compressions_are_never_inflated(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], way: int, key: str
):
    path = save(tmp_path / "set.npz", {k: v for k, v in valid_arrays().items() if k != key})
    with zipfile.ZipFile(path, "a", way) as archive:
        archive.writestr(f"{key}.npy", bytes(2**20))
    problem = f"{key} is compressed in a way of its own, expected numpy.savez"
    if key == "Y":
        assert read_dataset(path).warnings[0].startswith(problem)
    else:
        expect_refusal(path, problem, capsys)


def test_member_that_holds_less_than_it_declares_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    short = npy(plain("<f4", "(12, 16, 16)"), bytes(100))
    path = with_members(tmp_path / "set.npz", diffraction=short)
    expect_refusal(
        path,
        r"diffraction declares 12,288 bytes of float32, shape \(12, 16, 16\), but holds 100",
        capsys,
    )


def test_long_member_names_are_quoted_in_part(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    """In a list of what is there, and as a key that is there twice."""
    name = "a" * 60_000
    arrays = {key: value for key, value in valid_arrays().items() if key != "probeGuess"}
    path = save(tmp_path / "set.npz", {**arrays, name: np.zeros(1)})
    expect_short_refusal(path, "probeGuess is missing, found .*a{100}\\.\\.\\.", capsys)
    with pytest.warns(UserWarning, match="Duplicate name"), zipfile.ZipFile(path, "a") as archive:
        archive.writestr(f"{name}.npy", b"")
    expect_short_refusal(path, "a{100}\\.\\.\\. is there twice", capsys)


def expect_short_refusal(path: Path, message: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(DatasetError) as refused:
        read_dataset(path)
    assert len(str(refused.value)) < 1500
    expect_refusal(path, message, capsys)


@pytest.mark.parametrize("shape", ["(12L, 16L, 16L)", "(12L,16L,16L)"])
def test_header_of_python_2_is_read_without_a_word(
    tmp_path: Path, shape: str, recwarn: pytest.WarningsRecorder
):
    amplitude = valid_arrays()["diffraction"].astype("<f4")
    path = with_members(
        tmp_path / "set.npz", diffraction=npy(plain("<f4", shape), amplitude.tobytes())
    )
    assert np.array_equal(read_dataset(path).diffraction_amplitude, amplitude)
    assert not recwarn.list


def test_key_that_is_there_twice_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    path = save(tmp_path / "set.npz", valid_arrays())
    with pytest.warns(UserWarning, match="Duplicate name"), zipfile.ZipFile(path, "a") as archive:
        archive.writestr("probeGuess.npy", npy(plain("<f4", "(1,)"), b"\0" * 4))
    expect_refusal(path, "probeGuess is there twice", capsys)


@pytest.mark.parametrize("kind", ["pipe", "device"])
def test_what_is_no_file_is_refused_and_not_waited_for(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], kind: str
):
    path = tmp_path / "set.npz"
    if kind == "pipe":
        os.mkfifo(path)
    else:
        path.symlink_to("/dev/zero")
    expect_refusal(path, "is neither a file nor a link to one", capsys)
    with pytest.raises(StudyError, match="is neither a file nor a link to one"):
        read_study(path)


METADATA = {
    "deep": ("[" * 100_000 + "]" * 100_000, "nested too deep"),
    "deep objects": ('{"a":' * 100_000 + "1" + "}" * 100_000, "nested too deep"),
    "a long number": (f'{{"a": {"9" * 5000}}}', "a whole number of 5000 digits"),
    "a large number": ('{"a": 1e999}', "a number past double precision"),
    "NaN": ('{"a": NaN}', "NaN is not JSON"),
    "infinity": ('{"a": -Infinity}', "-Infinity is not JSON"),
    "a key twice": ('{"a": 1, "a": 2}', "key 'a' twice"),
    "a control character": ('{"a\x1b": 1}', "Invalid control character"),
    "half a character": ('{"\\ud800": 1}', "half of a character"),
    "half a character as a value": ('{"split": "\\uDFFF"}', "half of a character"),
    "half a character, deep": ('{"a": [{"b": "x\\ud800"}]}', "half of a character"),
}


@pytest.mark.parametrize(("text", "message"), METADATA.values(), ids=METADATA.keys())
def test_hostile_metadata_is_left_out_in_one_line(tmp_path: Path, text: str, message: str):
    path = save(tmp_path / "set.npz", {**valid_arrays(), "_metadata": np.array(text)})
    dataset = read_dataset(path)
    assert dataset.metadata == {}
    (said,) = dataset.warnings
    assert re.match(rf"_metadata is not readable \({message}.*\), expected JSON text", said)
    assert said.isprintable()
    assert lineage.said_by(path) is None


SAID = {
    "lineage": '{"lineage": "mine"}',
    "simulated": '{"simulated": "<script>"}',
    "split": '{"split": ["train"]}',
    "acceptance_rate": '{"acceptance_rate": {"a": 1}}',
    "overlap_notes": '{"overlap_notes": [1]}',
    "dose_photons_per_frame": f'{{"dose_photons_per_frame": {10**30}}}',
}


@pytest.mark.parametrize(("key", "text"), SAID.items(), ids=SAID.keys())
def test_metadata_of_another_type_are_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], key: str, text: str
):
    path = save(tmp_path / "set.npz", {**valid_arrays(), "_metadata": np.array(text)})
    expect_refusal(path, rf"_metadata says what can not be used: Expected .* at `\$\.{key}", capsys)


def test_long_metadata_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    text = json.dumps({"a": "x" * 2**22})
    path = tmp_path / "set.npz"
    np.savez_compressed(path, **{**valid_arrays(), "_metadata": np.array(text)})
    expect_refusal(path, "_metadata takes 16,777,.* bytes, expected at most 16,777,216", capsys)


def test_whole_numbers_of_metadata_stay_exact():
    assert parse_metadata('{"seed": 123456789012345678901}') == {"seed": 123456789012345678901}


@pytest.mark.parametrize(
    "damage",
    [
        lambda raw: raw.replace(b'"\0\0\0l\0\0\0i\0\0\0n', b'"\0\0\0l\0\0\0i\0\0\0N'),
        lambda raw: raw[:-30],
        lambda raw: raw[: len(raw) // 2],
        lambda raw: b"PK\x03\x04" + raw[4:].replace(b"PK\x01\x02", b"PK\x01\x03"),
    ],
)
def test_lineage_of_a_damaged_set_is_none_and_no_error(
    small_sets: dict[str, Path], tmp_path: Path, damage: Callable[[bytes], bytes]
):
    path = tmp_path / "set.npz"
    raw = small_sets["train"].read_bytes()
    path.write_bytes(raw)
    assert lineage.said_by(path) is not None
    path.write_bytes(damage(raw))
    assert lineage.said_by(path) is None


# ---- what is written, and where


def test_log_replaces_a_link_and_leaves_alone_what_that_leads_to(
    small_sets: dict[str, Path], tmp_path: Path
):
    precious = tmp_path / "precious.txt"
    precious.write_text("precious")
    output = tmp_path / "out"
    output.mkdir()
    (output / "ptychi.log").symlink_to(precious)
    recon.run(small_sets["train"], output, ReconSpec(num_epochs=1), device="cpu")
    assert precious.read_text() == "precious"
    assert not any(path.is_symlink() for path in output.iterdir())


def test_lock_does_not_write_where_a_link_leads(project: Path):
    precious = project / "precious.txt"
    precious.write_text("precious")
    (project / "reports").mkdir()
    (project / "reports/.doit.db.lock").symlink_to(precious)
    said = doit(project, "base", code=3)
    assert "reports/.doit.db.lock: Too many levels of symbolic links" in said
    assert precious.read_text() == "precious"


def test_page_of_another_is_not_overwritten(project: Path):
    theirs = project / "reports" / "index.html"
    theirs.parent.mkdir()
    theirs.write_text("<title>mine</title>")
    said = doit(project, "run", "-s", "report", code=1)
    assert "reports/index.html: exists and was not written by fly64tasks; expected a free" in said
    assert "Traceback" not in said
    assert theirs.read_text() == "<title>mine</title>"
    assert not list(theirs.parent.glob("summary.*"))
    theirs.unlink()
    doit(project, "run", "-s", "report")


STUDIES = {
    "a root elsewhere": ('[paths]\nartifact_root = "/home/you"', "artifact_root is '/home/y"),
    "a root above": (
        '[paths]\ndata_root = "a/../../b"',
        "data_root is 'a/../../b', expected",
    ),
    "a root at home": ('[paths]\nartifact_root = "~/x"', "paths.artifact_root is '~/x', expected"),
    "a root that clears": (
        '[paths]\nartifact_root = "a\\u001b[2J"',
        r"is 'a\\x1b\[2J', expe",
    ),
    "a root of another": ('[paths]\nphase_c_root = "a\\nb"', r"paths.phase_c_root is 'a\\nb'"),
    "a base that rings": ('base_npz = "\\u0007"', r"base_npz is '\\x07', expected text without"),
    "a name that clears": ('name = "\\u001b[2J"', r"name is '\\x1b\[2J', expected text without"),
    "a key that clears": ('"\\u001b[2J" = 1', r"unknown key '\\x1b\[2J'"),
    "a long key": (f"{'k' * 10_000} = 1", r"unknown key 'kkk.{90,120}\.\.\.; known"),
    "deep lists": (f"doses = {'[' * 50_000}{']' * 50_000}", "nested too deep"),
    "deep tables": (f"recon = {'{a=' * 50_000}1{'}' * 50_000}", "nested too deep|not valid TOML"),
    "deep keys": (f"name.{'a.' * 3900}a = 1", "name is|nested too deep"),
    "many dots": (f"name.{'a.' * 20_000}a = 1", "holds more than 4000 dots"),
    "a long number": (f"doses = [{'9' * 5000}]", "not valid TOML: Exceeds the limit"),
    "a long number in hex": (f"[recon]\nseed = 0x{'f' * 5000}", "a int too large to show|seed"),
    "a long text": (f'[recon]\nseed = "{"x" * 10_000}"', r"recon.seed is 'x{99}\.\.\., expected"),
    "a date": ("name = 1979-05-27", "name is .*, expected text"),
    "a dose past whole numbers": ("doses = [1e17]", "expected whole numbers of photons"),
    "many doses": (f"doses = [{', '.join(map(str, range(1, 1200)))}]", "of length <= 1000"),
    "a long view": (f"[views]\noverlap = {{ {'v' * 200} = 0.5 }}", "view name 'v{60}' can not"),
    "a view with a space": ('[views]\noverlap = { "a b" = 0.5 }', "view name 'a b' can not"),
    "a huge base": ("[base]\nobject_size_px = 1000000000", "expected `int` <= 16384"),
    "a scan without end": ("[base]\nscan_step_px = 1e-9", "scan_step_px is 1e-09, expected a ste"),
    "infinite size": ("[geometry]\nenergy_ev = inf", "energy_ev is inf, expected `float` <= "),
    "NaN": ("[recon]\nmomentum = nan", "momentum"),
    "not UTF-8": ("name = '\udcff'", "not valid TOML"),
    "long": ("# " + "x" * 2**20, "longer than 262144 bytes"),
}


@pytest.mark.parametrize(("text", "message"), STUDIES.values(), ids=STUDIES.keys())
def test_hostile_study_is_refused_in_one_line(tmp_path: Path, text: str, message: str):
    path = tmp_path / "study.toml"
    path.write_bytes(text.encode("utf-8", "surrogateescape"))
    with pytest.raises(StudyError, match=message) as caught:
        read_study(path)
    said = str(caught.value)
    assert said.startswith(f"{path}: ")
    assert said.isprintable()
    assert len(said) < 800


def test_command_line_may_name_any_folder():
    layout = Layout.of(
        Study(), study_folder=Path(), project=Path(), data_root=Path("/d"), artifact_root=Path("/a")
    )
    assert layout.base == Path("/d/base.npz")
    assert layout.phase_d_root == Path("/d/phase_d")
    assert layout.artifact_root == Path("/a")


FORGED: dict[str, tuple[dict[str, Any], dict[str, Any], str]] = {
    "positions elsewhere": ({"positions_px": lambda p: p + 1e8}, {}, "put patches off the object"),
    "fewer frames": ({"positions_px": lambda p: p[:3]}, {}, "positions_px holds 3 frames, expect"),
    "a wider probe": ({"probe": lambda p: np.ones((1, 300, 300))}, {}, "probe is 300 px wide, exp"),
    "another object": ({"object": lambda o: o[:-1]}, {}, "object has shape|put patches off"),
    "no object": ({"object": np.zeros_like}, {}, "object or probe is zero everywhere"),
    "an object in line": ({"object": np.ravel}, {}, "object has shape .*, expected 2 axes"),
    "positions in 3D": (
        {"positions_px": lambda p: np.ones((len(p), 3))},
        {},
        r"positions_px and probe have shapes .* expected \(n, 2\)",
    ),
    "no input": ({}, {"input": None}, "_metadata is not the runner's: Expected `object`"),
    "settings unknown": ({}, {"spec": {"a": 1}}, "unknown key 'a'"),
}


@pytest.mark.parametrize(("arrays", "said", "message"), FORGED.values(), ids=FORGED.keys())
def test_forged_reconstruction_is_refused_by_the_score(
    small_sets: dict[str, Path],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    arrays: dict[str, Any],
    said: dict[str, Any],
    message: str,
):
    source = small_sets["train"]
    dataset = read_dataset(source)
    made = {
        "object": dataset.object_guess,
        "probe": dataset.probe_guess,
        "positions_px": dataset.positions_px,
        "loss": np.array([1.0, 0.5]),
    }
    metadata = {
        "stage": "recon",
        "spec": ReconSpec().resolved().to_dict(),
        "versions": {},
        "input": {"path": str(source), "sha256": lineage.digest(source)},
        "start": {"frame_of_reference": "object", "truth_seeded": False},
        "set": {"geometry": {}},
    }
    for key, change in arrays.items():
        array = np.asarray(change(made[key]))
        made[key] = array.astype(np.complex64 if key in ("object", "probe") else float)
    path = tmp_path / "reconstruction.npz"
    write_npz(path, made, {**metadata, **said})
    code = score.main(["--input-npz", str(source), "--output-dir", str(tmp_path)])
    error = capsys.readouterr().err
    assert code in (2, 3), error
    assert error.startswith(f"error: {path}: ")
    assert error.count("\n") == 1
    assert re.search(message, error), error
    assert list(tmp_path.iterdir()) == [path]


# ---- records: what lies beside a result

EVIL = "<script>alert(1)</script>\x1b[2J\x07\ud800\u202e\r\n=1+1|`*_"


def sparse(path: Path) -> None:
    path.touch()
    os.truncate(path, 100_000_000)


RECORDS: dict[str, str | Callable[[Path], object]] = {
    "not JSON": "{",
    "no text": lambda path: path.write_bytes(b"\xff\xfe{}"),
    "a list": "[]",
    "set is a list": json.dumps(run_of(set=[])),
    "device is a text": json.dumps(run_of(device=EVIL)),
    "numbers are texts": json.dumps(run_of(exit_code="0", seconds="1")),
    "a rate of NaN": json.dumps(run_of(exit_code=0.5, set={"acceptance_rate": float("nan")})),
    "deep": '{"state": "done", "set": ' + '{"a":' * 100_000 + "1" + "}" * 100_001,
    "deep, but read": '{"state": "done", "exit_code": ' + "[" * 300 + "]" * 300 + "}",
    "100 MB": sparse,
    "a folder": Path.mkdir,
    "a pipe": os.mkfifo,
}


def plant(path: Path, content: str | Callable[[Path], object]) -> None:
    """Put something in the place of a file."""
    path.unlink(missing_ok=True)
    path.parent.mkdir(parents=True, exist_ok=True)
    if callable(content):
        content(path)
    else:
        path.write_text(content, "utf-8")


def test_manifest_says_which_records_are_not_readable(project: Path):
    study = read_study(project / "study.toml")
    layout = layout_in(project, study)
    cases = list(study.cases())
    for case, content in zip(cases, RECORDS.values(), strict=True):
        plant(layout.recon_dir(case) / RUN_RECORD, content)
    said = doit(project, "manifest")
    assert "12 jobs (12 never run)" in said
    found = json.loads((project / "reports/reconstruction_manifest.json").read_text("utf-8"))
    for case, job in zip(cases, found["jobs"], strict=True):
        assert job["task"] == f"recon:{case.name}"
        path = f"reports/dose_{case.dose:.0f}/{case.view}/{case.split}/run.json"
        assert job["reasons"][-1].startswith(f"record not readable: {path}: ")
        assert "\n" not in job["reasons"][-1]
        assert {job[key] for key in ("return_code", "device", "input", "acceptance_rate")} == {None}
    link = layout.recon_dir(cases[0]) / RUN_RECORD
    link.unlink()
    link.symlink_to("nowhere")
    doit(project, "manifest", "--dose", "1000", "--view", "baseline", "--split", "train")
    found = json.loads((project / "reports/reconstruction_manifest.json").read_text("utf-8"))
    assert found["jobs"][0]["reasons"] == ["never run"]


@pytest.mark.parametrize("name", [RUN_RECORD, SCORES, LOSSES, FRC])
@pytest.mark.parametrize("content", RECORDS.values(), ids=RECORDS.keys())
def test_report_names_the_record_that_it_can_not_read(
    tmp_path: Path, name: str, content: str | Callable[[Path], object]
):
    layout = layout_in(tmp_path, Study())
    case = next(Study().cases())
    write_run(layout, case)
    path = write_scores(layout, case) / name
    assert read_jobs(Study(), layout)[0].state == "scored"
    plant(path, content)
    with pytest.raises(Fly64Error) as caught:
        read_jobs(Study(), layout)
    said = str(caught.value)
    assert said.startswith(f"{path}: ")
    assert said.endswith("; remove it and run `doit` again")
    assert said.isprintable()
    assert len(said) < 400
    path.rmdir() if path.is_dir() else path.unlink()
    path.symlink_to("nowhere")
    read_jobs(Study(), layout)  # as if there were none


def test_report_waits_for_no_pipe(project: Path):
    study = read_study(project / "study.toml")
    layout = layout_in(project, study)
    case = next(study.cases())
    plant(layout.recon_dir(case) / SCORES, os.mkfifo)
    said = doit(project, "run", "-s", "report", code=1)
    assert "reports/dose_1000/baseline/train/scores.json: not a file; remove it and run" in said
    assert "Traceback" not in said


def with_text(value: Any, text: str) -> Any:
    """Return a record that has a text in the place of every other, and in front of every key."""
    if isinstance(value, dict):
        return {key: with_text(item, text) for key, item in value.items()} | {text: text}
    if isinstance(value, list):
        return [with_text(item, text) for item in value]
    return text if isinstance(value, str) else value


def test_texts_of_a_record_reach_no_terminal_and_no_browser_as_they_are(tmp_path: Path):
    study = msgspec.structs.replace(Study(), doses=(1e3,))
    layout = layout_in(tmp_path, study)
    failed, scored, *_ = study.cases()
    for case in (failed, scored):
        folder = write_run(layout, case)
        record = with_text(run_of(peak_memory_bytes={}), EVIL)
        record["peak_memory_bytes"] = {EVIL: 1e9}
        record["state"] = EVIL if case == failed else "done"
        (folder / RUN_RECORD).write_text(json.dumps(record), "utf-8")
        with (folder / LOG).open("wb") as log:
            log.truncate(2**31)
            log.seek(2**31)
            log.write(EVIL.encode("utf-8", "replace"))
    record = scores_of(scored)
    for key in ("fit", "notes", "settings", "set", "reconstruction"):
        record[key] = with_text(record[key], EVIL)
    folder = write_scores(layout, scored)
    (folder / SCORES).write_text(json.dumps(record), "utf-8")
    write_report(study, layout)
    for name in (REPORT, SUMMARY_CSV, SUMMARY_MD):
        text = (layout.artifact_root / name).read_text("utf-8")
        assert all(char.isprintable() or char in f"\n{HARD_SPACE}" for char in text), name
        assert r"\x1b" in text
        assert "<script>alert" not in text or name == SUMMARY_CSV


@pytest.mark.parametrize("name", [RUN_RECORD, RECONSTRUCTION])
def test_pipe_in_the_place_of_a_result_is_refused_and_not_waited_for(
    small_sets: dict[str, Path],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    name: str,
):
    os.mkfifo(tmp_path / name)
    line = ["--input-npz", str(small_sets["train"]), "--output-dir", str(tmp_path)]
    assert runner.main(line) == 3
    assert f"{name}: exists and was not written by fly64tasks" in capsys.readouterr().err


# ---- what is printed


def test_names_that_steer_a_terminal_are_printed_escaped(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    path = tmp_path / "a\x1b[2J\nb\u202e.npz"
    assert runner.main(["--input-npz", str(path), "--output-dir", str(tmp_path / "o")]) == 3
    said = capsys.readouterr().err
    assert said.endswith("\n")
    assert said[:-1].isprintable()
    assert r"a\x1b[2J\nb\u202e.npz: no such file" in said
    save(path, {"\x1b]0;owned\x07": np.zeros(3)})
    assert runner.main(["--input-npz", str(path), "--output-dir", str(tmp_path / "o")]) == 3
    assert capsys.readouterr().err[:-1].isprintable()


def test_name_that_is_not_utf8_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    path = Path(os.fsdecode(os.fsencode(tmp_path) + b"/a\xff.npz"))
    with path.open("wb") as file:
        np.savez(file, **valid_arrays())
    assert runner.main(["--input-npz", str(path), "--output-dir", str(tmp_path / "o")]) == 3
    assert "a\\udcff.npz: its name is not UTF-8; rename it" in capsys.readouterr().err


def test_printable_leaves_words_alone():
    assert printable("dose_1000/Süß größe µm") == "dose_1000/Süß größe µm"


# ---- what is executed


def test_no_module_calls_a_shell_or_evaluates_text():
    forbidden = re.compile(r"^(os\.(system|popen|exec\w*|spawn\w*)|eval|exec|pickle\.\w+)$")
    for path in sorted((PROJECT / "fly64tasks").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Call):
                assert not forbidden.match(ast.unparse(node.func)), f"{path}:{node.lineno}"
                assert not any(
                    word.arg in ("shell", "allow_pickle") and ast.unparse(word.value) != "False"
                    for word in node.keywords
                ), f"{path}:{node.lineno}"


def test_every_action_is_a_function_and_no_command_line():
    study = Study()
    layout = Layout.of(study, study_folder=Path(), project=Path())
    case = next(study.cases())
    made = [
        tasks.base(study, layout),
        tasks.simulate(study, layout, 1e3),
        tasks.views(study, layout, 1e3, "dense"),
        tasks.recon(study, layout, case),
        tasks.score(study, layout, case),
        tasks.report(study, layout),
    ]
    for task in made:
        assert all(callable(action) for action, *_ in [*task["actions"], *task["clean"]])


# ---- memory and time


def test_equal_positions_are_looked_up_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    """100,000 frames at one place: pair by pair they would take minutes."""
    n = 100_000
    arrays = {
        "diffraction": np.tile(np.float16(0.5), (n, 4, 4)),
        "objectGuess": np.ones((8, 8), np.complex64),
        "probeGuess": np.ones((4, 4), np.complex64),
        "xcoords": np.full(n, 4.0),
        "ycoords": np.full(n, 4.0),
    }
    arrays["xcoords"][-1] = 99.0
    done = threading.Event()
    path = save(tmp_path / "set.npz", arrays)
    watch = threading.Timer(60, lambda: done.is_set() or os._exit(9))
    watch.start()
    expect_refusal(path, "position 99999 .* lies 95 px from its nearest neighbour", capsys)
    done.set()
    watch.cancel()


def test_scan_that_asks_for_a_huge_canvas_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    arrays = valid_arrays(n=1500)
    arrays["xcoords"] = arrays["ycoords"] = 40.0 * np.arange(1500)
    expect_refusal(save(tmp_path / "set.npz", arrays), "the scan spans 59980 x 59980 px", capsys)


def test_archive_reads_what_numpy_writes(tmp_path: Path):
    arrays = {
        "real": np.arange(12.0).reshape(3, 4),
        "fortran": np.asfortranarray(np.arange(12.0).reshape(3, 4)),
        "big": np.arange(4, dtype=">i2"),
        "text": np.array(["ä", "bc"]),
        "scalar": np.array(3),
        "empty": np.zeros((0, 5)),
    }
    for write in (np.savez, np.savez_compressed):
        path = tmp_path / "a.npz"
        write(path, **arrays)
        with Archive(path) as archive:
            for key, array in arrays.items():
                assert np.array_equal(archive.get(key), array)
                assert archive.get(key).dtype == array.dtype
            with pytest.raises(DatasetError, match="nope is missing, found real, fortran"):
                archive.get("nope")
