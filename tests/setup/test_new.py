"""What `fly64tasks new` writes, and what it never touches."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest
from small_study import PROJECT, SMALL_STUDY, doit

from fly64tasks.errors import ProjectError
from fly64tasks.setup import new
from fly64tasks.study.measured import MeasuredStudy, read_measured_study
from fly64tasks.study.recon_settings import ReconSpec
from fly64tasks.study.study import read_study

FILES = [".gitignore", "README.md", "dodo.py", "study.toml"]


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.parametrize("name", ["dodo.py", "study.toml"])
def test_file_of_the_repository_is_the_template(name: str):
    assert (PROJECT / name).read_bytes() == new.content("default", name), (
        f"{name} and its template in fly64tasks/setup/templates differ: copy the one that is right"
    )


@pytest.mark.parametrize("template", ["lsqml_baseline", "methods"])
def test_study_of_the_repository_is_the_template_in_folders_of_its_own(template: str):
    text = new.content(template, "study.toml").decode().replace('"cnn.py"', '"../examples/cnn.py"')
    for key, folder in (("data_root", "data"), ("artifact_root", "reports")):
        here = f'{key} = "{folder}"\n'
        assert here in text
        text = text.replace(here, f'{key} = "{folder}/{template}"\n')
    path = PROJECT / "studies" / f"{template}.toml"
    assert path.read_text("utf-8") == text, "change the template, and this copy of it"


def test_network_of_the_examples_is_that_of_the_template():
    example = (PROJECT / "examples/cnn.py").read_bytes()
    assert new.content("methods", "cnn.py") == example, "change one of them, and copy it"


def test_every_template_has_a_folder_and_a_line_in_help():
    folders = (PROJECT / "fly64tasks/setup/templates").iterdir()
    assert {path.name for path in folders} == {"common", *new.TEMPLATES}


@pytest.mark.parametrize(
    ("template", "count"),
    [("default", 18), ("lsqml_baseline", 18), ("measured", 3), ("methods", 120)],
)
def test_new_project_is_whole_and_lists_its_reconstructions(
    template: str, count: int, tmp_path: Path
):
    folder = tmp_path / "not" / "yet there"
    new.new_project(folder, template)
    assert names(folder) == sorted(new.files_of(template))
    assert doit(folder, "list", "--all").count("\nrecon:") == count


def test_measured_template_says_what_the_defaults_are_and_names_a_file_to_bring(tmp_path: Path):
    new.new_project(tmp_path / "scans", "measured")
    study = read_measured_study(tmp_path / "scans/study.toml")
    assert study == MeasuredStudy(
        scans={"my_scan": "my_scan.npz"}, name="measured scans", halves=True
    )
    assert "input missing: my_scan.npz" in doit(tmp_path / "scans", "-n", code=3)
    assert "nothing was run" in doit(tmp_path / "scans", code=3)


def test_baseline_has_the_default_study_with_settings_of_its_own(tmp_path: Path):
    """The literal settings: those of the default study may change, these stay."""
    path = tmp_path / "study.toml"
    path.write_bytes(new.content("lsqml_baseline", "study.toml"))
    study = read_study(path)
    assert study.recon == ReconSpec(
        algorithm="LSQML",
        num_epochs=50,
        batch_size=96,
        batching="COMPACT",
        noise_model="GAUSSIAN",
        momentum=2.0,
        damping=0.5,
        warmup_epochs=24,
        warmup_batch_size=24,
        fast_fourier_shift=True,
        object_init="ones",
        update_probe=True,
        subsampling_seed=456,
        seed=0,
    )
    default = read_study(PROJECT / "study.toml")
    assert default == msgspec.structs.replace(study, name=default.name, recon=default.recon)


def test_files_of_others_stay_as_they_are(tmp_path: Path):
    (tmp_path / "my_base.npz").write_text("precious")
    new.new_project(tmp_path)
    assert names(tmp_path) == sorted([*FILES, "my_base.npz"])
    assert (tmp_path / "my_base.npz").read_text() == "precious"


@pytest.mark.parametrize("taken", FILES)
def test_file_in_the_way_is_named_and_nothing_is_written(
    taken: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    (tmp_path / taken).symlink_to("nowhere")  # a name is taken by whatever has it
    assert new.main([str(tmp_path)]) == 3
    assert capsys.readouterr().err == (
        f"error: {tmp_path}: already holds {taken}, and nothing was written; choose another "
        "folder, or move what is there away\n"
    )
    assert names(tmp_path) == [taken]


def test_file_in_the_place_of_the_folder_is_refused(tmp_path: Path):
    file = tmp_path / "file"
    file.write_text("precious")
    with pytest.raises(ProjectError, match=r"file: is a file, expected a folder; choose another"):
        new.new_project(file)
    assert new.main([str(file / "below")]) == 74
    assert file.read_text() == "precious"


def test_disk_that_fails_half_way_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    rename = Path.rename

    def full(self: Path, target: Path) -> Path:
        if target.name == "README.md":
            raise OSError(28, "No space left on device", str(target))
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", full)
    assert new.main([str(tmp_path / "a/b")]) == 74
    assert names(tmp_path) == []
    (tmp_path / "there").mkdir()
    assert new.main([str(tmp_path / "there")]) == 74
    assert names(tmp_path / "there") == []


def test_next_steps_are_said_in_words_a_shell_takes(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    assert new.main([str(tmp_path / "Süß study")]) == 0
    said = capsys.readouterr().out
    assert f"\n  cd '{tmp_path}/Süß study'\n" in said
    assert "\n  doit -n " in said
    assert "reports/index.html" in said


def test_readme_names_only_commands_that_are_there(tmp_path: Path):
    new.new_project(tmp_path)
    (tmp_path / "study.toml").write_text(SMALL_STUDY, "utf-8")
    readme = (tmp_path / "README.md").read_text("utf-8")
    listed = doit(tmp_path, "help")
    for command in ("list", "clean", "verify", "help"):
        assert f"doit {command}" in readme
        assert f"-c {command} " in listed
    assert "19 run" in doit(tmp_path, "-n", "--split", "train")


def test_what_a_template_needs_first_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    for template in new.TEMPLATES:
        assert new.main([str(tmp_path / template), "--template", template]) == 0
        said = capsys.readouterr().out
        assert ("name your scans below [scans]" in said) == (template == "measured")
