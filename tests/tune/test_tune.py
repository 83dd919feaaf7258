"""`fly64tasks tune` on a study whose sets are made: real processes, real files."""

from __future__ import annotations

import csv
import importlib.util
import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import warm
from small_study import ONE_DOSE, doit, new_project

from fly64tasks import cli
from fly64tasks.study.study import read_study

CASE = "dose_1000_baseline_train"
PRIOR = "prior={low=1, high=1000, log=true}"
SPARSE = "\n[views]\noverlap = { dense = 0.7, sparse = 0.0 }\n"

needs_optuna = pytest.mark.skipif(
    importlib.util.find_spec("optuna") is None, reason="extra tune is not installed"
)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project whose sets are made, and one job done."""
    project = new_project(tmp_path_factory.mktemp("tune") / "made", ONE_DOSE + SPARSE)
    doit(project, f"score:{CASE}", "views:*")
    return project


@pytest.fixture
def project(made: Path, tmp_path: Path) -> Path:
    """Such a project of its own."""
    return Path(shutil.copytree(made, tmp_path / "Süß study"))


def tune(folder: Path, *arguments: str, code: int = 0, without: str = "") -> str:
    """Run the command in a folder; return what it printed, once it exited with ``code``."""
    exit_code, out, err = warm.call(_tune, folder, arguments, without)
    assert exit_code == code, out + err
    assert "Traceback" not in err
    return out + err


def _tune(folder: Path, arguments: tuple[str, ...], without: str) -> None:
    os.chdir(folder)
    if without:
        sys.modules[without] = None  # type: ignore[assignment]
    sys.exit(cli.main(["tune", *arguments]))


def rows(folder: Path, name: str = "search") -> list[dict[str, str]]:
    with (folder / f"reports/tune/{name}/trials.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def of_the_study(folder: Path) -> dict[str, bytes]:
    """Return every file but those of searches."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and "tune" not in path.relative_to(folder).parts
    }


@needs_optuna
def test_search_that_found_nothing_better_gives_no_lines_to_paste(project: Path):
    said = tune(project, "prior=[1e7, 1e8]", "--case", CASE, "--trials", "2")
    assert said.endswith(": nothing that was tried is better; keep what you have\n")


@needs_optuna
def test_search_ends_with_lines_to_paste_and_touches_nothing_of_the_study(project: Path):
    before = of_the_study(project)
    said = tune(project, PRIOR, "noise_model=['GAUSSIAN']", "--case", CASE, "--trials", "3")
    assert of_the_study(project) == before
    present, *trials = rows(project)
    assert (present["trial"], present["prior"]) == ("present", "")
    assert [row["trial"] for row in trials] == ["0", "1", "2"]
    best = min(trials, key=lambda row: float(row["score"]))
    assert said.endswith(f'[recon]\nprior = {best["prior"]}\nnoise_model = "GAUSSIAN"\n')
    for part in (
        "frames held out",
        "present settings: ",
        "trial 2 of 3: ",
        "  present  ",
        "trials.csv",
    ):
        assert part in said
    study = project / "study.toml"
    pasted = said.rpartition("[recon]\n")[2]
    study.write_text(ONE_DOSE + pasted + SPARSE)
    assert read_study(study).recon.prior == float(best["prior"])
    said = tune(project, PRIOR, "noise_model=['GAUSSIAN']", "--case", CASE, code=2)
    assert f"recon.prior 70.0 -> {best['prior']}); search under another --name" in said


@needs_optuna
def test_options_of_ptychi_are_searched_and_their_lines_parse(project: Path):
    """Beside one that is set already, on the command line and in the study, and resumed."""
    of_lsqml = 'algorithm = "LSQML"\nwarmup_epochs = 1\n'  # ONE_DOSE ends with its [recon]
    options = "[recon.ptychi]\nobject_options.step_size = 0.9\n"
    searched = "object_options.l1_norm_constraint"
    study = project / "study.toml"
    study.write_text(
        f"{ONE_DOSE}{of_lsqml}{options}{SPARSE}[tune]\nptychi.{searched}.enabled = [true]\n"
    )
    weight = f"ptychi.{searched}.weight={{low=1e-3, high=1, log=true}}"
    stride = f"ptychi.{searched}.optimization_plan.stride=[1, 2]"
    said = tune(project, weight, stride, "momentum=[0, 0.5]", "--case", CASE, "--trials", "2")
    said = tune(project, weight, stride, "momentum=[0, 0.5]", "--case", CASE, "--trials", "3")
    assert "trial 1 of 3" not in said
    assert "trial 2 of 3" in said
    present, *trials = rows(project)
    assert {row["failed"] for row in (present, *trials)} == {""}
    assert len({row["score"] for row in (present, *trials)}) > 2
    best = min(trials, key=lambda row: float(row["score"]))
    lines = said.rpartition("\n\n")[2]
    assert lines.startswith("[recon]\nmomentum = ")
    before = read_study(study).recon
    pasted = lines.partition("\n")[2]
    study.write_text(f"{ONE_DOSE}{of_lsqml}{pasted}{SPARSE}")
    found = read_study(study).recon
    assert found.momentum == float(best["momentum"])
    assert found.ptychi is not None
    l1 = found.ptychi["object_options"]["l1_norm_constraint"]
    assert l1 == {
        "enabled": True,
        "weight": float(best[f"ptychi.{searched}.weight"]),
        "optimization_plan": {"stride": int(best[f"ptychi.{searched}.optimization_plan.stride"])},
    }
    assert found.ptychi["object_options"]["step_size"] == 0.9
    assert (before.algorithm, before.num_epochs) == (found.algorithm, found.num_epochs)


@needs_optuna
def test_score_with_the_truth_is_that_of_the_study(project: Path):
    said = tune(project, PRIOR, "--case", CASE, "--trials", "1", "--score", "complex_nrmse")
    scores = json.loads((project / "reports/dose_1000/baseline/train/scores.json").read_text())
    assert float(rows(project)[0]["score"]) == scores["metrics"]["complex_nrmse"]
    assert "score: complex NRMSE against the truth" in said


@needs_optuna
def test_measured_scans_are_searched_without_a_truth(small_sets: dict[str, Path], tmp_path: Path):
    shutil.copy(small_sets["train"], tmp_path / "one.npz")
    (tmp_path / "study.toml").write_text(
        "[scans]\none = 'one.npz'\n[scans.two]\nfile = 'one.npz'\nrecon = { prior = 1e7 }\n"
    )
    command = ("num_epochs=[1, 9]", PRIOR, "--trials", "1")
    said = tune(tmp_path, *command, "--case", "two")  # whose prior is too strong
    assert "two: one.npz, 26 frames held out" in said
    assert "\n[scans.two.recon]\nnum_epochs = " in said
    said = tune(tmp_path, *command, "--case", "one", "--case", "two", "--name", "both", code=2)
    assert "scans.two.recon says prior for itself" in said


@needs_optuna
def test_workers_try_the_same_and_come_to_the_same(project: Path):
    """And ranges may stand in the study file, with the cases."""
    study = project / "study.toml"
    study.write_text(
        study.read_text() + f"\n[tune]\ncases = ['{CASE}', 'dose_1000_dense_tr*']\nscore = "
        "'complex_nrmse'\ntrials = 2\nprior = { low = 1, high = 1000, log = true }\n"
    )
    tune(project)
    tune(project, "-j", "2", "--name", "parallel")
    assert rows(project) == rows(project, "parallel")
    cases = (CASE, "dose_1000_dense_train")
    assert list(rows(project)[0]) == ["trial", "score", "prior", *cases, "failed"]
    assert not list(project.rglob(".engine"))


@needs_optuna
def test_trial_that_diverges_is_a_failed_one_and_not_the_end(project: Path):
    wild = ("algorithm=['LSQML']", "warmup_epochs=[0, 1]", "momentum=[200, 300]")
    arguments = (*wild, "num_epochs=[20, 30]", "--case", CASE, "--trials", "3")
    said = tune(project, *arguments, code=1)
    present, *trials = rows(project)
    assert present["failed"] == ""
    assert len(trials) == 3
    assert all("diverged" in row["failed"] or "finite" in row["failed"] for row in trials)
    assert "error: no trial came to a score; the first: dose_1000_baseline_train: " in said
    assert tune(project, *arguments, code=1).count("trial 0 of 3") == 0  # failed ones are tried


def killed(project: Path, command: list[str]) -> str:
    """Kill a search after a trial, and end one by SIGTERM; return what that one said."""
    err = ""
    for signum, code in ((signal.SIGKILL, -9), (signal.SIGTERM, 75)):
        process = subprocess.Popen(
            [sys.executable, "-m", "fly64tasks", "tune", *command],
            cwd=project,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert process.stdout is not None
        for line in process.stdout:
            if line.startswith("trial "):
                break
        process.send_signal(signum)
        err = process.communicate(timeout=120)[1]
        assert process.returncode == code, err
    return err


@needs_optuna
@pytest.mark.slow
def test_search_that_is_killed_goes_on_to_the_same(project: Path):
    command = [PRIOR, "--case", CASE, "--trials", "6"]
    tune(project, *command, "--name", "straight")
    err = killed(project, command)
    assert "the same command goes on" in err
    said = tune(project, *command)
    assert rows(project) == rows(project, "straight")
    assert said.count(" of 6: ") < 6


@needs_optuna
@pytest.mark.slow
def test_search_on_workers_that_is_killed_leaves_nothing_and_goes_on_to_the_same(project: Path):
    command = [PRIOR, "--case", CASE, "--trials", "6", "-j", "2"]
    tune(project, *command, "--name", "straight")
    killed(project, command)
    tune(project, *command)
    assert rows(project) == rows(project, "straight")
    assert not list(project.rglob(".engine/*"))


@needs_optuna
def test_two_searches_do_not_share_a_folder(project: Path):
    from fly64tasks.tune.search import only_one

    with only_one(project / "reports/tune/search/trials.db"):
        said = tune(project, PRIOR, "--case", CASE, code=2)
    assert "trials.db: in use by pid" in said


@needs_optuna
@pytest.mark.parametrize(
    ("arguments", "code", "problem"),
    [
        (("--case", "dose_1000_sparse_train"), 3, "frames lie within what the others cover"),
        (("--case", CASE, "--name", "../x"), 2, "--name is '../x', expected letters"),
        (("--case", CASE, "--device", "gpu"), 2, "gpu"),
        (("--case", CASE, "-j", "-1"), 2, "-j -1, expected how many workers"),
    ],
)
def test_what_can_not_be_searched_on_is_refused(
    made: Path, arguments: tuple[str, ...], code: int, problem: str
):
    before = of_the_study(made)
    said = tune(made, PRIOR, *arguments, code=code)
    assert problem in said
    assert of_the_study(made) == before
    assert not (made / "reports/tune").exists()


@needs_optuna
def test_set_that_is_not_made_or_made_otherwise_is_said_with_what_makes_it(project: Path):
    (project / "data/phase_d/dose_1000/dense/dense_train.npz").unlink()
    said = tune(project, PRIOR, "--case", "dose_1000_dense_train", code=3)
    assert "dense_train.npz: is not there; run `doit views:dose_1000_dense` first" in said
    study = project / "study.toml"
    study.write_text(study.read_text() + "\n[simulation]\nseed = 7\n")
    said = tune(project, PRIOR, "--case", CASE, code=3)
    assert "simulation.seed 42 -> 7); run doit again" in said


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (("priro=[1, 2]", "--case", CASE), "unknown key 'priro'; did you mean 'prior'?"),
        (
            ("ptychi.object_options.step_sise=[1, 2]", "--case", CASE),
            "ptychi.object_options.step_sise is no option of pty-chi; did you mean 'object_options",
        ),
        (
            ("ptychi.object_options.step_size=[1, 2]", "--case", CASE),
            "ptychi.object_options.step_size is not used by MAP, but by LSQML",
        ),
        (("prior=[-1, 2]", "--case", CASE), "prior is -1, expected `float` >= 0.0"),
        (("prior", "--case", CASE), "'prior' is no range, expected KEY=RANGE"),
        ((PRIOR, "--case", "dose_100_dense_train"), "did you mean dose_1000_dense_train?"),
        ((PRIOR, "--case", "zzz*"), "the study has no case 'zzz*'; it has dose_1000_"),
        ((PRIOR,), "study.toml: no case, expected --case NAME here or cases in [tune]"),
        (("--case", CASE), "study.toml: nothing to search, expected KEY=RANGE"),
        ((PRIOR, "--study", "other.toml"), "other.toml"),
    ],
)
def test_what_is_wrong_with_the_question_is_said_before_anything_is_read(
    made: Path, arguments: tuple[str, ...], problem: str
):
    said = tune(made, *arguments, code=2, without="h5py")
    assert problem in said
    assert said.count("\n") == 1


def test_without_optuna_it_says_which_extra(made: Path):
    said = tune(made, PRIOR, "--case", CASE, code=2, without="optuna")
    assert said.startswith("error: Optuna is not installed")
    assert "pip install 'fly64tasks[tune]'" in said


def test_methods_are_searched_one_at_a_time_and_programs_not_at_all(tmp_path: Path):
    methods = (
        "\n[methods.epie]\nalgorithm = 'EPIE'\n[methods.momentum]\nmomentum = [0, 1]\n"
        "[methods.cnn]\ncommand = ['python', 'cnn.py', '{input_npz}', '{output}']\n"
    )
    project = new_project(tmp_path / "project", ONE_DOSE + methods)
    for cases, problem in (
        ((CASE, f"{CASE}@epie"), "are of the methods epie, main, expected one"),
        ((f"{CASE}@cnn",), "method cnn is a program of others"),
        ((f"{CASE}@momentum_1",), "method momentum_1 is one of a list"),
    ):
        named = [word for case in cases for word in ("--case", case)]
        assert problem in tune(project, PRIOR, *named, code=2)
