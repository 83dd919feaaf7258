"""What the pages show is so: their Python is run, and so is the notebook."""

from __future__ import annotations

import os
import re
import shutil
import sys
import tomllib
from pathlib import Path

import nbformat
import pages
import pytest
import written
from measured import known_of
from nbclient import NotebookClient
from small_study import PROJECT, SMALL_STUDY, new_project

from fly64tasks.data.readers import read_dataset as read_any
from fly64tasks.data.readers.keymap import KeyMap, read_keymap
from fly64tasks.data.readers.npz import read_dataset
from fly64tasks.data.writers.npz import write_dataset
from fly64tasks.study.measured import read_measured_study
from fly64tasks.study.methods import ProgramSpec
from fly64tasks.study.study import read_study
from fly64tasks.study.tuning import TuneSpec, tuning_of

DOCS = PROJECT / "docs"


def test_python_of_the_api_page_runs(
    small_sets: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.chdir(tmp_path)
    shutil.copy(small_sets["train"], "my_scan.npz")
    new_project(tmp_path / "my_study", SMALL_STUDY)
    blocks = re.findall(r"```python\n(.*?)```", (DOCS / "api.md").read_text("utf-8"), re.DOTALL)
    assert len(blocks) == 5
    names: dict[str, object] = {}
    for block in blocks:
        exec(compile(block, "api.md", "exec"), names)
    assert len(names["records"]) == 12
    assert Path("out/set.npz").exists()
    write_dataset(Path("again.npz"), read_dataset(Path("mine.npz")))


def test_key_maps_of_the_formats_page_are_read(small_sets: dict[str, Path], tmp_path: Path):
    blocks = re.findall(r"```toml\n(.*?)```", (DOCS / "formats.md").read_text("utf-8"), re.DOTALL)
    paths = [tmp_path / f"{index}.toml" for index in range(len(blocks))]
    for path, block in zip(paths, blocks, strict=True):
        path.write_text(block)
    assert [read_keymap(path, ()).file for path in paths] == ["scan_0042.h5", "hxn.h5"]
    written.any_hdf5(tmp_path, known_of(read_dataset(small_sets["train"])))
    assert read_any(paths[0]).frame_size_px == 16


def test_study_of_the_page_on_measured_scans_is_read(tmp_path: Path):
    [block] = re.findall(r"```toml\n(.*?)```", (DOCS / "measured.md").read_text("utf-8"), re.DOTALL)
    (tmp_path / "study.toml").write_text(block)
    study = read_measured_study(tmp_path / "study.toml")
    assert list(study.scans) == ["siemens", "chip", "leaf"]
    assert (study.recon_of("leaf").n_images, study.geometry_of("leaf").assumed) == (500, False)
    pages.follow(DOCS / "measured.md", tmp_path, slice(1))
    shutil.copy(tmp_path / "study.toml", tmp_path / "scans/study.toml")
    pages.follow(DOCS / "measured.md", tmp_path, slice(1, 2))


def test_dry_run_and_refusals_of_the_page_on_doit_are_what_is_printed(tmp_path: Path):
    project = new_project(tmp_path / "project", (PROJECT / "study.toml").read_text("utf-8"))
    pages.follow(DOCS / "doit.md", project, slice(4))


def test_study_of_the_page_on_methods_is_read_and_the_page_names_every_key(tmp_path: Path):
    page = (DOCS / "methods.md").read_text("utf-8")
    [block] = re.findall(r"```toml\n(.*?)```", page, re.DOTALL)
    (tmp_path / "study.toml").write_text(block)
    study = read_study(tmp_path / "study.toml")
    assert list(study.all_methods) == ["main", "epie", "momentum_0", "momentum_1", "cnn"]
    for name in ProgramSpec.__struct_fields__:
        assert f"| `{name}` |" in page, name


def test_study_of_the_page_on_searches_is_read_and_has_every_key(tmp_path: Path):
    [block] = re.findall(r"```toml\n(.*?)```", (DOCS / "tune.md").read_text("utf-8"), re.DOTALL)
    (tmp_path / "study.toml").write_text(block)
    spec, ranges = tuning_of(read_study(tmp_path / "study.toml").tune, "tune")
    assert set(TuneSpec.__struct_fields__) | set(ranges) == set(tomllib.loads(block)["tune"])
    assert spec == TuneSpec(cases=spec.cases)  # what it says besides are the defaults


def test_keys_of_the_formats_page_are_those_of_a_key_map():
    page = (DOCS / "formats.md").read_text("utf-8")
    for name in KeyMap.__struct_fields__:
        assert f"`{name}`" in page or (name.endswith("_unit") and "`..._unit`" in page), name


def test_notebook_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    # `!doit` is found as in an activated environment
    monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}:{os.environ['PATH']}")
    notebook = nbformat.read(DOCS / "first_look.ipynb", as_version=4)
    client = NotebookClient(
        notebook,
        timeout=300,
        kernel_name="python3",
        resources={"metadata": {"path": str(tmp_path)}},
    )
    client.execute()
    said = [
        output.get("text", "")
        for cell in notebook.cells
        for output in cell.get("outputs", [])
        if output["output_type"] == "stream"
    ]
    assert any("done in" in text for text in said), said


@pytest.mark.slow
def test_first_study_page_is_what_happens(tmp_path: Path):
    pages.follow(DOCS / "first_study.md", tmp_path)
    assert "<html" in (tmp_path / "my_study/reports/index.html").read_text("utf-8")


@pytest.mark.slow
def test_first_scan_page_is_what_happens(small_sets: dict[str, Path], tmp_path: Path):
    written.cxi(tmp_path, known_of(read_dataset(small_sets["train"]))).rename(
        tmp_path / "my_scan.cxi"
    )
    pages.follow(DOCS / "first_scan.md", tmp_path)
    assert "<html" in (tmp_path / "siemens/results/index.html").read_text("utf-8")


@pytest.mark.parametrize(
    "name", ["README.md", "CONTRIBUTING.md", "data/README.md", "reports/README.md"]
)
def test_links_of_the_pages_outside_of_the_site_lead_somewhere(name: str):
    page = PROJECT / name
    links = re.findall(r"\]\(([^)#]+)", page.read_text("utf-8"))
    assert links
    for link in links:
        assert link.startswith("https://") or (page.parent / link).exists(), link


def test_every_page_is_in_the_navigation():
    listed = re.findall(r"[\w/.-]+\.md", (PROJECT / "mkdocs.yml").read_text("utf-8"))
    there = [str(path.relative_to(DOCS)) for path in DOCS.rglob("*.md")]
    assert sorted(listed) == sorted(there)
