"""Random damage: whatever a file or a command line holds, one line says what is wrong with it.

The quick suite draws a short sample; ``python -m pytest -m slow tests/test_fuzz.py`` draws 14,000
inputs and prints what became of them. Of each: no exception but `Fly64Error` and `SystemExit`,
an answer within 10 s, no file outside the folder given, at most `MEMORY_LIMIT_BYTES` of Python and
numpy memory at once, and for every exit code but 0 a reason of one line.
"""

from __future__ import annotations

import contextlib
import io
import json
import re
import tempfile
import time
import tracemalloc
import warnings
import zipfile
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import msgspec
import numpy as np
import pytest
from broken_sets import valid_arrays
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst
from scored_study import layout_in, page_without_figures, run_of, scores_of
from small_study import PROJECT, doit, new_project

from fly64tasks import runner, tasks
from fly64tasks.data import lineage
from fly64tasks.data.readers.npz import read_base, read_dataset
from fly64tasks.engine.spec import read_engine
from fly64tasks.errors import DatasetError, Fly64Error, StudyError
from fly64tasks.recon.files import RECONSTRUCTION, RUN_RECORD
from fly64tasks.recon.start import start_of
from fly64tasks.report.results import read_jobs
from fly64tasks.report.summary import csv_text, markdown_text
from fly64tasks.report.wording import HARD_SPACE
from fly64tasks.score import command as score
from fly64tasks.score import folder as scored_folder
from fly64tasks.score.files import SCORES
from fly64tasks.study.cases import SPLITS
from fly64tasks.study.paths import Layout
from fly64tasks.study.recon_settings import ReconSpec
from fly64tasks.study.stages import DataSpec, Geometry
from fly64tasks.study.study import Study, read_study
from fly64tasks.tasks import graph

DEADLINE_S = 10.0
MEMORY_LIMIT_BYTES = 64 * 2**20
QUICK = 40
FULL = {
    **{"bytes": 4000, "arrays": 2000, "studies": 3000, "arguments": 1000},
    **{"records": 1000, "engines": 1000, "texts": 2000},
}


@dataclass
class Tally:
    """What became of the inputs."""

    outcomes: Counter[str] = field(default_factory=Counter)
    slowest_s: float = 0.0
    peak_bytes: int = 0

    @contextlib.contextmanager
    def bounded(self, folder: Path) -> Iterator[None]:
        """Hold a call to the time, the memory and the folder that it may use."""
        before = _files(folder.parent)
        tracemalloc.start()
        began = time.perf_counter()
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                yield
        finally:
            took, peak = time.perf_counter() - began, tracemalloc.get_traced_memory()[1]
            tracemalloc.stop()
        self.slowest_s, self.peak_bytes = max(self.slowest_s, took), max(self.peak_bytes, peak)
        assert took < DEADLINE_S
        assert peak < MEMORY_LIMIT_BYTES
        assert _files(folder.parent) == before

    def one_line(self, outcome: str, said: str) -> None:
        """Count an outcome, once its reason is one line that any terminal can take."""
        self.outcomes[outcome] += 1
        assert said
        assert said.isprintable(), said
        assert len(said) < 2000, said

    def ended(self, said: str, start: str, otherwise: str) -> None:
        """Count an input as refused, if in a line that starts so, or as something else."""
        if said:
            assert said.startswith(start)
            self.one_line("refused", said)
        else:
            self.outcomes[otherwise] += 1

    def __str__(self) -> str:
        total = sum(self.outcomes.values())
        ends = ", ".join(f"{count} {name}" for name, count in sorted(self.outcomes.items()))
        bounds = (
            f"; slowest {self.slowest_s:.2f} s, most memory {self.peak_bytes / 2**20:.1f} MiB"
            if self.slowest_s
            else ""
        )
        return f"{total} inputs: {ends}{bounds}"


def _files(folder: Path) -> list[str]:
    return sorted(str(path) for path in folder.rglob("*"))


@contextlib.contextmanager
def workplace() -> Iterator[Path]:
    """A folder within a folder, to see what is written outside of it."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "inner"
        folder.mkdir()
        yield folder


def fuzzed(examples: int, *strategies: st.SearchStrategy[Any]) -> Callable[[Any], Any]:
    """Give a function so many examples; the same ones in every run."""

    def decorate(function: Callable[..., None]) -> Callable[[], None]:
        return settings(
            max_examples=examples,
            derandomize=True,
            database=None,
            deadline=None,  # held by `Tally.bounded`, whose clock leaves hypothesis' own work out
            phases=(Phase.explicit, Phase.generate, Phase.shrink),
            suppress_health_check=list(HealthCheck),
        )(given(*strategies)(function))

    return decorate


def examples(kind: str) -> Any:
    """The two sizes of a test: a sample for every day, and all."""
    return pytest.mark.parametrize(
        "count", [QUICK, pytest.param(FULL[kind], marks=pytest.mark.slow, id="full")]
    )


# ---- sets


def _valid_bytes(compressed: bool) -> bytes:
    buffer = io.BytesIO()
    write = np.savez_compressed if compressed else np.savez
    write(buffer, **valid_arrays(n=6, size=8))
    return buffer.getvalue()


VALID = [_valid_bytes(False), _valid_bytes(True)]
TRICKY = [0, 1, 0x7F, 0x80, 0xFF, *b"[](){}'\",-0123456789PK<>|Oc"]


def flips(data: st.DataObject, raw: bytes) -> bytes:
    content = bytearray(raw)
    for _ in range(data.draw(st.integers(1, 8))):
        content[data.draw(st.integers(0, len(raw) - 1))] = data.draw(
            st.sampled_from(TRICKY) | st.integers(0, 255)
        )
    return bytes(content)


def directory_flips(data: st.DataObject, raw: bytes) -> bytes:
    """Flip bytes where the zip's directory lies."""
    start = raw.rindex(b"PK\x01\x02", 0, raw.rindex(b"PK\x05\x06"))
    start = data.draw(st.sampled_from([start, raw.index(b"PK\x01\x02")]))
    return raw[:start] + flips(data, raw[start:])


def cut(data: st.DataObject, raw: bytes) -> bytes:
    return raw[: data.draw(st.integers(0, len(raw) - 1))]


def splice(data: st.DataObject, raw: bytes) -> bytes:
    """Take a part out and put it, or anything, elsewhere."""
    a, b, c = sorted(data.draw(st.tuples(*[st.integers(0, len(raw))] * 3)))
    part = data.draw(st.sampled_from([raw[a:b], b"", raw[b:c]]) | st.binary(max_size=64))
    return raw[:a] + part + raw[c:]


def _repacked(members: dict[str, bytes], way: int = zipfile.ZIP_STORED) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", way) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return buffer.getvalue()


def _members(raw: bytes) -> dict[str, bytes]:
    with zipfile.ZipFile(io.BytesIO(raw)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def headers(data: st.DataObject, raw: bytes) -> bytes:
    """Edit the header of an array, with a right checksum."""
    members = _members(raw)
    name = data.draw(st.sampled_from(sorted(members)))
    content = members[name]
    length = 10 + int.from_bytes(content[8:10], "little")
    if data.draw(st.booleans()):
        header = flips(data, content[:length])
    else:
        descr = data.draw(
            st.sampled_from(["<f4", "<c8", "|O", "<U9", "<U99999999", "<M8[s]", "|V8", "[", "|b1"])
        )
        extent = st.integers(-1, 20) | st.sampled_from([2**31, 2**62, 2**64, 10**30])
        shape = data.draw(st.lists(extent, max_size=9).map(tuple))
        order = data.draw(st.booleans())
        text = f"{{'descr': {descr!r}, 'fortran_order': {order}, 'shape': {shape}, }}\n".encode()
        header = b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text
    members[name] = header + content[length:]
    way = data.draw(st.sampled_from([zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2]))
    return _repacked(members, way)


def swapped(data: st.DataObject, raw: bytes) -> bytes:
    """Give members each other's names."""
    members = _members(raw)
    names = data.draw(st.permutations(sorted(members)))
    return _repacked(dict(zip(names, members.values(), strict=True)))


DAMAGES = [flips, directory_flips, cut, splice, headers, swapped]


def read_all(path: Path, tally: Tally) -> None:
    """Read a file as a set, a base and for its lineage."""
    with tally.bounded(path.parent):
        lineage.said_by(path)
        outcomes = []
        for read in (_started, read_base):
            try:
                read(path)
                outcomes.append("read")
            except DatasetError as error:
                outcomes.append("refused")
                said = str(error)
                assert said.startswith(str(path))
    if outcomes[0] == "refused":
        tally.one_line("refused", said)
    else:
        tally.outcomes["read"] += 1


def _started(path: Path) -> None:
    dataset = read_dataset(path)
    start = start_of(dataset, ReconSpec(), str(path))
    assert np.isfinite(start.intensity).all()
    assert np.isfinite(start.probe).all()


@examples("bytes")
def test_damaged_bytes_of_a_set(count: int, capsys: pytest.CaptureFixture[str]):
    tally = Tally()

    @fuzzed(count, st.data())
    def check(data: st.DataObject) -> None:
        raw = VALID[data.draw(st.integers(0, 1))]
        content = data.draw(st.sampled_from(DAMAGES))(data, raw)
        with workplace() as folder:
            path = folder / "set.npz"
            path.write_bytes(content)
            read_all(path, tally)

    check()
    report("damaged bytes of a set", tally, capsys)
    assert tally.outcomes["refused"] > count / 2


KEYS = ["diffraction", "diff3d", "objectGuess", "probeGuess", "xcoords", "ycoords", "Y"]
KEYS += ["filenames", "_metadata", "other"]
DTYPES = st.sampled_from(
    ["f2", "f4", "f8", "c8", "c16", "i4", "u1", "?", "U3", "S3", ">f4", "M8[s]"]
)
SHAPES = npst.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=9)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=9),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=9), inner),
    max_leaves=9,
)
SAID = ["simulated", "lineage", "geometry", "diffraction_order", "dose_photons_per_frame", "split"]


@st.composite
def sets(draw: st.DrawFn) -> dict[str, Any]:
    """Draw a valid set with some arrays changed, removed or added."""
    arrays: dict[str, Any] = valid_arrays(n=6, size=8)
    for _ in range(draw(st.integers(1, 3))):
        key = draw(st.sampled_from(KEYS))
        kind = draw(st.sampled_from(["drop", "any", "value", "metadata", "shape"]))
        if kind == "drop":
            arrays.pop(key, None)
        elif kind == "any":
            arrays[key] = draw(DTYPES.flatmap(lambda dtype: npst.arrays(dtype, SHAPES)))
        elif kind == "metadata":
            said = draw(st.dictionaries(st.sampled_from(SAID), JSON, max_size=3) | JSON)
            arrays["_metadata"] = np.array(json.dumps(said))
        elif key in arrays and np.size(arrays[key]) and arrays[key].dtype.kind in "fc":
            if kind == "shape":
                arrays[key] = np.resize(arrays[key], draw(SHAPES))
            else:
                changed = arrays[key].copy()
                changed.flat[draw(st.integers(0, changed.size - 1))] = draw(
                    st.floats(width=32) | st.sampled_from([np.nan, np.inf, 1e9, 1e-38, 1e38])
                )
                arrays[key] = changed
    return arrays


@examples("arrays")
def test_any_arrays(count: int, capsys: pytest.CaptureFixture[str]):
    tally = Tally()

    @fuzzed(count, sets(), st.booleans())
    def check(arrays: dict[str, Any], compressed: bool) -> None:
        with workplace() as folder:
            path = folder / "set.npz"
            (np.savez_compressed if compressed else np.savez)(path, **arrays)
            read_all(path, tally)

    check()
    report("any arrays", tally, capsys)


# ---- studies

STUDY = (PROJECT / "study.toml").read_text("utf-8")
LINES = [line for line in STUDY.splitlines() if line.strip() and not line.startswith("#")]
TEXTS = (
    "0 -1 1e400 inf nan 0xffffffffffffffffffff 1979-05-27 07:32:00 '' [] {} [[]] true '../x' '/x' "
    "'~' 1e-320 9999999999999999999999 '\\u0000' {a=1} [1e3,1e3] 3.5"
)
VALUES = st.sampled_from(TEXTS.split()) | st.text(max_size=12).map(repr)


def toml_line(draw: st.DrawFn) -> str:
    line = draw(st.sampled_from(LINES))
    key, is_pair, _ = line.partition("=")
    return f"{key}= {draw(VALUES)}" if is_pair else line


@st.composite
def toml_files(draw: st.DrawFn, lines: list[str]) -> str:
    """Draw a file with lines changed, removed, doubled or put elsewhere, or bytes."""
    lines = list(lines)
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, len(lines) - 1))
        kind = draw(st.sampled_from(["value", "drop", "double", "move", "text", "bytes"]))
        if kind == "value" and "=" in lines[at]:
            lines[at] = f"{lines[at].partition('=')[0]}= {draw(VALUES)}"
        elif kind == "drop" and len(lines) > 1:
            del lines[at]
        elif kind == "double":
            lines.insert(draw(st.integers(0, len(lines))), lines[at])
        elif kind == "move":
            lines.insert(draw(st.integers(0, len(lines) - 1)), lines.pop(at))
        elif kind == "text":
            lines.insert(at, draw(st.text(max_size=30)))
        elif kind == "bytes" and lines[at]:
            cut = draw(st.integers(0, len(lines[at]) - 1))
            lines[at] = lines[at][:cut] + draw(st.characters()) + lines[at][cut + 1 :]
    return "\n".join(lines)


TABLES = st.dictionaries(
    st.sampled_from(["views", "recon", "base", "paths", "score", "doses", "geometry"])
    | st.text(min_size=1, max_size=8),
    st.recursive(
        VALUES, lambda inner: st.lists(inner, max_size=3).map(lambda v: f"[{','.join(v)}]")
    ),
    max_size=4,
).map(lambda table: "\n".join(f'"{key}" = {value}' for key, value in table.items()))


@examples("studies")
def test_any_study(count: int, capsys: pytest.CaptureFixture[str]):
    tally = Tally()

    @fuzzed(count, toml_files(LINES) | TABLES)
    def check(text: str) -> None:
        with workplace() as folder:
            path = folder / "study.toml"
            path.write_bytes(text.encode("utf-8", "surrogatepass"))
            with tally.bounded(folder):
                try:
                    study = read_study(path)
                except StudyError as error:
                    said = str(error)
                else:
                    said = ""
                    for case in study.cases():
                        assert "/" not in case.name
                        assert "." not in case.name
            tally.ended(said, f"{path}: ", "read")

    check()
    report("any study", tally, capsys)


ENGINES = re.findall(r"```toml\n(.*?)```", (PROJECT / "docs/engine.md").read_text("utf-8"), re.S)


@examples("engines")
def test_any_engine_file(count: int, capsys: pytest.CaptureFixture[str]):
    tally = Tally()

    @fuzzed(count, st.sampled_from(ENGINES).flatmap(lambda text: toml_files(text.splitlines())))
    def check(text: str) -> None:
        with workplace() as folder:
            path = folder / "engine.toml"
            path.write_bytes(text.encode("utf-8", "surrogatepass"))
            with tally.bounded(folder):
                try:
                    said = ""
                    assert read_engine(path).workers >= 1
                except StudyError as error:
                    said = str(error)
            tally.ended(said, f"{path}: ", "read")

    check()
    report("any engine file", tally, capsys)


# ---- records

CASE = next(Study().cases())


@st.composite
def records(draw: st.DrawFn, valid: dict[str, Any]) -> bytes:
    """Draw a job's record with values changed, removed or added, at any depth, or bytes."""
    record = json.loads(json.dumps(valid))
    for _ in range(draw(st.integers(0, 2))):
        table = record
        while nested := [key for key in table if isinstance(table[key], dict) and table[key]]:
            if draw(st.booleans()):
                break
            table = table[draw(st.sampled_from(sorted(nested)))]
        key = draw(st.sampled_from(sorted(table)) | st.text(max_size=6))
        if draw(st.integers(0, 3)):
            table[key] = draw(JSON | st.sampled_from([10**400, -1e308, "\ud800", "\x1b[2J"]))
        else:
            table.pop(key, None)
    raw = json.dumps(record).encode()
    return draw(st.sampled_from([raw, raw, raw[: len(raw) // 2], b"\xff" + raw]))


@examples("records")
def test_any_record(count: int, capsys: pytest.CaptureFixture[str]):
    """Read for the manifest and, without its figures, for the report."""
    tally = Tally()
    study = msgspec.structs.replace(Study(), doses=(1e3,))
    made = graph.recon(study, layout_in(Path("nowhere"), study), CASE)
    task = SimpleNamespace(meta=made["meta"])

    @fuzzed(count, records(run_of()), records(scores_of(CASE)))
    def check(run: bytes, scores: bytes) -> None:
        with workplace() as folder:
            layout = layout_in(folder, study)
            place = layout.recon_dir(CASE)
            place.mkdir(parents=True)
            (place / RUN_RECORD).write_bytes(run)
            (place / SCORES).write_bytes(scores)
            with tally.bounded(folder):
                try:
                    entry = tasks.describe(task, json.loads(run))
                except ValueError:
                    entry = tasks.describe(task, None)
                json.dumps(entry, allow_nan=False)
                try:
                    jobs = read_jobs(study, layout)
                    said = ""
                    page = page_without_figures(study, layout, jobs)
                    for text in (page, csv_text(jobs), markdown_text(study, jobs)):
                        assert all(char.isprintable() or char in f"\n{HARD_SPACE}" for char in text)
                except Fly64Error as error:
                    said = str(error)
            tally.ended(said, f"{place}/", "shown")

    check()
    report("any record", tally, capsys)


# ---- the text of metadata

SAYING = [
    *SAID,
    *("overlap_view", "selection_strategy", "acceptance_rate", "spacing_threshold", "n_accepted"),
    *("n_rejected", "probe_diameter_px", "gridsize", "neighbor_count", "overlap_groups"),
    *("overlap_group_members", "overlap_neighbors", "overlap_notes", "writer", "stage", "start"),
]
SIZES = ["pixel_size_m", "energy_ev", "detector_pixel_size_m", "assumed", "nonsense"]
NUMBERS = st.sampled_from(
    [10**18, 10**18 + 1, 2**63, 10**30, -(10**299), 1e308, -1e308, 5e-324, -0.0, 1e-12, 7e-9, 0.5]
)
ANY_TEXT = st.text(st.characters(), max_size=12) | st.sampled_from(
    ["\x1b[2J", "\x00", "\ud800", "a\udfffb", "\U0010ffff", "\u202e", "x" * 100_000, "train", ""]
)
SURROGATES = st.text(st.characters(categories=["Cs", "Cc", "Lu"]), min_size=1, max_size=4)
SAYINGS = st.recursive(
    NUMBERS | ANY_TEXT | SURROGATES | st.none() | st.booleans(),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(ANY_TEXT | SURROGATES, inner, max_size=3)
    ),
    max_leaves=6,
)
GEOMETRIES = st.dictionaries(st.sampled_from(SIZES), NUMBERS | st.booleans(), max_size=4)


@st.composite
def metadata_texts(draw: st.DrawFn) -> str:
    """Draw the JSON of a set's metadata: any text and numbers, escaped or as they are."""
    said: dict[str, Any] = {"simulated": draw(st.booleans()), "dose_photons_per_frame": 1e3}
    for _ in range(draw(st.integers(0, 3))):
        key = draw(st.sampled_from(SAYING) | ANY_TEXT)
        value = draw(GEOMETRIES if key == "geometry" else SAYINGS)
        if key in said and draw(st.booleans()):
            value = said[key]
        said[key] = value
    text = json.dumps(said, ensure_ascii=draw(st.booleans()))
    return draw(st.sampled_from([text, text, text, text[:-1], text.replace("1000.0", "1e400")]))


@examples("texts")
def test_any_metadata_text(
    count: int, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    """Through the runner, `doit -n`, the score and the report, as far as it is let.

    The pictures, which show none of it and take seconds, are left out.
    """
    monkeypatch.setattr(scored_folder, "draw_comparison", lambda *args, **kwargs: None)
    tally = Tally()
    arrays = valid_arrays(n=6, size=8)
    study = msgspec.structs.replace(Study(), doses=(1e3,))

    @fuzzed(count, metadata_texts(), st.none() | records(run_of()))
    def check(text: str, forged: bytes | None) -> None:
        with workplace() as folder:
            source = folder / f"dose_1000/patched_{CASE.split}.npz"
            source.parent.mkdir()
            np.savez(source, **{**arrays, "_metadata": np.array(text)})
            layout = layout_in(folder, study)
            place = layout.recon_dir(CASE)
            line = ["--input-npz", str(source), "--output-dir", str(place)]
            few = ["--algorithm", "EPIE", "--num-epochs", "1", "--device", "cpu"]
            planned = tasks.actions.problems(source, ReconSpec(), Geometry(), DataSpec())
            code, said = _called(runner.main, [*line, *few])
            assert bool(planned) == (code == 3), (planned, code, said)
            if code:
                assert code == 3
                tally.one_line("refused", said)
                assert said == f"error: {planned[0]}"
                return
            if forged is not None:
                _forge(place / RECONSTRUCTION, forged)
            code, said = _called(score.main, line)
            assert code in (0, 3)
            if code:
                assert said.isprintable()
                assert len(said) < 2000
            for page in _shown_texts(study, layout):
                assert all(char.isprintable() or char in f"\n{HARD_SPACE}" for char in page)
            tally.outcomes["shown without scores" if code else "shown"] += 1

    check()
    report("any metadata text", tally, capsys)


def _called(main: Callable[[list[str]], int], line: list[str]) -> tuple[int, str]:
    """Call a command line; return its exit code and the last line that it wrote to stderr."""
    out, err = io.StringIO(), io.StringIO()
    with (
        warnings.catch_warnings(),
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(err),
    ):
        warnings.simplefilter("ignore")
        code = main(line)
    return code, (err.getvalue().splitlines() or [""])[-1]


def _forge(path: Path, record: bytes) -> None:
    """Give a reconstruction the metadata of another."""
    with np.load(path) as archive:
        arrays = {key: archive[key] for key in archive.files}
    said = record.decode("utf-8", "replace")
    np.savez(path, **{**arrays, "_metadata": np.array(said)})


def _shown_texts(study: Study, layout: Layout) -> list[str]:
    jobs = read_jobs(study, layout)
    page = page_without_figures(study, layout, jobs)
    return [page, csv_text(jobs), markdown_text(study, jobs)]


@pytest.mark.parametrize(
    "text",
    ['{"\\ud800": 1}', '{"split": "\\udfff"}', '{"split": "\x1b[2J"}', '{"a": 1e400}', '"x"'],
    ids=["surrogate as key", "surrogate as value", "control", "number", "no object"],
)
def test_dry_run_goes_on_without_metadata_that_can_not_be_used(tmp_path: Path, text: str):
    """It is left out with a warning of the run, and ends no dry run."""
    project = new_project(tmp_path / "project", "doses = [1e3]\n[views]\noverlap = {}\n")
    for split in SPLITS:
        path = project / f"mine/dose_1000/patched_{split}.npz"
        path.parent.mkdir(parents=True, exist_ok=True)
        np.savez(path, **{**valid_arrays(n=6, size=8), "_metadata": np.array(text)})
    said = doit(project, "-n", "phase_c_root=mine")
    assert "Traceback" not in said
    assert all(line.isprintable() for line in said.splitlines())
    (warning,) = read_dataset(path).warnings
    assert warning.startswith("_metadata is not readable")


# ---- the command line

OPTIONS = [f"--{name.replace('_', '-')}" for name in ReconSpec.__struct_fields__]
OPTIONS += [
    "--device",
    "--events",
    "--input-npz",
    "--output-dir",
    "--nonsense",
    "--help",
    "-",
    "--",
]
ARGUMENTS = (
    "0 -1 1 2 1e9 nan inf true false LSQML MAGIC PIE auto cuda:99 tpu COMPACT guess 99999999999"
)
WORDS = st.sampled_from(ARGUMENTS.split()) | st.text(max_size=9)


@examples("arguments")
def test_any_command_line(count: int, capsys: pytest.CaptureFixture[str]):
    """The set keeps no contract, so that nothing is ever reconstructed."""
    tally = Tally()

    @fuzzed(
        count, st.lists(st.tuples(st.sampled_from(OPTIONS), WORDS), max_size=4), st.text(max_size=9)
    )
    def check(pairs: list[tuple[str, str]], name: str) -> None:
        with workplace() as folder, contextlib.chdir(folder):
            (folder / "set.npz").write_bytes(VALID[0][:500])
            line = ["--input-npz", "set.npz", "--output-dir", f"out/{name}"]
            line += [word for option, value in pairs for word in (option, value)]
            line = [
                word.encode("utf-8", "surrogateescape" if _escaped(word) else "replace").decode(
                    "utf-8", "surrogateescape"
                )
                for word in line
            ]
            out, err = io.StringIO(), io.StringIO()
            with (
                tally.bounded(folder),
                contextlib.redirect_stdout(out),
                contextlib.redirect_stderr(err),
            ):
                try:
                    code = runner.main(line)
                except SystemExit as stop:
                    code = stop.code if isinstance(stop.code, int) else 1
            if code:
                assert code in (1, 2, 3)
                tally.one_line(f"exit {code}", err.getvalue().splitlines()[-1])
            else:
                assert "--help" in line
                tally.outcomes["help"] += 1

    check()
    report("any command line", tally, capsys)


def _escaped(word: str) -> bool:
    return any("\udc80" <= char <= "\udcff" for char in word)


def report(name: str, tally: Tally, capsys: pytest.CaptureFixture[str]) -> None:
    """Print what became of the inputs of a full run."""
    if sum(tally.outcomes.values()) > 4 * QUICK:
        with capsys.disabled():
            print(f"\n{name}: {tally}")
